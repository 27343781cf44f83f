//! Exactly once: the claim on a payment, and what an attempt that meets a claim may do.
//!
//! A session is the item that all attempts of all colors share. The first attempt creates it; it alone then owns the
//! payment until its lease ends. Whoever comes next reads the item and [`decide`]s.
//!
//! # A transaction id is unique in its scope
//!
//! Two keys with one transaction id could reach two colors at once. Each ledger would take its own row, and the rows would
//! collide in replication. The table that both colors share has to refuse the second key, with the claim itself and at no
//! further hop. What names the owner of a transaction id `T` is the item `<scope>#T`, which is one of:
//!
//! - the session with the key `T` and the transaction `T`, as it is for everyone who sends no key of their own. It is its
//!   own guard, and its claim one conditional write of one item, as cheap as without any of this;
//! - the attribute `transactionKey` on that item, put there by the claim of the session with another key `K`, in one
//!   transaction of two writes. The item may be the session of an unrelated payment with the key `T` as well, or else no
//!   session at all.
//!
//! A claim is refused if `T` has another owner, unless that owner gave its claim back. Giving back takes the attribute
//! away, and whoever takes a claim up again that was given back puts it there again, in the same transaction each time.
//! A guard for every payment would be simpler, and would make each claim cost four times as much. Guards expire with their
//! sessions: afterwards, and if a color is reached that does not know of them, the ledger's unique index still holds.

use std::collections::BTreeSet;
use std::time::Duration;

use super::color::Color;
use super::currency::Currency;
use super::hash::Fingerprint;
use super::money::Money;
use super::receipt::{self, Receipt};
use super::request::Payment;
use super::scope::{IdempotencyKey, Scope, SessionId};
use super::timestamp::Timestamp;

/// How much longer than its invocation an attempt's lease lasts: clocks differ, and a last call may still be on its way.
pub const LEASE_SLACK: Duration = Duration::from_secs(5);

/// How long a session is kept. The ledger's row answers afterwards.
pub const KEPT_FOR: Duration = Duration::from_hours(72);

/// What the first attempt fixed for good: every attempt of either color writes the same from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose payment it is.
    pub scope: Scope,
    /// Under which key.
    pub key: IdempotencyKey,
    /// What is paid.
    pub payment: Payment,
    /// The keyed hash of the request.
    pub fingerprint: Fingerprint,
    /// The environment that took it.
    pub environment: String,
    /// When it was first claimed. It survives takeovers and releases.
    pub created_at: Timestamp,
}

impl Claim {
    /// The session's id.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        SessionId::new(&self.scope, &self.key)
    }
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// An attempt runs, or died, until its lease ends.
    Processing {
        /// When it is over.
        lease_until: Timestamp,
    },
    /// Done: the answer for ever.
    Completed(Response),
    /// Given back by an attempt that certainly had no effect: free for the same request at once.
    Released,
    /// Given up for good: its key can never be written.
    Voided,
}

/// An answer as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// The item that all attempts at one payment share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What the first attempt fixed.
    pub claim: Claim,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Who wrote it last.
    pub color: Color,
    /// The attempt that owns it: a random id.
    pub owner: String,
    /// Colors that may have written to their ledger since the claim was last known to have no effect.
    pub attempted: BTreeSet<Color>,
    /// Where it stands.
    pub state: State,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// One attempt at a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// A random id.
    pub owner: String,
    /// Whose ledger it writes to.
    pub color: Color,
    /// When it began.
    pub now: Timestamp,
    /// When its invocation is ended.
    pub deadline: Timestamp,
}

/// What an attempt may assume of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Footing {
    /// Nothing was written to any ledger.
    Fresh,
    /// An earlier attempt died or did not know: there may be a row.
    TakenOver,
}

/// What an attempt that met a session does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The session is this attempt's own: an earlier try of the same write went through.
    Mine,
    /// Give the recorded answer again.
    Replay(Response),
    /// Another attempt still has its lease.
    InFlight {
        /// Whole seconds until it ends, at least 1.
        retry_after_seconds: u64,
    },
    /// The key belongs to another request.
    Mismatch,
    /// The payment was given up for good.
    Voided,
    /// Take the session over, if it is still as it was read.
    TakeOver {
        /// What to write.
        session: Box<Session>,
        /// What may have happened before.
        footing: Footing,
    },
}

