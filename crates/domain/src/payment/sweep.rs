//! The sweeper: what becomes of a payment whose attempt died, whether or not its client ever asks again.
//!
//! It takes a session over as a client's next attempt would, and rolls it forward: the request was accepted and claimed.
//! A payment that is too old for that is given up by a tombstone, a row of status `voided` under the same unique keys.
//! Whichever row comes first stands, so a slow attempt can never write under a voided key, nor a tombstone hide a row.
//!
//! A color that may no longer write takes nothing over: it could neither finish nor give up, and each of its takeovers
//! would keep the live color waiting. The live color takes its sessions after [`REPLICATION_WAIT`].

use std::time::Duration;

use super::record::LogObject;
use super::session::{self, Attempt, Decision, Session, State};
use super::settle::Posting;
use super::timestamp::Timestamp;

/// The shards of the index of leases: first digits of a hash of the session's id.
pub const SHARDS: &str = "0123456789abcdef";

/// How much longer than its lease a session is left to the colors that attempted it before another one takes it over: that
/// color sweeps once a minute, and its row, if there is one, has arrived by replication.
pub const REPLICATION_WAIT: Duration = Duration::from_mins(1);

/// A payment is rolled forward for so long after its first claim, then given up: nobody expects it any more, and a charge
/// out of the blue is worse than none. It is the time that callers of payment APIs are used to keep a key for.
pub const ROLLED_FORWARD_FOR: Duration = Duration::from_hours(24);

/// What the sweeper does with a session that it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// It is settled, or its attempt may still run, or it is another color's for now.
    Leave,
    /// Write this session if the one that was read still stands, then post to ledger and log.
    Finish(Box<Session>),
    /// Write this session if the one that was read still stands, then put the tombstone.
    Void(Box<Session>),
}

/// Decides what `attempt` does with a session.
#[must_use]
pub fn plan(existing: &Session, attempt: &Attempt) -> Plan {
    let State::Processing { lease_until } = existing.state else {
        return Plan::Leave;
    };
    let own = existing.only_attempted_by(attempt.color);
    if !own && lease_until.plus(REPLICATION_WAIT) > attempt.now {
        return Plan::Leave;
    }
    let too_old = existing.claim.created_at.plus(ROLLED_FORWARD_FOR) < attempt.now;
    match session::decide(existing, &existing.claim.fingerprint, attempt) {
        Decision::TakeOver { session, .. } if too_old => Plan::Void(session),
        Decision::TakeOver { session, .. } => Plan::Finish(session),
        _ => Plan::Leave,
    }
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The payment is in ledger, log and session.
    Finished,
    /// It was given up for good.
    Voided,
    /// Its keys belong to another payment: it has no row, and can get none.
    GivenBack,
    /// Not yet: a later sweep goes on.
    Unfinished,
}

/// What the sweeper writes at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The session to write.
    pub session: Box<Session>,
    /// What that means.
    pub outcome: Outcome,
    /// Whether the log object of the claim has no row and can get none: it is marked before the session is written.
    pub orphan: bool,
}

