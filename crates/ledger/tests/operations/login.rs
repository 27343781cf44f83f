//! Why a login fails is told apart, and no error says the password.

use std::error::Error as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_ledger::operations::Databases;
use cutover_ports::parity::{DatabaseError, Login, LoginCheck as _, Trouble};
use cutover_testkit::{Certificate, MariaDb, Postgres, Proxy};

use crate::world::{BUDGET, Kind, Server, World, site};

on_both_engines!(
    a_login_tells_what_the_server_is,
    failures_are_told_apart,
    a_server_is_believed_by_its_certificate_only,
);

async fn log_in(databases: &Databases, secret: &str) -> Result<Login, DatabaseError> {
    databases
        .log_in(&site("blue", secret.to_owned()), Duration::from_secs(7))
        .await
}

async fn a_login_tells_what_the_server_is(kind: Kind) {
    let world = World::new(kind);
    let login = Databases::default()
        .log_in(&world.site("blue"), BUDGET)
        .await
        .unwrap();
    assert!(
        login
            .server
            .starts_with(world.either("MariaDB 1", "PostgreSQL 1")),
        "{login:?}"
    );
    assert!(!login.tls && login.writable, "{login:?}");
    assert!(!login.change_log.ready, "{login:?}");
    let observed = world.either("log_bin=OFF, ", "wal_level=minimal");
    assert!(login.change_log.observed.starts_with(observed), "{login:?}");
    let replicating = match kind {
        Kind::MariaDb => {
            let db = MariaDb::start_with(&MariaDb::replicating(1));
            Server::MariaDb(Arc::new(db))
        }
        Kind::Postgres => Server::Postgres(Arc::new(Postgres::start_replicating(&[]))),
    };
    let world = World::on(replicating.clone(), replicating);
    let login = Databases::default()
        .log_in(&world.site("blue"), BUDGET)
        .await
        .unwrap();
    assert!(login.change_log.ready, "{login:?}");
    if kind == Kind::MariaDb {
        world.blue("SET GLOBAL read_only = ON");
        let login = Databases::default()
            .log_in(&world.site("blue"), BUDGET)
            .await
            .unwrap();
        assert!(!login.writable);
    }
}

async fn failures_are_told_apart(kind: Kind) {
    let world = World::new(kind);
    let good = world.secret("blue", world.server("blue").port());
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let silent = Proxy::start(world.server("blue").port()).await;
    silent.be_silent(true);
    let with = |from: &str, to: &str| good.replace(from, to);
    let name = world.database("blue");
    let cases = [
        (Trouble::Secret, "hunter2".to_owned()),
        (Trouble::Dns, with("127.0.0.1", "no-such-host.invalid")),
        (Trouble::Tcp, world.secret("blue", closed)),
        (Trouble::Tls, with("\"ssl\":false", "\"ssl\":true")),
        (Trouble::Auth, with("first", "hunter2")),
        (Trouble::Timeout, world.secret("blue", silent.port())),
    ];
    for (trouble, secret) in cases {
        let begun = Instant::now();
        let error = log_in(&Databases::default(), &secret).await.unwrap_err();
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        assert_eq!(error.trouble, trouble, "{source}");
        assert_eq!(error.to_string(), "log in in blue failed");
        assert!(
            !source.contains("hunter2") && !source.contains("first"),
            "{source}"
        );
        assert!(begun.elapsed() < Duration::from_secs(8));
        assert!(!trouble.advice().is_empty());
    }
    // A database that is not there: PostgreSQL says so, MariaDB says that the user may not use it.
    let other = with(&format!("\"dbname\":\"{name}\""), "\"dbname\":\"nowhere\"");
    let error = log_in(&Databases::default(), &other).await.unwrap_err();
    let expected = match kind {
        Kind::MariaDb => Trouble::Denied,
        Kind::Postgres => Trouble::Missing,
    };
    assert_eq!(error.trouble, expected);
}

async fn a_server_is_believed_by_its_certificate_only(kind: Kind) {
    let (certificate, stranger) = (Certificate::make(), Certificate::make());
    let server = match kind {
        Kind::MariaDb => {
            let db = MariaDb::start_with(&certificate.mariadb_options());
            Server::MariaDb(Arc::new(db))
        }
        Kind::Postgres => Server::Postgres(Arc::new(Postgres::start_with(Some(&certificate)))),
    };
    let world = World::on(server.clone(), server.clone());
    let plain = world.secret("blue", server.port());
    let secret = plain.replace(",\"ssl\":false", "");
    let by = |certificate: &Certificate| Databases::new(Some(certificate.authority()));
    let login = log_in(&by(&certificate), &secret).await.unwrap();
    assert!(login.tls);
    for databases in [by(&stranger), Databases::default()] {
        let error = log_in(&databases, &secret).await.unwrap_err();
        assert_eq!(error.trouble, Trouble::Tls, "{:?}", error.source);
    }
    // Another name than the certificate's.
    let other = secret.replace("127.0.0.1", "localhost");
    let error = log_in(&by(&certificate), &other).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::Tls, "{:?}", error.source);
    // The server takes no plaintext.
    assert!(log_in(&by(&certificate), &plain).await.is_err());
}
