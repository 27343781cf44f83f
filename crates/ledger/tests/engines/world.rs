//! A database of its own for each test, on a server that the tests share while they run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cutover_domain::payment::card::CardSummary;
use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::request::PaidWith;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{
    Brand, Claim, Color, IdempotencyKey, KeyedHash, Money, Payment, Receipt, Scope, Timestamp,
};
use cutover_ledger::{LedgerConfig, SqlLedger};
use cutover_ports::payment::fakes::FakeSecrets;
use cutover_ports::payment::{Applied, CallError, Ledger as _};
use cutover_testkit::{Certificate, MariaDb, Postgres};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

const MYSQL_SCHEMA: [&str; 2] = [
    include_str!("../../../../infra/schema/mysql/001-payments.sql"),
    include_str!("../../../../infra/schema/mysql/002-cutover-epoch.sql"),
];
const POSTGRES_SCHEMA: [&str; 2] = [
    include_str!("../../../../infra/schema/postgres/001-payments.sql"),
    include_str!("../../../../infra/schema/postgres/002-cutover-epoch.sql"),
];
pub(crate) const BUDGET: Duration = Duration::from_secs(9);

pub(crate) type Posted = Result<Posting, (Applied, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MariaDb,
    Postgres,
}

#[derive(Clone)]
enum Server {
    MariaDb(Arc<MariaDb>),
    Postgres(Arc<Postgres>),
}

/// A database with the schema, and a user who may do what the function needs and nothing else.
#[derive(Clone)]
pub(crate) struct World {
    server: Server,
    name: String,
}

/// The server that tests share: started by the first, stopped when none needs it.
fn shared<T>(holder: &Mutex<Weak<T>>, start: fn() -> T) -> Arc<T> {
    let mut holder = holder.lock().unwrap_or_else(PoisonError::into_inner);
    holder.upgrade().unwrap_or_else(|| {
        let server = Arc::new(start());
        *holder = Arc::downgrade(&server);
        server
    })
}

impl World {
    /// On the shared server.
    pub(crate) fn new(kind: Kind) -> Self {
        static MARIADB: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        static POSTGRES: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        Self::on(match kind {
            Kind::MariaDb => Server::MariaDb(shared(&MARIADB, MariaDb::start)),
            Kind::Postgres => Server::Postgres(shared(&POSTGRES, Postgres::start)),
        })
    }

    /// On a server of its own: for tests that change the server, or look at what it logs.
    pub(crate) fn alone(kind: Kind, certificate: Option<&Certificate>) -> Self {
        Self::on(match kind {
            Kind::MariaDb => {
                let options = certificate.map(Certificate::mariadb_options);
                Server::MariaDb(Arc::new(MariaDb::start_with(&options.unwrap_or_default())))
            }
            Kind::Postgres => Server::Postgres(Arc::new(Postgres::start_with(certificate))),
        })
    }

