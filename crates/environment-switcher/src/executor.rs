//! Carries out what [`switch::step`] decides, and shows it what came of it.
//!
//! The order of the calls of a round is what the races are settled by: the state is loaded, then the routers are read,
//! then the decision is stored on the condition that the state still stands, and only then the routers are written, on
//! the condition that they are as they were read. So an invocation that was overtaken fails at one of the conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_domain::switch::{
    self, Action, Decision, Entry, Environment, GuardReading, LastDecision, Observation, Policy,
    Refusal, RouterReading, State, Trigger, Validation, Verb, Versions,
};
use cutover_lambda::Deadline;
use cutover_ports::switch::{
    AlarmReader, AlarmTester, CommitError, CountReader, Fence, Notifier, ReplicationReader, Router,
    StoreError, SwitchStateStore, Validator,
};

/// Rounds of one invocation. A change takes two; the rest is for races that were lost.
pub const ROUNDS_MAX: usize = 10;

/// Wait after the memory failed for the first time, doubled from then on. (The client's own retries come before it.)
const RETRY_WAIT: Duration = Duration::from_millis(20);

/// The longest such wait.
const RETRY_WAIT_MAX: Duration = Duration::from_millis(400);

/// Time for telling someone of a transition; never more than half of what is left.
const NOTIFY_TIME: Duration = Duration::from_secs(3);

/// The switch's hands and eyes.
pub struct Executor {
    /// Every router, the one that takes effect fastest first.
    pub routers: Vec<Box<dyn Router>>,
    /// Reads the guards.
    pub alarms: Box<dyn AlarmReader>,
    /// The names of each environment's guards.
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

/// One invocation's progress: what survives a round.
struct Run<'a> {
    executor: &'a Executor,
    trigger: Trigger,
    guards: Option<BTreeMap<Environment, Vec<GuardReading>>>,
    validation: Validation,
    decision: Option<LastDecision>,
    transitions: Vec<Entry>,
    faults: Vec<String>,
}

