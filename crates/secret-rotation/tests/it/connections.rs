//! Whom a password is shown to, and which failures let another one be tried.

use std::net::TcpListener;

use cutover_domain::rotation::admission::CURRENT;
use cutover_domain::rotation::{Step, Strategy};
use cutover_testkit::{Certificate, Proxy};
use serde_json::Value;

use crate::world::{Kind, SECRET, Server, World};

const KINDS: [Kind; 2] = [Kind::MariaDb, Kind::Postgres];

/// A world whose pending version was changed by somebody.
async fn tampered(kind: Kind, change: impl FnOnce(&mut Value)) -> World {
    let world = World::new(kind, Strategy::SingleUser);
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    let (_, value) = world.versions.labelled(SECRET, "AWSPENDING").unwrap();
    let mut pending: Value = serde_json::from_str(&value.unwrap()).unwrap();
    change(&mut pending);
    let mut secrets = world.versions.secrets.borrow_mut();
    secrets
        .get_mut(SECRET)
        .unwrap()
        .get_mut("t1")
        .unwrap()
        .value = Some(pending.to_string());
    drop(secrets);
    world
}

#[tokio::test]
async fn a_pending_version_for_another_place_is_refused_before_any_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for kind in KINDS {
        for (field, value) in [
            ("port", Value::from(port)),
            ("host", Value::from("127.0.0.2")),
            ("username", Value::from("root")),
            ("dbname", Value::from("mysql")),
            ("ssl", Value::from(true)),
            ("masterarn", Value::from("other")),
            (
                "engine",
                Value::from(if kind == Kind::MariaDb {
                    "postgres"
                } else {
                    "mysql"
                }),
            ),
        ] {
            let world = tampered(kind, |fields| fields[field] = value).await;
            for step in [Step::Create, Step::Set, Step::Test, Step::Finish] {
                let (kind, told) = world.fails(step, "t1").await;
                assert_eq!(kind, "SecretTampered", "{field}");
                assert!(told.contains(field), "{told}");
            }
            assert!(world.logs_in(CURRENT).await);
        }
    }
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test]
async fn failures_are_told_apart_and_none_but_a_refused_password_lets_another_be_tried() {
    for kind in KINDS {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        for (changes, expected) in [
            (
                vec![("host", Value::from("no-such-host.invalid"))],
                "DatabaseNameUnknown",
            ),
            (vec![("port", Value::from(closed))], "DatabaseUnreachable"),
            (vec![("ssl", Value::from(true))], "DatabaseTlsFailed"),
            (vec![("dbname", Value::from("nonexistent"))], "LoginFailed"),
        ] {
            let world = World::new(kind, Strategy::SingleUser);
            world.change(|fields| {
                for (field, value) in changes {
                    fields[field] = value;
                }
            });
            world.versions.begin(SECRET, "t1");
            world.done(Step::Create, "t1").await;
            let (failed, report) = world.step(Step::Test, "t1").await;
            let error = failed.unwrap_err();
            // The pending password is not set yet: a server that is reached refuses it before it looks for the database.
            let expected = if expected == "LoginFailed" {
                "LoginRefused"
            } else {
                expected
            };
            assert_eq!(error.kind(), expected, "{kind:?}");
            assert_eq!(report.failed_logins, u32::from(expected == "LoginRefused"));
        }
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let world = World::new(Kind::MariaDb, Strategy::SingleUser);
    let proxy = Proxy::start(world.server.port()).await;
    world.change(|fields| fields["port"] = proxy.port().into());
    world.versions.begin(SECRET, "t1");
    world.done(Step::Create, "t1").await;
    // Accepts and is silent.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    world.change(|fields| fields["port"] = port.into());
    world.versions.begin(SECRET, "t2");
    world.done(Step::Create, "t2").await;
    let begun = std::time::Instant::now();
    assert_eq!(world.fails(Step::Test, "t2").await.0, "DatabaseLate");
    assert!(begun.elapsed().as_secs() < 8);
}

#[tokio::test]
async fn a_server_is_believed_only_with_a_certificate_of_a_known_authority() {
    for kind in KINDS {
        let certificate = Certificate::make();
        let server = Server::alone(kind, Some(&certificate), &[]);
        let mut world = World::on(server, Strategy::SingleUser);
        world.change(|fields| fields["ssl"] = true.into());
        world.versions.begin(SECRET, "t1");
        world.done(Step::Create, "t1").await;
        // The built-in authorities are those of RDS.
        assert_eq!(
            world.fails(Step::Set, "t1").await.0,
            "DatabaseTlsFailed",
            "{kind:?}"
        );
        let other = Certificate::make();
        world.ca_bundle = Some(other.authority());
        assert_eq!(
            world.fails(Step::Set, "t1").await.0,
            "DatabaseTlsFailed",
            "{kind:?}"
        );
        world.ca_bundle = Some(certificate.authority());
        world.resume("t1").await;
        assert!(world.logs_in(CURRENT).await);
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_password() {
    for kind in KINDS {
        let world = World::new(kind, Strategy::SingleUser);
        world.change(|fields| {
            fields.as_object_mut().unwrap().remove("ssl");
        });
        world.versions.begin(SECRET, "t1");
        world.done(Step::Create, "t1").await;
        let (failed, report) = world.step(Step::Set, "t1").await;
        assert_eq!(failed.unwrap_err().kind(), "DatabaseTlsFailed", "{kind:?}");
        assert_eq!(report.failed_logins, 0);
    }
}

#[tokio::test]
async fn a_proxy_of_rds_is_refused_clearly() {
    let world = World::new(Kind::MariaDb, Strategy::SingleUser);
    world.change(|fields| fields["host"] = "app.proxy-abc.us-east-1.rds.amazonaws.com".into());
    world.versions.begin(SECRET, "t1");
    let (kind, told) = world.fails(Step::Create, "t1").await;
    assert_eq!(kind, "SecretInvalid");
    assert!(told.contains("RDS Proxy"), "{told}");
}
