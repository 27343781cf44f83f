//! A connection to either engine: statements as text, answers as text, each within its time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use cutover_ports::parity::{DatabaseError, Site, Trouble};
use cutover_ports::payment::Source;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::mysql_session::MySqlSession;
use super::postgres_session::PostgresSession;
use crate::credentials::{Credentials, Engine};

/// Until a connection stands: name, TCP, TLS, login.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until TCP stands, when it is asked for alone.
const TCP_TIMEOUT: Duration = Duration::from_millis(1500);
/// A statement is ended by the server itself this much before it is given up here.
const SERVER_ENDS_EARLIER: Duration = Duration::from_millis(250);

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read: the server refuses everything else.
    Read,
    /// Read and write.
    Write,
}

/// The engines, as far as their SQL differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    MySql,
    MariaDb,
    Postgres,
}

/// A row of an answer: a text per column, or NULL.
pub(crate) type TextRow = Vec<Option<String>>;

/// What went wrong with a statement, before it is known who asked.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) trouble: Trouble,
    pub(crate) source: Source,
}

impl Broken {
    pub(crate) fn new(trouble: Trouble, source: impl Into<Source>) -> Self {
        Self {
            trouble,
            source: source.into(),
        }
    }
}

/// A session.
pub(crate) struct Session {
    site: String,
    engine: Inner,
    dialect: Dialect,
    until: Instant,
    /// After how many ms the server ends a statement, where that was set.
    limit_ms: Option<u128>,
}

enum Inner {
    MySql(MySqlSession),
    Postgres(PostgresSession),
}

impl Session {
    /// Logs in. Nothing of the session lasts longer than `until`.
    pub(crate) async fn open(
        site: &Site,
        ca_bundle: Option<&Path>,
        access: Access,
        until: Instant,
    ) -> Result<Self, DatabaseError> {
        let failed = |broken: Broken| failed("log in", &site.name, broken);
        let credentials = Credentials::parse(&site.secret, None)
            .map_err(|error| failed(Broken::new(Trouble::Secret, error)))?;
        let limit = CONNECT_TIMEOUT.min(until.saturating_duration_since(Instant::now()));
        let opening = open_engine(&credentials, ca_bundle, access);
        let (engine, dialect) = match timeout(limit, opening).await {
            Ok(opened) => opened.map_err(failed)?,
            Err(_late) => return Err(failed(silent(&credentials).await)),
        };
        Ok(Self {
            site: site.name.clone(),
            engine,
            dialect,
            until,
            limit_ms: None,
        })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What the site is called.
    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    /// How long the session's caller can still wait.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The error of this session's site.
    pub(crate) fn error(
        &self,
        operation: &'static str,
        trouble: Trouble,
        source: impl Into<Source>,
    ) -> DatabaseError {
        failed(operation, &self.site, Broken::new(trouble, source))
    }

    /// Rows of one statement, of the session's time at most.
    pub(crate) async fn rows(
        &mut self,
        operation: &'static str,
        sql: &str,
    ) -> Result<Vec<TextRow>, DatabaseError> {
        let limit = self.left();
        let table = self.within(operation, sql, limit).await?;
        Ok(table.rows)
    }

    /// Rows of one statement that the server ends after `limit`.
    pub(crate) async fn rows_within(
        &mut self,
        operation: &'static str,
        sql: &str,
        limit: Duration,
    ) -> Result<Vec<TextRow>, DatabaseError> {
        let limit = limit.min(self.left());
        self.limit_statements(operation, limit.saturating_sub(SERVER_ENDS_EARLIER))
            .await?;
        let table = self.within(operation, sql, limit).await?;
        Ok(table.rows)
    }

    /// Rows by column name, for statements whose columns differ between versions of a server.
    pub(crate) async fn named_rows(
        &mut self,
        operation: &'static str,
        sql: &str,
    ) -> Result<Vec<BTreeMap<String, String>>, DatabaseError> {
        let limit = self.left();
        let Table { names, rows } = self.within(operation, sql, limit).await?;
        let named = |row: TextRow| {
            let pairs = names.iter().cloned().zip(row);
            pairs.filter_map(|(n, v)| Some((n, v?))).collect()
        };
        Ok(rows.into_iter().map(named).collect())
    }

    /// The one value of a statement that has one; `None` if it is NULL or there is no row.
    pub(crate) async fn value(
        &mut self,
        operation: &'static str,
        sql: &str,
    ) -> Result<Option<String>, DatabaseError> {
        let rows = self.rows(operation, sql).await?;
        Ok(rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten()))
    }

