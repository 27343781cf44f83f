//! Two databases, blue and green, and a user who may read them and do nothing else.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cutover_domain::parity::{Limits, Progress, TableProgress};
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{DataParity as _, Pair, ParityRequest, Site};
use cutover_ports::payment::SecretText;
use cutover_testkit::{MariaDb, Postgres};

pub(crate) const BUDGET: Duration = Duration::from_mins(1);

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

impl Server {
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

    pub(crate) fn engine(&self) -> &'static str {
        match self {
            Self::MariaDb(_) => "mariadb",
            Self::Postgres(_) => "postgres",
        }
    }
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

fn shared_server(kind: Kind) -> Server {
    static MARIADB: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
    static POSTGRES: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    match kind {
        Kind::MariaDb => Server::MariaDb(shared(&MARIADB, MariaDb::start)),
        Kind::Postgres => Server::Postgres(shared(&POSTGRES, Postgres::start)),
    }
}

/// Two databases.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) blue_server: Server,
    pub(crate) green_server: Server,
    name: String,
}

impl World {
    /// On the shared server.
    pub(crate) fn new(kind: Kind) -> Self {
        let server = shared_server(kind);
        Self::on(server.clone(), server)
    }

    /// Each on a server of its own; the name of the database is the same on both.
    pub(crate) fn on(blue_server: Server, green_server: Server) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ops{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let world = Self {
            blue_server,
            green_server,
            name,
        };
        world.create();
        world
    }

    fn create(&self) {
        let name = &self.name;
        for color in ["blue", "green"] {
            let database = self.database(color);
            let (admin, create) = match self.server(color) {
                Server::MariaDb(_) => (
                    "mysql",
                    format!(
                        "CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; \
                         CREATE OR REPLACE USER {name}_{color}@'%' IDENTIFIED BY 'first'; \
                         GRANT SELECT ON {database}.* TO {name}_{color}@'%'; \
                         GRANT SLAVE MONITOR ON *.* TO {name}_{color}@'%'"
                    ),
                ),
                Server::Postgres(_) => (
                    "postgres",
                    format!(
                        "CREATE DATABASE {database}; CREATE ROLE {name}_{color} LOGIN PASSWORD 'first'; \
                         GRANT pg_read_all_data, pg_monitor TO {name}_{color}"
                    ),
                ),
            };
            self.server(color).sql(admin, &create);
        }
    }

    pub(crate) fn server(&self, color: &str) -> &Server {
        match color {
            "blue" => &self.blue_server,
            _ => &self.green_server,
        }
    }

    pub(crate) fn database(&self, color: &str) -> String {
        let shared = self.blue_server.port() == self.green_server.port();
        if shared {
            format!("{}_{color}", self.name)
        } else {
            self.name.clone()
        }
    }

    /// Runs SQL as the superuser in blue.
    pub(crate) fn blue(&self, statements: &str) -> String {
        self.blue_server.sql(&self.database("blue"), statements)
    }

    /// Runs SQL as the superuser in green.
    pub(crate) fn green(&self, statements: &str) -> String {
        self.green_server.sql(&self.database("green"), statements)
    }

    pub(crate) fn both(&self, statements: &str) {
        self.blue(statements);
        self.green(statements);
    }

    /// The one that fits the engine.
    pub(crate) fn either<'a>(&self, mariadb: &'a str, postgres: &'a str) -> &'a str {
        match &self.blue_server {
            Server::MariaDb(_) => mariadb,
            Server::Postgres(_) => postgres,
        }
    }

    /// `n` and the whole numbers from 1 to it, for `FROM`.
    pub(crate) fn numbers(&self, n: u32) -> String {
        match &self.blue_server {
            Server::MariaDb(_) => format!("(SELECT seq AS n FROM seq_1_to_{n}) AS numbers"),
            Server::Postgres(_) => format!("generate_series(1, {n}) AS n"),
        }
    }

    /// Lets the user of a color do everything in its database.
    pub(crate) fn let_write(&self, color: &str) {
        let (name, database) = (&self.name, self.database(color));
        match self.server(color) {
            Server::MariaDb(db) => db.sql(
                "mysql",
                &format!("GRANT ALL ON {database}.* TO {name}_{color}@'%'"),
            ),
            Server::Postgres(db) => db.sql(
                "postgres",
                &format!("ALTER DATABASE {database} OWNER TO {name}_{color}"),
            ),
        };
        if let Server::Postgres(db) = self.server(color) {
            db.sql(
                &database,
                &format!("ALTER SCHEMA public OWNER TO {name}_{color}"),
            );
        }
    }

    pub(crate) fn secret(&self, color: &str, port: u16) -> String {
        let (engine, name) = (self.server(color).engine(), &self.name);
        let database = self.database(color);
        format!(
            r#"{{"engine":"{engine}","host":"127.0.0.1","port":{port},"username":"{name}_{color}","password":"first","dbname":"{database}","ssl":false}}"#
        )
    }

    pub(crate) fn site(&self, color: &str) -> Site {
        self.site_at(color, self.server(color).port())
    }

    pub(crate) fn site_at(&self, color: &str, port: u16) -> Site {
        site(color, self.secret(color, port))
    }

    pub(crate) fn pair(&self) -> Pair {
        Pair {
            blue: self.site("blue"),
            green: self.site("green"),
        }
    }

    /// Compares the table to the end.
    pub(crate) async fn compare(&self, table: &str, limits: Limits) -> TableProgress {
        let request = request(table, limits);
        let progress = self.compare_once(&request, None, BUDGET).await;
        assert!(progress.is_finished(), "{progress:?}");
        progress.tables.into_iter().next().unwrap()
    }

    pub(crate) async fn compare_once(
        &self,
        request: &ParityRequest,
        progress: Option<Progress>,
        budget: Duration,
    ) -> Progress {
        Databases::default()
            .compare_rows(&self.pair(), request, progress, budget)
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.source))
    }
}

pub(crate) fn site(name: &str, secret: String) -> Site {
    Site {
        name: name.to_owned(),
        secret: SecretText::new(secret),
    }
}

pub(crate) fn request(table: &str, limits: Limits) -> ParityRequest {
    ParityRequest {
        tables: vec![table.to_owned()],
        lag_outside: None,
        limits,
    }
}

/// Chunks so small that a few hundred rows are many of them.
pub(crate) fn small_chunks(chunk_rows_max: u32) -> Limits {
    Limits {
        chunk_rows_max,
        threads_running_max: 1_000,
        shown_max: 50,
        ..Limits::default()
    }
}

/// The keys that differ, each with how.
pub(crate) fn differing(table: &TableProgress) -> Vec<String> {
    let rows = table.differing.iter();
    rows.map(|row| format!("{} {}", row.key, row.how.in_words()))
        .collect()
}
