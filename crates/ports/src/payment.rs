//! The ports of a payment: session store, ledger, transaction log, secrets.
//!
//! Each error says whether the call may have had its effect after all. That, and not what went wrong, decides what a
//! caller may be told.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use cutover_domain::payment::record::LogObject;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Claim, Color, Receipt, Scope, Session, SessionId, Timestamp};
use zeroize::Zeroizing;

/// Any error of an adapter, as the source of a port's error.
pub type Source = Box<dyn Error + Send + Sync>;

/// Whether a call that failed may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It certainly had none, and will have none.
    No,
    /// It may have had it, or may have it yet.
    Unknown,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct CallError {
    /// What was tried, for example `put session`.
    pub operation: &'static str,
    /// Whether it may have happened.
    pub applied: Applied,
    /// Why it failed. It holds no secret and no card data.
    #[source]
    pub source: Source,
}

impl CallError {
    /// The error of a call that took longer than its caller could wait.
    #[must_use]
    pub fn timed_out(operation: &'static str) -> Self {
        Self {
            operation,
            applied: Applied::Unknown,
            source: "no answer in time".into(),
        }
    }
}

/// What became of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It was written.
    Done,
    /// The condition did not hold. The session that stands instead, if there is one.
    Refused(Option<Box<Session>>),
    /// It would have claimed a transaction id that another key has.
    TransactionTaken,
}

/// The table of sessions, shared by both colors.
pub trait SessionStore {
    /// Creates a session if there is none with its id, and no other that has its transaction id.
    fn create(&self, session: &Session) -> impl Future<Output = Result<Written, CallError>>;

    /// Writes `session` over `read`, if that still stands: same owner, same state. What was given back claims its
    /// transaction id again.
    fn replace(
        &self,
        session: &Session,
        read: &Session,
    ) -> impl Future<Output = Result<Written, CallError>>;

    /// Writes `session` if there is none with its id, or one of the same owner. A creation of the same owner that is still
    /// on its way is refused afterwards.
    fn give_back(&self, session: &Session) -> impl Future<Output = Result<Written, CallError>>;

    /// Reads a session, consistently.
    fn get(&self, id: &SessionId) -> impl Future<Output = Result<Option<Session>, CallError>>;

    /// Ids of sessions of one shard whose lease ended before `before`, the longest ended first, at most `limit`. They may
    /// be settled meanwhile: the index lags behind the table.
    fn stale(
        &self,
        shard: char,
        before: Timestamp,
        limit: u16,
    ) -> impl Future<Output = Result<Vec<SessionId>, CallError>>;

    /// Writes `nonce` under an id that is no session's, reads it back, and leaves it to expire within hours.
    fn round_trip(&self, id: &str, nonce: &str) -> impl Future<Output = Result<(), CallError>>;
}

/// The ledger of one color.
pub trait Ledger {
    /// Connects, unless there is a connection that can be used. What goes wrong here, the call that needs the connection
    /// meets again, and reports.
    fn connect(&self, budget: Duration) -> impl Future<Output = ()>;

    /// Writes the row of a claim, if `color` may write, and says what stands.
    ///
    /// Sending the same claim again is harmless: it answers with the row that is there.
    fn post(
        &self,
        claim: &Claim,
        color: Color,
        budget: Duration,
    ) -> impl Future<Output = Result<Posting, CallError>>;

    /// Writes the tombstone of a claim, if `color` may write and no row has its keys, and says what stands: `Voided` if
    /// it is a tombstone, written now or before.
    fn void(
        &self,
        claim: &Claim,
        color: Color,
        budget: Duration,
    ) -> impl Future<Output = Result<Posting, CallError>>;

    /// Whether a row of `color` could be written now. Writes nothing.
    fn readiness(
        &self,
        color: Color,
        budget: Duration,
    ) -> impl Future<Output = Result<Readiness, CallError>>;

    /// The row with that transaction id in a scope.
    fn find(
        &self,
        scope: &Scope,
        transaction_id: &str,
        budget: Duration,
    ) -> impl Future<Output = Result<Option<Found>, CallError>>;
}

/// A row that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A payment that was made.
    Completed(Receipt),
    /// A payment that was given up for good.
    Voided,
}

/// Whether a color could write to its ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It could.
    Writable,
    /// The fence says no, or does not know the color.
    Fenced,
    /// The server takes no writes at all: a reader, or a writer that was demoted.
    ReadOnly,
}

/// The bucket of log objects.
pub trait TransactionLog {
    /// Writes an object if there is none under its key; one with the same bytes counts as written.
    fn put(&self, object: &LogObject) -> impl Future<Output = Result<(), CallError>>;

    /// Whether the bucket answers. Writes nothing.
    fn reach(&self) -> impl Future<Output = Result<(), CallError>>;

    /// Writes `nonce` under a key that is no log object's, over what is there, and reads it back.
    fn round_trip(&self, key: &str, nonce: &str) -> impl Future<Output = Result<(), CallError>>;
}

/// A secret's text. It cannot be printed, and is wiped when dropped.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a secret's text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself: for the one who needs it, never to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// The store of secrets.
pub trait Secrets {
    /// Reads the current version of a secret, by ARN or name.
    fn get(&self, id: &str) -> impl Future<Output = Result<SecretText, CallError>>;
}

#[cfg(feature = "fakes")]
#[path = "payment_fakes.rs"]
pub mod fakes;
