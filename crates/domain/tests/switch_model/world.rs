//! The state of the model: the stored state, the routers, the ledgers' fence, the invocations on their way.
//!
//! It is kept in a normal form, so that there are finitely many: times become ages that are cut at what the decision can
//! tell apart, generations and change ids become ranks, a router revision becomes "the current one" or "an old one". All
//! of these are only ever compared with each other, so a decision in the normal form is the decision in the original.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use cutover_domain::switch::{
    Environment, FenceOrder, FenceSeen, MayWrite, Order, Phase, State, Validation, Versions,
};

use crate::asks::{Ask, Guise};
use crate::rules::Rule;
use crate::setups::{Kind, Setup};

/// The time of the normal form, in ms: an age never reaches back before it.
pub const NOW_MS: u64 = 1_000_000;
pub const UNIT_MS: u64 = 1000;
pub const BAKE_UNITS: u64 = 1;

/// A router: raw weights, so that a wrong sum could be seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    pub blue: u8,
    pub green: u8,
    pub base: Environment,
    pub marker: u64,
    /// Id of the last change, and of the last one that is in effect.
    pub change: u64,
    pub settled: u64,
}

impl Route {
    pub fn of(&self, environment: Environment) -> u8 {
        match environment {
            Environment::Blue => self.blue,
            Environment::Green => self.green,
        }
    }
}

/// What an invocation knows of a router that it is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Known {
    /// Its revision, which is still the current one.
    Current,
    /// Its revision, which is an old one.
    Old,
    /// Green's share.
    Share(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    pub router: usize,
    pub known: Known,
}

/// What is done after a decision was stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Act {
    /// These routers are still to be written, in this order.
    Write {
        order: Order,
        targets: Vec<Target>,
    },
    Fence(FenceOrder),
}

/// What an invocation does next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Load, read and decide (again).
    Look,
    Store {
        next: Box<State>,
        act: Option<Act>,
        expected: u64,
    },
    Act(Act),
}

/// One invocation. What it saw of the guards stays with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invocation {
    pub guise: Guise,
    pub validation: Validation,
    /// Whether it looked at the capacity.
    pub has_looked: bool,
    /// What it knows of the fence, with the epoch that it asked for.
    pub fence: Option<(u64, FenceSeen)>,
    /// Change ids of its writes by router, for the order of this generation.
    pub changes: (u64, BTreeMap<usize, u64>),
    pub stage: Stage,
}

impl Invocation {
    /// One that only looks at what came of it goes no step forward, so all that is not bad news is the same to it.
    fn forget(&mut self) {
        if self.guise.ask != Ask::Outcome {
            return;
        }
        self.guise.forget();
        if !matches!(self.validation, Validation::Failed(_)) {
            self.validation = Validation::NotAsked;
        }
        self.has_looked = false;
    }
}

impl Invocation {
    /// Answers to orders that do not stand any more, and will not again, are the same as none.
    fn forget_answers(&mut self, state: &State) {
        let ordered = state.fence.map(|order| order.epoch);
        if self.fence.as_ref().map(|(asked, _)| *asked) != ordered {
            self.fence = None;
        }
        let since = state.intent.as_ref().map(|intent| intent.since);
        if Some(self.changes.0) != since || self.changes.1.is_empty() {
            self.changes = (0, BTreeMap::new());
        }
    }
}

/// Two invocations are the same two in either order.
fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A write that was sent and whose answer nobody waits for any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Late {
    pub router: usize,
    pub order: Order,
    pub known: Known,
}

/// What the rules need to know of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// Generation that ordered the rollback of the present migration.
    pub rollback: Option<u64>,
    /// How long the candidate has had all traffic, in units, cut at the bake.
    pub all_units: Option<u64>,
    /// A late write or a stranger changed a router, and it is not right again since.
    pub is_disturbed: bool,
    /// The rule that was broken on the way here.
    pub broken: Option<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub state: State,
    pub routes: Vec<Route>,
    /// What stands in the ledgers.
    pub fence: (u64, MayWrite),
    pub invocations: Vec<Invocation>,
    pub late: Vec<Late>,
    pub past: Past,
}

