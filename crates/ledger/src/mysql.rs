//! MySQL and MariaDB.

use std::path::Path;
use std::time::Duration;

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{
    Brand, CardSummary, Claim, Color, KeyedHash, Receipt, Scope, Timestamp,
};
use cutover_ports::payment::{Applied, Found, Readiness};
use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{Conn, Error, OptsBuilder, Params, Row, SslOpts, Value};

use crate::RDS_AUTHORITIES;
use crate::credentials::Credentials;
use crate::ledger::{Failure, Remedy};
use crate::row::{BadColumn, Standing};

/// One statement, so that the fence is read and the row written in one transaction of the server's own. The shared lock
/// makes a change of the fence wait for rows that are being written, and rows wait for a change that is being made.
/// MySQL's `FOR SHARE` is unknown to MariaDB; both know this older form.
macro_rules! insert_as {
    ($status:literal) => {
        concat!(
            "INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, merchant_id, \
             amount, currency, exponent, card_brand, card_last4, paid_with_hash, environment, color, created_at) \
             SELECT ?, ?, ?, UNHEX(?), '",
            $status,
            "', ?, ?, ?, ?, ?, ?, ?, UNHEX(?), ?, ?, ? \
             FROM cutover_epoch WHERE color = ? AND may_write LOCK IN SHARE MODE"
        )
    };
}

const INSERT: &str = insert_as!("completed");
/// A tombstone: it holds both unique keys of the payment that it stands for, so that no row of it can come later.
const VOID: &str = insert_as!("voided");

/// The fence of a color, and whether the server takes writes. `read_only` is 0 or `OFF`, as the version has it.
const READINESS: &str = "SELECT may_write, @@global.read_only NOT IN ('0', 'OFF') OR @@global.innodb_read_only <> 0 \
     FROM cutover_epoch WHERE color = ?";

/// The columns that [`read_row`] reads, in its order.
macro_rules! select_where {
    ($condition:literal) => {
        concat!(
            "SELECT transaction_id, HEX(fingerprint), status, amount, currency, exponent, card_brand, card_last4, \
             environment, color, DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.%fZ') FROM payments WHERE ",
            $condition
        )
    };
}

const SELECT_BY_KEY: &str = select_where!("scope = ? AND idempotency_key = ?");
const SELECT_BY_TRANSACTION: &str = select_where!("scope = ? AND transaction_id = ?");

/// A lock (of a row, or of the table that is being altered) that is not given within 2 s is not waited for: the invocation
/// has better uses for its time. Autocommit is set, because a server may have another default, and a row that is written
/// but not committed is no payment.
const SETUP: &str = "SET SESSION autocommit = 1, innodb_lock_wait_timeout = 2, lock_wait_timeout = 2, \
     time_zone = '+00:00'";

/// A connection on which nothing moves for so long is probed. The driver can set neither how often nor TCP_USER_TIMEOUT:
/// what bounds a silent server is the time-out of each attempt (`ASK_TIMEOUT`), after which the connection is dropped.
const PROBE_AFTER: Duration = Duration::from_secs(5);

/// `max_allowed_packet` and `wait_timeout` are given, so that the driver does not ask for them: a round trip less.
const PACKET_BYTES_MAX: usize = 1 << 20;
const WAIT_TIMEOUT_SECONDS: usize = 28_800;

mod code {
    //! Server error numbers, the same in MySQL and MariaDB.
    pub(super) const ACCESS_DENIED_DB: u16 = 1044;
    pub(super) const ACCESS_DENIED: u16 = 1045;
    pub(super) const DUPLICATE: u16 = 1062;
    /// The commit itself failed: it may stand nevertheless.
    pub(super) const ERROR_DURING_COMMIT: u16 = 1180;
    pub(super) const LOCK_WAIT_TIMEOUT: u16 = 1205;
    pub(super) const DEADLOCK: u16 = 1213;
    /// The server runs read-only: a writer that was demoted.
    pub(super) const READ_ONLY_OPTION: u16 = 1290;
    pub(super) const READ_ONLY_TRANSACTION: u16 = 1792;
    pub(super) const READ_ONLY_MODE: u16 = 1836;
    /// The server shuts down, or has too many connections.
    pub(super) const SHUTDOWN: u16 = 1053;
    pub(super) const TOO_MANY: u16 = 1040;
}

