//! One invocation: rounds of looking, deciding, storing and acting.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_domain::switch::{
    self, Action, CapacityReading, CountsReading, Decision, Entry, Environment, FenceOrder,
    FenceSeen, GuardReading, LagReading, LastDecision, Observation, Refusal, RouterReading, State,
    Trigger, TripSeen, Validation, Verb,
};
use cutover_ports::switch::CommitError;

use super::eyes::Known;
use super::words::name_of;
use super::writes::Failures;
use super::{Executor, ExecutorError, Outcome, in_words};

/// Rounds of one invocation. A change takes two; the rest is for races that were lost.
pub const ROUNDS_MAX: usize = 12;

/// Wait after the memory failed for the first time, doubled from then on. (The client's own retries come before it.)
const RETRY_WAIT: Duration = Duration::from_millis(20);

/// The longest such wait.
const RETRY_WAIT_MAX: Duration = Duration::from_millis(400);

/// Time for looking at an environment's capacity and waking it: a rollback's write waits no longer than that.
const WARM_TIME: Duration = Duration::from_secs(3);

/// Why an alarm is tripped: CloudWatch shows it in the alarm's history.
const DRILL_REASON: &str = "Cutover drill: proves that this alarm's event arrives";

/// One invocation's progress: what survives a round.
pub(super) struct Run<'a> {
    pub(super) executor: &'a Executor,
    trigger: Trigger,
    guards: Option<BTreeMap<Environment, Vec<GuardReading>>>,
    validation: Validation,
    replication: Option<Vec<LagReading>>,
    counts: Option<CountsReading>,
    capacity: Vec<CapacityReading>,
    /// With the epoch that was asked for.
    fence: Option<(u64, FenceSeen)>,
    trip: TripSeen,
    /// Change ids of this invocation's writes, and the generation of the order that they carry out.
    pub(super) changes: (u64, BTreeMap<String, String>),
    pub(super) failures: BTreeMap<String, Failures>,
    decision: Option<LastDecision>,
    transitions: Vec<Entry>,
    pub(super) faults: Vec<String>,
}

/// What a round says of the next.
enum Next {
    Again,
    Done(Box<(State, Vec<RouterReading>, Option<Refusal>)>),
}

