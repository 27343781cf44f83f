//! What becomes of an attempt once ledger and log have answered: complete, give back, yield, and what the caller is told.

use super::color::Color;
use super::hash::Fingerprint;
use super::problem::{Code, Effect, Problem};
use super::receipt::Receipt;
use super::session::{Footing, LEASE_SLACK, Session};
use super::timestamp::Timestamp;

/// What the ledger says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posting {
    /// The row is there: written now, or by an earlier attempt at the same payment.
    Recorded(Receipt),
    /// The color may not write any more, and there is no row.
    Fenced,
    /// The transaction id has a row under another key.
    TransactionExists,
    /// The key has a row of another request.
    KeyReused {
        /// The receipt of that request.
        receipt: Receipt,
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// The key was given up for good.
    Voided,
    /// The ledger failed, and certainly wrote nothing.
    NotApplied,
    /// The ledger failed, and may have written.
    Unknown,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Write this session, then answer with its response.
    Complete(Box<Session>),
    /// Write this session, then tell the problem, whatever became of the write.
    Close(Box<Session>, Problem),
    /// Write this session; only if that is confirmed did the attempt have no effect.
    Release(Box<Session>, Problem),
}

/// Decides what becomes of `session`, whose attempt got `posting` from the ledger and whether the log is durable.
#[must_use]
pub fn settle(
    session: &Session,
    footing: Footing,
    color: Color,
    posting: Posting,
    logged: bool,
    now: Timestamp,
) -> Settlement {
    let sure = session.only_attempted_by(color);
    match posting {
        Posting::Recorded(receipt) if logged => {
            Settlement::Complete(Box::new(session.completed(&receipt, now)))
        }
        Posting::Recorded(_) => yielded(
            session,
            Problem::new(
                Code::TransactionLogUnavailable,
                "The payment is in the ledger; its log entry is not confirmed. Send the same request again.",
            )
            .effect(Effect::Committed),
            now,
        ),
        Posting::Fenced => {
            let detail = format!("The {color} environment has been retired. Send the same request again.");
            not_written(session, sure, Problem::new(Code::ColorFenced, detail), now)
        }
        Posting::TransactionExists => {
            not_written(session, sure, transaction_exists(), now)
        }
        Posting::KeyReused { receipt, fingerprint } => Settlement::Close(
            Box::new(session.superseded(&receipt, fingerprint, now)),
            key_reused(),
        ),
        Posting::Voided => Settlement::Close(Box::new(session.voided(now)), voided()),
        Posting::NotApplied => {
            let detail = "The ledger could not be written. Send the same request again.";
            let problem = Problem::new(Code::LedgerUnavailable, detail);
            // Nothing of this attempt was written, but an attempt that was taken over may have written before.
            not_written(session, footing == Footing::Fresh, problem, now)
        }
        Posting::Unknown => {
            let detail = "The ledger did not confirm the payment. Send the same request again.";
            let problem = Problem::new(Code::LedgerUnavailable, detail).effect(Effect::Unknown);
            yielded(session, problem, now)
        }
    }
}

fn not_written(session: &Session, sure: bool, problem: Problem, now: Timestamp) -> Settlement {
    if sure {
        Settlement::Release(Box::new(session.released(now)), problem)
    } else {
        yielded(session, problem.effect(Effect::Unknown), now)
    }
}

fn yielded(session: &Session, mut problem: Problem, now: Timestamp) -> Settlement {
    problem.retry_after_seconds = Some(LEASE_SLACK.as_secs());
    Settlement::Close(Box::new(session.yielded(now)), problem)
}

/// The key belongs to another request.
#[must_use]
pub fn key_reused() -> Problem {
    Problem::new(
        Code::IdempotencyKeyReused,
        "This idempotency key was used with another request. Send that request, or use a new key.",
    )
}

/// The transaction id belongs to another key.
#[must_use]
pub fn transaction_exists() -> Problem {
    let detail = "This transactionId was used with another idempotency key.";
    Problem::new(Code::TransactionExists, detail)
}

/// The payment was given up for good.
#[must_use]
pub fn voided() -> Problem {
    Problem::new(
        Code::PaymentVoided,
        "This payment was given up and can never complete. Pay again under a new key and transactionId.",
    )
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
