//! Carries out what [`cutover_domain::switch::step`] decides, and shows it what came of it.
//!
//! The order of the calls of a round is what the races are settled by: the state is loaded, then the routers are read,
//! then the decision is stored on the condition that the state still stands, and only then the routers are written, on
//! the condition that they are as they were read. So an invocation that was overtaken fails at one of the conditions.
//! A router that knows no such condition is written only after one more look at the stored generation; what slips
//! through between that look and the write is drift, and the next invocation takes it back.

mod eyes;
mod run;
mod words;
mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_domain::switch::{
    self, Entry, Environment, LastDecision, Observation, Policy, Refusal, RouterReading, State,
    Trigger, Verb, Versions,
};
use cutover_lambda::Deadline;
use cutover_ports::switch::{
    AlarmReader, AlarmTester, CountReader, Fence, Notifier, ReplicationReader, Router, StoreError,
    SwitchStateStore, Validator,
};

pub use run::ROUNDS_MAX;
use run::Run;
pub use words::in_words;
pub use writes::WRITE_FAILURES_MAX;

/// Time for telling someone of a transition; never more than half of what is left.
const NOTIFY_TIME: Duration = Duration::from_secs(3);

/// The switch's hands and eyes.
pub struct Executor {
    /// Every router, in the configured order.
    pub routers: Vec<Box<dyn Router>>,
    /// Reads the guards.
    pub alarms: Box<dyn AlarmReader>,
    /// The names of each environment's guards; one that is named for both is a guard of both.
    pub guards: BTreeMap<Environment, Vec<String>>,
    /// Validates the candidate, if configured.
    pub validator: Option<Box<dyn Validator>>,
    /// Reads how far the ledgers' copies are behind, if configured.
    pub replication: Option<Box<dyn ReplicationReader>>,
    /// Reads what the environments did, if configured.
    pub counts: Option<Box<dyn CountReader>>,
    /// Says to the ledgers who may write, if configured.
    pub fence: Option<Box<dyn Fence>>,
    /// Sets an alarm by hand, if drills are possible.
    pub tester: Option<Box<dyn AlarmTester>>,
    /// What the configuration lays down.
    pub policy: Policy,
    /// The memory.
    pub store: Box<dyn SwitchStateStore>,
    /// Those who are told.
    pub notifiers: Vec<Box<dyn Notifier>>,
    /// Versions that the configuration gives.
    pub versions: Versions,
    /// The wall clock, in milliseconds since the epoch: a simulation has its own.
    pub clock: fn() -> u64,
}

/// Where an invocation left the switch.
#[derive(Debug)]
pub struct Outcome {
    /// The state, as stored.
    pub state: State,
    /// The routers, as last read.
    pub routers: Vec<RouterReading>,
    /// The decision that counts.
    pub decision: LastDecision,
    /// Set if a command was not accepted.
    pub refusal: Option<Refusal>,
    /// What was stored on the way.
    pub transitions: Vec<Entry>,
    /// What went wrong and was not the end of it, in words.
    pub faults: Vec<String>,
}

/// An invocation that ended before it knew where the switch stands.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The memory failed.
    #[error("the state is not available")]
    Store(#[from] StoreError),
    /// Other invocations were always faster.
    #[error("every attempt met a newer state")]
    Contended,
    /// The time was over.
    #[error("the time was over")]
    OutOfTime,
}

impl Executor {
    /// Handles one trigger; within the deadline. Whatever a dropped call leaves behind, the next invocation finishes.
    ///
    /// # Errors
    /// If it is not known where the switch stands.
    pub async fn run(
        &self,
        trigger: Trigger,
        deadline: Deadline,
    ) -> Result<Outcome, ExecutorError> {
        let mut run = Run::new(self, trigger);
        tokio::time::timeout(deadline.remaining(), run.rounds())
            .await
            .unwrap_or(Err(ExecutorError::OutOfTime))
    }

    /// Where the switch stands, changing nothing.
    ///
    /// # Errors
    /// If the state can't be loaded.
    pub async fn look(&self, deadline: Deadline) -> Result<Outcome, ExecutorError> {
        let (state, seen) = self.observe(Trigger::Tick, deadline).await?;
        let would = switch::step(&state, (self.clock)(), &seen);
        let decision = match state.last.clone() {
            Some(last) if would.verb != Verb::Hold => last,
            _ => would.summary(),
        };
        Ok(Outcome {
            state,
            routers: seen.routers,
            decision,
            refusal: None,
            transitions: Vec::new(),
            faults: Vec::new(),
        })
    }

    /// The state, and all that a decision on this trigger would rest on, but for what is asked only on the way: the
    /// validation, the capacity, the fence.
    ///
    /// # Errors
    /// If the state can't be loaded.
    pub async fn observe(
        &self,
        trigger: Trigger,
        deadline: Deadline,
    ) -> Result<(State, Observation), ExecutorError> {
        let mut run = Run::new(self, trigger);
        tokio::time::timeout(deadline.remaining(), run.observe())
            .await
            .unwrap_or(Err(ExecutorError::OutOfTime))
    }

    /// The newest journal entries, the oldest first; those of one migration if it is named.
    ///
    /// # Errors
    /// If the journal can't be read.
    pub async fn history(
        &self,
        migration_id: Option<&str>,
        limit: usize,
        deadline: Deadline,
    ) -> Result<Vec<Entry>, ExecutorError> {
        let history = self.store.history(migration_id, limit);
        let entries = tokio::time::timeout(deadline.remaining(), history)
            .await
            .map_err(|_elapsed| ExecutorError::OutOfTime)?;
        Ok(entries?)
    }

    /// Tells everyone of transitions. A failure is a line in the log, never more.
    pub async fn tell(&self, entries: &[Entry], status: &str, deadline: Deadline) -> Vec<String> {
        let mut faults = Vec::new();
        if entries.is_empty() {
            return faults;
        }
        for notifier in &self.notifiers {
            let time = NOTIFY_TIME.min(deadline.remaining() / 2);
            match tokio::time::timeout(time, notifier.notify(entries, status)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => faults.push(in_words(&error)),
                Err(_elapsed) => faults.push("a notification took too long".to_owned()),
            }
        }
        faults
    }
}
