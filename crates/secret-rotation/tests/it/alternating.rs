//! Two users that take turns, with the same rights.

use cutover_domain::rotation::Step;
use cutover_domain::rotation::Strategy;
use cutover_domain::rotation::admission::{CURRENT, PREVIOUS};
use cutover_testkit::Certificate;

use crate::world::{Kind, MASTER, SECRET, Server, World};

/// A user with rights of every kind.
pub(crate) fn world(kind: Kind) -> World {
    let world = World::new(kind, Strategy::AlternatingUsers);
    let name = &world.name;
    match kind {
        Kind::MariaDb => {
            world.sql(&format!(
                "CREATE USER {name}@'10.%' IDENTIFIED BY 'x'; GRANT DELETE ON {name}.* TO {name}@'10.%'; \
                 CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS INT RETURN 1; \
                 CREATE ROLE r{name}; CREATE ROLE s{name}; GRANT r{name} TO master@'%' WITH ADMIN OPTION; GRANT s{name} TO master@'%' WITH ADMIN OPTION; GRANT r{name} TO {name}@'%'; GRANT s{name} TO {name}@'%' WITH ADMIN OPTION; \
                 SET DEFAULT ROLE r{name} FOR {name}@'%'; GRANT PROCESS ON *.* TO {name}@'%'; \
                 GRANT UPDATE (a, b) ON t TO {name}@'%'; GRANT EXECUTE ON PROCEDURE p TO {name}@'%'; \
                 GRANT INDEX ON t TO {name}@'%' WITH GRANT OPTION; \
                 ALTER USER {name}@'%' WITH MAX_USER_CONNECTIONS 40 MAX_QUERIES_PER_HOUR 100000 MAX_STATEMENT_TIME 1.5 PASSWORD EXPIRE NEVER"
            ));
        }
        Kind::Postgres => {
            world.sql(&format!(
                "ALTER ROLE {name} CREATEDB CONNECTION LIMIT 40 VALID UNTIL '2040-01-01 00:00:00+00'; \
                 ALTER ROLE {name} SET search_path TO \"we ird\", public; ALTER ROLE {name} SET statement_timeout TO '7s'; \
                 ALTER ROLE {name} IN DATABASE pay SET work_mem TO '5MB'; \
                 CREATE ROLE r{name}; GRANT r{name} TO {name}; CREATE TABLE byrole{name} (a INT); GRANT SELECT ON byrole{name} TO r{name}; \
                 GRANT UPDATE (a) ON t{name} TO {name}"
            ));
        }
    }
    world
}

/// Grants, revokes, and changes attributes of the original.
pub(crate) fn change_rights(world: &World) {
    let name = &world.name;
    match world.server {
        Server::MariaDb(_) => world.sql(&format!(
            "REVOKE SELECT ON {name}.* FROM {name}@'%'; GRANT DELETE, DROP ON {name}.* TO {name}@'%'; \
             REVOKE UPDATE (b) ON t FROM {name}@'%'; REVOKE EXECUTE ON PROCEDURE p FROM {name}@'%'; \
             GRANT EXECUTE ON FUNCTION f TO {name}@'%'; REVOKE GRANT OPTION ON t FROM {name}@'%'; \
             REVOKE r{name} FROM {name}@'%'; SET DEFAULT ROLE NONE FOR {name}@'%'; REVOKE PROCESS ON *.* FROM {name}@'%'; \
             ALTER USER {name}@'%' WITH MAX_USER_CONNECTIONS 0 MAX_QUERIES_PER_HOUR 0 PASSWORD EXPIRE DEFAULT; \
             DROP USER {name}@'10.%'; CREATE USER {name}@'192.168.%' IDENTIFIED BY 'x'; GRANT SELECT ON t TO {name}@'192.168.%'"
        )),
        Server::Postgres(_) => world.sql(&format!(
            "ALTER ROLE {name} NOCREATEDB CONNECTION LIMIT -1 VALID UNTIL 'infinity'; ALTER ROLE {name} RESET search_path; \
             ALTER ROLE {name} SET lock_timeout TO '3s'; ALTER ROLE {name} IN DATABASE pay RESET work_mem; \
             REVOKE r{name} FROM {name}; REVOKE INSERT ON t{name} FROM {name}; GRANT DELETE ON t{name} TO {name}"
        )),
    };
}

