//! What a validation needs of the two databases: logging in, schemas, rows, replication, the fence, the ledger's rows.
//!
//! A database is named by the text of its secret, which the caller has read. Everything but [`Fence`] and
//! [`SchemaUpgrade`] reads only, in transactions that the server itself holds to that.

#[cfg(feature = "fakes")]
#[path = "parity_fakes.rs"]
pub mod fakes;

use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::parity::upgrade::NoUpgrade;
use cutover_domain::parity::{
    FenceOrder, FenceOutcome, FenceRow, Limits, Progress, SchemaFindings,
};
use cutover_domain::payment::{Color, Timestamp};

use crate::payment::{SecretText, Source};

/// A database.
#[derive(Clone)]
pub struct Site {
    /// What it is called in findings: `blue`, `green`, or the name of its secret.
    pub name: String,
    /// The text of its database secret.
    pub secret: SecretText,
}

/// The two databases of a migration.
#[derive(Clone)]
pub struct Pair {
    /// Blue's.
    pub blue: Site,
    /// Green's.
    pub green: Site,
}

/// Why a database could not be used, told apart as far as that changes what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The secret holds no credentials.
    Secret,
    /// The host's name leads nowhere.
    Dns,
    /// No TCP connection: nothing listens, or a security group or route is in the way.
    Tcp,
    /// No TLS: the server has none, or its certificate is not for the host or of no authority that is believed.
    Tls,
    /// The server refused the user or the password.
    Auth,
    /// The user may not do this.
    Denied,
    /// No answer in time, or a lock that was not given in time.
    Timeout,
    /// The server does not have what was asked for: a table, a function. It may be too old, or without the ledger's schema.
    Missing,
    /// The server takes no writes: a reader, or a writer that was demoted.
    ReadOnly,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Whether asking again later may help without anyone changing anything.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Tcp | Self::Timeout | Self::ReadOnly | Self::Other
        )
    }

    /// What to do about it, for a finding.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Secret => {
                "store a JSON object with engine, host, port, username, password and dbname in the secret"
            }
            Self::Dns => "check the secret's host, and that the function's subnets resolve it",
            Self::Tcp => {
                "check the secret's port, the security groups on both sides and the routes"
            }
            Self::Tls => {
                "check that the server offers TLS, that its certificate is for the secret's host, and CA_BUNDLE"
            }
            Self::Auth => {
                "check the secret's username and password, and that its last rotation ended"
            }
            Self::Denied => "grant the user of the secret what this check reads",
            Self::Timeout => {
                "look at the database's load and at long transactions, and run the check again"
            }
            Self::Missing => {
                "create the ledger's schema (Custom::DatabaseSchema), or upgrade the server"
            }
            Self::ReadOnly => "let the secret's host be the cluster's writer endpoint",
            Self::Other => "look the server's error up, and run the check again",
        }
    }
}

/// Something that could not be asked of a database.
#[derive(Debug, thiserror::Error)]
#[error("{operation} in {site} failed")]
pub struct DatabaseError {
    /// What was tried, for example `log in`.
    pub operation: &'static str,
    /// Where: the site's name.
    pub site: String,
    /// What kind of failure it is.
    pub trouble: Trouble,
    /// Why it failed. Of what a server says it holds the code only: its texts may repeat values.
    #[source]
    pub source: Source,
}

/// A server that was logged into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Product and version, for example `MariaDB 10.11.6`.
    pub server: String,
    /// Whether the connection was encrypted and the server's certificate verified. `false` only where the secret says
    /// `"ssl": false`.
    pub tls: bool,
    /// Whether the server takes writes.
    pub writable: bool,
    /// Whether changes of rows are logged in the form that replication needs: row binary log of whole rows, or `wal_level`
    /// `logical`.
    pub change_log: ChangeLog,
}

/// Whether a server logs changes as replication needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLog {
    /// Whether it does.
    pub ready: bool,
    /// The settings that say so, for example `log_bin=ON, binlog_format=ROW, binlog_row_image=FULL`.
    pub observed: String,
}

/// Logs in.
#[async_trait]
pub trait LoginCheck: Send + Sync {
    /// Logs in over TLS as the secret says, and looks around.
    async fn log_in(&self, site: &Site, budget: Duration) -> Result<Login, DatabaseError>;
}

/// Compares schemas.
#[async_trait]
pub trait SchemaParity: Send + Sync {
    /// Compares the `tables` of both databases, or all if none is named.
    async fn compare_schemas(
        &self,
        pair: &Pair,
        tables: &[String],
        budget: Duration,
    ) -> Result<SchemaFindings, DatabaseError>;
}

/// What is to be compared, and how gently.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParityRequest {
    /// Names of tables; all if empty.
    pub tables: Vec<String>,
    /// How far green may be behind where a service replicates that the databases know nothing of (DMS): differences are
    /// looked at again after this and a little more.
    pub lag_outside: Option<Duration>,
    /// How gently.
    pub limits: Limits,
}

