//! Tokens, labels, and what each step refuses.

use cutover_domain::rotation::admission::{CURRENT, PENDING, PREVIOUS};
use cutover_domain::rotation::{Step, Strategy};

use crate::world::{Kind, SECRET, Server, World};

fn world() -> World {
    World::new(Kind::MariaDb, Strategy::SingleUser)
}

#[tokio::test]
async fn a_finished_rotation_has_nothing_left_to_do() {
    let world = world();
    world.rotate("t1").await;
    for step in Step::ALL {
        assert_eq!(world.done(step, "t1").await.as_str(), "already_current");
    }
}

#[tokio::test]
async fn unknown_and_retired_tokens_and_a_rotation_that_is_off_are_refused() {
    let world = world();
    world.rotate("t1").await;
    for step in Step::ALL {
        assert_eq!(world.fails(step, "unknown").await.0, "StepRefused");
        assert_eq!(world.fails(step, "v0").await.0, "StepRefused");
    }
    world.versions.begin(SECRET, "t2");
    world.versions.rotation_enabled.set(Some(false));
    for step in Step::ALL {
        let (kind, told) = world.fails(step, "t2").await;
        assert_eq!(kind, "StepRefused");
        assert!(told.contains("not enabled"), "{told}");
    }
}

#[tokio::test]
async fn steps_before_their_time_find_no_value_and_promote_nothing() {
    let world = world();
    world.versions.begin(SECRET, "t1");
    for step in [Step::Set, Step::Test, Step::Finish] {
        let (kind, told) = world.fails(step, "t1").await;
        assert_eq!(kind, "VersionMissing");
        assert!(told.contains("pending"), "{told}");
    }
    world.done(Step::Create, "t1").await;
    assert_eq!(world.fails(Step::Test, "t1").await.0, "LoginRefused");
    assert_eq!(world.fails(Step::Finish, "t1").await.0, "LoginRefused");
    assert_eq!(world.versions.labelled(SECRET, CURRENT).unwrap().0, "v0");
    assert!(
        world.logs_in(CURRENT).await,
        "a failed test takes nothing away"
    );
    world.resume("t1").await;
}

#[tokio::test]
async fn a_pending_value_is_kept_and_the_rotation_token_is_passed_on() {
    let world = world();
    world.versions.begin(SECRET, "t1");
    assert_eq!(world.done(Step::Create, "t1").await.as_str(), "created");
    let stored = world.versions.labelled(SECRET, PENDING);
    assert_eq!(world.done(Step::Create, "t1").await.as_str(), "kept");
    assert_eq!(world.versions.labelled(SECRET, PENDING), stored);
    let tokens = world.versions.rotation_tokens.borrow().clone();
    assert_eq!(tokens, [Some("rotation-token".to_owned())]);
}

#[tokio::test]
async fn finishing_logs_in_again_and_promotes_nothing_that_does_not() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let world = World::new(kind, Strategy::SingleUser);
        world.versions.begin(SECRET, "t1");
        for step in [Step::Create, Step::Set, Step::Test] {
            world.done(step, "t1").await;
        }
        let name = &world.name;
        match kind {
            Kind::MariaDb => world.admin(&format!(
                "ALTER USER {name}@'%' IDENTIFIED BY 'first-password'"
            )),
            Kind::Postgres => world.admin(&format!("ALTER ROLE {name} PASSWORD 'first-password'")),
        };
        assert_eq!(world.fails(Step::Finish, "t1").await.0, "LoginRefused");
        assert_eq!(world.versions.labelled(SECRET, CURRENT).unwrap().0, "v0");
        assert!(world.logs_in(CURRENT).await);
    }
}

#[tokio::test]
async fn the_version_before_becomes_the_previous_one() {
    let world = world();
    world.rotate("t1").await;
    world.rotate("t2").await;
    assert_eq!(world.versions.labelled(SECRET, CURRENT).unwrap().0, "t2");
    assert_eq!(world.versions.labelled(SECRET, PREVIOUS).unwrap().0, "t1");
    assert_eq!(world.current()["note"]["kept"], true);
}

