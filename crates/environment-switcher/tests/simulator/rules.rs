//! What must never happen, whatever the cloud does. The rules know only what the ports were asked and what they answered:
//! they share no code with the decisions that they judge, but for the verdict by counts.

use std::collections::{BTreeMap, BTreeSet};

use cutover_domain::switch::{
    AlarmState, Capacity, CountsReading, Entry, Environment, GuardReading, Lag, MayWrite,
    Migration, Order, Phase, Purpose, RouterReading, Seen, State, Trigger, Validation, Verdict,
    Weights, verdict,
};
use environment_switcher::executor::Outcome;

use crate::cloud::Route;

/// The longest replication lag with which a step may be taken, in seconds.
pub const LAG_SECONDS_MAX: u64 = 30;

/// The guards of an environment; one of them is shared.
pub fn guards_of(environment: Environment) -> Vec<String> {
    vec![format!("errors-{environment}"), "shared".to_owned()]
}

/// What one invocation was told.
#[derive(Debug, Default)]
pub struct Sight {
    pub trigger: Option<Trigger>,
    pub first_loaded: Option<State>,
    /// The last poll.
    pub guards: Vec<GuardReading>,
    /// Every alarm that any poll of this invocation read as ALARM.
    pub alarming: BTreeSet<String>,
    pub routers: BTreeMap<String, RouterReading>,
    pub capacity: Vec<(Environment, Capacity)>,
    pub lag: Option<Lag>,
    pub counts: Option<CountsReading>,
    pub validation: Option<Validation>,
    /// New shares that it ordered.
    pub steps: u32,
}

impl Sight {
    pub fn polled(&mut self, readings: &[GuardReading]) {
        self.guards = readings.to_vec();
        let alarming = readings
            .iter()
            .filter(|guard| guard.state == AlarmState::Alarm);
        self.alarming
            .extend(alarming.map(|guard| guard.name.clone()));
    }

    /// The candidate's guard that this invocation knows to be in ALARM. What a drill tripped is no danger before the
    /// first traffic.
    fn alarm(&self, state: &State, migration: &Migration) -> Option<String> {
        let is_drilled = |name: &str| {
            let drill = state.drill.as_ref();
            drill.is_some_and(|drill| drill.alarm == name && !drill.restored)
        };
        let guards = guards_of(migration.to);
        let event = match &self.trigger {
            Some(Trigger::Alarm {
                name,
                state: AlarmState::Alarm,
                at_ms,
            }) if at_ms.is_none_or(|at_ms| at_ms >= migration.started_at_ms) => Some(name),
            _ => None,
        };
        let known = self.alarming.iter().chain(event);
        known
            .filter(|name| guards.contains(name) && !is_drilled(name))
            .cloned()
            .next()
    }

    fn doubts(&self, candidate: Environment) -> Option<String> {
        let guards = guards_of(candidate);
        let is_good = |name: &String| {
            let guard = self.guards.iter().find(|guard| guard.name == *name);
            guard.is_some_and(GuardReading::is_healthy)
        };
        guards.into_iter().find(|name| !is_good(name))
    }

    fn all_read(&self, weights: Weights) -> bool {
        self.routers
            .values()
            .all(|router| router.seen == Seen::Split(weights) && router.pending.is_none())
    }
}

/// What is configured, as far as the rules depend on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Configured {
    pub validator: bool,
    pub replication: bool,
    pub counts: bool,
}

/// How the migrations went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tallies {
    pub migrations: u64,
    pub completed: u64,
    pub rolled_back: u64,
    pub failed: u64,
    pub invocations: u64,
    pub minutes_back_max: u64,
}

/// The judge.
#[derive(Debug, Default)]
pub struct Rules {
    pub configured: Configured,
    pub violations: Vec<String>,
    pub tallies: Tallies,
    sights: BTreeMap<usize, Sight>,
    orders: BTreeMap<u64, State>,
    validated: BTreeSet<String>,
    back_since_ms: Option<u64>,
}

impl Rules {
    pub fn of(configured: Configured) -> Self {
        Self {
            configured,
            ..Self::default()
        }
    }

    pub fn sight(&mut self, invocation: usize) -> &mut Sight {
        self.sights.entry(invocation).or_default()
    }

    pub fn forget(&mut self, invocation: usize) {
        self.sights.remove(&invocation);
    }

    fn broken(&mut self, invocation: usize, what: String) {
        self.violations.push(format!("#{invocation}: {what}"));
    }

    pub fn on_load(&mut self, invocation: usize, state: Option<&State>) {
        let sight = self.sight(invocation);
        if sight.first_loaded.is_none() {
            sight.first_loaded = state.cloned();
        }
    }

