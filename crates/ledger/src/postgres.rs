//! PostgreSQL.

use std::path::Path;
use std::time::{Duration, SystemTime};

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{
    Brand, CardSummary, Claim, Color, Fingerprint, Receipt, Scope, Timestamp,
};
use cutover_ports::payment::{Applied, Found, Readiness};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Row, Socket, Statement};

use crate::credentials::Credentials;
use crate::ledger::{Failure, Remedy};
use crate::postgres_tls::Tls;
use crate::row::{BadColumn, Standing};

/// One statement, so that the fence is read and the row written in one transaction of the server's own. `FOR SHARE` makes
/// a change of the fence wait for rows that are being written; and where the change comes first, READ COMMITTED looks at
/// the changed row again before it takes it (PostgreSQL manual, 13.2.1).
///
/// The answer tells apart: written (true, true), fenced (false, false), and one of the two unique keys taken (true,
/// false). `ON CONFLICT` and not an error, because the server's log would show the key of an error.
macro_rules! insert_as {
    ($status:literal) => {
        concat!(
            "WITH fence AS MATERIALIZED ( \
                 SELECT color FROM cutover_epoch WHERE color = $15 AND may_write FOR SHARE \
             ), written AS ( \
                 INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, \
                     merchant_id, amount, currency, exponent, card_brand, card_last4, paid_with_hash, environment, \
                     created_at, color) \
                 SELECT $1, $2, $3, $4, '",
            $status,
            "', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, color FROM fence \
                 ON CONFLICT DO NOTHING RETURNING 1 \
             ) SELECT EXISTS (SELECT 1 FROM fence), EXISTS (SELECT 1 FROM written)"
        )
    };
}

const INSERT: &str = insert_as!("completed");
/// Gives a payment up: a row of its own under the same keys, behind the same fence.
const VOID: &str = insert_as!("voided");

/// The fence's word for a color, and whether the server takes writes at all.
const READINESS: &str = "SELECT may_write, pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean \
     FROM cutover_epoch WHERE color = $1";

/// Given, so that the server need not guess them from the places where they are used.
const INSERT_TYPES: [Type; 15] = [
    Type::VARCHAR,
    Type::VARCHAR,
    Type::VARCHAR,
    Type::BYTEA,
    Type::VARCHAR,
    Type::VARCHAR,
    Type::INT8,
    Type::VARCHAR,
    Type::INT2,
    Type::VARCHAR,
    Type::VARCHAR,
    Type::BYTEA,
    Type::VARCHAR,
    Type::TIMESTAMPTZ,
    Type::VARCHAR,
];

/// The columns that [`read_row`] reads, in its order.
macro_rules! select_where {
    ($condition:literal) => {
        concat!(
            "SELECT transaction_id, fingerprint, status, amount, currency, exponent, card_brand, card_last4, \
             environment, color, created_at FROM payments WHERE ",
            $condition
        )
    };
}

const SELECT_BY_KEY: &str = select_where!("scope = $1 AND idempotency_key = $2");
const SELECT_BY_TRANSACTION: &str = select_where!("scope = $1 AND transaction_id = $2");

/// The session's settings, sent with the login: no round trip of their own.
///
/// Time-outs in ms: the server gives up before we do (`ASK_TIMEOUT`), so that nothing of a statement that was given up is
/// still under way. READ COMMITTED and `synchronous_commit` are set, because a server may have other defaults: the fence
/// relies on the one, and "completed means durable" on the other. Whether the session may write is the server's to say.
const OPTIONS: &str = "-c statement_timeout=3500 -c lock_timeout=2000 \
     -c idle_in_transaction_session_timeout=5000 -c synchronous_commit=on \
     -c default_transaction_isolation=read\\ committed -c TimeZone=UTC";

/// For one of the host's addresses. The whole of a connection has its own limit.
const TCP_CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// What was sent and is not acknowledged for so long ends the connection (TCP_USER_TIMEOUT).
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A connection on which nothing moves is probed after that, so often, and as many times.
const PROBE_AFTER: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(1);
const PROBES: u32 = 3;

/// A connection, with its statement prepared.
pub(crate) struct Postgres {
    client: Client,
    insert: Statement,
    /// Carries bytes between the client and the socket until one of them ends.
    carrier: JoinHandle<()>,
}

