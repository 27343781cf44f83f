//! Two servers of an engine with the same payments, green replicating from blue.

use cutover_testkit::{MariaDb, Postgres};

/// The engines that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    MariaDb,
    Postgres,
}

impl Engine {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::Postgres => "postgres",
        }
    }
}

enum Pair {
    MariaDb(MariaDb, MariaDb),
    Postgres(Postgres, Postgres),
}

/// The servers.
pub(crate) struct Servers {
    pub(crate) engine: Engine,
    pair: Pair,
}

/// The database's name.
pub(crate) const DATABASE: &str = "pay";
/// The password of everyone on PostgreSQL. On MariaDB `root` has none.
const PASSWORD: &str = "bench";

macro_rules! schema {
    ($engine:literal) => {
        [
            include_str!(concat!(
                "../../../../infra/schema/",
                $engine,
                "/001-payments.sql"
            )),
            include_str!(concat!(
                "../../../../infra/schema/",
                $engine,
                "/002-cutover-epoch.sql"
            )),
        ]
    };
}

/// As durable as a server that takes payments, and with its data in memory.
const MARIADB: [&str; 5] = [
    "--innodb-buffer-pool-size=512M",
    "--innodb-log-file-size=256M",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-flush-method=fsync",
    "--sync-binlog=1",
];
const POSTGRES: [&str; 5] = [
    "shared_buffers=512MB",
    "fsync=on",
    "full_page_writes=on",
    "autovacuum=on",
    "max_wal_size=4GB",
];

const FILL_MARIADB: &str = "INSERT INTO payments SELECT CONCAT('m:shop', seq % 20), CONCAT('key-', LPAD(seq, 12, '0')), \
     CONCAT('t-', seq), UNHEX(SHA2(seq, 256)), 'completed', CONCAT('user-', seq % 5000), CONCAT('shop', seq % 20), \
     100 + seq % 100000, 'USD', 2, 'visa', '4242', UNHEX(SHA2(seq + 1, 256)), 'prod-payment-ab12cd34', \
     IF(seq % 2, 'blue', 'green'), '2026-11-01' + INTERVAL seq SECOND FROM seq_1_to_";
const FILL_POSTGRES: &str = "INSERT INTO payments SELECT 'm:shop' || seq % 20, 'key-' || lpad(seq::text, 12, '0'), \
     't-' || seq, sha256(seq::text::bytea), 'completed', 'user-' || seq % 5000, 'shop' || seq % 20, \
     100 + seq % 100000, 'USD', 2, 'visa', '4242', sha256((seq + 1)::text::bytea), 'prod-payment-ab12cd34', \
     CASE seq % 2 WHEN 1 THEN 'blue' ELSE 'green' END, '2026-11-01'::timestamptz + seq * interval '1 second' \
     FROM generate_series(1, ROWS) AS seq; ANALYZE payments";

impl Servers {
    pub(crate) fn start(engine: Engine, rows: u32) -> Self {
        let pair = match engine {
            Engine::MariaDb => mariadb(rows),
            Engine::Postgres => postgres(rows),
        };
        Self { engine, pair }
    }

    /// The database secret of a color.
    pub(crate) fn secret(&self, color: &str) -> String {
        let port = self.port(color);
        let (engine, user, password) = match self.engine {
            Engine::MariaDb => ("mariadb", "root", ""),
            Engine::Postgres => ("postgres", "bench", PASSWORD),
        };
        format!(
            r#"{{"engine":"{engine}","host":"127.0.0.1","port":{port},"username":"{user}","password":"{password}","dbname":"{DATABASE}","ssl":false}}"#
        )
    }

    pub(crate) fn port(&self, color: &str) -> u16 {
        match (&self.pair, color) {
            (Pair::MariaDb(blue, _), "blue") => blue.port(),
            (Pair::MariaDb(_, green), _) => green.port(),
            (Pair::Postgres(blue, _), "blue") => blue.port(),
            (Pair::Postgres(_, green), _) => green.port(),
        }
    }

    /// Runs SQL in blue; MariaDB replicates it to green.
    pub(crate) fn in_blue(&self, statements: &str) {
        match &self.pair {
            Pair::MariaDb(blue, _) => blue.sql(DATABASE, statements),
            Pair::Postgres(blue, _) => blue.sql(DATABASE, statements),
        };
    }

    /// One cent more in one row of green, unknown to replication.
    pub(crate) fn change_a_cent(&self) {
        let change = "UPDATE payments SET amount = amount + 1 \
             WHERE scope = 'm:shop7' AND idempotency_key = 'key-000000012347'";
        match &self.pair {
            Pair::MariaDb(_, green) => {
                green.sql(DATABASE, &format!("SET SESSION sql_log_bin = 0; {change}"))
            }
            Pair::Postgres(_, green) => green.sql(DATABASE, change),
        };
    }
}

impl Drop for Servers {
    /// A subscription holds its source's slot: it ends first.
    fn drop(&mut self) {
        if let Pair::Postgres(_, green) = &self.pair {
            green.sql(DATABASE, "DROP SUBSCRIPTION from_blue");
        }
    }
}

fn mariadb(rows: u32) -> Pair {
    let start = |number| {
        let mut options = MariaDb::replicating(number);
        options.extend(MARIADB.map(str::to_owned));
        let db = MariaDb::start_with(&options);
        db.sql(
            "mysql",
            &format!("CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        );
        for file in schema!("mysql") {
            db.sql(DATABASE, file);
        }
        db.sql(
            DATABASE,
            &format!("SET SESSION sql_log_bin = 0; {FILL_MARIADB}{rows}; ANALYZE TABLE payments"),
        );
        db.sql("mysql", "RESET MASTER");
        db
    };
    let (blue, green) = (start(1), start(2));
    green.replicate_from(&blue);
    Pair::MariaDb(blue, green)
}

fn postgres(rows: u32) -> Pair {
    let start = || {
        let db = Postgres::start_replicating(&POSTGRES);
        db.sql(
            "postgres",
            &format!("CREATE ROLE bench SUPERUSER LOGIN REPLICATION PASSWORD '{PASSWORD}'; CREATE DATABASE {DATABASE}"),
        );
        for file in schema!("postgres") {
            db.sql(DATABASE, file);
        }
        db.sql(DATABASE, &FILL_POSTGRES.replace("ROWS", &rows.to_string()));
        db
    };
    let (blue, green) = (start(), start());
    blue.sql(DATABASE, "CREATE PUBLICATION payments FOR TABLE payments");
    let port = blue.port();
    green.sql(
        DATABASE,
        &format!(
            "CREATE SUBSCRIPTION from_blue CONNECTION \
             'host=127.0.0.1 port={port} dbname={DATABASE} user=bench password={PASSWORD}' \
             PUBLICATION payments WITH (copy_data = false)"
        ),
    );
    Pair::Postgres(blue, green)
}
