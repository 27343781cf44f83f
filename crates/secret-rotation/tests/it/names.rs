//! User names and passwords of any content, and what the servers log of them.

use cutover_domain::rotation::admission::{CURRENT, PREVIOUS};
use cutover_domain::rotation::{Step, Strategy};

use crate::world::{Kind, MASTER, SECRET, Server, World};

const NAMES: [&str; 9] = [
    "o'neil",
    "say \"hi\"",
    "back`tick",
    "back\\slash",
    "x TO y",
    "a@b@c",
    "semi;colon -- ",
    "\u{fc}ml\u{e4}ut",
    "$A$005$ %s {}",
];
const PASSWORDS: [&str; 4] = [
    "quote' \" `",
    "back\\ \\' slash",
    "\u{1f642} emoji \u{2168}",
    " -- ; /* ",
];

/// Makes a user of that name, whose secret is current.
fn make(world: &World, name: &str) {
    match world.server {
        Server::MariaDb(_) => {
            let quoted = format!("`{}`@`%`", name.replace('`', "``"));
            world.sql(&format!("CREATE OR REPLACE USER {quoted} IDENTIFIED BY 'first-password'; GRANT SELECT, CREATE USER ON *.* TO {quoted}"));
        }
        Server::Postgres(_) => {
            let quoted = format!("\"{}\"", name.replace('"', "\"\""));
            world.sql(&format!("CREATE ROLE {quoted} LOGIN PASSWORD 'first-password'; GRANT SELECT ON t{} TO {quoted}", world.name));
        }
    }
    world.change(|fields| {
        fields["username"] = name.into();
        fields["password"] = "first-password".into();
    });
}

async fn any_name_and_password(kind: Kind, strategy: Strategy, names: &[&str]) {
    // A server of its own: roles of PostgreSQL belong to the whole server.
    let server = Server::alone(kind, None, &[]);
    let world = World::on(server, strategy);
    for (number, name) in names.iter().enumerate() {
        make(&world, name);
        for (which, password) in PASSWORDS.iter().enumerate() {
            let token = format!("t{number}-{which}");
            world
                .versions
                .passwords
                .borrow_mut()
                .push((*password).to_owned() + &token);
            world.rotate(&token).await;
            assert!(world.logs_in(CURRENT).await, "{name} {password}");
            let previous = kind == Kind::MariaDb || strategy == Strategy::AlternatingUsers;
            assert_eq!(world.logs_in(PREVIOUS).await, previous, "{name} {password}");
        }
    }
}

#[tokio::test]
async fn mariadb_names_and_passwords_may_hold_anything() {
    any_name_and_password(Kind::MariaDb, Strategy::SingleUser, &NAMES).await;
}

#[tokio::test]
async fn mariadb_alternating_names_may_hold_anything() {
    any_name_and_password(Kind::MariaDb, Strategy::AlternatingUsers, &NAMES).await;
}

#[tokio::test]
async fn postgres_names_and_passwords_may_hold_anything() {
    let names = [NAMES.as_slice(), &["\u{1f642} four bytes"]].concat();
    any_name_and_password(Kind::Postgres, Strategy::SingleUser, &names).await;
}

#[tokio::test]
async fn postgres_alternating_names_may_hold_anything() {
    let names = [NAMES.as_slice(), &["\u{1f642} four bytes"]].concat();
    any_name_and_password(Kind::Postgres, Strategy::AlternatingUsers, &names).await;
}

#[tokio::test]
async fn mariadb_four_byte_names_are_refused_before_anything_is_stored() {
    let world = World::new(Kind::MariaDb, Strategy::SingleUser);
    world.change(|fields| fields["username"] = "\u{1f642}".into());
    world.versions.begin(SECRET, "t1");
    let (kind, told) = world.fails(Step::Create, "t1").await;
    assert_eq!(kind, "SecretInvalid");
    assert!(told.contains("4-byte"), "{told}");
}

