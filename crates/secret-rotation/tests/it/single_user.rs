//! One user, whose password changes.

use cutover_domain::rotation::admission::{CURRENT, PREVIOUS};
use cutover_domain::rotation::{Step, Strategy, Way};

use crate::world::{Kind, MASTER, SECRET, Server, World};

fn world(kind: Kind) -> World {
    World::new(kind, Strategy::SingleUser)
}

/// One that may change nothing but its password.
fn humble(kind: Kind) -> World {
    World::on(Server::shared(kind), Strategy::SingleUser)
}

#[tokio::test]
async fn on_mariadb_two_passwords_are_good_after_each_rotation() {
    let world = world(Kind::MariaDb);
    let mut passwords = vec![world.current()["password"].clone()];
    for token in ["t1", "t2", "t3"] {
        world.versions.begin(SECRET, token);
        world.done(Step::Create, token).await;
        let (set, report) = world.step(Step::Set, token).await;
        set.unwrap();
        assert_eq!((report.way, report.gap), (Some(Way::Both), Some(false)));
        world.resume(token).await;
        assert!(world.logs_in(CURRENT).await && world.logs_in(PREVIOUS).await);
        passwords.push(world.current()["password"].clone());
    }
    for (age, password) in passwords.iter().rev().enumerate() {
        let good = world
            .user_logs_in(&world.name, password.as_str().unwrap())
            .await;
        assert_eq!(good, age < 2, "{age}");
    }
}

#[tokio::test]
async fn on_postgres_the_gap_is_counted() {
    let world = world(Kind::Postgres);
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (set, report) = world.step(Step::Set, "t1").await;
    set.unwrap();
    assert_eq!((report.way, report.gap), (Some(Way::OnlyNew), Some(true)));
    world.resume("t1").await;
    assert!(world.logs_in(CURRENT).await && !world.logs_in(PREVIOUS).await);
}

#[tokio::test]
async fn without_the_privilege_the_master_keeps_both_passwords_good() {
    let world = humble(Kind::MariaDb);
    world.change(|fields| fields["masterarn"] = MASTER.into());
    world.admin(&format!(
        "CREATE USER {}@'10.%' IDENTIFIED BY 'x'",
        world.name
    ));
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (set, report) = world.step(Step::Set, "t1").await;
    set.unwrap();
    assert_eq!((report.way, report.gap), (Some(Way::Master), Some(false)));
    world.resume("t1").await;
    assert!(world.logs_in(CURRENT).await && world.logs_in(PREVIOUS).await);
    // A master changes every account of the name.
    let one = world.admin(&format!("SHOW CREATE USER {}@'%'", world.name));
    let other = world.admin(&format!("SHOW CREATE USER {}@'10.%'", world.name));
    assert_eq!(one.replace("`%`", ""), other.replace("`10.%`", ""));
}

#[tokio::test]
async fn without_privilege_and_master_the_gap_is_counted() {
    let world = humble(Kind::MariaDb);
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (set, report) = world.step(Step::Set, "t1").await;
    set.unwrap();
    assert_eq!((report.way, report.gap), (Some(Way::OnlyNew), Some(true)));
    world.resume("t1").await;
    assert!(world.logs_in(CURRENT).await && !world.logs_in(PREVIOUS).await);
}

#[tokio::test]
async fn a_rotation_after_cancelled_ones_locks_nobody_out() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        for world in [world(kind), humble(kind)] {
            for cancelled in ["c1", "c2"] {
                world.versions.begin(SECRET, cancelled);
                world.done(Step::Create, cancelled).await;
                world.done(Step::Set, cancelled).await;
                world.versions.cancel(SECRET);
            }
            world.rotate("t1").await;
            assert!(world.logs_in(CURRENT).await, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_account_that_no_version_opens_is_told_and_a_master_opens_it() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let world = world(kind);
        world.versions.begin(SECRET, "t1");
        world.done(Step::Create, "t1").await;
        let name = &world.name;
        match kind {
            Kind::MariaDb => world.admin(&format!(
                "ALTER USER {name}@'%' IDENTIFIED BY 'changed by hand'"
            )),
            Kind::Postgres => world.admin(&format!("ALTER ROLE {name} PASSWORD 'changed by hand'")),
        };
        let (failed, report) = world.step(Step::Set, "t1").await;
        assert_eq!(failed.unwrap_err().kind(), "LockedOut");
        assert_eq!(report.failed_logins, 2);
        world.change(|fields| fields["masterarn"] = MASTER.into());
        world.versions.begin(SECRET, "t2");
        world.resume("t2").await;
        assert!(world.logs_in(CURRENT).await);
    }
}

#[tokio::test]
async fn a_password_that_is_set_is_not_set_again() {
    let world = world(Kind::MariaDb);
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    world.done(Step::Set, "t1").await;
    let (again, report) = world.step(Step::Set, "t1").await;
    assert_eq!(again.unwrap().as_str(), "already_set");
    assert_eq!(report.statements, 0);
}

#[tokio::test]
async fn a_server_that_says_it_is_mariadb_is_one_under_engine_mysql_too() {
    let world = world(Kind::MariaDb);
    world.change(|fields| fields["engine"] = "mysql".into());
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (_, report) = world.step(Step::Set, "t1").await;
    assert_eq!(report.way, Some(Way::Both));
    world.resume("t1").await;
    assert!(world.logs_in(PREVIOUS).await);
}

/// What the master's account statements cost besides is nothing: limits, requirement and rights stay.
#[tokio::test]
async fn nothing_of_the_account_changes_but_its_password() {
    let world = world(Kind::MariaDb);
    let name = &world.name;
    world.admin(&format!(
        "ALTER USER {name}@'%' WITH MAX_USER_CONNECTIONS 30 PASSWORD EXPIRE NEVER"
    ));
    let says = || {
        let account = world.admin(&format!("SHOW CREATE USER {name}@'%'"));
        let tail = account.split(" WITH ").nth(1).map(str::to_owned);
        (
            tail,
            world
                .admin(&format!("SHOW GRANTS FOR {name}@'%'"))
                .lines()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    let before = says();
    world.rotate("t1").await;
    assert_eq!(says(), before);
    assert!(before.0.is_some());
}