/// How the second user differs from the first, if it does.
pub(crate) fn difference(world: &World) -> Option<String> {
    if world.strategy == Strategy::SingleUser {
        return None;
    }
    let name = &world.name;
    let (first, second) = match &world.server {
        Server::MariaDb(_) => (
            mariadb_says(world, name),
            mariadb_says(world, &format!("{name}_clone")),
        ),
        Server::Postgres(_) => (
            postgres_says(world, name),
            postgres_says(world, &format!("{name}_clone")),
        ),
    };
    (first != second).then(|| format!("{first}\n--- but\n{second}"))
}

/// Everything that the server says of a user's accounts that may log in, but names and hashes.
fn mariadb_says(world: &World, user: &str) -> String {
    let hosts = world.admin(&format!(
        "SELECT Host FROM mysql.user WHERE User = '{user}' ORDER BY Host"
    ));
    let mut said = String::new();
    for host in hosts.lines() {
        let account = world.admin(&format!("SHOW CREATE USER `{user}`@`{host}`"));
        if account.contains("ACCOUNT LOCK") {
            continue;
        }
        let grants = world.admin(&format!("SHOW GRANTS FOR `{user}`@`{host}`"));
        said.extend([account, grants].map(|text| text + "\n"));
    }
    let mut parts = said.split("'*");
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        without += part.get(40..).unwrap_or_default();
    }
    // One password or two is no matter of rights.
    let one = without.replace(&format!("`{user}`@"), "`user`@").replace(
        " IDENTIFIED VIA mysql_native_password USING ' OR mysql_native_password USING '",
        " IDENTIFIED BY PASSWORD '",
    );
    let mut lines: Vec<&str> = one.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn postgres_says(world: &World, user: &str) -> String {
    let name = &world.name;
    let attributes = world.admin(&format!(
        "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, \
         coalesce(nullif(rolvaliduntil, 'infinity')::text, 'never') FROM pg_roles WHERE rolname = '{user}'"
    ));
    let settings = world.admin(&format!(
        "SELECT setdatabase, unnest(setconfig) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = setrole \
         WHERE rolname = '{user}' AND true ORDER BY 1, 2"
    ));
    let settings: Vec<&str> = settings
        .lines()
        .filter(|line| !line.contains("role="))
        .collect();
    let rights = world.sql(&format!(
        "SELECT p, has_table_privilege('{user}', c, p) FROM unnest(ARRAY['t{name}', 'byrole{name}']) c, \
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p ORDER BY c, p; \
         SELECT has_column_privilege('{user}', 't{name}', 'a', 'UPDATE'), has_column_privilege('{user}', 't{name}', 'b', 'UPDATE'), \
         has_database_privilege('{user}', 'pay', 'CREATE'), has_schema_privilege('{user}', 'public', 'CREATE')"
    ));
    format!("{attributes}\n{settings:?}\n{rights}")
}

async fn turns(kind: Kind) {
    let world = world(kind);
    let before = world.current();
    world.rotate("t1").await;
    assert_eq!(world.current()["username"], format!("{}_clone", world.name));
    assert_eq!(
        world.current()["note"],
        before["note"],
        "unknown keys survive"
    );
    assert!(world.logs_in(CURRENT).await && world.logs_in(PREVIOUS).await);
    assert_eq!(difference(&world), None);
    world.rotate("t2").await;
    assert_eq!(world.current()["username"], world.name.as_str());
    assert_ne!(world.current()["password"], before["password"]);
    assert!(world.logs_in(CURRENT).await && world.logs_in(PREVIOUS).await);
    change_rights(&world);
    let changed = match kind {
        Kind::MariaDb => mariadb_says(&world, &world.name),
        Kind::Postgres => postgres_says(&world, &world.name),
    };
    world.rotate("t3").await;
    assert_eq!(difference(&world), None);
    let after = match kind {
        Kind::MariaDb => mariadb_says(&world, &world.name),
        Kind::Postgres => postgres_says(&world, &world.name),
    };
    assert_eq!(
        changed, after,
        "a rotation never changes the original's rights"
    );
}

#[tokio::test]
async fn mariadb_users_take_turns_with_the_same_rights() {
    turns(Kind::MariaDb).await;
}

#[tokio::test]
async fn postgres_users_take_turns_with_the_same_rights() {
    turns(Kind::Postgres).await;
}