/// A connection.
pub(crate) struct MySql(Conn);

/// Opens a connection and prepares its statement.
pub(crate) async fn connect(
    credentials: &Credentials,
    ca_bundle: Option<&Path>,
) -> Result<MySql, Failure> {
    let opts = OptsBuilder::default()
        .ip_or_hostname(credentials.host.as_str())
        .tcp_port(credentials.port)
        .user(Some(credentials.username.as_str()))
        .pass(Some(credentials.password.expose()))
        .db_name(Some(credentials.dbname.as_str()))
        .tcp_nodelay(true)
        .tcp_keepalive(Some(PROBE_AFTER))
        .prefer_socket(false)
        .max_allowed_packet(Some(PACKET_BYTES_MAX))
        .wait_timeout(Some(WAIT_TIMEOUT_SECONDS))
        .setup(vec![SETUP])
        .ssl_opts(credentials.ssl.then(|| tls(ca_bundle)));
    let unused = |error| failure(error, Applied::No);
    let mut conn = Conn::new(opts).await.map_err(unused)?;
    conn.prep(INSERT).await.map_err(unused)?;
    Ok(MySql(conn))
}

pub(crate) fn tls(ca_bundle: Option<&Path>) -> SslOpts {
    // Refused only if there is one already, which then is as good: all crates here are built with ring.
    let _present = rustls::crypto::ring::default_provider().install_default();
    let roots = match ca_bundle {
        Some(path) => path.to_path_buf().into(),
        None => RDS_AUTHORITIES.as_bytes().to_vec().into(),
    };
    SslOpts::default()
        .with_root_certs(vec![roots])
        .with_disable_built_in_roots(true)
}

impl MySql {
    /// Writes the row of a claim, or says what stands in its place.
    pub(crate) async fn post(&mut self, claim: &Claim, color: Color) -> Result<Posting, Failure> {
        let written = Posting::Recorded(Receipt::of(claim, color));
        self.insert(INSERT, claim, color, written).await
    }

    /// Writes the tombstone of a claim, or says what stands in its place.
    pub(crate) async fn void(&mut self, claim: &Claim, color: Color) -> Result<Posting, Failure> {
        self.insert(VOID, claim, color, Posting::Voided).await
    }

    async fn insert(
        &mut self,
        statement: &str,
        claim: &Claim,
        color: Color,
        written: Posting,
    ) -> Result<Posting, Failure> {
        match self
            .0
            .exec_drop(statement, insert_params(claim, color))
            .await
        {
            Ok(()) if self.0.affected_rows() == 1 => Ok(written),
            // The color may not write. An earlier attempt, or one whose answer was lost, may have been in time.
            Ok(()) => Ok(self
                .standing(claim, Applied::No)
                .await?
                .unwrap_or(Posting::Fenced)),
            // One of the two unique keys. The row under this claim's own key, if there is one, decides.
            Err(Error::Server(error)) if error.code == code::DUPLICATE => Ok(self
                .standing(claim, Applied::Unknown)
                .await?
                .unwrap_or(Posting::TransactionExists)),
            Err(error) => Err(failure(error, Applied::Unknown)),
        }
    }

    /// What the row under the claim's key says, if there is one.
    async fn standing(
        &mut self,
        claim: &Claim,
        applied: Applied,
    ) -> Result<Option<Posting>, Failure> {
        let key = (claim.scope.as_str(), claim.key.as_str().as_bytes());
        let row: Option<Row> = self
            .0
            .exec_first(SELECT_BY_KEY, key)
            .await
            .map_err(|error| Failure {
                applied,
                ..failure(error, applied)
            })?;
        let row = row
            .map(read_row)
            .transpose()
            .map_err(|source| Failure::new(applied, Remedy::None, source))?;
        Ok(row.map(|row| row.posting(claim)))
    }

    /// Whether `color` could write now.
    pub(crate) async fn readiness(&mut self, color: Color) -> Result<Readiness, Failure> {
        let fence: Option<(bool, bool)> = self
            .0
            .exec_first(READINESS, (color.as_str(),))
            .await
            .map_err(|error| failure(error, Applied::No))?;
        Ok(match fence {
            Some((true, false)) => Readiness::Writable,
            Some((_, true)) => Readiness::ReadOnly,
            Some((false, false)) | None => Readiness::Fenced,
        })
    }

