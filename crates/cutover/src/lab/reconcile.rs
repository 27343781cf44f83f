//! The proof: what the clients were told against sessions, both ledgers and log objects.

use std::collections::{BTreeMap, BTreeSet};

use cutover_aws::evidence::Session;
use serde::Serialize;

use super::Color;
use super::ledgers::Entry;
use super::load::{Ledger, Outcome};

/// Differences that the report lists.
const DIFFERENCES_SHOWN_MAX: usize = 50;

/// Everything that was written, read back after the traffic ended.
#[derive(Debug, Default)]
pub struct Written {
    /// The session table's items.
    pub sessions: Vec<Session>,
    /// The log bucket's keys.
    pub log_keys: Vec<String>,
    /// The rows of each ledger.
    pub ledgers: BTreeMap<Color, Vec<Entry>>,
}

/// The result, as it is printed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reconciliation {
    /// Payments that clients meant to make.
    pub payments: usize,
    /// Requests, repeated attempts included.
    pub requests: u64,
    /// Payments answered 201.
    pub accepted: usize,
    /// Bodies refused by validation.
    pub refused: usize,
    /// Recorded answers given again.
    pub replayed: u64,
    /// Payments without a final answer.
    pub open: usize,
    /// Accepted, and not in every place where it has to be.
    pub lost: usize,
    /// In some place twice, or there although it was refused, or in two versions.
    pub doubled: usize,
    /// Answers that the contract does not explain.
    pub unexpected: u64,
    /// Rows in blue's ledger.
    pub rows_blue: usize,
    /// Rows in green's ledger.
    pub rows_green: usize,
    /// Completed sessions.
    pub sessions_completed: usize,
    /// Log objects.
    pub log_objects: usize,
    /// What differs, one line each.
    pub differences: Vec<String>,
    #[serde(skip)]
    lost_ids: BTreeSet<String>,
    #[serde(skip)]
    doubled_ids: BTreeSet<String>,
}

impl Reconciliation {
    /// Whether nothing was lost, doubled or left open, and every answer was one that the contract names.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.open == 0 && self.unexpected == 0
    }
}

/// Compares what clients know with what was written.
pub fn reconcile(known: &Ledger, written: &Written) -> Reconciliation {
    let mut found = Reconciliation {
        payments: known.sent.len(),
        requests: known.attempts,
        refused: known.refused.len(),
        replayed: known.replayed,
        unexpected: known.surprise_count,
        rows_blue: written.ledgers.get(&Color::Blue).map_or(0, Vec::len),
        rows_green: written.ledgers.get(&Color::Green).map_or(0, Vec::len),
        log_objects: written.log_keys.len(),
        ..Reconciliation::default()
    };
    let completed: BTreeSet<&str> = written
        .sessions
        .iter()
        .filter(|session| {
            session
                .get("status")
                .is_some_and(|status| status == "completed")
        })
        .filter_map(|session| session.get("sessionId").map(String::as_str))
        .collect();
    found.sessions_completed = completed.len();
    let logs = count_logs(&written.log_keys);
    let rows = index(&written.ledgers);
    check_accepted(known, &rows, &completed, &logs, &mut found);
    check_strangers(known, &rows, &mut found);
    found
}

/// Every row of each ledger, by transaction id.
type Rows<'a> = BTreeMap<Color, BTreeMap<&'a str, Vec<&'a Entry>>>;

fn index(ledgers: &BTreeMap<Color, Vec<Entry>>) -> Rows<'_> {
    ledgers
        .iter()
        .map(|(color, entries)| {
            let mut by_id: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
            for entry in entries.iter().filter(|entry| entry.status == "completed") {
                by_id.entry(&entry.transaction_id).or_default().push(entry);
            }
            (*color, by_id)
        })
        .collect()
}

