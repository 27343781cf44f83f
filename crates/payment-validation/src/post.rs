//! The effect: the ledger's row or tombstone, and the log object.

use std::time::{Duration, Instant};

use cutover_domain::payment::record::LogObject;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Claim, Receipt};
use cutover_lambda::Deadline;
use cutover_ports::payment::{Applied, CallError, Ledger, Secrets, SessionStore, TransactionLog};

use crate::hops::{Hop, Hops};
use crate::meanwhile::Meanwhile;
use crate::pay::{Payments, TIME_TO_END, bounded, reserve};

/// How much earlier than its caller the ledger gives up: it alone knows whether anything was sent.
pub(crate) const LEDGER_GRACE: Duration = Duration::from_millis(50);

/// What ledger and log said of a payment.
pub(crate) struct Posted {
    pub(crate) posting: Posting,
    pub(crate) ledger_cause: Option<CallError>,
    pub(crate) logged: Result<(), CallError>,
}

impl Posted {
    fn new(posted: Result<Posting, CallError>, logged: Result<(), CallError>) -> Self {
        let (posting, ledger_cause) = match posted {
            Ok(posting) => (posting, None),
            Err(error) if error.applied == Applied::No => (Posting::NotApplied, Some(error)),
            Err(error) => (Posting::Unknown, Some(error)),
        };
        Self {
            posting,
            ledger_cause,
            logged,
        }
    }
}

impl<S, L, T, K> Payments<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    /// Ledger and log, at once. The ledger's part begins with what is left to be done until it is connected.
    pub(crate) async fn post(
        &self,
        claim: &Claim,
        deadline: Deadline,
        hops: &mut Hops,
        connecting: Meanwhile<'_>,
    ) -> Posted {
        let object = LogObject::of(claim);
        let left = reserve(deadline, TIME_TO_END);
        let until = Instant::now() + left.saturating_sub(LEDGER_GRACE);
        let posting = async {
            connecting.await;
            let budget = until.saturating_duration_since(Instant::now());
            self.ledger.post(claim, self.color, budget).await
        };
        let posting = bounded(left, "post to ledger", posting);
        let logging = bounded(left, "put log object", self.log.put(&object));
        let (posted, logged) = hops
            .timed_both(Hop::Ledger, posting, Hop::Log, logging)
            .await;
        let mut posted = Posted::new(posted, logged);
        if let Posting::Recorded(receipt) = &posted.posting {
            posted.logged = self
                .relogged(claim, receipt, &object, posted.logged, deadline)
                .await;
        }
        posted
    }

    /// The tombstone; the log object only where a row stands in its place.
    pub(crate) async fn void(&self, claim: &Claim, deadline: Deadline) -> Posted {
        let left = reserve(deadline, TIME_TO_END);
        let voiding = self
            .ledger
            .void(claim, self.color, left.saturating_sub(LEDGER_GRACE));
        let mut posted = Posted::new(bounded(left, "void in ledger", voiding).await, Ok(()));
        if let Posting::Recorded(receipt) = &posted.posting {
            let object = LogObject::created_at(claim, receipt.created_at);
            let left = reserve(deadline, TIME_TO_END);
            posted.logged = bounded(left, "put log object", self.log.put(&object)).await;
        }
        posted
    }

    /// Marks the log object of a claim that has no row and can get none.
    pub(crate) async fn mark(&self, claim: &Claim, deadline: Deadline) -> Result<(), CallError> {
        let left = reserve(deadline, TIME_TO_END);
        let marker = LogObject::of(claim).voided();
        bounded(left, "void log object", self.log.put(&marker)).await
    }

    /// If the ledger has known the payment for longer than its session is kept, its log object is that of its own day. The
    /// one that was just written is marked as having no row of its own.
    async fn relogged(
        &self,
        claim: &Claim,
        receipt: &Receipt,
        written: &LogObject,
        logged: Result<(), CallError>,
        deadline: Deadline,
    ) -> Result<(), CallError> {
        if receipt.created_at == claim.created_at {
            return logged;
        }
        let original = LogObject::created_at(claim, receipt.created_at);
        if original.key == written.key {
            // The same day: the object that is there is the original one, whose bytes differ in the time only.
            let left = reserve(deadline, TIME_TO_END);
            return bounded(left, "put log object", self.log.put(&original)).await;
        }
        let left = reserve(deadline, TIME_TO_END);
        bounded(left, "put log object", self.log.put(&original)).await?;
        let left = reserve(deadline, TIME_TO_END);
        bounded(left, "void log object", self.log.put(&written.voided())).await
    }
}