#[tokio::test]
async fn a_secret_that_makes_no_sense_is_told_field_by_field() {
    let world = world();
    world.change(|fields| {
        fields["port"] = "none".into();
        fields["engine"] = "oracle".into();
    });
    world.versions.begin(SECRET, "t1");
    let (kind, told) = world.fails(Step::Create, "t1").await;
    assert_eq!(kind, "SecretInvalid");
    assert!(
        told.contains("port takes") && told.contains("engine takes"),
        "{told}"
    );
    assert!(!told.contains("first-password"), "{told}");
}

#[tokio::test]
async fn a_password_that_repeats_the_current_one_is_not_taken() {
    let world = world();
    world
        .versions
        .passwords
        .borrow_mut()
        .extend(["first-password".to_owned(), "first-password".to_owned()]);
    world.rotate("t1").await;
    assert_ne!(world.current()["password"], "first-password");
    let again = World::new(Kind::MariaDb, Strategy::SingleUser);
    let same = std::iter::repeat_n("first-password".to_owned(), 3);
    again.versions.passwords.borrow_mut().extend(same);
    again.versions.begin(SECRET, "t1");
    assert_eq!(again.fails(Step::Create, "t1").await.0, "PasswordRepeated");
}

#[tokio::test]
async fn a_database_need_not_be_named() {
    for kind in [Kind::MariaDb, Kind::Postgres] {
        let world = World::new(kind, Strategy::SingleUser);
        world.change(|fields| {
            fields.as_object_mut().unwrap().remove("dbname");
        });
        world.rotate("t1").await;
        assert!(world.logs_in(CURRENT).await, "{kind:?}");
    }
}

/// The anonymous account for this very host comes before the user's own for every host.
#[tokio::test]
async fn an_account_in_anothers_shadow_is_told() {
    let server = Server::alone(Kind::MariaDb, None, &[]);
    let world = World::on(server, Strategy::AlternatingUsers);
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (_, value) = world.versions.labelled(SECRET, PENDING).unwrap();
    let pending: serde_json::Value = serde_json::from_str(&value.unwrap()).unwrap();
    let password = pending["password"].as_str().unwrap();
    // The master has an account for this host, too.
    world.admin("CREATE USER master@'127.0.0.1' IDENTIFIED BY 'master-password'; GRANT ALL ON *.* TO master@'127.0.0.1' WITH GRANT OPTION");
    world.admin(&format!(
        "CREATE USER ''@'127.0.0.1' IDENTIFIED BY '{password}'; GRANT SELECT ON {}.* TO ''@'127.0.0.1'",
        world.name
    ));
    let (kind, told) = world.fails(Step::Set, "t1").await;
    assert_eq!(kind, "AccountShadowed", "{told}");
}

/// What Secrets Manager does when a schedule is set that does not begin at once.
#[tokio::test]
async fn a_configuration_is_tested_on_a_copy_of_the_current_version() {
    for strategy in [Strategy::SingleUser, Strategy::AlternatingUsers] {
        let world = World::new(Kind::MariaDb, strategy);
        let copy = world.current().to_string();
        world.versions.begin(SECRET, "t1");
        let put = |value: String| {
            let mut secrets = world.versions.secrets.borrow_mut();
            secrets
                .get_mut(SECRET)
                .unwrap()
                .get_mut("t1")
                .unwrap()
                .value = Some(value);
        };
        put(copy.clone());
        assert_eq!(world.done(Step::Test, "t1").await.as_str(), "tested");
        for step in [Step::Create, Step::Set, Step::Finish] {
            assert_eq!(world.fails(step, "t1").await.0, "SecretTampered");
        }
        put(copy.replace("127.0.0.1", "127.0.0.2"));
        assert_eq!(world.fails(Step::Test, "t1").await.0, "SecretTampered");
    }
}
