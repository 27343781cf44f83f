//! The sweeper in the local cloud: function processes die under load, no client ever asks again, and after its ticks no
//! payment is left undecided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cutover::lab::client::PaymentClient;
use cutover::lab::cloud::Cloud;
use cutover::lab::journey::Lab;
use cutover::lab::reconcile::Written;
use cutover::lab::show::read_back;
use cutover_tests::lab_options;
use serde_json::json;
use tempfile::TempDir;

const CLIENTS: u32 = 8;
const LOAD: Duration = Duration::from_secs(12);
/// A lease (the function's 30 s and a slack of 5 s), and a few ticks.
const SWEPT_WITHIN: Duration = Duration::from_mins(2);

/// Sends payments, each once, whatever comes of it. A third has a key of its own.
async fn send(client: PaymentClient, of: u32) -> u32 {
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < LOAD {
        let id = format!("sweep-{of}-{sent}");
        let body = json!({
            "transactionId": id, "userId": "user-1", "amount": 1250, "currency": "EUR", "merchantId": "shop",
            "paymentMethod": {"type": "token", "token": "tok_1"},
        });
        let key = (sent % 3 == 0).then(|| format!("key-{id}"));
        client.pay(key.as_deref(), body.to_string()).await;
        sent += 1;
    }
    sent
}

async fn kill_functions(lab: &Lab) -> usize {
    let (mut killed, began) = (0, Instant::now());
    while began.elapsed() < LOAD {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let processes = lab.cloud.function_processes();
        if let Some(process) = processes.get(killed % processes.len().max(1)) {
            Cloud::kill_function(*process).unwrap();
            killed += 1;
        }
    }
    killed
}

fn processing(written: &Written) -> usize {
    let sessions = written.sessions.iter();
    sessions
        .filter(|session| {
            session
                .get("status")
                .is_some_and(|status| status == "processing")
        })
        .count()
}

/// Each session that was claimed is completed with one row, voided with a tombstone, or given back with neither; and each
/// log object has a row or a marker.
fn assert_decided(written: &Written) {
    let mut rows: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for entry in &written.ledgers[&cutover::lab::Color::Blue] {
        let key = (entry.scope.as_str(), entry.idempotency_key.as_str());
        rows.entry(key).or_default().push(&entry.status);
    }
    for session in written
        .sessions
        .iter()
        .filter(|session| session.contains_key("status"))
    {
        let key = (
            session["scope"].as_str(),
            session["idempotencyKey"].as_str(),
        );
        let wanted: &[&str] = match (
            session["status"].as_str(),
            session.get("reason").map(String::as_str),
        ) {
            ("completed", _) => &["completed"],
            ("failed", Some("voided")) => &["voided"],
            ("failed", Some("released")) => &[],
            other => panic!("undecided: {other:?} {session:?}"),
        };
        assert_eq!(rows.remove(&key).unwrap_or_default(), wanted, "{session:?}");
    }
    assert!(rows.is_empty(), "rows without a session: {rows:?}");
    let paid: BTreeSet<&str> = written.ledgers[&cutover::lab::Color::Blue]
        .iter()
        .filter(|entry| entry.status == "completed")
        .map(|entry| entry.transaction_id.as_str())
        .collect();
    for key in &written.log_keys {
        let name = key.rsplit('/').next().unwrap();
        let id = name.split('.').next().unwrap();
        assert!(
            key.ends_with(".voided")
                || paid.contains(id)
                || written.log_keys.contains(&format!("{key}.voided")),
            "{key} has neither a row nor a marker"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_functions_leave_behind_is_decided_without_the_client() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(&lab_options(folder.path(), 1)).await.unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|of| tokio::spawn(send(lab.client().unwrap(), of)))
        .collect();
    let killed = kill_functions(&lab).await;
    let mut sent = 0;
    for client in clients {
        sent += client.await.unwrap();
    }
    let mut written = read_back(&lab).await.unwrap();
    let left = processing(&written);
    println!("sent {sent}, killed {killed}, left behind {left}");
    assert!(killed > 20 && left > 0, "killing was felt");
    let began = Instant::now();
    while processing(&written) > 0 && began.elapsed() < SWEPT_WITHIN {
        tokio::time::sleep(Duration::from_secs(3)).await;
        written = read_back(&lab).await.unwrap();
    }
    println!("decided after {:.0?}", began.elapsed());
    assert_decided(&written);
    lab.stop().await;
}