impl Drop for Postgres {
    /// The driver's carrier would wait for answers that are still owed, and a silent server never gives them.
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Opens a connection and prepares its statement.
pub(crate) async fn connect(
    credentials: &Credentials,
    ca_bundle: Option<&Path>,
) -> Result<Postgres, Failure> {
    let mut config = Config::new();
    config
        .host(credentials.host.as_str())
        .port(credentials.port)
        .user(credentials.username.as_str())
        .password(credentials.password.expose())
        .dbname(credentials.dbname.as_str())
        .application_name("cutover")
        .options(OPTIONS)
        .connect_timeout(TCP_CONNECT_TIMEOUT)
        .tcp_user_timeout(SILENCE_MAX)
        .keepalives(true)
        .keepalives_idle(PROBE_AFTER)
        .keepalives_interval(PROBE_EVERY)
        .keepalives_retries(PROBES);
    if credentials.ssl {
        // `Require`: a server without TLS is left before it is told anything.
        config.ssl_mode(SslMode::Require);
        log_in(&config, Tls::new(ca_bundle)?).await
    } else {
        config.ssl_mode(SslMode::Disable);
        log_in(&config, NoTls).await
    }
}

async fn log_in<T>(config: &Config, tls: T) -> Result<Postgres, Failure>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let unused = |error| failure(error, Applied::No);
    let (client, connection) = config.connect(tls).await.map_err(unused)?;
    let carrier = tokio::spawn(async move {
        // Why it ended is told to whoever waits for an answer.
        let _ended = connection.await;
    });
    let prepared = client.prepare_typed(INSERT, &INSERT_TYPES).await;
    match prepared {
        Ok(insert) => Ok(Postgres {
            client,
            insert,
            carrier,
        }),
        Err(error) => {
            carrier.abort();
            Err(unused(error))
        }
    }
}

impl Postgres {
    /// Whether the server or the network is known to have ended it.
    pub(crate) fn has_ended(&self) -> bool {
        self.client.is_closed()
    }

    /// Writes the row of a claim, or says what stands in its place.
    pub(crate) async fn post(&mut self, claim: &Claim, color: Color) -> Result<Posting, Failure> {
        let values = Values::of(claim, color);
        let parameters = values.parameters();
        let answer = self.client.query_one(&self.insert, &parameters).await;
        let written = Posting::Recorded(Receipt::of(claim, color));
        self.settle(claim, written, answer).await
    }

    /// Writes the tombstone of a claim, or says what stands in its place.
    pub(crate) async fn void(&mut self, claim: &Claim, color: Color) -> Result<Posting, Failure> {
        let values = Values::of(claim, color);
        let typed: Vec<_> = values.parameters().into_iter().zip(INSERT_TYPES).collect();
        // Rare, and so not prepared: types given, it is one round trip.
        let answer = self.client.query_typed_one(VOID, &typed).await;
        self.settle(claim, Posting::Voided, answer).await
    }

    /// What the answer to an INSERT means: whether the color may write, and whether it wrote.
    async fn settle(
        &self,
        claim: &Claim,
        written: Posting,
        answer: Result<Row, Error>,
    ) -> Result<Posting, Failure> {
        let answer = answer.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        match answer {
            Ok((true, true)) => Ok(written),
            // The color may not write. An earlier attempt, or one whose answer was lost, may have been in time.
            Ok((false, _)) => Ok(self
                .standing(claim, Applied::No)
                .await?
                .unwrap_or(Posting::Fenced)),
            // One of the two unique keys. The row under this claim's own key, if there is one, decides.
            Ok((true, false)) => Ok(self
                .standing(claim, Applied::Unknown)
                .await?
                .unwrap_or(Posting::TransactionExists)),
            Err(error) => Err(failure(error, Applied::Unknown)),
        }
    }

    /// Whether `color` could write now.
    pub(crate) async fn readiness(&mut self, color: Color) -> Result<Readiness, Failure> {
        let rows = self
            .client
            .query_typed(READINESS, &[(&color.as_str(), Type::VARCHAR)])
            .await
            .map_err(|error| failure(error, Applied::No))?;
        let fence = rows
            .first()
            .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
            .transpose()
            .map_err(|source: BadColumn| Failure::new(Applied::No, Remedy::None, source))?;
        Ok(match fence {
            Some((true, false)) => Readiness::Writable,
            Some((_, true)) => Readiness::ReadOnly,
            Some((false, false)) | None => Readiness::Fenced,
        })
    }

    /// What the row under the claim's key says, if there is one.
    async fn standing(&self, claim: &Claim, applied: Applied) -> Result<Option<Posting>, Failure> {
        let row = self
            .select(
                SELECT_BY_KEY,
                claim.scope.as_str(),
                claim.key.as_str(),
                applied,
            )
            .await?;
        Ok(row.map(|row| row.posting(claim)))
    }

    /// The row with that transaction id in a scope.
    pub(crate) async fn find(
        &mut self,
        scope: &Scope,
        transaction_id: &str,
    ) -> Result<Option<Found>, Failure> {
        let row = self
            .select(
                SELECT_BY_TRANSACTION,
                scope.as_str(),
                transaction_id,
                Applied::No,
            )
            .await?;
        Ok(row.map(Standing::found))
    }

    /// A row by two texts. Whatever fails, `applied` is what is known of the statement before.
    async fn select(
        &self,
        statement: &str,
        first: &str,
        second: &str,
        applied: Applied,
    ) -> Result<Option<Standing>, Failure> {
        // Rare, and so not prepared: types given, it is one round trip.
        let rows = self
            .client
            .query_typed(
                statement,
                &[(&first, Type::VARCHAR), (&second, Type::VARCHAR)],
            )
            .await
            .map_err(|error| Failure {
                applied,
                ..failure(error, applied)
            })?;
        rows.first()
            .map(read_row)
            .transpose()
            .map_err(|source| Failure::new(applied, Remedy::None, source))
    }
}