impl<'a> Run<'a> {
    pub(super) fn new(executor: &'a Executor, trigger: Trigger) -> Self {
        Self {
            executor,
            trigger,
            guards: None,
            validation: match executor.validator {
                Some(_) => Validation::NotAsked,
                None => Validation::NotConfigured,
            },
            replication: None,
            counts: None,
            capacity: Vec::new(),
            fence: None,
            trip: TripSeen::NotTried,
            changes: (0, BTreeMap::new()),
            failures: BTreeMap::new(),
            decision: None,
            transitions: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(super) async fn rounds(&mut self) -> Result<Outcome, ExecutorError> {
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
            self.act(action, &decision, &seen).await;
        }
        Ok(Next::Again)
    }

    /// Guards, replication and counts are read once an invocation: what was seen stays seen, whatever a later reading
    /// would say.
    pub(super) async fn observe(&mut self) -> Result<(State, Observation), ExecutorError> {
        let executor = self.executor;
        let (stored, guards) = if let Some(guards) = self.guards.take() {
            (executor.store.load().await, guards)
        } else {
            tokio::join!(executor.store.load(), executor.read_guards())
        };
        self.guards = Some(guards.clone());
        let stored = stored?;
        let changes = self.changes_for(stored.as_ref());
        let known = Known {
            replication: self.replication.is_some(),
            counts: self.counts.is_some(),
        };
        let sight = executor.see(stored, &self.trigger, &changes, known).await;
        self.replication = self.replication.take().or(sight.replication);
        self.counts = self.counts.take().or(sight.counts);
        let effect_seconds = executor.routers.iter();
        let seen = Observation {
            policy: executor.policy,
            effect_seconds: effect_seconds
                .map(|router| (router.name().to_owned(), router.effect_seconds()))
                .collect(),
            changes,
            unwritable: self.given_up(),
            guards,
            validation: self.validation.clone(),
            replication: self.replication.clone().unwrap_or_default(),
            has_replication: executor.replication.is_some(),
            capacity: self.capacity.clone(),
            counts: self.counts.clone(),
            has_counts: executor.counts.is_some(),
            fence: self.fence_for(&sight.state),
            trip: self.trip.clone(),
            routers: sight.routers,
            ..Observation::of(self.trigger.clone())
        };
        Ok((sight.state, seen))
    }

    /// Change ids count only for the order that they carry out.
    fn changes_for(&self, stored: Option<&State>) -> BTreeMap<String, String> {
        let (since, changes) = &self.changes;
        let intent = stored.and_then(|state| state.intent.as_ref());
        match intent {
            Some(intent) if intent.since == *since => changes.clone(),
            _ => BTreeMap::new(),
        }
    }

    fn given_up(&self) -> BTreeMap<String, String> {
        self.failures
            .iter()
            .filter(|(_, failures)| failures.is_given_up())
            .map(|(router, failures)| (router.clone(), failures.last.clone()))
            .collect()
    }

    /// What is known of the fence counts only for the order that was asked for.
    fn fence_for(&self, state: &State) -> FenceSeen {
        let ordered = state.fence.map(|order| order.epoch);
        match &self.fence {
            _ if self.executor.fence.is_none() => FenceSeen::NotConfigured,
            Some((asked, seen)) if Some(*asked) == ordered => seen.clone(),
            _ => FenceSeen::NotAsked,
        }
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

    async fn act(&mut self, action: &Action, decision: &Decision, seen: &Observation) {
        match action {
            Action::Validate => self.validate().await,
            Action::Warm(environment) => self.warm(*environment, &decision.next).await,
            Action::Write(order) => {
                self.write(order, decision, seen).await;
                self.trigger = Trigger::Outcome;
            }
            Action::Fence(order) => self.set_fence(*order).await,
            Action::Trip(alarm) => {
                self.trip(alarm).await;
                self.trigger = Trigger::Outcome;
            }
            Action::Restore(alarm) => {
                self.restore(alarm).await;
                self.trigger = Trigger::Outcome;
            }
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

    async fn validate(&mut self) {
        self.validation = match &self.executor.validator {
            Some(validator) => validator.validate().await,
            None => Validation::NotConfigured,
        };
        // A validation takes its time, and what was read before it is old. (Had a guard been in ALARM, there would have
        // been no validation.)
        self.guards = None;
        self.replication = None;
        self.counts = None;
    }

    /// Whatever it says, or if it says nothing in time: a rollback goes on.
    async fn warm(&mut self, environment: Environment, next: &State) {
        let mut readings = Vec::new();
        let warm = self
            .executor
            .warm(environment, &next.versions, &mut readings);
        if tokio::time::timeout(WARM_TIME, warm).await.is_err() {
            self.faults.push(format!(
                "the capacity of {environment} was not known in time"
            ));
            readings = self.unknown_capacity(environment);
        }
        self.capacity = readings;
    }

    fn unknown_capacity(&self, environment: Environment) -> Vec<CapacityReading> {
        let routers = self.executor.routers.iter();
        routers
            .map(|router| CapacityReading {
                router: router.name().to_owned(),
                environment,
                state: switch::Capacity::Unknown,
                detail: format!("no answer within {} s", WARM_TIME.as_secs()),
            })
            .collect()
    }

    async fn set_fence(&mut self, order: FenceOrder) {
        let seen = match &self.executor.fence {
            Some(fence) => fence.set(order.epoch, order.may_write).await,
            None => FenceSeen::NotConfigured,
        };
        if let FenceSeen::Failed(why) = &seen {
            self.faults.push(format!("the fence was not set: {why}"));
        }
        self.fence = Some((order.epoch, seen));
    }

    async fn trip(&mut self, alarm: &str) {
        let tripped = match &self.executor.tester {
            Some(tester) => tester
                .trip(alarm, DRILL_REASON)
                .await
                .map_err(|error| in_words(&error)),
            None => Err("alarms can't be set by this switch".to_owned()),
        };
        self.trip = match tripped {
            Ok(()) => TripSeen::Tripped,
            Err(why) => TripSeen::Failed(why),
        };
    }

    async fn restore(&mut self, alarm: &str) {
        if let Some(tester) = &self.executor.tester
            && let Err(error) = tester.restore(alarm).await
        {
            self.faults.push(in_words(&error));
        }
    }
}
