//! The reconciliation: reads sessions, both ledgers and the log objects side by side.

use std::collections::BTreeMap;

use cutover_domain::payment::Timestamp;
use cutover_domain::validation::Judgement;
use cutover_domain::validation::reconciliation::{
    EXPECTED, Evidence, RECORDS_MAX, RowRecord, Span, judged, reconcile,
};
use cutover_lambda::clock;
use cutover_ports::parity::{LedgerRow, Site, Window};

use crate::checks::{Look, blind};
use crate::databases::database_blind;

/// Rows of one page.
const PAGE_ROWS: u16 = 2_000;

/// Compares an hour of payments.
pub async fn reconciliation(look: &Look) -> Judgement {
    let span = Span::before(Timestamp::from_ms(clock::now_ms()));
    match gather(look, span).await {
        Ok(evidence) => judged(&reconcile(&evidence, span), span),
        Err(judgement) => judgement,
    }
}

/// What could not be read keeps from judging at all: half the evidence is none.
async fn gather(look: &Look, span: Span) -> Result<Evidence, Judgement> {
    let pair = look.pair().await?;
    let wide = span.wide();
    let (blue, green, sessions, objects) = tokio::join!(
        rows(look, &pair.blue, wide),
        rows(look, &pair.green, wide),
        sessions(look, wide),
        objects(look, wide)
    );
    Ok(Evidence {
        sessions: sessions?,
        blue: blue?,
        green: green?,
        objects: objects?,
    })
}

async fn sessions(
    look: &Look,
    span: Span,
) -> Result<Vec<cutover_domain::validation::reconciliation::SessionRecord>, Judgement> {
    let table = look.properties.session_table.as_deref().unwrap_or_default();
    let read = look
        .estate
        .sessions
        .created_in(table, span, RECORDS_MAX)
        .await;
    read.map_err(|error| blind(&error, &format!("table {table}"), EXPECTED))
}

async fn objects(look: &Look, span: Span) -> Result<BTreeMap<String, Timestamp>, Judgement> {
    let bucket = look.properties.transaction_bucket.as_deref();
    let bucket = bucket.unwrap_or_default();
    let mut all = BTreeMap::new();
    for prefix in span.day_prefixes() {
        let store = &look.estate.objects;
        let read = store
            .written_since(bucket, &prefix, span.from, RECORDS_MAX)
            .await;
        all.extend(read.map_err(|error| blind(&error, &format!("bucket {bucket}"), EXPECTED))?);
    }
    Ok(all)
}

async fn rows(look: &Look, site: &Site, span: Span) -> Result<Vec<RowRecord>, Judgement> {
    let window = Window {
        from: span.from,
        until: span.until,
    };
    let (mut rows, mut after) = (Vec::new(), None);
    while rows.len() <= RECORDS_MAX {
        let time = look.until.remaining();
        let databases = &look.estate.databases;
        let page = databases
            .page(site, window, after.as_ref(), PAGE_ROWS, time)
            .await;
        let page = page.map_err(|error| database_blind(&error, EXPECTED))?;
        rows.extend(page.rows.into_iter().map(record));
        after = page.next;
        if after.is_none() {
            return Ok(rows);
        }
    }
    Err(Judgement::unknown(
        format!(
            "more than {RECORDS_MAX} rows in {}'s ledger in the window",
            site.name
        ),
        EXPECTED,
        "reconcile with the operator's tools, which have more time and memory",
    ))
}

fn record(row: LedgerRow) -> RowRecord {
    RowRecord {
        scope: row.scope,
        idempotency_key: row.idempotency_key,
        transaction_id: row.transaction_id,
        amount: row.amount,
        currency: row.currency,
        voided: row.voided,
        created_at: row.created_at,
    }
}
