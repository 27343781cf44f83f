//! The sweep: once a minute, what dead attempts left behind is finished or given up. Nothing is decided here:
//! [`sweep::plan`] and [`sweep::end`] are asked.

use std::time::Duration;

use cutover_domain::payment::session::Attempt;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::sweep::{self, Ending, Outcome, Plan};
use cutover_domain::payment::{Session, SessionId, Timestamp};
use cutover_lambda::{Deadline, EventLine, Unit};
use cutover_ports::payment::{
    CallError, Ledger, Readiness, Secrets, SessionStore, TransactionLog, Written,
};
use serde_json::{Value, json};

use crate::hops::Hops;
use crate::meanwhile::Meanwhile;
use crate::pay::{Payments, TIME_TO_END, bounded, now, reserve};

/// Sessions of one shard that a sweep looks at: 16 times as many in all. The next sweep is a minute away.
const SHARD_SESSIONS_MAX: u16 = 16;
/// With less time than this left, no further session is begun.
const TIME_TO_BEGIN: Duration = Duration::from_secs(3);
/// After so many failures a sweep ends: a dependency is down, and taking sessions over would only make them wait longer.
const FAILURES_MAX: u32 = 3;

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Sessions that were taken over.
    pub swept: u32,
    /// Of these, payments that now are in ledger, log and session.
    pub finished: u32,
    /// Of these, payments that were given up for good.
    pub voided: u32,
    /// Log objects that were marked as having no row.
    pub orphans: u32,
    /// Calls that failed; the next sweep tries again.
    pub failures: u32,
    /// Why it left everything, or the rest, alone, if it did.
    pub idle: Option<&'static str>,
    /// The last call that failed.
    pub cause: Option<Box<CallError>>,
}

impl Sweep {
    /// Adds the counts to the log line, zeros too.
    pub fn metrics(&self, line: &mut EventLine) {
        for (name, count) in [
            ("Swept", self.swept),
            ("Finished", self.finished),
            ("Voided", self.voided),
            ("Orphans", self.orphans),
            ("SweepFailures", self.failures),
        ] {
            line.metric(name, count, Unit::Count);
        }
        if let Some(idle) = self.idle {
            line.set("idle", idle);
        }
    }

    /// The counts, for whoever invoked the sweep by hand.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "swept": self.swept,
            "finished": self.finished,
            "voided": self.voided,
            "orphans": self.orphans,
            "failures": self.failures,
            "idle": self.idle,
        })
    }

    fn is_over(&self, deadline: Deadline) -> bool {
        let hopeless = self.idle.is_some() || self.failures >= FAILURES_MAX;
        hopeless || deadline.remaining() < TIME_TO_BEGIN
    }

    fn failed(&mut self, cause: CallError) {
        self.failures = self.failures.saturating_add(1);
        self.cause = Some(Box::new(cause));
    }
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

impl<S, L, T, K> Payments<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    /// Finishes or gives up payments whose lease ran out, until `deadline`. `owner` is a random id of this sweep.
    pub async fn sweep(&self, owner: &str, deadline: Deadline) -> Sweep {
        let mut sweep = Sweep::default();
        let left = reserve(deadline, TIME_TO_END);
        let reading = self.ledger.readiness(self.color, left);
        match bounded(left, "read the ledger's fence", reading).await {
            Ok(Readiness::Writable) => {}
            Ok(Readiness::Fenced) => sweep.idle = Some("fenced"),
            Ok(Readiness::ReadOnly) => sweep.idle = Some("read_only"),
            Err(error) => sweep.failed(error),
        }
        if sweep.idle.is_some() || sweep.failures > 0 {
            return sweep;
        }
        // Another shard is the first each minute: if time does not suffice for all, none is always the last.
        let minute = now().seconds() / 60;
        let first = usize::try_from(minute).unwrap_or_default() % sweep::SHARDS.len();
        let shards = sweep::SHARDS.chars().cycle().skip(first);
        for shard in shards.take(sweep::SHARDS.len()) {
            if sweep.is_over(deadline) {
                break;
            }
            Box::pin(self.sweep_shard(shard, owner, deadline, &mut sweep)).await;
        }
        sweep
    }

    async fn sweep_shard(&self, shard: char, owner: &str, deadline: Deadline, sweep: &mut Sweep) {
        let stale = self.sessions.stale(shard, now(), SHARD_SESSIONS_MAX);
        let left = reserve(deadline, TIME_TO_END);
        let ids = match bounded(left, "query leases", stale).await {
            Ok(ids) => ids,
            Err(error) => return sweep.failed(error),
        };
        for id in ids {
            if sweep.is_over(deadline) {
                return;
            }
            let swept = self.sweep_session(&id, owner, deadline, sweep).await;
            if let Err(error) = swept {
                sweep.failed(error);
            }
        }
    }

    async fn sweep_session(
        &self,
        id: &SessionId,
        owner: &str,
        deadline: Deadline,
        sweep: &mut Sweep,
    ) -> Result<(), CallError> {
        let left = reserve(deadline, TIME_TO_END);
        let Some(read) = bounded(left, "get session", self.sessions.get(id)).await? else {
            return Ok(());
        };
        let attempt = Attempt {
            owner: owner.to_owned(),
            color: self.color,
            now: now(),
            deadline: Timestamp::from_ms(deadline.at_ms()),
        };
        let plan = sweep::plan(&read, &attempt);
        let (Plan::Finish(taken) | Plan::Void(taken)) = &plan else {
            return Ok(());
        };
        let left = reserve(deadline, TIME_TO_END);
        let taking = self.sessions.replace(taken, &read);
        if bounded(left, "update session", taking).await? != Written::Done {
            // A client's attempt, or the other color's sweep, was first.
            return Ok(());
        }
        count(&mut sweep.swept);
        let posted = match &plan {
            Plan::Void(_) => self.void(&taken.claim, deadline).await,
            _ => {
                let (hops, connected) = (&mut Hops::default(), Meanwhile::idle());
                self.post(&taken.claim, deadline, hops, connected).await
            }
        };
        if posted.posting == Posting::Fenced {
            // Retired in the middle of a sweep: the rest is the live color's.
            sweep.idle = Some("fenced");
        }
        let ending = sweep::end(taken, posted.posting, posted.logged.is_ok(), now());
        let ended = self.end_swept(taken, ending, deadline, sweep).await;
        match posted.ledger_cause.or(posted.logged.err()) {
            // What the ledger did not say is why the session is not settled; the log's failure matters only then.
            Some(cause) if matches!(ended, Ok(Outcome::Unfinished)) => Err(cause),
            _ => ended.map(|_| ()),
        }
    }

    async fn end_swept(
        &self,
        taken: &Session,
        ending: Ending,
        deadline: Deadline,
        sweep: &mut Sweep,
    ) -> Result<Outcome, CallError> {
        if ending.orphan {
            // Before the session is settled: no later sweep would come back for it.
            self.mark(&taken.claim, deadline).await?;
            count(&mut sweep.orphans);
        }
        let writing = self.sessions.replace(&ending.session, taken);
        let written = bounded(deadline.remaining(), "update session", writing).await?;
        if written == Written::Done {
            match ending.outcome {
                Outcome::Finished => count(&mut sweep.finished),
                Outcome::Voided => count(&mut sweep.voided),
                Outcome::GivenBack | Outcome::Unfinished => {}
            }
        }
        Ok(ending.outcome)
    }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