/// Compares rows.
#[async_trait]
pub trait DataParity: Send + Sync {
    /// Compares for `budget` at most: from the beginning, or from where `progress` says. The answer is finished
    /// ([`Progress::is_finished`]) or to be given to the next call, which may be another process. What was found of a
    /// table stays in it. With a minute or more it can wait for replication before it calls a row different; with less it
    /// may have to put that off to the next call.
    ///
    /// # Errors
    /// [`DatabaseError`] where a database can't be used at all. What goes wrong with a table afterwards is in its state.
    async fn compare_rows(
        &self,
        pair: &Pair,
        request: &ParityRequest,
        progress: Option<Progress>,
        budget: Duration,
    ) -> Result<Progress, DatabaseError>;
}

/// A schema that was brought to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// The version that stood before; 0 if none.
    pub from: u32,
    /// The version that stands now.
    pub to: u32,
    /// What was applied now, by file name, oldest first. Empty if nothing had to be.
    pub applied: Vec<String>,
}

/// A schema that was not brought to a version.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// It is refused: nothing was changed.
    #[error(transparent)]
    Refused(#[from] NoUpgrade),
    /// Another upgrade of the same database is under way.
    #[error("another upgrade of {site} is under way")]
    Busy {
        /// Where.
        site: String,
    },
    /// The database failed. What was applied until then is recorded; the next call goes on after it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Creates and upgrades the ledger's schema.
#[async_trait]
pub trait SchemaUpgrade: Send + Sync {
    /// The newest version that is built in.
    fn newest(&self) -> u32;

    /// Brings a database to `version`, or to the newest. Repeating it changes nothing.
    async fn upgrade(
        &self,
        site: &Site,
        version: Option<u32>,
        budget: Duration,
    ) -> Result<Upgraded, UpgradeError>;
}

/// How a ledger's fence stands after an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceAnswer {
    /// What became of the order.
    pub outcome: FenceOutcome,
    /// The rows that stand now, blue's first.
    pub stands: Vec<FenceRow>,
}

/// Sets the fence of a ledger.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Applies an order, unless it stands or a newer one does. After [`FenceOutcome::Applied`] and
    /// [`FenceOutcome::Stood`] no row of a color that may not write comes any more: payments that were being written when
    /// the order came have ended.
    async fn set_fence(
        &self,
        site: &Site,
        order: &FenceOrder,
        budget: Duration,
    ) -> Result<FenceAnswer, DatabaseError>;
}

/// One stream of replication into a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaLink {
    /// Its name: channel, connection or subscription.
    pub name: String,
    /// How it goes.
    pub state: LinkState,
}

/// How a stream of replication goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It runs.
    Running {
        /// How far it is behind its source, in s.
        lag_seconds: u64,
    },
    /// It does not run, and what the server says of that: a number, no text.
    Stopped(String),
    /// It is there, and what it does can't be told.
    Unknown(String),
}

/// Looks at replication.
#[async_trait]
pub trait ReplicaStatus: Send + Sync {
    /// The streams that replicate into a database. Empty if it is no replica as far as it knows itself: a service (DMS)
    /// may write to it nevertheless.
    async fn links(&self, site: &Site, budget: Duration)
    -> Result<Vec<ReplicaLink>, DatabaseError>;
}

/// A row of the ledger, as far as a reconciliation compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The scope of its key: with `#` and the key, the session's id.
    pub scope: String,
    /// Its idempotency key.
    pub idempotency_key: String,
    /// Its transaction id.
    pub transaction_id: String,
    /// In the currency's minor unit.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether it stands for a payment that was given up.
    pub voided: bool,
    /// Who wrote it.
    pub color: Color,
    /// When the payment was claimed.
    pub created_at: Timestamp,
}

/// Where a page of ledger rows ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlace {
    /// `created_at` of its last row.
    pub created_at: Timestamp,
    /// Its scope.
    pub scope: String,
    /// Its idempotency key.
    pub idempotency_key: String,
}

/// A moment and a later one, which is not part of the window: `from <= created_at < until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub until: Timestamp,
}

/// Some rows of a window, in order of (`created_at`, scope, key).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPage {
    /// The rows.
    pub rows: Vec<LedgerRow>,
    /// Where to go on; `None` if these were the last.
    pub next: Option<RowPlace>,
}

/// Reads the ledger's rows.
#[async_trait]
pub trait LedgerRows: Send + Sync {
    /// The first `limit` rows of a window after `after`.
    async fn page(
        &self,
        site: &Site,
        window: Window,
        after: Option<&RowPlace>,
        limit: u16,
        budget: Duration,
    ) -> Result<RowPage, DatabaseError>;
}