/// The values of a row, as the driver takes them.
struct Values<'a> {
    scope: &'a str,
    key: &'a str,
    transaction_id: &'a str,
    fingerprint: &'a [u8],
    user_id: &'a str,
    merchant_id: Option<&'a str>,
    amount: i64,
    currency: &'a str,
    exponent: i16,
    brand: Option<&'a str>,
    last4: Option<&'a str>,
    paid_with: &'a [u8],
    environment: &'a str,
    created_at: SystemTime,
    color: &'a str,
}

impl<'a> Values<'a> {
    fn of(claim: &'a Claim, color: Color) -> Self {
        let payment = &claim.payment;
        let card = payment.paid_with.card.as_ref();
        Self {
            scope: claim.scope.as_str(),
            key: claim.key.as_str(),
            transaction_id: &payment.transaction_id,
            fingerprint: claim.fingerprint.as_bytes(),
            user_id: &payment.user_id,
            merchant_id: payment.merchant_id.as_deref(),
            amount: payment.money.minor_units(),
            currency: payment.money.currency().code(),
            exponent: i16::from(payment.money.currency().exponent()),
            brand: card.map(|card| card.brand.as_str()),
            last4: card.map(|card| card.last4.as_str()),
            paid_with: payment.paid_with.hash.as_bytes(),
            environment: &claim.environment,
            created_at: system_time(claim.created_at),
            color: color.as_str(),
        }
    }

    /// In the order of the statement's placeholders.
    fn parameters(&self) -> [&(dyn ToSql + Sync); 15] {
        [
            &self.scope,
            &self.key,
            &self.transaction_id,
            &self.fingerprint,
            &self.user_id,
            &self.merchant_id,
            &self.amount,
            &self.currency,
            &self.exponent,
            &self.brand,
            &self.last4,
            &self.paid_with,
            &self.environment,
            &self.created_at,
            &self.color,
        ]
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    // No `Timestamp` is too far away for the clock of a 64-bit system.
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(at.ms()))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn read_row(row: &Row) -> Result<Standing, BadColumn> {
    let brand: Option<&str> = column(row, 6)?;
    let last4: Option<&str> = column(row, 7)?;
    let card = match (brand, last4) {
        (Some(brand), Some(last4)) => Some(CardSummary {
            brand: Brand::named(brand).ok_or(BadColumn(6))?,
            last4: last4.to_owned(),
        }),
        _ => None,
    };
    let created_at: SystemTime = column(row, 10)?;
    let created_at = created_at
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .ok_or(BadColumn(10))?;
    let receipt = Receipt {
        transaction_id: column(row, 0)?,
        amount: column(row, 3)?,
        currency: column(row, 4)?,
        exponent: u8::try_from(column::<i16>(row, 5)?).map_err(|_| BadColumn(5))?,
        environment: column(row, 8)?,
        color: column::<&str>(row, 9)?.parse().map_err(|_| BadColumn(9))?,
        created_at: Timestamp::from_ms(created_at),
        card,
    };
    Ok(Standing {
        fingerprint: Fingerprint::from_bytes(column(row, 1)?).map_err(|_| BadColumn(1))?,
        voided: column::<&str>(row, 2)? == "voided",
        receipt,
    })
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, BadColumn> {
    row.try_get(index).map_err(|_| BadColumn(index))
}

/// What an error says: a server's ERROR means that its transaction was rolled back. A FATAL or PANIC may have come after
/// the commit, and of any other no one knows; unless it happened where nothing could (`at_most`).
fn failure(error: Error, at_most: Applied) -> Failure {
    let Some(server) = error.as_db_error() else {
        return Failure::new(at_most, Remedy::Reconnect, error);
    };
    let rolled_back = server.parsed_severity() == Some(Severity::Error)
        && *server.code() != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN;
    let applied = if rolled_back { Applied::No } else { at_most };
    // The server's message and detail may hold values of the row: the code is enough to look it up.
    let source = format!("server error {}", server.code().code());
    Failure::new(applied, remedy(server.code(), rolled_back), source)
}

/// What may help. A server that ended the session is always left.
fn remedy(code: &SqlState, session_stands: bool) -> Remedy {
    match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Remedy::ReadSecret
        }
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED
            if session_stands =>
        {
            Remedy::Again
        }
        // A standby, or a writer that was demoted or shuts down; a prepared statement that is gone.
        SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::INVALID_SQL_STATEMENT_NAME => Remedy::Reconnect,
        // What a login is refused for otherwise (no such database) is no better the next time.
        SqlState::INVALID_CATALOG_NAME => Remedy::None,
        _ if session_stands => Remedy::None,
        _ => Remedy::Reconnect,
    }
}