#[tokio::test]
async fn rights_are_settled_even_where_the_pending_password_logs_in_already() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let world = world(kind);
        world.versions.begin(SECRET, "t1");
        world.done(Step::Create, "t1").await;
        world.done(Step::Set, "t1").await;
        change_rights(&world);
        world.done(Step::Set, "t1").await;
        assert_eq!(difference(&world), None, "{kind:?}");
    }
}

/// Each alters, uses and drops what the other made; and rights of a member would not be enough for that.
#[tokio::test]
async fn on_postgres_each_user_owns_what_the_other_creates() {
    let world = world(Kind::Postgres);
    world
        .as_current("CREATE TABLE public.of_first (a INT)")
        .await
        .unwrap();
    world.rotate("t1").await;
    world
        .as_current("ALTER TABLE public.of_first ADD COLUMN b INT")
        .await
        .unwrap();
    world
        .as_current("CREATE TABLE public.of_second (a INT)")
        .await
        .unwrap();
    world.rotate("t2").await;
    world
        .as_current("ALTER TABLE public.of_second ADD COLUMN b INT")
        .await
        .unwrap();
    world
        .as_current("DROP TABLE public.of_first, public.of_second")
        .await
        .unwrap();
}

#[tokio::test]
async fn on_mariadb_each_user_may_use_and_alter_what_the_other_creates() {
    let world = World::new(Kind::MariaDb, Strategy::AlternatingUsers);
    world.sql(&format!("GRANT ALL ON {0}.* TO {0}@'%'", world.name));
    world
        .as_current("CREATE TABLE of_first (a INT)")
        .await
        .unwrap();
    world.rotate("t1").await;
    world
        .as_current("ALTER TABLE of_first ADD COLUMN b INT")
        .await
        .unwrap();
    world
        .as_current("CREATE TABLE of_second (a INT)")
        .await
        .unwrap();
    world.rotate("t2").await;
    world
        .as_current("ALTER TABLE of_second ADD COLUMN b INT")
        .await
        .unwrap();
    world
        .as_current("DROP TABLE of_first, of_second")
        .await
        .unwrap();
}

/// A second user as other tools leave it: rights of its own, and tables that are its own.
#[tokio::test]
async fn on_postgres_a_second_user_made_by_other_tools_is_brought_into_line() {
    let world = world(Kind::Postgres);
    let name = &world.name;
    world.sql(&format!(
        "CREATE ROLE {name}_clone LOGIN SUPERUSER; ALTER ROLE {name}_clone NOSUPERUSER BYPASSRLS; CREATE ROLE boss{name}; \
         GRANT boss{name} TO {name}_clone; CREATE SCHEMA old AUTHORIZATION {name}_clone; CREATE TABLE old.mine (a INT); \
         ALTER TABLE old.mine OWNER TO {name}_clone; GRANT TRUNCATE ON t{name} TO {name}_clone; \
         GRANT CREATE ON DATABASE pay TO {name}_clone; CREATE FUNCTION f(INT) RETURNS INT LANGUAGE sql AS 'SELECT 1'; \
         GRANT EXECUTE ON FUNCTION f TO {name}_clone; GRANT UPDATE (b) ON t{name} TO {name}_clone; \
         ALTER ROLE {name}_clone SET search_path TO old"
    ));
    world.rotate("t1").await;
    assert_eq!(difference(&world), None);
    let owner = world.sql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'");
    assert_eq!(&owner, name, "what it owned is the original's");
    let groups = world.admin(&format!(
        "SELECT g.rolname FROM pg_auth_members JOIN pg_roles g ON g.oid = roleid JOIN pg_roles u ON u.oid = member \
         WHERE u.rolname = '{name}_clone'"
    ));
    assert_eq!(&groups, name);
}

#[tokio::test]
async fn on_postgres_a_master_that_may_not_revoke_is_told_and_nothing_is_done() {
    let world = world(Kind::Postgres);
    let name = &world.name;
    world.sql(&format!(
        "CREATE ROLE weak{name} LOGIN CREATEROLE CREATEDB PASSWORD 'weak'; CREATE ROLE {name}_clone LOGIN; GRANT TRUNCATE ON t{name} TO {name}_clone"
    ));
    world.versions.store(
        MASTER,
        "m1",
        world.fields(&format!("weak{name}"), "weak").to_string(),
    );
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (kind, told) = world.fails(Step::Set, "t1").await;
    assert!(
        matches!(kind, "PrivilegeMissing" | "RightsDiffer"),
        "{kind}: {told}"
    );
    let member = world.admin(&format!("SELECT count(*) FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = '{name}_clone'"));
    assert_eq!(member, "0", "the transaction was given up");
    assert!(world.logs_in(CURRENT).await);
}

