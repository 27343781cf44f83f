//! Reads the ledger's rows, for reconciliation.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cutover_domain::payment::Timestamp;
use cutover_ports::parity::{
    DatabaseError, LedgerRow, LedgerRows, RowPage, RowPlace, Site, Trouble, Window,
};

use super::Databases;
use super::session::{Access, Dialect, Session, TextRow};
use super::sql;

const OPERATION: &str = "read the ledger";

#[async_trait]
impl LedgerRows for Databases {
    async fn page(
        &self,
        site: &Site,
        window: Window,
        after: Option<&RowPlace>,
        limit: u16,
        budget: Duration,
    ) -> Result<RowPage, DatabaseError> {
        let until = Instant::now() + budget;
        let ca_bundle = self.ca_bundle.as_deref();
        let mut session = Session::open(site, ca_bundle, Access::Read, until).await?;
        let limit = limit.max(1);
        let statement = select(session.dialect(), window, after, limit);
        let rows = session.rows_within(OPERATION, &statement, budget).await?;
        let full = rows.len() >= usize::from(limit);
        let rows: Option<Vec<LedgerRow>> = rows.into_iter().map(ledger_row).collect();
        let rows = rows.ok_or_else(|| {
            session.error(OPERATION, Trouble::Other, "a row that is no payment's")
        })?;
        let next = rows.last().filter(|_| full).map(|row| RowPlace {
            created_at: row.created_at,
            scope: row.scope.clone(),
            idempotency_key: row.idempotency_key.clone(),
        });
        Ok(RowPage { rows, next })
    }
}

/// In the order of the index on `created_at`, with the primary key behind it.
fn select(dialect: Dialect, window: Window, after: Option<&RowPlace>, limit: u16) -> String {
    let shown = match dialect {
        Dialect::MySql | Dialect::MariaDb => "DATE_FORMAT(created_at, '%Y-%m-%dT%H:%i:%s.%fZ')",
        Dialect::Postgres => {
            "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
        }
    };
    let (from, until) = (moment(dialect, window.from), moment(dialect, window.until));
    let beyond = after.map_or_else(String::new, |place| {
        let at = moment(dialect, place.created_at);
        let scope = text(dialect, &place.scope);
        let key = text(dialect, &place.idempotency_key);
        format!(
            " AND created_at >= {at} AND (created_at > {at} OR scope > {scope} \
             OR (scope = {scope} AND idempotency_key > {key}))"
        )
    });
    let condition = format!("created_at >= {from} AND created_at < {until}{beyond}");
    format!(
        "SELECT scope, idempotency_key, transaction_id, amount, currency, status, color, {shown} \
         FROM payments WHERE {condition} ORDER BY created_at, scope, idempotency_key LIMIT {limit}"
    )
}

fn moment(dialect: Dialect, at: Timestamp) -> String {
    match dialect {
        Dialect::MySql | Dialect::MariaDb => {
            format!("'{}'", at.to_string().replace('T', " ").replace('Z', ""))
        }
        Dialect::Postgres => format!("'{at}'::timestamptz"),
    }
}

/// Scopes and keys are ASCII, and compared byte by byte.
fn text(dialect: Dialect, value: &str) -> String {
    match dialect {
        Dialect::MySql | Dialect::MariaDb => format!("_ascii X'{}'", hex::encode(value)),
        Dialect::Postgres => sql::text(dialect, value),
    }
}

fn ledger_row(row: TextRow) -> Option<LedgerRow> {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    Some(LedgerRow {
        scope: next()?,
        idempotency_key: next()?,
        transaction_id: next()?,
        amount: next()?.parse().ok()?,
        currency: next()?,
        voided: next()? == "voided",
        color: next()?.parse().ok()?,
        created_at: next()?.parse().ok()?,
    })
}