/// What a round says of the next.
enum Next {
    Again,
    Done(Box<(State, Vec<RouterReading>, Option<Refusal>)>),
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
        let mut run = Run {
            executor: self,
            trigger,
            guards: None,
            validation: match self.validator {
                Some(_) => Validation::NotAsked,
                None => Validation::NotConfigured,
            },
            decision: None,
            transitions: Vec::new(),
            faults: Vec::new(),
        };
        tokio::time::timeout(deadline.remaining(), run.rounds())
            .await
            .unwrap_or(Err(ExecutorError::OutOfTime))
    }

    /// Where the switch stands, changing nothing.
    ///
    /// # Errors
    /// If the state can't be loaded.
    pub async fn look(&self, deadline: Deadline) -> Result<Outcome, ExecutorError> {
        tokio::time::timeout(deadline.remaining(), async {
            let (stored, guards) = tokio::join!(self.store.load(), self.read_guards());
            let (state, routers) = self.see(stored?, &Trigger::Tick).await;
            let validation = Validation::NotAsked;
            let seen = Observation {
                routers,
                guards,
                validation,
                ..Observation::of(Trigger::Tick)
            };
            let would = switch::step(&state, (self.clock)(), &seen);
            let holds = would.verb == Verb::Hold;
            let decision = match state.last.clone() {
                Some(last) if !holds => last,
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
        })
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

    async fn read_guards(&self) -> BTreeMap<Environment, Vec<GuardReading>> {
        let mut names: Vec<String> = self.guards.values().flatten().cloned().collect();
        names.sort();
        names.dedup();
        let readings: BTreeMap<String, GuardReading> = if names.is_empty() {
            BTreeMap::new()
        } else {
            let readings = self.alarms.read(&names).await;
            readings.into_iter().map(|r| (r.name.clone(), r)).collect()
        };
        self.guards
            .iter()
            .map(|(environment, names)| {
                let of = names.iter().filter_map(|name| readings.get(name).cloned());
                (*environment, of.collect())
            })
            .collect()
    }

    /// The state and the routers in its light. Where nothing was ever stored, the routers say which one is active.
    async fn see(&self, stored: Option<State>, trigger: &Trigger) -> (State, Vec<RouterReading>) {
        let stored_versions = stored.as_ref().map(|state| state.versions.clone());
        let known = stored_versions.unwrap_or_default().or(&self.versions);
        let versions = given(trigger).map_or_else(|| known.clone(), |given| known.or(given));
        let mut routers = Vec::with_capacity(self.routers.len());
        for router in &self.routers {
            routers.push(router.read(&versions, None).await);
        }
        let state = stored.unwrap_or_else(|| {
            let active = routers.iter().find_map(|router| router.base);
            State::new(active.unwrap_or(Environment::Blue), known)
        });
        (state, routers)
    }
}

/// Versions that come with the trigger itself.
fn given(trigger: &Trigger) -> Option<&Versions> {
    use switch::{Command, ResourceChange};
    match trigger {
        Trigger::Command(Command::Start(start), _) => Some(&start.versions),
        Trigger::Resource(
            ResourceChange::Create { versions, .. } | ResourceChange::Update { versions, .. },
        ) => Some(versions),
        _ => None,
    }
}

impl Run<'_> {
    async fn rounds(&mut self) -> Result<Outcome, ExecutorError> {
        let mut last = ExecutorError::Contended;
        let mut wait = RETRY_WAIT;
        for _round in 0..ROUNDS_MAX {
            match self.round().await {
                Ok(Next::Again) => {}
                Ok(Next::Done(end)) => return Ok(self.outcome(*end)),
                Err(error) => {
                    self.faults.push(in_words(&error));
                    last = error;
                    tokio::time::sleep(wait).await;
                    wait = RETRY_WAIT_MAX.min(wait.saturating_mul(2));
                }
            }
        }
        Err(last)
    }

    fn outcome(&mut self, end: (State, Vec<RouterReading>, Option<Refusal>)) -> Outcome {
        let (state, routers, refusal) = end;
        Outcome {
            decision: self.decision.take().unwrap_or_else(|| LastDecision {
                action: Verb::None,
                why: "nothing is due".to_owned(),
                evidence: Vec::new(),
            }),
            state,
            routers,
            refusal,
            transitions: std::mem::take(&mut self.transitions),
            faults: std::mem::take(&mut self.faults),
        }
    }

    async fn round(&mut self) -> Result<Next, ExecutorError> {
        let (state, seen) = self.observe().await?;
        let now_ms = (self.executor.clock)();
        let mut decision = switch::step(&state, now_ms, &seen);
        self.note(&state, &decision);
        if decision.changes(&state) {
            let entry = Entry::of(&state, &mut decision, &name_of(&self.trigger), now_ms);
            let stored = self
                .executor
                .store
                .commit(state.generation, &decision.next, &entry)
                .await;
            if let Err(error) = stored {
                return self.lost(error);
            }
            self.transitions.push(entry);
        }
        if decision.actions.is_empty() {
            let end = (decision.next, seen.routers, decision.refusal);
            return Ok(Next::Done(Box::new(end)));
        }
        for action in &decision.actions {
            self.act(action, &seen).await;
        }
        Ok(Next::Again)
    }

    /// Guards are polled once an invocation: what was seen stays seen, whatever a later poll would say.
    async fn observe(&mut self) -> Result<(State, Observation), ExecutorError> {
        let executor = self.executor;
        let (stored, guards) = if let Some(guards) = self.guards.take() {
            (executor.store.load().await, guards)
        } else {
            tokio::join!(executor.store.load(), executor.read_guards())
        };
        self.guards = Some(guards.clone());
        let (state, routers) = executor.see(stored?, &self.trigger).await;
        let seen = Observation {
            routers,
            guards,
            validation: self.validation.clone(),
            ..Observation::of(self.trigger.clone())
        };
        Ok((state, seen))
    }

    /// The first decision that changes something is the one that counts, else the last.
    fn note(&mut self, state: &State, decision: &Decision) {
        if self.transitions.is_empty() || (self.decision.is_none() && decision.changes(state)) {
            self.decision = Some(decision.summary());
        }
    }

    fn lost(&mut self, error: CommitError) -> Result<Next, ExecutorError> {
        // Another invocation is at work, or this one's write may have been stored: a tick does not step twice.
        if self.trigger == Trigger::Tick {
            self.trigger = Trigger::Outcome;
        }
        match error {
            CommitError::Conflict => Ok(Next::Again),
            CommitError::Store(error) => Err(error.into()),
        }
    }

    async fn act(&mut self, action: &Action, seen: &Observation) {
        match action {
            Action::Validate => {
                self.validation = match &self.executor.validator {
                    Some(validator) => validator.validate().await,
                    None => Validation::NotConfigured,
                };
                // A validation takes its time, and what the guards said before it is old. (Had one been in ALARM, there
                // would have been no validation.)
                self.guards = None;
            }
            Action::Write(order) => {
                for (router, reading) in self.executor.routers.iter().zip(&seen.routers) {
                    if let Err(error) = router.write(order, reading).await {
                        self.faults.push(in_words(&error));
                    }
                }
                self.trigger = Trigger::Outcome;
            }
            Action::Warm(_) | Action::Fence(_) | Action::Trip(_) | Action::Restore(_) => {}
            Action::Remove => {
                for router in &self.executor.routers {
                    if let Err(error) = router.remove().await {
                        self.faults.push(in_words(&error));
                    }
                }
                self.trigger = Trigger::Outcome;
            }
        }
    }
}

/// What led to an entry, in the journal's words.
fn name_of(trigger: &Trigger) -> String {
    use switch::{Command, ResourceChange};
    match trigger {
        Trigger::Tick => "tick".to_owned(),
        Trigger::Alarm { name, state, .. } => format!("alarm {name} {}", state.as_str()),
        Trigger::Command(command, _) => match command {
            Command::Start(_) => "start",
            Command::Pause => "pause",
            Command::Resume => "resume",
            Command::Promote => "promote",
            Command::RollBack => "rollback",
            Command::Drill { .. } => "drill",
        }
        .to_owned(),
        Trigger::Resource(change) => match change {
            ResourceChange::Create { .. } => "stack create",
            ResourceChange::Update { .. } => "stack update",
            ResourceChange::Delete { .. } => "stack delete",
        }
        .to_owned(),
        Trigger::Outcome => "read back".to_owned(),
    }
}

/// An error and its sources, in one line.
pub fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    // Adapters put what the service said into the first source; what lies below repeats it.
    if let Some(error) = source.take() {
        text.push_str(": ");
        text.push_str(&error.to_string());
    }
    text
}