/// Decides how a session that was taken over ends, from what the ledger said and whether the log is durable.
///
/// Unlike a client's attempt it may give a session back although another color has had it: replication was waited for.
#[must_use]
pub fn end(session: &Session, posting: Posting, logged: bool, now: Timestamp) -> Ending {
    let (session, outcome, orphan) = match posting {
        Posting::Recorded(receipt) if logged => {
            (session.completed(&receipt, now), Outcome::Finished, false)
        }
        Posting::Voided => (session.voided(now), Outcome::Voided, true),
        Posting::TransactionExists => (session.released(now), Outcome::GivenBack, true),
        Posting::KeyReused {
            receipt,
            fingerprint,
        } => {
            let superseded = session.superseded(&receipt, fingerprint, now);
            // The row may be of a request whose log object has the very same name.
            let orphan = LogObject::of(&superseded.claim).key != LogObject::of(&session.claim).key;
            (superseded, Outcome::GivenBack, orphan)
        }
        Posting::Recorded(_) | Posting::Fenced | Posting::NotApplied | Posting::Unknown => {
            (session.yielded(now), Outcome::Unfinished, false)
        }
    };
    Ending {
        session: Box::new(session),
        outcome,
        orphan,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::session::tests::{at, attempt, claim, hash};
    use crate::payment::{Color, Receipt};

    /// Claimed by blue at 1000 s, with a lease until 1015 s.
    fn dead() -> Session {
        Session::begin(claim(), &attempt("dead", Color::Blue, 1_000))
    }

    fn planned(session: &Session, color: Color, second: u64) -> Plan {
        plan(session, &attempt("sweeper", color, second))
    }

    #[test]
    fn a_lease_is_waited_for_and_by_the_other_color_a_minute_longer() {
        for (color, second, taken) in [
            (Color::Blue, 1_014, false),
            (Color::Blue, 1_015, true),
            (Color::Green, 1_015, false),
            (Color::Green, 1_074, false),
            (Color::Green, 1_075, true),
        ] {
            let plan = planned(&dead(), color, second);
            assert_eq!(plan != Plan::Leave, taken, "{color} at {second}: {plan:?}");
        }
    }

    #[test]
    fn what_both_colors_attempted_waits_for_replication_whoever_sweeps() {
        let mut session = dead();
        session.attempted.insert(Color::Green);
        for color in [Color::Blue, Color::Green] {
            assert_eq!(planned(&session, color, 1_074), Plan::Leave);
            assert_ne!(planned(&session, color, 1_075), Plan::Leave);
        }
    }

    #[test]
    fn a_day_is_rolled_forward_then_given_up() {
        let day = ROLLED_FORWARD_FOR.as_secs();
        let Plan::Finish(taken) = planned(&dead(), Color::Green, 1_000 + day) else {
            panic!("it is rolled forward");
        };
        assert_eq!(taken.owner, "sweeper");
        assert_eq!(taken.attempted.len(), 2, "blue may have written");
        assert_eq!(taken.claim, dead().claim, "the same row and log bytes");
        assert!(matches!(
            planned(&dead(), Color::Green, 1_001 + day),
            Plan::Void(_)
        ));
    }

    #[test]
    fn what_is_settled_is_left_alone() {
        let dead = dead();
        let receipt = Receipt::of(&dead.claim, Color::Blue);
        for settled in [
            dead.completed(&receipt, at(1_001)),
            dead.released(at(1_001)),
            dead.voided(at(1_001)),
        ] {
            assert_eq!(planned(&settled, Color::Blue, 999_999), Plan::Leave);
        }
    }

    #[test]
    fn each_answer_of_the_ledger_has_its_end() {
        let dead = dead();
        let receipt = Receipt::of(&dead.claim, Color::Green);
        let mut other_day = receipt.clone();
        other_day.created_at = at(1_000 + 7 * 86_400);
        let reused = |receipt: &Receipt| Posting::KeyReused {
            receipt: receipt.clone(),
            fingerprint: hash(7),
        };
        for (posting, logged, outcome, orphan) in [
            (
                Posting::Recorded(receipt.clone()),
                true,
                Outcome::Finished,
                false,
            ),
            (
                Posting::Recorded(receipt.clone()),
                false,
                Outcome::Unfinished,
                false,
            ),
            (Posting::Voided, false, Outcome::Voided, true),
            (Posting::TransactionExists, true, Outcome::GivenBack, true),
            (reused(&receipt), true, Outcome::GivenBack, false),
            (reused(&other_day), true, Outcome::GivenBack, true),
            (Posting::Fenced, true, Outcome::Unfinished, false),
            (Posting::NotApplied, true, Outcome::Unfinished, false),
            (Posting::Unknown, true, Outcome::Unfinished, false),
        ] {
            let told = format!("{posting:?} {logged}");
            let ending = end(&dead, posting, logged, at(2_000));
            assert_eq!((ending.outcome, ending.orphan), (outcome, orphan), "{told}");
            let waits = matches!(ending.session.state, State::Processing { .. });
            assert_eq!(waits, outcome == Outcome::Unfinished, "{told}");
        }
    }
}
