//! Sets the fence of both ledgers, for the switch, which runs outside the VPC.

use std::time::Duration;

use cutover_domain::parity::{FenceOutcome, FenceRow};
use cutover_domain::payment::Color;
use cutover_lambda::Deadline;
use cutover_ports::parity::{DatabaseError, FenceAnswer, Site};
use serde_json::{Map, Value, json};

use crate::checks::in_words;
use crate::estate::Estate;
use crate::event::FenceCommand;

/// The longest wait for one ledger: payments that are being written end within it.
const LEDGER_TIME: Duration = Duration::from_secs(20);

/// What the ledgers said.
#[derive(Debug)]
pub struct FenceReport {
    /// `pass` if the order stands in both ledgers, `fail` if one refuses it, `unknown` if one could not be asked.
    pub status: &'static str,
    /// The whole answer.
    pub answer: Value,
}

/// Sets both ledgers' fence, side by side. Repeating it changes nothing.
pub async fn set(estate: &Estate, command: &FenceCommand, until: Deadline) -> FenceReport {
    let (blue, green) = tokio::join!(
        one(estate, "blue", &command.blue_secret, command, until),
        one(estate, "green", &command.green_secret, command, until)
    );
    let statuses = [blue.0, green.0];
    let status = if statuses.contains(&"fail") {
        "fail"
    } else if statuses.contains(&"unknown") {
        "unknown"
    } else {
        "pass"
    };
    let answer = json!({
        "status": status,
        "epoch": command.order.epoch,
        "ledgers": {"blue": blue.1, "green": green.1},
    });
    FenceReport { status, answer }
}

async fn one(
    estate: &Estate,
    name: &str,
    secret_id: &str,
    command: &FenceCommand,
    until: Deadline,
) -> (&'static str, Value) {
    let secret = match estate.secrets.read(secret_id).await {
        Ok(secret) => secret,
        Err(error) => {
            return (
                "unknown",
                json!({"outcome": "failed", "detail": in_words(&error)}),
            );
        }
    };
    let site = Site {
        name: name.to_owned(),
        secret,
    };
    let budget = LEDGER_TIME.min(until.remaining());
    let set = estate.databases.set_fence(&site, &command.order, budget);
    match tokio::time::timeout(until.remaining(), set).await {
        Ok(Ok(answer)) => told(&answer),
        Ok(Err(error)) => ("unknown", failed(&error)),
        Err(_elapsed) => (
            "unknown",
            json!({"outcome": "failed", "detail": "no answer in time"}),
        ),
    }
}

fn failed(error: &DatabaseError) -> Value {
    json!({"outcome": "failed", "detail": in_words(error), "advice": error.trouble.advice()})
}

fn told(answer: &FenceAnswer) -> (&'static str, Value) {
    let (status, outcome, detail) = match answer.outcome {
        FenceOutcome::Applied => ("pass", "applied", None),
        FenceOutcome::Stood => ("pass", "stood", None),
        FenceOutcome::Older { stored } => (
            "fail",
            "older",
            Some(format!("epoch {stored} stands, which is newer")),
        ),
        FenceOutcome::Contradicts { stored } => (
            "fail",
            "contradicts",
            Some(format!("epoch {stored} stands with another order")),
        ),
    };
    let mut may_write = Map::new();
    for FenceRow {
        color,
        may_write: may,
        ..
    } in &answer.stands
    {
        may_write.insert(color_name(*color).to_owned(), json!(may));
    }
    let epoch = answer.stands.iter().map(|row| row.epoch).max();
    let mut said = json!({"outcome": outcome, "epoch": epoch, "mayWrite": may_write});
    if let (Some(detail), Some(said)) = (detail, said.as_object_mut()) {
        said.insert("detail".to_owned(), json!(detail));
    }
    (status, said)
}

fn color_name(color: Color) -> &'static str {
    match color {
        Color::Blue => "blue",
        Color::Green => "green",
    }
}
