//! Sessions, the ledgers of both colors and the log objects against each other: every payment is in all of them or in none.
//!
//! A window of time is compared, and each source is read some way beyond it on both sides: a payment is judged where it was
//! created in the window, and looked for wherever its other records may lie. The newest minutes are left out, for payments
//! are still on their way there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::check::Judgement;
use super::text::listed;
use crate::payment::{IdempotencyKey, Scope, SessionId, Timestamp, record};

/// How long the window is.
pub const WINDOW: Duration = Duration::from_hours(1);
/// What is left out before now: attempts, leases and replication end within it.
pub const SETTLING: Duration = Duration::from_mins(2);
/// How far each source is read beyond the window, on both sides.
pub const MARGIN: Duration = Duration::from_mins(10);
/// Records of each source that are read at most. Beyond, nothing is known.
pub const RECORDS_MAX: usize = 200_000;
/// Differences that are named.
pub const NAMED_MAX: usize = 20;

/// What there should be.
pub const EXPECTED: &str = "every completed session has one row in each ledger and one log object, and the other way round";

/// The hour that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The moment after the last.
    pub until: Timestamp,
}

impl Span {
    /// The window of a validation at `now`.
    #[must_use]
    pub fn before(now: Timestamp) -> Self {
        let until = minus(now, SETTLING);
        Self {
            from: minus(until, WINDOW),
            until,
        }
    }

    /// The window with its margins: what is read.
    #[must_use]
    pub fn wide(self) -> Self {
        Self {
            from: minus(self.from, MARGIN),
            until: self.until.plus(SETTLING.min(MARGIN)),
        }
    }

    /// Whether a moment is in it.
    #[must_use]
    pub fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// What keys of log objects of its days begin with.
    #[must_use]
    pub fn day_prefixes(self) -> Vec<String> {
        let first = record::day_prefix(self.from);
        let last = record::day_prefix(self.until);
        if first == last {
            vec![first]
        } else {
            vec![first, last]
        }
    }
}

fn minus(at: Timestamp, by: Duration) -> Timestamp {
    let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_ms(at.ms().saturating_sub(ms))
}

/// A session, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// `<scope>#<key>`.
    pub id: String,
    /// Its transaction id.
    pub transaction_id: String,
    /// `processing`, `completed` or `failed`.
    pub status: String,
    /// In the currency's minor unit.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// When the payment was claimed.
    pub created_at: Timestamp,
}

/// A row of a ledger, as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRecord {
    /// The scope of its key.
    pub scope: String,
    /// Its key.
    pub idempotency_key: String,
    /// Its transaction id.
    pub transaction_id: String,
    /// In the currency's minor unit.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Whether it stands for a payment that was given up.
    pub voided: bool,
    /// When the payment was claimed.
    pub created_at: Timestamp,
}

impl RowRecord {
    fn session(&self) -> SessionId {
        SessionId::new(
            &Scope::from_stored(self.scope.clone()),
            &IdempotencyKey::from_stored(self.idempotency_key.clone()),
        )
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Sessions of the wide window.
    pub sessions: Vec<SessionRecord>,
    /// Rows of the wide window in blue's ledger.
    pub blue: Vec<RowRecord>,
    /// The same in green's.
    pub green: Vec<RowRecord>,
    /// Keys of the log objects of the window's days, and when each was written.
    pub objects: BTreeMap<String, Timestamp>,
}

/// What does not agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Completed sessions of the window.
    pub sessions: usize,
    /// Completed rows of the window, in blue's and green's ledger.
    pub rows: [usize; 2],
    /// Differences by transaction id, each in words.
    pub differences: Vec<String>,
    /// Payments that are not settled yet, in words: the sweeper finishes or voids them.
    pub unsettled: Vec<String>,
    /// Log objects without a row: those that the sweeper marked, and those that it did not yet.
    pub orphans: Vec<String>,
}

