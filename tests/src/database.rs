//! The databases that a ledger may be in: a throw-away server of each, and how each tells that something went wrong.

use std::path::Path;

use cutover_testkit::{MariaDb, Postgres};
use serde_json::{Value, json};

/// The ledger's database.
const DATABASE: &str = "payments";
/// The function's user, and its password.
const USER: &str = "app";
const PASSWORD: &str = "correct-horse-battery";

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Stands for Aurora MySQL.
    MariaDb,
    /// Stands for Aurora PostgreSQL.
    Postgres,
}

impl Engine {
    /// Every kind that the ledger supports.
    pub const ALL: [Self; 2] = [Self::MariaDb, Self::Postgres];

    /// As it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "MariaDB",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Whether an answer of the server tells of an error.
    pub(crate) fn is_error(self, answer: &[u8]) -> bool {
        match self {
            Self::MariaDb => answer.get(4) == Some(&0xff),
            Self::Postgres => answer.first() == Some(&b'E'),
        }
    }

    /// An answer that says: certainly not done, by a server that may not write.
    pub(crate) fn refusal(self) -> Vec<u8> {
        match self {
            Self::MariaDb => mysql_error(1290),
            Self::Postgres => postgres_error("25006"),
        }
    }

    /// An answer that leaves open whether it was done: the commit itself failed, or its completion is unknown.
    pub(crate) fn doubt(self) -> Vec<u8> {
        match self {
            Self::MariaDb => mysql_error(1180),
            Self::Postgres => postgres_error("40003"),
        }
    }
}

/// An error packet of MySQL's protocol, the first answer to a command.
fn mysql_error(code: u16) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(code.to_le_bytes());
    payload.extend(b"#HY000injected");
    let length = u8::try_from(payload.len()).expect("a short packet");
    [vec![length, 0, 0, 1], payload].concat()
}

/// Messages of PostgreSQL's protocol, the whole answer to a command up to its Sync: ErrorResponse, and ReadyForQuery outside
/// a transaction. The session stands.
fn postgres_error(code: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{code}\0Minjected\0\0");
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    [
        b"E",
        length.to_be_bytes().as_slice(),
        fields.as_bytes(),
        b"Z\0\0\0\x05I",
    ]
    .concat()
}

/// A running server with the ledger's schema and the function's user. It is gone when dropped.
pub enum Database {
    /// Stands for Aurora MySQL.
    MariaDb(MariaDb),
    /// Stands for Aurora PostgreSQL.
    Postgres(Postgres),
}

impl Database {
    /// Starts a server and creates the schema of the checkout at `project`.
    #[must_use]
    pub fn start(engine: Engine, project: &Path) -> Self {
        match engine {
            Engine::MariaDb => {
                let server = MariaDb::start();
                server.sql("", &format!("CREATE DATABASE {DATABASE}"));
                for statements in schema(&project.join("infra/schema/mysql")) {
                    server.sql(DATABASE, &statements);
                }
                server.sql(
                    DATABASE,
                    &format!(
                        "CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; \
                         GRANT SELECT, INSERT ON payments TO {USER}@'%'; \
                         GRANT SELECT ON cutover_epoch TO {USER}@'%'"
                    ),
                );
                Self::MariaDb(server)
            }
            Engine::Postgres => {
                let server = Postgres::start();
                server.sql("postgres", &format!("CREATE DATABASE {DATABASE}"));
                for statements in schema(&project.join("infra/schema/postgres")) {
                    server.sql(DATABASE, &statements);
                }
                server.sql(
                    DATABASE,
                    &format!(
                        "CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'; \
                         GRANT SELECT, INSERT ON payments TO {USER}; \
                         GRANT SELECT, UPDATE (color) ON cutover_epoch TO {USER}"
                    ),
                );
                Self::Postgres(server)
            }
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::MariaDb(server) => server.port(),
            Self::Postgres(server) => server.port(),
        }
    }

    /// The function's secret.
    #[must_use]
    pub fn secret(&self) -> Value {
        let engine = match self {
            Self::MariaDb(_) => "mariadb",
            Self::Postgres(_) => "postgres",
        };
        json!({
            "engine": engine, "host": "127.0.0.1", "port": self.port(), "username": USER, "password": PASSWORD,
            "dbname": DATABASE, "ssl": false,
        })
    }

    /// Runs SQL with every right; columns are separated by tabs.
    #[must_use]
    pub fn sql(&self, statements: &str) -> String {
        match self {
            Self::MariaDb(server) => server.sql(DATABASE, statements),
            Self::Postgres(server) => server.sql(DATABASE, statements),
        }
    }

    /// Ends every session of the function's user, as a failover does.
    pub fn end_sessions(&self) {
        match self {
            Self::MariaDb(server) => server.sql("", &format!("KILL CONNECTION USER {USER}")),
            Self::Postgres(server) => server.sql(
                "postgres",
                &format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'"
                ),
            ),
        };
    }

    /// Statuses of the rows under a key. Keys of tests need no quoting.
    #[must_use]
    pub fn rows(&self, key: &str) -> Vec<String> {
        let found = self.sql(&format!(
            "SELECT status FROM payments WHERE idempotency_key = '{key}'"
        ));
        found.lines().map(str::to_owned).collect()
    }
}

/// The schema's files in order of name.
fn schema(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the schema's folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read_to_string(file).expect("a readable file"))
        .collect()
}