    /// A router is changed by an order.
    #[allow(clippy::too_many_arguments, reason = "all that is known of a write")]
    pub fn on_write(
        &mut self,
        invocation: usize,
        router: &str,
        before: Weights,
        after: Weights,
        order: &Order,
        stored: Option<&State>,
        fence: Option<(u64, MayWrite)>,
    ) {
        let Some(ordered) = self.orders.get(&order.generation).cloned() else {
            let generation = order.generation;
            return self.broken(
                invocation,
                format!("{router} was written before generation {generation} was stored"),
            );
        };
        for environment in [Environment::Blue, Environment::Green] {
            let is_more = after.of(environment) > before.of(environment);
            let is_retired = fence.is_some_and(|(_, may_write)| !may_write.of(environment));
            if is_more && is_retired {
                self.broken(
                    invocation,
                    format!("{environment} gets traffic at {router} and may not write"),
                );
            }
        }
        let Some(migration) = ordered.migration.clone() else {
            return;
        };
        if after.of(migration.to) <= before.of(migration.to) {
            return;
        }
        self.on_raise(invocation, &ordered, &migration);
        // A rollback that was read back from every router is over: what a slower order does then is a lost rollback.
        let is_over = stored.is_some_and(|state| {
            matches!(state.phase, Phase::RolledBack | Phase::Failed)
                && state
                    .migration
                    .as_ref()
                    .is_some_and(|m| m.id == migration.id)
        });
        if is_over && order.generation < stored.map_or(0, |state| state.generation) {
            let is_unconditional = !router.starts_with("revision");
            // Only where the service has no condition may that happen; the next tick must take it back.
            if !is_unconditional {
                self.broken(
                    invocation,
                    format!("{router} was raised after its rollback"),
                );
            }
        }
    }

    /// The candidate is about to get more.
    fn on_raise(&mut self, invocation: usize, ordered: &State, migration: &Migration) {
        let (candidate, configured) = (migration.to, self.configured);
        let purpose = ordered.intent.as_ref().map(|intent| intent.purpose);
        let is_validated = self.validated.contains(&migration.id);
        let sight = self.sight(invocation);
        let mut broken = Vec::new();
        if let Some(alarm) = sight.alarm(ordered, migration) {
            broken.push(format!("forward with {alarm} in ALARM"));
        }
        if let Some(doubtful) = sight.doubts(candidate) {
            broken.push(format!(
                "forward while {doubtful} is not known to be healthy"
            ));
        }
        let has_passed = sight.validation == Some(Validation::Passed);
        if configured.validator && !is_validated && !has_passed {
            broken.push("forward without a passed validation".to_owned());
        }
        let is_step = matches!(purpose, Some(Purpose::Step(_) | Purpose::Complete));
        let lag_is_known = matches!(&sight.lag, Some(Lag::Seconds(s)) if *s <= LAG_SECONDS_MAX);
        if is_step && configured.replication && !lag_is_known {
            broken.push(format!("forward with a replication lag of {:?}", sight.lag));
        }
        if is_step && configured.counts && migration.step.is_some() {
            let judged = match &sight.counts {
                Some(CountsReading::Counts {
                    baseline,
                    candidate,
                    money,
                    ..
                }) => verdict(baseline, candidate, *money).verdict,
                _ => Verdict::Continue,
            };
            if judged == Verdict::Fail {
                broken.push("forward against the counts".to_owned());
            }
        }
        for what in broken {
            self.broken(invocation, what);
        }
    }

    /// A state is stored.
    pub fn on_commit(
        &mut self,
        invocation: usize,
        before: Option<&State>,
        next: &State,
        entry: &Entry,
        now_ms: u64,
    ) {
        let generation = before.map_or(0, |state| state.generation);
        if next.generation != generation + 1 || entry.generation != next.generation {
            self.broken(
                invocation,
                format!("generation {generation} is followed by {}", next.generation),
            );
        }
        let validation = self.sight(invocation).validation.clone();
        if let (Some(Validation::Passed), Some(migration)) = (validation, &next.migration) {
            self.validated.insert(migration.id.clone());
        }
        self.orders.insert(next.generation, next.clone());
        let Some(migration) = &next.migration else {
            return;
        };
        let old = before.and_then(|state| state.migration.as_ref());
        let was = before.map(|state| state.phase);
        if old.is_none_or(|old| old.id != migration.id) {
            self.tallies.migrations += 1;
            if was.is_some_and(Phase::is_running) {
                self.broken(
                    invocation,
                    "a migration was begun while another ran".to_owned(),
                );
            }
        } else if was.is_some_and(|was| !was.is_forward()) && next.phase.is_forward() {
            self.broken(
                invocation,
                format!("{was:?} became {} without a new start", next.phase),
            );
        }
        self.on_phase(invocation, was, next, migration, now_ms);
        if let (Some(before), Some(old)) = (before, old) {
            self.on_order(invocation, before, old, next, entry, now_ms);
        }
    }