    /// The row with that transaction id in a scope.
    pub(crate) async fn find(
        &mut self,
        scope: &Scope,
        transaction_id: &str,
    ) -> Result<Option<Found>, Failure> {
        let row: Option<Row> = self
            .0
            .exec_first(SELECT_BY_TRANSACTION, (scope.as_str(), transaction_id))
            .await
            .map_err(|error| failure(error, Applied::No))?;
        let row = row
            .map(read_row)
            .transpose()
            .map_err(|source| Failure::new(Applied::No, Remedy::None, source))?;
        Ok(row.map(Standing::found))
    }
}

fn insert_params(claim: &Claim, color: Color) -> Params {
    let payment = &claim.payment;
    let card = payment.paid_with.card.as_ref();
    Params::Positional(vec![
        claim.scope.as_str().into(),
        Value::from(claim.key.as_str().as_bytes()),
        payment.transaction_id.as_str().into(),
        claim.fingerprint.to_string().into(),
        payment.user_id.as_str().into(),
        payment.merchant_id.as_deref().into(),
        payment.money.minor_units().into(),
        payment.money.currency().code().into(),
        payment.money.currency().exponent().into(),
        card.map(|card| card.brand.as_str()).into(),
        card.map(|card| card.last4.as_str()).into(),
        payment.paid_with.hash.to_string().into(),
        claim.environment.as_str().into(),
        color.as_str().into(),
        datetime(claim.created_at).into(),
        color.as_str().into(),
    ])
}

/// `2026-11-20 11:19:23.123`: the server's own form, whose session is in UTC.
fn datetime(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', "")
}

fn read_row(mut row: Row) -> Result<Standing, BadColumn> {
    let brand: Option<String> = column(&mut row, 6)?;
    let last4: Option<String> = column(&mut row, 7)?;
    let card = match (brand, last4) {
        (Some(brand), Some(last4)) => Some(CardSummary {
            brand: Brand::named(&brand).ok_or(BadColumn(6))?,
            last4,
        }),
        _ => None,
    };
    let receipt = Receipt {
        transaction_id: column(&mut row, 0)?,
        amount: column(&mut row, 3)?,
        currency: column(&mut row, 4)?,
        exponent: column(&mut row, 5)?,
        environment: column(&mut row, 8)?,
        color: parsed(&mut row, 9)?,
        created_at: parsed(&mut row, 10)?,
        card,
    };
    let status: String = column(&mut row, 2)?;
    Ok(Standing {
        fingerprint: parsed::<KeyedHash>(&mut row, 1)?,
        voided: status == "voided",
        receipt,
    })
}

fn column<T: FromValue>(row: &mut Row, index: usize) -> Result<T, BadColumn> {
    row.take_opt(index)
        .and_then(Result::ok)
        .ok_or(BadColumn(index))
}

fn parsed<T: std::str::FromStr>(row: &mut Row, index: usize) -> Result<T, BadColumn> {
    let text: String = column(row, index)?;
    text.parse().map_err(|_| BadColumn(index))
}

/// What an error says: a server's error means that its statement did nothing; any other that no one knows, unless it
/// happened where nothing could (`at_most`).
fn failure(error: Error, at_most: Applied) -> Failure {
    let Error::Server(server) = &error else {
        return Failure::new(at_most, Remedy::Reconnect, error);
    };
    let remedy = match server.code {
        code::ACCESS_DENIED | code::ACCESS_DENIED_DB => Remedy::ReadSecret,
        code::DEADLOCK | code::LOCK_WAIT_TIMEOUT => Remedy::Again,
        code::READ_ONLY_OPTION
        | code::READ_ONLY_TRANSACTION
        | code::READ_ONLY_MODE
        | code::SHUTDOWN
        | code::TOO_MANY => Remedy::Reconnect,
        _ => Remedy::None,
    };
    // The server's message may hold values of the row: its number is enough to look it up.
    let source = format!("server error {} (SQLSTATE {})", server.code, server.state);
    match server.code {
        code::ERROR_DURING_COMMIT => Failure::new(at_most, Remedy::Again, source),
        _ => Failure::new(Applied::No, remedy, source),
    }
}
