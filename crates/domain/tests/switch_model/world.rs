//! The state of the model: the stored state, the router, the alarm, the invocations on their way.
//!
//! It is kept in a normal form, so that there are finitely many: times become ages that are cut at what the decision can
//! tell apart, generations become ranks, a router revision becomes "the current one" or "an old one". All of these are
//! only ever compared with each other, so a decision in the normal form is the decision in the original.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use cutover_domain::switch::{
    AlarmState, By, Command, Environment, GuardReading, Observation, OnDrift, Order, Phase,
    RouterReading, Seen, Start, State, Step, Trigger, Validation, Versions, Weights,
};

use crate::rules::Rule;

pub const GUARD: &str = "errors";
/// The time of the normal form, in ms: an age never reaches back before it.
pub const NOW_MS: u64 = 1_000_000;
pub const UNIT_MS: u64 = 1000;
pub const BAKE_UNITS: u64 = 1;
pub const MAX_UNITS: u64 = 3;

/// The router: raw weights, so that a wrong sum could be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    pub blue: u8,
    pub green: u8,
    pub base: Environment,
    pub marker: u64,
}

impl Route {
    pub fn of(&self, environment: Environment) -> u8 {
        match environment {
            Environment::Blue => self.blue,
            Environment::Green => self.green,
        }
    }
}

/// What an operator, the schedule or an alarm asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    Tick,
    Alarm,
    Start(Environment, u8),
    RollBack,
    Pause,
    Resume,
    Promote,
    Outcome,
}

impl Ask {
    pub fn trigger(self) -> Trigger {
        let command = |command| Trigger::Command(command, By::default());
        match self {
            Self::Tick => Trigger::Tick,
            Self::Outcome => Trigger::Outcome,
            Self::Alarm => Trigger::Alarm {
                name: GUARD.to_owned(),
                state: AlarmState::Alarm,
                at_ms: None,
            },
            Self::Start(to, id) => command(Command::Start(start(to, id))),
            Self::RollBack => command(Command::RollBack),
            Self::Pause => command(Command::Pause),
            Self::Resume => command(Command::Resume),
            Self::Promote => command(Command::Promote),
        }
    }

    /// As the executor has it: a tick that lost a race does not step a second time.
    pub fn after_conflict(self) -> Self {
        match self {
            Self::Tick => Self::Outcome,
            other => other,
        }
    }
}

fn start(to: Environment, id: u8) -> Start {
    let step = |percent| Step {
        percent,
        bake_seconds: BAKE_UNITS,
    };
    Start {
        migration_id: format!("{to}-{id}"),
        to,
        steps: vec![step(50), step(100)],
        max_seconds: MAX_UNITS,
        on_drift: OnDrift::Repair,
        versions: Versions::default(),
        max_exposed_payments: None,
        max_exposed_seconds: None,
    }
}

/// What an invocation does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Load, read and decide (again).
    Look,
    /// Store its decision, then write the router, whose revision it read before.
    Store {
        next: Box<State>,
        order: Option<Order>,
        expected: u64,
        fresh: bool,
    },
    /// Write the router.
    Write { order: Order, fresh: bool },
}

/// One invocation. What it saw of the guards stays with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invocation {
    pub ask: Ask,
    pub alarm: AlarmState,
    pub validation: Validation,
    pub stage: Stage,
}

impl Invocation {
    /// One that only looks at what came of it goes no step forward, so all that is not bad news is the same to it.
    fn forget(&mut self) {
        if self.ask != Ask::Outcome {
            return;
        }
        if self.alarm != AlarmState::Alarm {
            self.alarm = AlarmState::InsufficientData;
        }
        if !matches!(self.validation, Validation::Failed(_)) {
            self.validation = Validation::NotAsked;
        }
    }
}

/// Two invocations are the same two in either order.
fn fingerprint(invocation: &Invocation) -> u64 {
    let mut hasher = DefaultHasher::new();
    invocation.hash(&mut hasher);
    hasher.finish()
}

/// What the rules need to know of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// Generation that ordered the rollback of the present migration.
    pub rollback: Option<u64>,
    /// How long the candidate has had all traffic, in units, cut at the bake.
    pub all_units: Option<u64>,
    /// The rule that was broken on the way here.
    pub broken: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub state: State,
    pub route: Route,
    pub invocations: Vec<Invocation>,
    pub past: Past,
}

impl World {
    pub fn new() -> Self {
        let versions = Versions {
            blue: Some("1".to_owned()),
            green: Some("2".to_owned()),
        };
        let mut state = State::new(Environment::Blue, versions);
        state.generation = 1;
        state.managed = true;
        Self {
            state,
            route: Route {
                blue: 100,
                green: 0,
                base: Environment::Blue,
                marker: 1,
            },
            invocations: Vec::new(),
            past: Past::default(),
        }
    }