/// Compares what was read.
#[must_use]
pub fn reconcile(evidence: &Evidence, span: Span) -> Reconciled {
    let index = |rows: &'_ [RowRecord]| -> BTreeMap<String, RowRecord> {
        let named = rows
            .iter()
            .map(|row| (row.session().as_str().to_owned(), row.clone()));
        named.collect()
    };
    let case = Case {
        span,
        sessions: evidence
            .sessions
            .iter()
            .map(|s| (s.id.as_str(), s))
            .collect(),
        ledgers: [index(&evidence.blue), index(&evidence.green)],
        objects: &evidence.objects,
    };
    let mut found = Reconciled::default();
    case.sessions(&mut found);
    case.rows(&mut found);
    case.objects(&mut found);
    found
}

struct Case<'a> {
    span: Span,
    sessions: BTreeMap<&'a str, &'a SessionRecord>,
    ledgers: [BTreeMap<String, RowRecord>; 2],
    objects: &'a BTreeMap<String, Timestamp>,
}

const COLORS: [&str; 2] = ["blue", "green"];

impl Case<'_> {
    fn sessions(&self, found: &mut Reconciled) {
        for (id, session) in &self.sessions {
            if session.status != "completed" || !self.span.holds(session.created_at) {
                continue;
            }
            found.sessions += 1;
            let named = &session.transaction_id;
            for (color, ledger) in COLORS.iter().zip(&self.ledgers) {
                match ledger.get(*id) {
                    None => found.differences.push(format!(
                        "{named}: completed, without a row in {color}'s ledger"
                    )),
                    Some(row) if row.voided => found.differences.push(format!(
                        "{named}: completed, and voided in {color}'s ledger"
                    )),
                    Some(row)
                        if (row.amount, &row.currency) != (session.amount, &session.currency) =>
                    {
                        found.differences.push(format!(
                            "{named}: {} {} in the session, {} {} in {color}'s ledger",
                            session.amount, session.currency, row.amount, row.currency
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn rows(&self, found: &mut Reconciled) {
        let ids: BTreeSet<&String> = self.ledgers.iter().flat_map(BTreeMap::keys).collect();
        for id in ids {
            let both =
                [0, 1].map(|at: usize| self.ledgers.get(at).and_then(|ledger| ledger.get(id)));
            let Some(row) = both.iter().flatten().next() else {
                continue;
            };
            if !self.span.holds(row.created_at) {
                continue;
            }
            for (count, row) in found.rows.iter_mut().zip(both) {
                *count += usize::from(row.is_some_and(|row| !row.voided));
            }
            let named = &row.transaction_id;
            let session = self.sessions.get(id.as_str());
            let completed = session.is_some_and(|session| session.status == "completed");
            match both {
                [Some(blue), Some(green)] if !alike(blue, green) => found
                    .differences
                    .push(format!("{named}: the rows of blue and green differ")),
                // Told with the session, where that is completed.
                [Some(_), None] if !completed => {
                    found
                        .differences
                        .push(format!("{named}: a row in blue's ledger only"));
                }
                [None, Some(_)] if !completed => {
                    found
                        .differences
                        .push(format!("{named}: a row in green's ledger only"));
                }
                _ => {}
            }
            if row.voided {
                continue;
            }
            match session.map(|session| session.status.as_str()) {
                Some("completed") => {}
                Some("processing") => found.unsettled.push(format!(
                    "{named}: a row, and a session that is still processing"
                )),
                Some(other) => found.differences.push(format!(
                    "{named}: a completed row, and a session that is {other}"
                )),
                None => found
                    .differences
                    .push(format!("{named}: a completed row without a session")),
            }
            let key = record::key(row.created_at, named, &row.session());
            if completed && !self.objects.contains_key(&key) {
                found
                    .differences
                    .push(format!("{named}: completed, without a log object"));
            }
        }
    }

    /// An object of the window that no row accounts for: its payment was fenced or voided meanwhile.
    fn objects(&self, found: &mut Reconciled) {
        let rows = self.ledgers.iter().flat_map(BTreeMap::values);
        let expected: BTreeSet<String> = rows
            .filter(|row| !row.voided)
            .map(|row| record::key(row.created_at, &row.transaction_id, &row.session()))
            .collect();
        for (key, written) in self.objects {
            let name = key.rsplit('/').next().unwrap_or(key);
            let Some(name) = name.strip_suffix(".json") else {
                continue;
            };
            if !self.span.holds(*written) || expected.contains(key) {
                continue;
            }
            let id = name.rsplit_once('.').map_or(name, |(id, _hash)| id);
            let marked = self.objects.contains_key(&format!("{key}.voided"));
            let how = if marked {
                "marked as voided"
            } else {
                "not marked yet"
            };
            found.orphans.push(format!("{id} ({how})"));
        }
    }
}

fn alike(blue: &RowRecord, green: &RowRecord) -> bool {
    let of = |row: &RowRecord| {
        (
            row.transaction_id.clone(),
            row.amount,
            row.currency.clone(),
            row.voided,
            row.created_at,
        )
    };
    of(blue) == of(green)
}

/// What a check makes of it.
#[must_use]
pub fn judged(found: &Reconciled, span: Span) -> Judgement {
    let [blue, green] = found.rows;
    let mut observed = format!(
        "{} to {}: {} completed sessions, {blue} rows in blue, {green} in green",
        span.from, span.until, found.sessions
    );
    let mut add = |what: &str, all: &[String]| {
        if !all.is_empty() {
            let names = listed(all, NAMED_MAX);
            observed = format!("{} {what}: {names}; {observed}", all.len());
        }
    };
    add("log objects without a row", &found.orphans);
    add("not settled", &found.unsettled);
    add("differences", &found.differences);
    if !found.differences.is_empty() {
        return Judgement::fail(
            observed,
            EXPECTED,
            "look each transaction id up in the sessions, both ledgers and the log before anything is migrated",
        );
    }
    if !found.unsettled.is_empty() {
        return Judgement::unknown(
            observed,
            EXPECTED,
            "wait a few minutes for the sweeper, which finishes or voids them, and validate again",
        );
    }
    Judgement::pass(observed, EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Status;

    const NOW: u64 = 1_800_000_000_000;

    fn span() -> Span {
        Span::before(Timestamp::from_ms(NOW))
    }

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_ms(NOW - minutes * 60_000)
    }

    fn row(id: &str, minutes: u64) -> RowRecord {
        RowRecord {
            scope: "m:shop".to_owned(),
            idempotency_key: id.to_owned(),
            transaction_id: id.to_owned(),
            amount: 1250,
            currency: "EUR".to_owned(),
            voided: false,
            created_at: at(minutes),
        }
    }

    fn session(id: &str, minutes: u64) -> SessionRecord {
        SessionRecord {
            id: format!("m:shop#{id}"),
            transaction_id: id.to_owned(),
            status: "completed".to_owned(),
            amount: 1250,
            currency: "EUR".to_owned(),
            created_at: at(minutes),
        }
    }

    fn key(id: &str, minutes: u64) -> String {
        let row = row(id, minutes);
        record::key(row.created_at, id, &row.session())
    }

    fn good() -> Evidence {
        let ids = [("t-1", 10), ("t-2", 50)];
        Evidence {
            sessions: ids.map(|(id, m)| session(id, m)).to_vec(),
            blue: ids.map(|(id, m)| row(id, m)).to_vec(),
            green: ids.map(|(id, m)| row(id, m)).to_vec(),
            objects: ids.map(|(id, m)| (key(id, m), at(m))).into_iter().collect(),
        }
    }

    fn found(change: impl FnOnce(&mut Evidence)) -> (Status, String) {
        let mut evidence = good();
        change(&mut evidence);
        let judged = judged(&reconcile(&evidence, span()), span());
        (judged.status, judged.observed)
    }

    /// What makes good evidence worse.
    type Change = fn(&mut Evidence);

    #[test]
    fn what_agrees_passes() {
        let (status, observed) = found(|_| ());
        assert_eq!(status, Status::Pass, "{observed}");
        assert!(observed.contains("2 completed sessions, 2 rows in blue, 2 in green"));
        let nothing = reconcile(&Evidence::default(), span());
        assert_eq!(judged(&nothing, span()).status, Status::Pass);
    }

    #[test]
    fn every_difference_is_told_by_its_transaction_id() {
        let changes: [(Change, &str); 9] = [
            (
                |e| {
                    e.blue.remove(0);
                },
                "t-1: completed, without a row in blue",
            ),
            (
                |e| {
                    e.green.remove(1);
                },
                "t-2: completed, without a row in green",
            ),
            (
                |e| {
                    e.sessions.remove(0);
                },
                "t-1: a completed row without a session",
            ),
            (
                |e| {
                    e.objects.clear();
                },
                "t-2: completed, without a log object",
            ),
            (
                |e| e.blue[0].amount = 1251,
                "t-1: 1250 EUR in the session, 1251 EUR in blue",
            ),
            (
                |e| e.green[0].currency = "USD".to_owned(),
                "t-1: the rows of blue and green differ",
            ),
            (
                |e| e.green[1].voided = true,
                "t-2: completed, and voided in green",
            ),
            (
                |e| e.sessions[0].status = "failed".to_owned(),
                "t-1: a completed row, and a session that is failed",
            ),
            (
                |e| {
                    e.sessions.remove(0);
                    e.green.remove(0);
                },
                "t-1: a row in blue's ledger only",
            ),
        ];
        for (change, told) in changes {
            let (status, observed) = found(change);
            assert_eq!(status, Status::Fail, "{told}");
            assert!(observed.contains(told), "{told} in {observed}");
        }
    }

    #[test]
    fn a_payment_that_still_runs_is_neither_good_nor_bad() {
        let (status, observed) = found(|e| e.sessions[0].status = "processing".to_owned());
        assert_eq!(status, Status::Unknown, "{observed}");
    }

    #[test]
    fn what_was_created_outside_the_window_is_not_judged() {
        let changes: [fn(&mut Evidence); 3] = [
            // A minute ago: still settling. Over an hour ago: another window's.
            |e| e.sessions.push(session("t-9", 1)),
            |e| e.sessions.push(session("t-9", 63)),
            |e| e.green.push(row("t-9", 64)),
        ];
        for change in changes {
            let (status, observed) = found(change);
            assert_eq!(status, Status::Pass, "{observed}");
        }
    }

    #[test]
    fn orphans_are_listed_and_harm_nothing() {
        let (status, observed) = found(|e| {
            e.objects.insert(key("t-8", 20), at(20));
            e.objects.insert(key("t-9", 20), at(20));
            e.objects
                .insert(format!("{}.voided", key("t-9", 20)), at(15));
        });
        assert_eq!(status, Status::Pass);
        assert!(observed.contains("t-8 (not marked yet)"), "{observed}");
        assert!(observed.contains("t-9 (marked as voided)"), "{observed}");
        // Voided in both ledgers: no difference, and its object is an orphan.
        let (status, observed) = found(|e| {
            e.blue[0].voided = true;
            e.green[0].voided = true;
            e.sessions[0].status = "failed".to_owned();
        });
        assert_eq!(status, Status::Pass, "{observed}");
        assert!(observed.contains("t-1 (not marked yet)"), "{observed}");
    }

    #[test]
    fn many_differences_are_counted_and_some_named() {
        let (_, observed) = found(|e| {
            e.sessions = (0..500).map(|n| session(&format!("s-{n}"), 5)).collect();
            e.blue.clear();
            e.green.clear();
        });
        assert!(observed.starts_with("1000 differences: "), "{observed}");
        assert!(observed.contains("and 980 more"), "{observed}");
    }

    #[test]
    fn a_window_over_midnight_has_two_days() {
        let midnight: Timestamp = "2026-11-20T00:30:00Z".parse().unwrap();
        assert_eq!(
            Span::before(midnight).day_prefixes(),
            ["transactions/2026/11/19/", "transactions/2026/11/20/"]
        );
        assert_eq!(span().day_prefixes().len(), 1);
    }
}