    fn on(server: Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("pay{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let world = Self { server, name };
        let name = &world.name;
        let (create, schema, grant) = match &world.server {
            Server::MariaDb(_) => (
                format!("CREATE DATABASE {name}; CREATE USER {name}@'%' IDENTIFIED BY 'first'"),
                MYSQL_SCHEMA,
                format!("GRANT SELECT, INSERT ON {name}.* TO {name}@'%'"),
            ),
            Server::Postgres(_) => (
                format!("CREATE DATABASE {name}; CREATE ROLE {name} LOGIN PASSWORD 'first'"),
                POSTGRES_SCHEMA,
                // As the schema says that it is enough.
                format!(
                    "GRANT SELECT, INSERT ON payments TO {name}; \
                     GRANT SELECT, UPDATE (color) ON cutover_epoch TO {name}"
                ),
            ),
        };
        world.admin(&create);
        for _twice in 0..2 {
            for file in schema {
                world.sql(file);
            }
        }
        world.sql(&grant);
        world
    }

    /// Runs SQL as the superuser in this test's database.
    pub(crate) fn sql(&self, statements: &str) -> String {
        match &self.server {
            Server::MariaDb(db) => db.sql(&self.name, statements),
            Server::Postgres(db) => db.sql(&self.name, statements),
        }
    }

    /// Runs SQL as the superuser, outside this test's database.
    pub(crate) fn admin(&self, statements: &str) -> String {
        match &self.server {
            Server::MariaDb(db) => db.sql("mysql", statements),
            Server::Postgres(db) => db.sql("postgres", statements),
        }
    }

    /// The one that fits the engine.
    pub(crate) fn either<'a>(&self, mariadb: &'a str, postgres: &'a str) -> &'a str {
        match &self.server {
            Server::MariaDb(_) => mariadb,
            Server::Postgres(_) => postgres,
        }
    }

    /// Runs `statements` in a thread of their own, and answers once they have locked blue's row of the fence.
    pub(crate) async fn hold_fence(&self, statements: String) -> JoinHandle<String> {
        const FREE: &str =
            "SELECT color FROM cutover_epoch WHERE color = 'blue' FOR UPDATE SKIP LOCKED";
        let world = self.clone();
        let holding = spawn_blocking(move || world.sql(&statements));
        until(|| self.sql(FREE).is_empty()).await;
        holding
    }

    pub(crate) fn count(&self) -> u32 {
        let count = self.sql("SELECT COUNT(*) FROM payments");
        count.parse().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        match &self.server {
            Server::MariaDb(db) => db.port(),
            Server::Postgres(db) => db.port(),
        }
    }

    /// What a PostgreSQL server logged; MariaDB's log has no statements.
    pub(crate) fn log(&self) -> String {
        match &self.server {
            Server::MariaDb(_) => String::new(),
            Server::Postgres(db) => db.log(),
        }
    }

    /// Gives this test's user another password, and ends its sessions.
    pub(crate) fn change_password(&self, password: &str) {
        let name = &self.name;
        match &self.server {
            Server::MariaDb(_) => self.admin(&format!(
                "ALTER USER {name}@'%' IDENTIFIED BY '{password}'; KILL USER {name}"
            )),
            Server::Postgres(_) => self.admin(&format!(
                "ALTER ROLE {name} PASSWORD '{password}'; \
                 SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
            )),
        };
    }

    pub(crate) fn secret(&self, port: u16, password: &str) -> String {
        self.secret_with_tls(port, password)
            .replace('}', ",\"ssl\":false}")
    }

    pub(crate) fn secret_with_tls(&self, port: u16, password: &str) -> String {
        let (engine, name) = (self.either("mariadb", "postgres"), &self.name);
        format!(
            r#"{{"engine":"{engine}","host":"127.0.0.1","port":{port},"username":"{name}","password":"{password}","dbname":"{name}"}}"#
        )
    }

    pub(crate) fn ledger(&self) -> SqlLedger<FakeSecrets> {
        self.ledger_at(self.port())
    }

    pub(crate) fn ledger_at(&self, port: u16) -> SqlLedger<FakeSecrets> {
        ledger_of(self.secret(port, "first"), None)
    }
}

pub(crate) fn ledger_of(secret: String, ca_bundle: Option<PathBuf>) -> SqlLedger<FakeSecrets> {
    let secrets = FakeSecrets {
        texts: RefCell::new(BTreeMap::from([("db".to_owned(), secret)])),
        ..FakeSecrets::default()
    };
    let config = LedgerConfig {
        secret_id: "db".to_owned(),
        endpoint: None,
        ca_bundle,
    };
    SqlLedger::new(secrets, config)
}

/// Waits until something is so, but not for ever.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    for _waited in 0..2_000 {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not so within 20 s");
}

pub(crate) fn hash(seed: u8) -> KeyedHash {
    KeyedHash::from_bytes(&[seed; 32]).unwrap()
}

pub(crate) fn claim(key: &str, transaction_id: &str) -> Claim {
    Claim {
        scope: Scope::new(None, Some("shop")),
        key: IdempotencyKey::parse(key).unwrap(),
        payment: Payment {
            transaction_id: transaction_id.to_owned(),
            user_id: "Ünal 🙂".to_owned(),
            merchant_id: Some("shop".to_owned()),
            money: Money::new(9_007_199_254_740_991, Currency::find("KWD").unwrap()).unwrap(),
            description: None,
            metadata: BTreeMap::new(),
            paid_with: PaidWith {
                card: Some(CardSummary {
                    brand: Brand::Visa,
                    last4: "0042".to_owned(),
                }),
                hash: hash(0xff),
            },
        },
        fingerprint: hash(0x80),
        environment: "dev-payment-ab12cd34".to_owned(),
        created_at: Timestamp::from_ms(1_795_175_531_007),
    }
}

pub(crate) async fn post(ledger: &SqlLedger<FakeSecrets>, claim: &Claim, color: Color) -> Posted {
    post_within(BUDGET, ledger, claim, color).await
}

pub(crate) async fn post_within(
    budget: Duration,
    ledger: &SqlLedger<FakeSecrets>,
    claim: &Claim,
    color: Color,
) -> Posted {
    let posted = ledger.post(claim, color, budget).await;
    posted.map_err(|error: CallError| (error.applied, error.source.to_string()))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with results")]
pub(crate) fn recorded(claim: &Claim, color: Color) -> Posted {
    Ok(Posting::Recorded(Receipt::of(claim, color)))
}