    pub fn observation(&self, invocation: &Invocation) -> Observation {
        let guard = GuardReading {
            name: GUARD.to_owned(),
            state: invocation.alarm,
            actions_enabled: true,
            doubt: None,
            detection_seconds: None,
        };
        let both = [Environment::Blue, Environment::Green];
        Observation {
            routers: vec![self.reading()],
            guards: both
                .map(|environment| (environment, vec![guard.clone()]))
                .into(),
            validation: invocation.validation.clone(),
            ..Observation::of(invocation.ask.trigger())
        }
    }

    fn reading(&self) -> RouterReading {
        let weights = Weights::share(Environment::Green, self.route.green);
        RouterReading {
            router: "live".to_owned(),
            seen: if weights.of(Environment::Blue) == self.route.blue {
                Seen::Split(weights)
            } else {
                Seen::Foreign("the weights do not add up".to_owned())
            },
            revision: Some("current".to_owned()),
            marker: Some(self.route.marker),
            base: Some(self.route.base),
            takes_versions: true,
            pending: None,
            needs_change: false,
        }
    }

    /// One unit later.
    pub fn later(&mut self) {
        age(&mut self.state);
        for invocation in &mut self.invocations {
            if let Stage::Store { next, .. } = &mut invocation.stage {
                age(next);
            }
        }
        if let Some(units) = &mut self.past.all_units {
            *units = (*units + 1).min(BAKE_UNITS);
        }
    }

    /// The normal form.
    pub fn normalize(&mut self) {
        forget(&mut self.state);
        for invocation in &mut self.invocations {
            if let Stage::Store { next, .. } = &mut invocation.stage {
                forget(next);
            }
        }
        let mut seen = BTreeSet::new();
        self.generations(&mut |generation| {
            seen.insert(*generation);
        });
        let ranks: BTreeMap<u64, u64> = seen.into_iter().zip(1..).collect();
        self.generations(&mut |generation| *generation = ranks[generation]);
        for invocation in &mut self.invocations {
            invocation.forget();
        }
        self.invocations.sort_by_cached_key(fingerprint);
    }

    fn generations(&mut self, visit: &mut dyn FnMut(&mut u64)) {
        visit(&mut self.route.marker);
        if let Some(rollback) = &mut self.past.rollback {
            visit(rollback);
        }
        generations_of(&mut self.state, visit);
        for invocation in &mut self.invocations {
            match &mut invocation.stage {
                Stage::Look => {}
                Stage::Store {
                    next,
                    order,
                    expected,
                    ..
                } => {
                    generations_of(next, visit);
                    visit(expected);
                    if let Some(order) = order {
                        visit(&mut order.generation);
                    }
                }
                Stage::Write { order, .. } => visit(&mut order.generation),
            }
        }
    }

    pub fn candidate(&self) -> Environment {
        self.state.candidate()
    }

    /// Whether all traffic is where it was before the migration.
    pub fn is_back(&self) -> bool {
        match &self.state.migration {
            Some(migration) => {
                self.route.of(migration.from) == 100 && self.route.of(migration.to) == 0
            }
            None => self.route.of(self.state.active) == 100,
        }
    }

    pub fn is_taken_back(&self) -> bool {
        matches!(
            self.state.phase,
            Phase::RollingBack | Phase::RolledBack | Phase::Failed
        )
    }
}

fn generations_of(state: &mut State, visit: &mut dyn FnMut(&mut u64)) {
    visit(&mut state.generation);
    if let Some(intent) = &mut state.intent {
        visit(&mut intent.since);
    }
}

fn age(state: &mut State) {
    if let Some(migration) = &mut state.migration {
        migration.started_at_ms = migration.started_at_ms.saturating_sub(UNIT_MS);
        if migration.step.is_some() {
            migration.step_at_ms = migration.step_at_ms.saturating_sub(UNIT_MS);
        }
    }
}

/// Cuts what no decision can tell apart: ages beyond what they are compared with, and words.
fn forget(state: &mut State) {
    state.last = None;
    let is_over = !state.phase.is_forward();
    if let Some(migration) = &mut state.migration {
        let oldest = |units: u64| NOW_MS - units * UNIT_MS;
        migration.started_at_ms = migration.started_at_ms.max(oldest(MAX_UNITS));
        migration.step_at_ms = match migration.step {
            Some(_) => migration.step_at_ms.max(oldest(BAKE_UNITS)),
            None => 0,
        };
        if is_over {
            migration.started_at_ms = NOW_MS;
            migration.step_at_ms = 0;
        }
    }
}
