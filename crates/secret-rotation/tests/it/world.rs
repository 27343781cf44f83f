//! A user, its database and its secret, on a server that the tests share while they run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use cutover_domain::rotation::admission::{CURRENT, PENDING, PREVIOUS};
use cutover_domain::rotation::{DatabaseSecret, Password, Step, Strategy};
use cutover_ledger::accounts::SqlDatabases;
use cutover_ports::payment::SecretText;
use cutover_ports::rotation::fakes::FakeSecretVersions;
use cutover_ports::rotation::{Databases, Login, LoginFault, PasswordPolicy, Session as _};
use cutover_testkit::{Certificate, MariaDb, Postgres};
use secret_rotation::error::RotationError;
use secret_rotation::event::Request;
use secret_rotation::rotation::{Outcome, Report, Rotation, random_salt};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "app";
pub(crate) const MASTER: &str = "master";
const FIRST: &str = "first-password";
const MASTER_PASSWORD: &str = "master-password";
/// What PostgreSQL's users share.
const DATABASE: &str = "pay";
const TIME: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MariaDb,
    Postgres,
}

#[derive(Clone)]
pub(crate) enum Server {
    MariaDb(Arc<MariaDb>),
    Postgres(Arc<Postgres>),
}

/// The server that tests share: started by the first, stopped when none needs it.
fn shared<T>(holder: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    let mut holder = holder.lock().unwrap_or_else(PoisonError::into_inner);
    holder.upgrade().unwrap_or_else(|| {
        let server = Arc::new(start());
        *holder = Arc::downgrade(&server);
        server
    })
}

const MARIADB_MASTER: &str = "CREATE USER IF NOT EXISTS master@'%' IDENTIFIED BY 'master-password'; \
     GRANT ALL ON *.* TO master@'%' WITH GRANT OPTION";
const POSTGRES_MASTER: &str = "CREATE ROLE master LOGIN SUPERUSER PASSWORD 'master-password'";

fn mariadb(options: &[String]) -> MariaDb {
    let db = MariaDb::start_with(options);
    db.sql("mysql", MARIADB_MASTER);
    db
}

fn postgres(certificate: Option<&Certificate>) -> Postgres {
    let db = Postgres::start_with(certificate);
    db.sql("postgres", POSTGRES_MASTER);
    db.sql("postgres", &format!("CREATE DATABASE {DATABASE}"));
    db.sql(DATABASE, "GRANT CREATE ON SCHEMA public TO PUBLIC");
    db
}

impl Server {
    pub(crate) fn shared(kind: Kind) -> Self {
        static MARIADB: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        static POSTGRES: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        match kind {
            Kind::MariaDb => Self::MariaDb(shared(&MARIADB, || mariadb(&[]))),
            Kind::Postgres => Self::Postgres(shared(&POSTGRES, || postgres(None))),
        }
    }

    /// For tests that look at what the server logs, or need its TLS.
    pub(crate) fn alone(kind: Kind, certificate: Option<&Certificate>, options: &[String]) -> Self {
        let mut options = options.to_vec();
        options.extend(
            certificate
                .map(Certificate::mariadb_options)
                .unwrap_or_default(),
        );
        match kind {
            Kind::MariaDb => Self::MariaDb(Arc::new(mariadb(&options))),
            Kind::Postgres => Self::Postgres(Arc::new(postgres(certificate))),
        }
    }

    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        match self {
            Self::MariaDb(db) => db.sql(database, statements),
            Self::Postgres(db) => db.sql(database, statements),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::MariaDb(db) => db.port(),
            Self::Postgres(db) => db.port(),
        }
    }
}

/// A user with a database of its own, and its secret.
pub(crate) struct World {
    pub(crate) server: Server,
    /// Its name.
    pub(crate) name: String,
    database: String,
    pub(crate) versions: FakeSecretVersions,
    pub(crate) strategy: Strategy,
    pub(crate) ca_bundle: Option<PathBuf>,
}

impl World {
    /// A user that may change its own account where the engine has a privilege for that.
    pub(crate) fn new(kind: Kind, strategy: Strategy) -> Self {
        let world = Self::on(Server::shared(kind), strategy);
        if kind == Kind::MariaDb && strategy == Strategy::SingleUser {
            world.admin(&format!("GRANT CREATE USER ON *.* TO `{}`@`%`", world.name));
        }
        world
    }

