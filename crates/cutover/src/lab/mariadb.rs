//! Two MariaDB servers that stand in for the two Aurora clusters: own ports, own data, replicating both ways.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use tokio::process::Command;

use super::process::{Process, free_port};
use super::{Color, LabError};

/// How long a server may take to answer after its start.
const START_MAX: Duration = Duration::from_mins(1);
/// How long a server may take to end before it is killed.
const STOP_MAX: Duration = Duration::from_secs(15);
/// The database that holds the ledger.
pub const DATABASE: &str = "payments";
/// The user of the replication threads.
const REPLICATION_USER: &str = "replication";

/// One server.
#[derive(Debug)]
pub struct MariaDb {
    color: Color,
    port: u16,
    process: Process,
}

impl MariaDb {
    /// Makes a data folder where there is none, starts the server and waits until it answers.
    pub async fn start(color: Color, folder: &Path) -> Result<Self, LabError> {
        let name = format!("mariadb-{color}");
        let data = folder.join(&name);
        if !data.join("mysql").is_dir() {
            install(&name, &data).await?;
        }
        let port = free_port().await?;
        let log = folder.join("logs").join(format!("{name}.log"));
        let args = arguments(color, &data, port);
        let process = Process::start(&name, Path::new("/usr/sbin/mariadbd"), args, &[], &log)?;
        let mut server = Self {
            color,
            port,
            process,
        };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A connection with every right.
    pub async fn connect(&self) -> Result<Conn, LabError> {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .prefer_socket(false);
        Conn::new(options).await.map_err(self.failed("connect"))
    }

    /// Runs statements that answer nothing.
    pub async fn run(&self, statements: &[String]) -> Result<(), LabError> {
        let mut connection = self.connect().await?;
        // Set-up is made on each server apart and is no matter of replication.
        connection
            .query_drop("SET SESSION sql_log_bin = 0")
            .await
            .map_err(self.failed("keep set-up out of the binary log"))?;
        for statement in statements {
            connection
                .query_drop(statement)
                .await
                .map_err(self.failed("run a statement"))?;
        }
        connection
            .disconnect()
            .await
            .map_err(self.failed("disconnect"))
    }

    /// Creates the ledger's tables from `schema` (its `*.sql` files in order of name), both colors allowed to write or
    /// not as `cutover_epoch`'s rows say.
    pub async fn create_ledger(&self, schema: &Path) -> Result<(), LabError> {
        self.run(&[format!(
            "CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )])
        .await?;
        let mut files: Vec<PathBuf> = std::fs::read_dir(schema)
            .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
            .map_err(LabError::process("lab", "read the ledger's schema"))?;
        files.sort();
        let mut statements = vec![format!("USE {DATABASE}")];
        for file in files {
            let sql = std::fs::read_to_string(&file)
                .map_err(LabError::process("lab", "read the ledger's schema"))?;
            statements.extend(split_statements(&sql));
        }
        self.run(&statements).await
    }

    /// Creates the user that payment-validation logs in as, with the rights that it needs and no more.
    pub async fn create_application_user(
        &self,
        user: &str,
        password: &str,
    ) -> Result<(), LabError> {
        let (user, password) = (quote(user), quote(password));
        self.run(&[
            format!("CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY {password}"),
            format!("GRANT SELECT, INSERT ON {DATABASE}.payments TO {user}@'%'"),
            format!("GRANT SELECT ON {DATABASE}.cutover_epoch TO {user}@'%'"),
        ])
        .await
    }

    /// Creates the user that pre-migration-validator logs in as: it reads the ledger, sees replication, and sets the fence.
    pub async fn create_operations_user(&self, user: &str, password: &str) -> Result<(), LabError> {
        let (user, password) = (quote(user), quote(password));
        self.run(&[
            format!("CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY {password}"),
            format!("GRANT SELECT ON {DATABASE}.* TO {user}@'%'"),
            format!("GRANT INSERT, UPDATE ON {DATABASE}.cutover_epoch TO {user}@'%'"),
            format!("GRANT REPLICA MONITOR, BINLOG MONITOR ON *.* TO {user}@'%'"),
        ])
        .await
    }

    /// Replicates everything that `source` writes, from its beginning.
    pub async fn replicate_from(&self, source: &Self) -> Result<(), LabError> {
        source
            .run(&[
                format!("CREATE OR REPLACE USER {REPLICATION_USER}@'127.0.0.1' IDENTIFIED BY ''"),
                format!("GRANT REPLICATION SLAVE ON *.* TO {REPLICATION_USER}@'127.0.0.1'"),
            ])
            .await?;
        self.run(&[
            "STOP SLAVE".to_owned(),
            format!(
                "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = '{REPLICATION_USER}', \
                 MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1",
                source.port
            ),
            "START SLAVE".to_owned(),
        ])
        .await
    }

    /// The GTID of the last transaction that this server itself wrote.
    pub async fn own_position(&self) -> Result<String, LabError> {
        let mut connection = self.connect().await?;
        let position: Option<String> = connection
            .query_first("SELECT @@gtid_binlog_pos")
            .await
            .map_err(self.failed("read its position"))?;
        Ok(position.unwrap_or_default())
    }

    /// Waits until this server has taken over everything up to `position`.
    pub async fn wait_for(&self, position: &str, patience: Duration) -> Result<(), LabError> {
        if position.is_empty() {
            return Ok(());
        }
        let mut connection = self.connect().await?;
        let reached: Option<i64> = connection
            .exec_first(
                "SELECT MASTER_GTID_WAIT(?, ?)",
                (position, patience.as_secs()),
            )
            .await
            .map_err(self.failed("wait for replication"))?;
        if reached == Some(0) {
            Ok(())
        } else {
            Err(LabError::Late {
                what: format!("replication into mariadb-{}", self.color),
                waited: patience,
            })
        }
    }

    /// Ends the server.
    pub async fn stop(self) {
        self.process.stop(STOP_MAX).await;
    }

    /// Turns a driver's error into the lab's.
    pub fn failed(
        &self,
        operation: &'static str,
    ) -> impl Fn(mysql_async::Error) -> LabError + use<> {
        let server = format!("mariadb-{}", self.color);
        move |source| LabError::Database {
            server: server.clone(),
            operation,
            source,
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), LabError> {
        let started = Instant::now();
        loop {
            self.process.check_alive()?;
            match self.connect().await {
                Ok(connection) => {
                    return connection
                        .disconnect()
                        .await
                        .map_err(self.failed("disconnect"));
                }
                Err(error) if started.elapsed() > START_MAX => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

/// The servers differ in id and GTID domain, so each tells its own writes from the other's and none goes round twice.
fn arguments(color: Color, data: &Path, port: u16) -> Vec<String> {
    let id = match color {
        Color::Blue => 1,
        Color::Green => 2,
    };
    let mut args = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        format!("--tmpdir={}", data.display()),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--socket=mariadb.sock".to_owned(),
        "--pid-file=mariadb.pid".to_owned(),
        "--skip-name-resolve".to_owned(),
        "--character-set-server=utf8mb4".to_owned(),
        format!("--server-id={id}"),
        format!("--gtid-domain-id={id}"),
        "--log-bin=binlog".to_owned(),
        "--binlog-format=ROW".to_owned(),
        // Only payments travel. Users and the fence are each server's own.
        format!("--replicate-do-table={DATABASE}.payments"),
        "--innodb-buffer-pool-size=64M".to_owned(),
    ];
    if nix::unistd::Uid::effective().is_root() {
        args.push("--user=root".to_owned());
    }
    args
}

async fn install(name: &str, data: &Path) -> Result<(), LabError> {
    std::fs::create_dir_all(data).map_err(LabError::process(name, "create its data folder"))?;
    let output = Command::new("mariadb-install-db")
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .arg("--auth-root-authentication-method=normal")
        .arg("--skip-test-db")
        .args(
            nix::unistd::Uid::effective()
                .is_root()
                .then_some("--user=root"),
        )
        // Its temporary tables would meet those of the other server in a shared folder.
        .env("TMPDIR", data)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(LabError::process(
            name,
            "run mariadb-install-db (is mariadb-server installed? `make setup` does it)",
        ))?;
    if output.status.success() {
        return Ok(());
    }
    Err(LabError::Setup {
        what: format!("mariadb-install-db for {name}"),
        why: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Statements of a schema file, which end with `;` at the end of a line. Comments stay within their statement.
fn split_statements(sql: &str) -> Vec<String> {
    sql.split(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A string literal for MariaDB with its default `sql_mode`.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