#[tokio::test]
async fn on_postgres_a_superuser_takes_no_turns() {
    let world = world(Kind::Postgres);
    world.admin(&format!("ALTER ROLE {} SUPERUSER", world.name));
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (kind, told) = world.fails(Step::Set, "t1").await;
    assert_eq!(kind, "UserNotRotatable", "{told}");
}

#[tokio::test]
async fn on_mariadb_a_master_that_may_not_grant_is_told() {
    let world = world(Kind::MariaDb);
    let name = &world.name;
    world.admin(&format!(
        "CREATE USER weak{name}@'%' IDENTIFIED BY 'weak'; GRANT CREATE USER ON *.* TO weak{name}@'%'; GRANT SELECT ON mysql.* TO weak{name}@'%'"
    ));
    world.versions.store(
        MASTER,
        "m1",
        world.fields(&format!("weak{name}"), "weak").to_string(),
    );
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (kind, told) = world.fails(Step::Set, "t1").await;
    assert_eq!(kind, "PrivilegeMissing", "{told}");
    assert!(world.logs_in(CURRENT).await);
    // With a master that may, the same token goes on where the other stopped.
    world.versions.store(
        MASTER,
        "m2",
        world.fields("master", "master-password").to_string(),
    );
    world.resume("t1").await;
    assert_eq!(difference(&world), None);
}

#[tokio::test]
async fn on_mariadb_a_host_part_that_the_original_lost_is_locked() {
    let world = world(Kind::MariaDb);
    let name = &world.name;
    world.rotate("t1").await;
    world.rotate("t2").await;
    world.admin(&format!("DROP USER {name}@'10.%'"));
    world.rotate("t3").await;
    let account = world.admin(&format!("SHOW CREATE USER {name}_clone@'10.%'"));
    assert!(account.contains("ACCOUNT LOCK"), "{account}");
    assert_eq!(difference(&world), None);
}

#[tokio::test]
async fn a_tls_requirement_is_the_second_users_too() {
    let certificate = Certificate::make();
    let server = Server::alone(Kind::MariaDb, Some(&certificate), &[]);
    let mut world = World::on(server, Strategy::AlternatingUsers);
    world.ca_bundle = Some(certificate.authority());
    world.admin(&format!("ALTER USER {}@'%' REQUIRE SSL", world.name));
    world.change(|fields| fields["ssl"] = true.into());
    let mut master = world.fields("master", "master-password");
    master["ssl"] = true.into();
    world.versions.store(MASTER, "m1", master.to_string());
    world.rotate("t1").await;
    let account = world.admin(&format!("SHOW CREATE USER {}_clone@'%'", world.name));
    assert!(account.contains("REQUIRE SSL"), "{account}");
}

#[tokio::test]
async fn without_the_users_original_nothing_is_made() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let world = World::new(kind, Strategy::AlternatingUsers);
        world.versions.begin(SECRET, "t1");
        world.done(Step::Create, "t1").await;
        let name = &world.name;
        match kind {
            Kind::MariaDb => world.admin(&format!("DROP USER {name}@'%'")),
            Kind::Postgres => world.admin(&format!("ALTER ROLE {name} RENAME TO gone_{name}")),
        };
        assert_eq!(world.fails(Step::Set, "t1").await.0, "UserNotRotatable");
    }
}

#[tokio::test]
async fn the_masters_secret_must_be_of_the_same_server_and_be_there() {
    let world = world(Kind::MariaDb);
    let mut master = world.fields("master", "master-password");
    master["host"] = "localhost".into();
    world.versions.store(MASTER, "m1", master.to_string());
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (kind, told) = world.fails(Step::Set, "t1").await;
    assert_eq!(kind, "SecretTampered");
    assert!(told.contains("host"), "{told}");
    world.versions.secrets.borrow_mut().remove(MASTER);
    assert_eq!(world.fails(Step::Set, "t1").await.0, "SecretsManagerFailed");
    world.change(|fields| fields["masterarn"] = serde_json::Value::Null);
    world.versions.begin(SECRET, "t2");
    assert_eq!(world.fails(Step::Create, "t2").await.0, "SecretInvalid");
}