    pub(crate) fn on(server: Server, strategy: Strategy) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("app{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (database, statements) = match &server {
            Server::MariaDb(_) => (
                name.clone(),
                format!(
                    "CREATE DATABASE {name}; CREATE USER {name}@'%' IDENTIFIED BY '{FIRST}'; CREATE TABLE {name}.t (a INT, b INT); \
                     GRANT SELECT, INSERT ON {name}.* TO {name}@'%'"
                ),
            ),
            // Databases take long to make there: all share one.
            Server::Postgres(_) => (
                DATABASE.to_owned(),
                format!(
                    "CREATE ROLE {name} LOGIN PASSWORD '{FIRST}'; CREATE TABLE t{name} (a INT, b INT); \
                     GRANT SELECT, INSERT ON t{name} TO {name}"
                ),
            ),
        };
        let place = match &server {
            Server::MariaDb(_) => "mysql",
            Server::Postgres(_) => DATABASE,
        };
        server.sql(place, &statements);
        let world = Self {
            server,
            versions: FakeSecretVersions::default(),
            strategy,
            ca_bundle: None,
            database,
            name,
        };
        let mut secret = world.fields(&world.name, FIRST);
        if strategy == Strategy::AlternatingUsers {
            secret["masterarn"] = MASTER.into();
        }
        world.versions.rotation_enabled.set(Some(true));
        world.versions.store(SECRET, "v0", secret.to_string());
        let master = world.fields("master", MASTER_PASSWORD);
        world.versions.store(MASTER, "m0", master.to_string());
        world
    }

    /// A secret of a user of this server.
    pub(crate) fn fields(&self, user: &str, password: &str) -> Value {
        let engine = match self.server {
            Server::MariaDb(_) => "mariadb",
            Server::Postgres(_) => "postgres",
        };
        json!({"engine": engine, "host": "127.0.0.1", "port": self.server.port(), "username": user, "password": password,
               "dbname": self.database, "ssl": false, "note": {"kept": true}})
    }

    /// Changes the current version's fields.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut fields = self.current();
        change(&mut fields);
        self.versions.store(SECRET, "v0", fields.to_string());
    }

    /// The current version's fields.
    pub(crate) fn current(&self) -> Value {
        let (_, value) = self.versions.labelled(SECRET, CURRENT).unwrap();
        serde_json::from_str(&value.unwrap()).unwrap()
    }

    /// Runs SQL with every right, in the user's database.
    pub(crate) fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.database, statements)
    }

    /// Runs SQL with every right, outside of it.
    pub(crate) fn admin(&self, statements: &str) -> String {
        let database = match self.server {
            Server::MariaDb(_) => "mysql",
            Server::Postgres(_) => "postgres",
        };
        self.server.sql(database, statements)
    }

    pub(crate) fn databases(&self) -> SqlDatabases {
        SqlDatabases {
            ca_bundle: self.ca_bundle.clone(),
        }
    }

    pub(crate) fn rotation(&self) -> Rotation<&FakeSecretVersions, SqlDatabases> {
        rotation_of(&self.versions, self.databases(), self.strategy)
    }

    /// One step, with what it reports.
    pub(crate) async fn step(
        &self,
        step: Step,
        token: &str,
    ) -> (Result<Outcome, RotationError>, Report) {
        let rotation = self.rotation();
        let mut report = Report::default();
        let request = request(step, token);
        let outcome = rotation
            .run(&request, Instant::now() + TIME, &mut report)
            .await;
        (outcome, report)
    }

    /// A step that must work.
    pub(crate) async fn done(&self, step: Step, token: &str) -> Outcome {
        let (outcome, _) = self.step(step, token).await;
        outcome.unwrap_or_else(|error| {
            panic!("{step:?}: {}", secret_rotation::error::in_words(&error))
        })
    }

    /// A step that must fail: its kind, and what it says.
    pub(crate) async fn fails(&self, step: Step, token: &str) -> (&'static str, String) {
        let (outcome, _) = self.step(step, token).await;
        let error = outcome.unwrap_err();
        (error.kind(), secret_rotation::error::in_words(&error))
    }

    /// A whole rotation, as Secrets Manager drives it.
    pub(crate) async fn rotate(&self, token: &str) {
        self.versions.begin(SECRET, token);
        self.resume(token).await;
    }

    /// All steps, from the first.
    pub(crate) async fn resume(&self, token: &str) {
        for step in Step::ALL {
            self.done(step, token).await;
        }
    }

    /// Whether the version with a label logs in.
    pub(crate) async fn logs_in(&self, label: &str) -> bool {
        let Some((_, Some(value))) = self.versions.labelled(SECRET, label) else {
            return false;
        };
        self.takes(&value).await
    }

    /// Whether any stored version logs in.
    pub(crate) async fn any_logs_in(&self) -> bool {
        for label in [CURRENT, PENDING, PREVIOUS] {
            if self.logs_in(label).await {
                return true;
            }
        }
        false
    }

    /// Whether the server takes a secret's credentials.
    pub(crate) async fn takes(&self, secret: &str) -> bool {
        let secret = DatabaseSecret::parse(secret).unwrap();
        let login = Login {
            engine: secret.engine,
            host: secret.host.clone(),
            port: secret.port,
            ssl: secret.ssl,
            username: secret.username.clone(),
            password: secret.password.clone(),
            dbname: secret.dbname.clone(),
        };
        match self.databases().log_in(&login, Instant::now() + TIME).await {
            Ok(session) => {
                session.close().await;
                true
            }
            Err(error) => {
                assert_eq!(error.fault, LoginFault::Password, "{error}");
                false
            }
        }
    }

    /// Whether a user logs in with a password.
    pub(crate) async fn user_logs_in(&self, user: &str, password: &str) -> bool {
        self.takes(&self.fields(user, password).to_string()).await
    }

    /// Has the current user run a statement; its error's code if it has one.
    pub(crate) async fn as_current(&self, statement: &str) -> Result<(), String> {
        let fields = self.current();
        let login = Login {
            engine: DatabaseSecret::parse(&fields.to_string()).unwrap().engine,
            host: "127.0.0.1".to_owned(),
            port: self.server.port(),
            ssl: false,
            username: fields["username"].as_str().unwrap().to_owned(),
            password: Password::new(fields["password"].as_str().unwrap().to_owned()),
            dbname: Some(self.database.clone()),
        };
        let until = Instant::now() + TIME;
        let mut session = self.databases().log_in(&login, until).await.unwrap();
        let done = session.query("a test", statement).await;
        session.close().await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }
}

pub(crate) fn rotation_of<V, D>(versions: V, databases: D, strategy: Strategy) -> Rotation<V, D> {
    Rotation {
        versions,
        databases,
        policy: PasswordPolicy {
            length: 32,
            ..PasswordPolicy::default()
        },
        strategy: Some(strategy),
        salt: random_salt,
    }
}

pub(crate) fn request(step: Step, token: &str) -> Request {
    Request {
        step,
        secret_id: SECRET.to_owned(),
        token: token.to_owned(),
        rotation_token: Some(SecretText::new("rotation-token".to_owned())),
    }
}