impl Session {
    /// The session that an attempt creates.
    #[must_use]
    pub fn begin(claim: Claim, attempt: &Attempt) -> Self {
        Self {
            claim,
            updated_at: attempt.now,
            color: attempt.color,
            owner: attempt.owner.clone(),
            attempted: BTreeSet::from([attempt.color]),
            state: State::Processing {
                lease_until: attempt.deadline.plus(LEASE_SLACK),
            },
            expires_at: attempt.now.plus(KEPT_FOR),
        }
    }

    /// The item that says whose its transaction id is, if it is not the session itself.
    #[must_use]
    pub fn guard_id(&self) -> Option<SessionId> {
        let transaction_id = &self.claim.payment.transaction_id;
        if self.claim.key.as_str() == transaction_id {
            return None;
        }
        let key = IdempotencyKey::from_stored(transaction_id.clone());
        Some(SessionId::new(&self.claim.scope, &key))
    }

    fn take_over(&self, attempt: &Attempt, footing: Footing) -> Decision {
        let mut session = Self::begin(self.claim.clone(), attempt);
        if footing == Footing::TakenOver {
            session.attempted.extend(&self.attempted);
        }
        Decision::TakeOver {
            session: Box::new(session),
            footing,
        }
    }

    /// The session once the payment is in ledger and log.
    #[must_use]
    pub fn completed(&self, receipt: &Receipt, now: Timestamp) -> Self {
        let mut session = self.written(now);
        session.claim.created_at = receipt.created_at;
        session.color = receipt.color;
        session.state = State::Completed(Response {
            status: receipt::STATUS,
            body: receipt.body(),
        });
        session
    }

    /// The session of a key that the ledger has known for longer than sessions are kept, for another request: from now on
    /// it belongs to that one again.
    #[must_use]
    pub fn superseded(&self, receipt: &Receipt, fingerprint: Fingerprint, now: Timestamp) -> Self {
        let mut session = self.completed(receipt, now);
        session.claim.fingerprint = fingerprint;
        session
            .claim
            .payment
            .transaction_id
            .clone_from(&receipt.transaction_id);
        if let Some(money) = Currency::find(&receipt.currency)
            .and_then(|currency| Money::new(receipt.amount, currency))
        {
            session.claim.payment.money = money;
        }
        session
    }

    /// The session once its key was given up for good.
    #[must_use]
    pub fn voided(&self, now: Timestamp) -> Self {
        Self {
            state: State::Voided,
            ..self.written(now)
        }
    }

    /// The session once this attempt certainly had no effect.
    #[must_use]
    pub fn released(&self, now: Timestamp) -> Self {
        Self {
            state: State::Released,
            ..self.written(now)
        }
    }

    /// The session once this attempt ended, but its row may be in its color's ledger: the next attempt waits no longer than
    /// [`LEASE_SLACK`]. It does wait, because it may be of the other color: by then replication has shown it the row.
    #[must_use]
    pub fn yielded(&self, now: Timestamp) -> Self {
        Self {
            state: State::Processing {
                lease_until: now.plus(LEASE_SLACK),
            },
            ..self.written(now)
        }
    }

    fn written(&self, now: Timestamp) -> Self {
        Self {
            updated_at: now,
            ..self.clone()
        }
    }

    /// Whether a ledger without a row of this payment shows that there is none anywhere: only if no other color has had it.
    #[must_use]
    pub fn only_attempted_by(&self, color: Color) -> bool {
        self.attempted.iter().all(|&attempted| attempted == color)
    }
}

/// What `attempt`, with a request of this fingerprint, does with the session that it met.
///
/// The fingerprint comes before the status: another request must learn nothing of this one, not even that it runs.
#[must_use]
pub fn decide(existing: &Session, fingerprint: &Fingerprint, attempt: &Attempt) -> Decision {
    if existing.claim.fingerprint != *fingerprint {
        return Decision::Mismatch;
    }
    match &existing.state {
        State::Completed(response) => Decision::Replay(response.clone()),
        State::Voided => Decision::Voided,
        State::Processing { .. } if existing.owner == attempt.owner => Decision::Mine,
        State::Processing { lease_until } if *lease_until > attempt.now => Decision::InFlight {
            retry_after_seconds: whole_seconds(attempt.now.until(*lease_until)),
        },
        State::Processing { .. } => existing.take_over(attempt, Footing::TakenOver),
        State::Released => existing.take_over(attempt, Footing::Fresh),
    }
}

fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000))
        .unwrap_or(u64::MAX)
        .max(1)
}

#[cfg(test)]
#[path = "session_tests.rs"]
pub(crate) mod tests;
