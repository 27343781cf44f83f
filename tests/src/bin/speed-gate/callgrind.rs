//! Payments by the binary that ships, under callgrind: what they cost, and what they asked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_tests::database::{Database, Engine};
use cutover_tests::payer::Answer;
use cutover_tests::project;
use cutover_tests::sandbox::Sandbox;
use cutover_tests::sql_wire::SqlWire;
use cutover_tests::wire::{Call, Wire};
use cutover_tests::world::ENVIRONMENT;
use serde_json::Value;
use tempfile::TempDir;

use crate::backend::{Backend, Counts, DATABASE, HASH_KEY};

/// Payments of the shorter run.
const SHORT: u64 = 20;
/// Payments of the longer run. What both have in common, the start above all, falls out of the difference.
const LONG: u64 = 60;
/// Fifty times slower than without callgrind, a payment still ends far below that.
const PATIENCE: Duration = Duration::from_secs(60);
/// The request that is paid again and again: a REST API's event, the longest that there is.
const EVENT: &str = "events/payment-validation/rest-payment.json";

/// What one payment costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Instructions of a warm payment.
    pub(crate) instructions: u64,
    /// Calls of a warm payment, by name.
    pub(crate) calls: Counts,
    /// Connections of a whole run, by name.
    pub(crate) connections: Counts,
}

struct Run {
    instructions: u64,
    counts: Counts,
}

/// Measures warm payments into a ledger of that engine.
///
/// # Panics
/// If a payment is not made, or a run tells nothing: then there is no figure.
pub(crate) async fn measure(binary: &Path, engine: Engine) -> Cost {
    let folder = TempDir::new().expect("a temporary folder");
    let database = tokio::task::block_in_place(|| Database::start(engine, &project()));
    let short = run(binary, engine, &database, folder.path(), SHORT).await;
    let long = run(binary, engine, &database, folder.path(), LONG).await;
    let payments = LONG - SHORT;
    let (mut calls, mut connections) = (Counts::new(), Counts::new());
    for (name, count) in &long.counts {
        if name.starts_with("connect") {
            connections.insert(name.clone(), *count);
            continue;
        }
        let more = count - short.counts.get(name).copied().unwrap_or_default();
        assert_eq!(
            more % payments,
            0,
            "{name}: {more} calls of {payments} payments"
        );
        if more > 0 {
            calls.insert(name.clone(), more / payments);
        }
    }
    Cost {
        instructions: (long.instructions - short.instructions) / payments,
        calls,
        connections,
    }
}

async fn run(
    binary: &Path,
    engine: Engine,
    database: &Database,
    folder: &Path,
    payments: u64,
) -> Run {
    let wire = Arc::<Wire>::default();
    let backend = Backend::start(&database.secret()).await;
    let sql = SqlWire::start(engine, database.port(), Arc::clone(&wire)).await;
    let output = folder.join(format!("callgrind-{payments}"));
    let mut variables = backend.variables.clone();
    variables.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("ENVIRONMENT", ENVIRONMENT.to_owned()),
        ("COLOR", "blue".to_owned()),
        ("SESSION_TABLE", "sessions".to_owned()),
        ("TRANSACTION_BUCKET", "logs".to_owned()),
        ("DB_SECRET_ARN", DATABASE.to_owned()),
        ("DB_ENDPOINT", sql.endpoint().to_owned()),
        ("HASH_KEY_SECRET_ARN", HASH_KEY.to_owned()),
    ]);
    let log = folder.join(format!("function-{payments}.log"));
    let sandbox = Sandbox::start_under(&callgrind(&output), binary, &variables, &log).await;
    for number in 0..payments {
        pay(&sandbox, payments, number, &log).await;
    }
    sandbox.end().await;
    let mut counts = backend.counts();
    let inserts = u64::try_from(wire.done(Call::Insert)).expect("a number of payments");
    counts.insert("INSERT".to_owned(), inserts);
    let connections = u64::from(wire.connections());
    counts.insert("connect database".to_owned(), connections);
    Run {
        instructions: total(&output),
        counts,
    }
}

fn callgrind(output: &Path) -> Vec<OsString> {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(output);
    vec![
        "valgrind".into(),
        "--tool=callgrind".into(),
        "--quiet".into(),
        file,
    ]
}

async fn pay(sandbox: &Sandbox, run: u64, number: u64, log: &Path) {
    let event = event(&format!("gate-{run:02}-{number:02}"));
    let said = sandbox.begin(&event, PATIENCE).await.wait(PATIENCE).await;
    let answer = said.as_ref().map(Answer::read);
    let paid = matches!(&answer, Some(Ok(answer)) if answer.status == 201 && !answer.replayed);
    assert!(
        paid,
        "no payment: {answer:?}\n{}",
        std::fs::read_to_string(log).unwrap_or_default()
    );
}

/// The sample event, with a transaction id of its own. Ids are of one length, or their payments would not cost the same.
fn event(transaction_id: &str) -> Value {
    let text = std::fs::read_to_string(project().join(EVENT)).expect("the sample event");
    let mut event: Value = serde_json::from_str(&text).expect("JSON");
    let body = event["body"].as_str().expect("a body");
    let mut body: BTreeMap<String, Value> = serde_json::from_str(body).expect("JSON");
    body.insert("transactionId".to_owned(), transaction_id.into());
    event["body"] = serde_json::to_string(&body).expect("JSON").into();
    event
}

/// The instructions that callgrind counted in a process.
fn total(output: &PathBuf) -> u64 {
    let text = std::fs::read_to_string(output).expect("callgrind's output");
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let line = line.expect("callgrind's total").trim();
    line.parse().expect("a number")
}