#[tokio::test]
async fn names_that_become_too_long_are_refused_before_anything_is_stored() {
    let world = World::new(Kind::Postgres, Strategy::AlternatingUsers);
    world.change(|fields| fields["username"] = "x".repeat(60).into());
    world.versions.begin(SECRET, "t1");
    let (kind, told) = world.fails(Step::Create, "t1").await;
    assert_eq!(kind, "SecretInvalid");
    assert!(told.contains("66 bytes") && told.contains("63"), "{told}");
    assert_eq!(
        world.versions.labelled(SECRET, "AWSPENDING").unwrap().1,
        None
    );
}

/// General log, binary log, error log: none has a password in it, though all statements are logged.
#[tokio::test]
async fn no_password_is_in_any_log_of_mariadb() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let options = [
        "--general-log=1".to_owned(),
        format!("--general-log-file={}", path("general").display()),
        format!("--log-bin={}", path("binlog").display()),
        format!("--log-error={}", path("error").display()),
        "--slow-query-log=1".to_owned(),
        "--long-query-time=0".to_owned(),
        format!("--slow-query-log-file={}", path("slow").display()),
    ];
    let server = Server::alone(Kind::MariaDb, None, &options);
    let mut passwords = Vec::new();
    for strategy in [Strategy::SingleUser, Strategy::AlternatingUsers] {
        let world = World::on(server.clone(), strategy);
        for token in ["t1", "t2", "t3"] {
            let password = format!("secret-{}-{token}", world.name);
            world.versions.passwords.borrow_mut().push(password.clone());
            passwords.push(password);
            world.rotate(token).await;
        }
    }
    drop(server);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let content = std::fs::read(entry.unwrap().path()).unwrap();
        let content = String::from_utf8_lossy(&content);
        bytes += content.len();
        for password in &passwords {
            assert!(!content.contains(password), "{password}");
        }
        if content.contains("mysql_native_password USING '*") {
            bytes += 1_000_000;
        }
    }
    assert!(bytes > 1_000_000, "the statements are in the logs: {bytes}");
}

#[tokio::test]
async fn no_password_is_in_the_log_of_postgres() {
    let server = Server::alone(Kind::Postgres, None, &[]);
    server.sql(
        "postgres",
        "ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf(); SELECT pg_sleep(0.3)",
    );
    let mut passwords = Vec::new();
    for strategy in [Strategy::SingleUser, Strategy::AlternatingUsers] {
        let world = World::on(server.clone(), strategy);
        for token in ["t1", "t2"] {
            let password = format!("secret-{}-{token}", world.name);
            world.versions.passwords.borrow_mut().push(password.clone());
            passwords.push(password);
            world.rotate(token).await;
        }
    }
    let Server::Postgres(db) = &server else {
        panic!("it is one")
    };
    let log = db.log();
    assert!(
        log.contains("PASSWORD 'SCRAM-SHA-256$4096:"),
        "statements are logged"
    );
    for password in &passwords {
        assert!(!log.contains(password), "{password}");
    }
}

/// Errors go to the log of the function and to Secrets Manager.
#[tokio::test]
async fn no_error_holds_a_password_or_a_hash() {
    let world = World::new(Kind::MariaDb, Strategy::AlternatingUsers);
    let name = &world.name;
    world
        .versions
        .passwords
        .borrow_mut()
        .push("secret-in-error".to_owned());
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    // A host part that cannot be created: the server's message quotes the statement.
    world.admin(&format!(
        "CREATE USER weak{name}@'%' IDENTIFIED BY 'weak-password'; GRANT SELECT ON mysql.* TO weak{name}@'%'"
    ));
    world.versions.store(
        MASTER,
        "m1",
        world
            .fields(&format!("weak{name}"), "weak-password")
            .to_string(),
    );
    let (_, told) = world.fails(Step::Set, "t1").await;
    for secret in ["secret-in-error", "weak-password", "'*", name.as_str()] {
        assert!(!told.contains(secret), "{told}");
    }
}