/// Log objects by transaction id. A key is `transactions/<yyyy>/<mm>/<dd>/<transactionId>.<h>.json`.
fn count_logs(keys: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        let name = key.rsplit('/').next().unwrap_or(key);
        let id = name
            .strip_suffix(".json")
            .and_then(|stem| stem.rsplit_once('.'))
            .map_or(name, |(id, _)| id);
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// Each accepted payment: once in each ledger, the same in both, one completed session, one log object.
fn check_accepted(
    known: &Ledger,
    rows: &Rows<'_>,
    completed: &BTreeSet<&str>,
    logs: &BTreeMap<&str, usize>,
    found: &mut Reconciliation,
) {
    let sessions: BTreeMap<&str, usize> =
        completed.iter().fold(BTreeMap::new(), |mut counts, id| {
            // The scope may hold any character; the key follows the last `#` of the session's id.
            let key = id.rsplit_once('#').map_or(*id, |(_, key)| key);
            *counts.entry(key).or_default() += 1;
            counts
        });
    for sent in &known.sent {
        let id = sent.payment.transaction_id.as_str();
        let Outcome::Accepted { body } = &sent.outcome else {
            found.open += usize::from(sent.outcome == Outcome::Open);
            continue;
        };
        found.accepted += 1;
        let mut entries = Vec::new();
        for color in Color::BOTH {
            let here = rows
                .get(&color)
                .and_then(|rows| rows.get(id))
                .map_or(&[][..], Vec::as_slice);
            match here {
                [] => found.lose(id, format!("accepted, and not in {color}'s ledger")),
                [entry] => entries.push(*entry),
                more => found.double(id, format!("{} rows in {color}'s ledger", more.len())),
            }
        }
        if let [blue, green] = entries.as_slice()
            && blue != green
        {
            found.double(id, "blue's row and green's differ");
        }
        let amount_kept = entries
            .iter()
            .all(|entry| sent.payment.body["amount"] == entry.amount);
        if !amount_kept || body["amount"] != sent.payment.body["amount"] {
            found.double(id, "the amount is another than the client meant");
        }
        match sessions.get(sent.payment.idempotency_key()) {
            None => found.lose(id, "accepted, and its session is not completed"),
            Some(1) => {}
            Some(more) => found.double(id, format!("{more} completed sessions")),
        }
        match logs.get(id) {
            None => found.lose(id, "accepted, and not in the log bucket"),
            Some(1) => {}
            Some(more) => found.double(id, format!("{more} log objects")),
        }
    }
}

/// Rows that no accepted or open payment explains: a refused body that was paid all the same, or money from nowhere.
fn check_strangers(known: &Ledger, rows: &Rows<'_>, found: &mut Reconciliation) {
    let explained: BTreeSet<&str> = known
        .sent
        .iter()
        .filter(|sent| !matches!(sent.outcome, Outcome::Refused { .. }))
        .map(|sent| sent.payment.transaction_id.as_str())
        .collect();
    let paid: BTreeSet<&str> = rows
        .values()
        .flat_map(|rows| rows.keys().copied())
        .collect();
    for id in paid.difference(&explained) {
        found.double(id, "paid, and no client was told so");
    }
}

impl Reconciliation {
    fn lose(&mut self, id: &str, what: impl std::fmt::Display) {
        if self.lost_ids.insert(id.to_owned()) {
            self.lost += 1;
        }
        self.note(id, what);
    }

    fn double(&mut self, id: &str, what: impl std::fmt::Display) {
        if self.doubled_ids.insert(id.to_owned()) {
            self.doubled += 1;
        }
        self.note(id, what);
    }

    fn note(&mut self, id: &str, what: impl std::fmt::Display) {
        if self.differences.len() < DIFFERENCES_SHOWN_MAX {
            self.differences.push(format!("{id}: {what}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::case::{Cases, Payment};
    use crate::lab::load::Sent;

    fn entry(payment: &Payment) -> Entry {
        Entry {
            scope: "m:lab-shop".to_owned(),
            idempotency_key: payment.idempotency_key().to_owned(),
            transaction_id: payment.transaction_id.clone(),
            amount: payment.body["amount"].as_u64().unwrap(),
            currency: payment.body["currency"].as_str().unwrap().to_owned(),
            color: "blue".to_owned(),
            status: "completed".to_owned(),
        }
    }

    /// One accepted payment, everywhere where it has to be.
    fn one() -> (Ledger, Written) {
        let payment = Cases::new("t", 1).payment();
        let session = Session::from([
            (
                "sessionId".to_owned(),
                format!("m:lab-shop#{}", payment.idempotency_key()),
            ),
            ("status".to_owned(), "completed".to_owned()),
        ]);
        let written = Written {
            sessions: vec![session],
            log_keys: vec![format!(
                "transactions/2026/01/02/{}.0123456789abcdef.json",
                payment.transaction_id
            )],
            ledgers: Color::BOTH
                .map(|color| (color, vec![entry(&payment)]))
                .into(),
        };
        let outcome = Outcome::Accepted {
            body: payment.body.clone(),
        };
        (
            Ledger {
                sent: vec![Sent { payment, outcome }],
                ..Ledger::default()
            },
            written,
        )
    }

    #[test]
    fn a_payment_in_every_place_is_clean() {
        let (known, written) = one();
        let found = reconcile(&known, &written);
        assert!(found.is_clean(), "{found:?}");
        assert_eq!(
            (found.accepted, found.rows_blue, found.rows_green),
            (1, 1, 1)
        );
    }

    #[test]
    fn a_payment_that_is_missing_anywhere_is_lost() {
        for place in 0..4 {
            let (known, mut written) = one();
            match place {
                0 => written.sessions.clear(),
                1 => written.log_keys.clear(),
                2 => written.ledgers.get_mut(&Color::Blue).unwrap().clear(),
                _ => written.ledgers.get_mut(&Color::Green).unwrap().clear(),
            }
            let found = reconcile(&known, &written);
            assert_eq!((found.lost, found.is_clean()), (1, false), "place {place}");
        }
    }

    #[test]
    fn a_payment_that_is_anywhere_twice_is_doubled() {
        for place in 0..4 {
            let (known, mut written) = one();
            let blue = written.ledgers.get_mut(&Color::Blue).unwrap();
            match place {
                0 => {
                    let mut again = blue[0].clone();
                    again.idempotency_key.push_str("-2");
                    blue.push(again);
                }
                1 => blue[0].amount += 1,
                2 => written
                    .log_keys
                    .push(written.log_keys[0].replace("01/02", "01/03")),
                _ => {
                    let mut session = written.sessions[0].clone();
                    let id = session["sessionId"].replace("m:", "u:");
                    session.insert("sessionId".to_owned(), id);
                    written.sessions.push(session);
                }
            }
            let found = reconcile(&known, &written);
            assert!(
                found.doubled >= 1 && !found.is_clean(),
                "place {place}: {found:?}"
            );
        }
    }

    #[test]
    fn a_refused_payment_that_was_paid_is_found() {
        let (mut known, written) = one();
        known.sent[0].outcome = Outcome::Refused { status: 422 };
        assert_eq!(reconcile(&known, &written).doubled, 1);
    }

    #[test]
    fn a_voided_row_is_no_payment() {
        let (mut known, mut written) = one();
        known.sent[0].outcome = Outcome::Refused { status: 409 };
        for rows in written.ledgers.values_mut() {
            rows[0].status = "voided".to_owned();
        }
        assert_eq!(reconcile(&known, &written).doubled, 0);
    }
}