    fn on_phase(
        &mut self,
        invocation: usize,
        was: Option<Phase>,
        next: &State,
        migration: &Migration,
        now_ms: u64,
    ) {
        if was == Some(next.phase) {
            return;
        }
        let sight = self.sight(invocation);
        match next.phase {
            Phase::Completed => {
                if !sight.all_read(Weights::all(migration.to)) {
                    self.broken(
                        invocation,
                        "completed before every router was read back".to_owned(),
                    );
                }
                self.tallies.completed += 1;
            }
            Phase::RollingBack => self.back_since_ms = Some(now_ms),
            Phase::RolledBack | Phase::Failed => {
                if !sight.all_read(Weights::all(migration.from)) {
                    self.broken(
                        invocation,
                        "rolled back before every router was read back".to_owned(),
                    );
                }
                let since_ms = self.back_since_ms.take().unwrap_or(now_ms);
                let minutes = now_ms.saturating_sub(since_ms).div_ceil(60_000);
                self.tallies.minutes_back_max = self.tallies.minutes_back_max.max(minutes);
                if next.phase == Phase::Failed {
                    self.tallies.failed += 1;
                } else {
                    self.tallies.rolled_back += 1;
                }
            }
            _ => {}
        }
    }

    /// A new order: in its turn, after the bake, and by nobody who knows of an alarm.
    fn on_order(
        &mut self,
        invocation: usize,
        before: &State,
        old: &Migration,
        next: &State,
        entry: &Entry,
        now_ms: u64,
    ) {
        let purpose = next.intent.as_ref().map(|intent| intent.purpose);
        let is_new = before.intent.as_ref().map(|intent| intent.purpose) != purpose;
        let is_forward = matches!(purpose, Some(Purpose::Step(_) | Purpose::Complete));
        if !is_new || !is_forward {
            return;
        }
        let is_promotion = entry.trigger == "promote";
        if let Some(step) = old.step.and_then(|index| old.steps.get(index)) {
            let baked_ms = old.step_at_ms + step.bake_seconds * 1_000;
            if now_ms < baked_ms && !is_promotion {
                self.broken(
                    invocation,
                    format!(
                        "{purpose:?} {} s before its time",
                        (baked_ms - now_ms) / 1_000
                    ),
                );
            }
        }
        let is_in_turn = match (purpose, old.step) {
            (Some(Purpose::Step(index)), _) if is_promotion => index + 1 == old.steps.len(),
            (Some(Purpose::Step(index)), None) => index == 0,
            (Some(Purpose::Step(index)), Some(step)) => index == step + 1,
            (Some(Purpose::Complete), step) => step.is_some_and(|step| step + 1 == old.steps.len()),
            _ => true,
        };
        if !is_in_turn {
            self.broken(invocation, format!("{purpose:?} after step {:?}", old.step));
        }
        let sight = self.sight(invocation);
        sight.steps += 1;
        if sight.steps > 1 {
            self.broken(
                invocation,
                format!("{purpose:?} is its second step, by one {}", entry.trigger),
            );
        }
        let behind = self.sight(invocation).capacity.last().copied();
        let has_room = behind.is_some_and(|(of, capacity)| {
            of == old.from && matches!(capacity, Capacity::Ready | Capacity::NotApplicable)
        });
        if purpose == Some(Purpose::Step(0)) && !has_room {
            self.broken(
                invocation,
                format!("the first step was ordered with {behind:?} behind it"),
            );
        }
        if let Some(alarm) = self.sight(invocation).alarm(before, old) {
            self.broken(
                invocation,
                format!("{purpose:?} ordered with {alarm} in ALARM"),
            );
        }
    }

    /// The fence is set in the ledgers.
    pub fn on_fence(
        &mut self,
        invocation: usize,
        stands: (u64, MayWrite),
        routes: &[Route],
        _state: Option<&State>,
    ) {
        for environment in [Environment::Blue, Environment::Green] {
            let served = routes
                .iter()
                .find(|route| !route.is_foreign && route.weights.of(environment) > 0);
            if let Some(route) = served.filter(|_| !stands.1.of(environment)) {
                let name = &route.name;
                self.broken(
                    invocation,
                    format!("{environment} is retired with traffic at {name}"),
                );
            }
        }
    }

    /// An invocation ended well.
    pub fn on_end(&mut self, invocation: usize, outcome: &Outcome) {
        let Some(sight) = self.sights.remove(&invocation) else {
            return;
        };
        let Some((first, migration)) = sight
            .first_loaded
            .as_ref()
            .and_then(|first| Some((first, first.migration.as_ref()?)))
        else {
            return;
        };
        let is_same = outcome
            .state
            .migration
            .as_ref()
            .is_some_and(|m| m.id == migration.id);
        if !first.phase.is_forward() || !is_same || !outcome.state.phase.is_forward() {
            return;
        }
        // Meanwhile the alarm may have become a drill's.
        let is_real = sight.alarm(&outcome.state, migration).is_some();
        if let Some(alarm) = sight.alarm(first, migration).filter(|_| is_real) {
            let phase = outcome.state.phase;
            self.broken(
                invocation,
                format!("{alarm} in ALARM was known, and the migration is {phase}"),
            );
        }
        let is_rollback = matches!(
            sight.trigger,
            Some(Trigger::Command(
                cutover_domain::switch::Command::RollBack,
                _
            ))
        );
        if is_rollback {
            self.broken(invocation, "a rollback was answered and is lost".to_owned());
        }
    }
}