    /// A statement without rows.
    pub(crate) async fn run(
        &mut self,
        operation: &'static str,
        sql: &str,
    ) -> Result<(), DatabaseError> {
        self.rows(operation, sql).await.map(drop)
    }

    async fn limit_statements(
        &mut self,
        operation: &'static str,
        limit: Duration,
    ) -> Result<(), DatabaseError> {
        let ms = limit.as_millis().max(1);
        if self.limit_ms == Some(ms) {
            return Ok(());
        }
        let sql = match self.dialect {
            Dialect::MySql => format!("SET SESSION max_execution_time = {ms}"),
            // In seconds, with decimals.
            Dialect::MariaDb => {
                format!(
                    "SET SESSION max_statement_time = {}.{:03}",
                    ms / 1000,
                    ms % 1000
                )
            }
            Dialect::Postgres => format!("SET statement_timeout = {ms}"),
        };
        self.run(operation, &sql).await?;
        self.limit_ms = Some(ms);
        Ok(())
    }

    async fn within(
        &mut self,
        operation: &'static str,
        sql: &str,
        limit: Duration,
    ) -> Result<Table, DatabaseError> {
        let asking = async {
            match &mut self.engine {
                Inner::MySql(mysql) => mysql.table(sql).await,
                Inner::Postgres(postgres) => postgres.table(sql).await,
            }
        };
        let answered = timeout(limit, asking)
            .await
            .unwrap_or_else(|_| Err(Broken::new(Trouble::Timeout, "no answer in time")));
        answered.map_err(|broken| failed(operation, &self.site, broken))
    }
}

/// An answer.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) names: Vec<String>,
    pub(crate) rows: Vec<TextRow>,
}

fn failed(operation: &'static str, site: &str, broken: Broken) -> DatabaseError {
    DatabaseError {
        operation,
        site: site.to_owned(),
        trouble: broken.trouble,
        source: broken.source,
    }
}

async fn open_engine(
    credentials: &Credentials,
    ca_bundle: Option<&Path>,
    access: Access,
) -> Result<(Inner, Dialect), Broken> {
    // Asked for first, so that a name that leads nowhere is told from a server that does not listen.
    let address = (credentials.host.as_str(), credentials.port);
    let found = lookup_host(address)
        .await
        .map_err(|error| Broken::new(Trouble::Dns, error))?;
    match credentials.engine {
        Engine::Mysql | Engine::Mariadb => {
            let session = MySqlSession::open(credentials, ca_bundle, access).await?;
            let dialect = if session.is_mariadb() {
                Dialect::MariaDb
            } else {
                Dialect::MySql
            };
            Ok((Inner::MySql(session), dialect))
        }
        Engine::Postgres => {
            let session =
                PostgresSession::open(credentials, found.collect(), ca_bundle, access).await?;
            Ok((Inner::Postgres(session), Dialect::Postgres))
        }
    }
}

/// Why a login took too long: packets that vanish (a security group) are told from a server that is slow.
async fn silent(credentials: &Credentials) -> Broken {
    let address = (credentials.host.as_str(), credentials.port);
    match timeout(TCP_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_connected)) => Broken::new(Trouble::Timeout, "the server did not answer in time"),
        Ok(Err(error)) => Broken::new(Trouble::Tcp, error),
        Err(_late) => Broken::new(Trouble::Tcp, "no TCP connection in time"),
    }
}