impl World {
    pub fn new(setup: &Setup) -> Self {
        let versions = Versions {
            blue: Some("1".to_owned()),
            green: Some("2".to_owned()),
        };
        let mut state = State::new(Environment::Blue, versions);
        state.generation = 1;
        state.managed = true;
        let route = Route {
            blue: 100,
            green: 0,
            base: Environment::Blue,
            marker: 1,
            change: 0,
            settled: 0,
        };
        Self {
            state,
            routes: vec![route; setup.routers.len()],
            fence: (0, MayWrite::BOTH),
            invocations: Vec::new(),
            late: Vec::new(),
            past: Past::default(),
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

    /// Every change so far is in effect.
    pub fn settle(&mut self) {
        for route in &mut self.routes {
            route.settled = route.change;
        }
    }

    /// The normal form.
    pub fn normalize(&mut self, setup: &Setup) {
        let intended = self.state.intended;
        let is_right = |route: &Route| {
            [Environment::Blue, Environment::Green]
                .iter()
                .all(|environment| route.of(*environment) == intended.of(*environment))
        };
        if self.routes.iter().all(is_right) {
            self.past.is_disturbed = false;
        }
        for (route, kind) in self.routes.iter_mut().zip(setup.routers) {
            if *kind != Kind::Conditional {
                route.marker = 0;
                route.base = Environment::Blue;
            }
        }
        let units_max = setup.units_max();
        forget(&mut self.state, units_max);
        for invocation in &mut self.invocations {
            if let Stage::Store { next, .. } = &mut invocation.stage {
                forget(next, units_max);
            }
            invocation.forget();
            invocation.forget_answers(&self.state);
        }
        self.rank_generations();
        self.rank_changes();
        self.invocations.sort_by_cached_key(fingerprint);
        self.late.sort_by_cached_key(fingerprint);
    }

    fn rank_generations(&mut self) {
        let mut seen = BTreeSet::from([0]);
        self.generations(&mut |generation| {
            seen.insert(*generation);
        });
        let ranks: BTreeMap<u64, u64> = seen.into_iter().zip(0..).collect();
        self.generations(&mut |generation| *generation = ranks[generation]);
    }

    fn generations(&mut self, visit: &mut dyn FnMut(&mut u64)) {
        for route in &mut self.routes {
            visit(&mut route.marker);
        }
        if let Some(rollback) = &mut self.past.rollback {
            visit(rollback);
        }
        visit(&mut self.fence.0);
        generations_of(&mut self.state, visit);
        for late in &mut self.late {
            visit(&mut late.order.generation);
        }
        for invocation in &mut self.invocations {
            if let Some((asked, seen)) = &mut invocation.fence {
                visit(asked);
                if let FenceSeen::Stands { epoch, .. } = seen {
                    visit(epoch);
                }
            }
            visit(&mut invocation.changes.0);
            match &mut invocation.stage {
                Stage::Look => {}
                Stage::Store {
                    next,
                    act,
                    expected,
                } => {
                    generations_of(next, visit);
                    visit(expected);
                    if let Some(act) = act {
                        visit(generation_of(act));
                    }
                }
                Stage::Act(act) => visit(generation_of(act)),
            }
        }
    }

    /// A change that is in effect is the same as any other that is.
    fn rank_changes(&mut self) {
        let settled: Vec<u64> = self.routes.iter().map(|route| route.settled).collect();
        let mut seen: Vec<BTreeSet<u64>> = settled.iter().map(|id| BTreeSet::from([*id])).collect();
        self.changes(&mut |router, id| {
            *id = (*id).max(settled[router]);
            seen[router].insert(*id);
        });
        let ranks: Vec<BTreeMap<u64, u64>> = seen
            .into_iter()
            .map(|ids| ids.into_iter().zip(0..).collect())
            .collect();
        self.changes(&mut |router, id| *id = ranks[router][id]);
        for route in &mut self.routes {
            route.settled = 0;
        }
    }

    fn changes(&mut self, visit: &mut dyn FnMut(usize, &mut u64)) {
        for (router, route) in self.routes.iter_mut().enumerate() {
            visit(router, &mut route.change);
        }
        changes_of(&mut self.state, visit);
        for invocation in &mut self.invocations {
            for (router, id) in &mut invocation.changes.1 {
                visit(*router, id);
            }
            if let Stage::Store { next, .. } = &mut invocation.stage {
                changes_of(next, visit);
            }
        }
    }

    pub fn candidate(&self) -> Environment {
        self.state.candidate()
    }

    /// Whether all traffic is where it was before the migration.
    pub fn is_back(&self) -> bool {
        let home = match &self.state.migration {
            Some(migration) => migration.from,
            None => self.state.active,
        };
        self.routes
            .iter()
            .all(|route| route.of(home) == 100 && route.of(home.other()) == 0)
    }

    pub fn is_taken_back(&self) -> bool {
        matches!(
            self.state.phase,
            Phase::RollingBack | Phase::RolledBack | Phase::Failed
        )
    }
}

fn generation_of(act: &mut Act) -> &mut u64 {
    match act {
        Act::Write { order, .. } => &mut order.generation,
        Act::Fence(order) => &mut order.epoch,
    }
}

fn generations_of(state: &mut State, visit: &mut dyn FnMut(&mut u64)) {
    visit(&mut state.generation);
    if let Some(intent) = &mut state.intent {
        visit(&mut intent.since);
    }
    if let Some(fence) = &mut state.fence {
        visit(&mut fence.epoch);
    }
}

fn changes_of(state: &mut State, visit: &mut dyn FnMut(usize, &mut u64)) {
    let Some(intent) = &mut state.intent else {
        return;
    };
    for (router, change) in &mut intent.changes {
        let mut id = change.parse().unwrap();
        visit(router.parse().unwrap(), &mut id);
        *change = id.to_string();
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
fn forget(state: &mut State, units_max: u64) {
    state.last = None;
    let is_over = !state.phase.is_forward();
    if let Some(migration) = &mut state.migration {
        let oldest = |units: u64| NOW_MS - units * UNIT_MS;
        migration.started_at_ms = migration.started_at_ms.max(oldest(units_max));
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
