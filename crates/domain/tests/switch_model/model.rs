//! The moves of the model: what the executor does, one call at a time.

use cutover_domain::switch::{
    Action, AlarmState, Decision, Environment, Observation, Order, State, Validation,
};
use stateright::{Model, Property};

use crate::rules::{self, Rule};
use crate::world::{Ask, Invocation, NOW_MS, Stage, World};

/// Invocations at once.
const INVOCATIONS_MAX: usize = 2;

pub type Decide = fn(&State, u64, &Observation) -> Decision;

/// How the executor's hands work. All true in production; each is broken once by a mutant.
#[derive(Debug, Clone, Copy)]
pub struct Hands {
    /// The state is stored on the condition that its generation still stands.
    pub store_is_conditional: bool,
    /// The router is written on the condition that its revision still stands.
    pub write_is_conditional: bool,
    /// All of the weights arrive.
    pub weights_arrive: bool,
}

impl Hands {
    pub const PROPER: Self = Self {
        store_is_conditional: true,
        write_is_conditional: true,
        weights_arrive: true,
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// An invocation begins: it polls, loads, reads and decides. Alarms flip at any time, so any state may be polled; the
    /// verdict is the validator's, if it is asked.
    Arrive(Ask, AlarmState, Verdict),
    /// An invocation that lost a race, or wrote, looks again.
    Look(usize),
    /// It stores its decision; the answer may be lost.
    Store(usize, Answer),
    /// It writes the router; or the call fails without effect.
    Write(usize, Answer),
    /// It dies.
    Die(usize),
    /// Time goes by.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Pass,
    Fail,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Done, and it knows.
    Known,
    /// Done, but the answer is lost.
    Lost,
    /// Not done.
    NotDone,
}

pub struct SwitchModel {
    pub decide: Decide,
    pub hands: Hands,
    pub with_validator: bool,
}

impl SwitchModel {
    pub fn new(decide: Decide, hands: Hands, with_validator: bool) -> Self {
        Self {
            decide,
            hands,
            with_validator,
        }
    }

    /// Who may arrive. An alarm that is polled by an operator's command is the same as one that is polled by a tick;
    /// the second migration begins after the first was known.
    fn asks(&self, world: &World) -> Vec<(Ask, AlarmState, Verdict)> {
        use AlarmState::{Alarm, InsufficientData, Ok};
        let mut asks = vec![
            (Ask::Tick, Ok, Verdict::Pass),
            (Ask::Tick, Alarm, Verdict::Pass),
            (Ask::Tick, InsufficientData, Verdict::Pass),
            (Ask::Alarm, InsufficientData, Verdict::Pass),
            (Ask::Start(Environment::Green, 1), Ok, Verdict::Pass),
            (
                Ask::Start(Environment::Green, 1),
                InsufficientData,
                Verdict::Pass,
            ),
            (Ask::RollBack, InsufficientData, Verdict::Pass),
            (Ask::Pause, InsufficientData, Verdict::Pass),
            (Ask::Resume, InsufficientData, Verdict::Pass),
            (Ask::Promote, Ok, Verdict::Pass),
        ];
        if self.with_validator {
            asks.push((Ask::Tick, Ok, Verdict::Fail));
            asks.push((Ask::Tick, Ok, Verdict::Unknown));
        }
        if world.state.migration.is_some() && world.state.past.is_empty() {
            for to in [Environment::Green, Environment::Blue] {
                asks.push((Ask::Start(to, 2), Ok, Verdict::Pass));
            }
        }
        asks
    }

    pub fn arrive(&self, ask: Ask, alarm: AlarmState) -> Invocation {
        Invocation {
            ask,
            alarm,
            validation: if self.with_validator {
                Validation::NotAsked
            } else {
                Validation::NotConfigured
            },
            stage: Stage::Look,
        }
    }

    /// Load, read, decide. The invocation goes on only if there is something to store.
    pub fn look(&self, world: &mut World, mut invocation: Invocation, verdict: Verdict) {
        let seen = world.observation(&invocation);
        let mut decision = (self.decide)(&world.state, NOW_MS, &seen);
        if decision.actions == [Action::Validate] {
            invocation.validation = match verdict {
                Verdict::Pass => Validation::Passed,
                Verdict::Fail => Validation::Failed(String::new()),
                Verdict::Unknown => Validation::Unknown(String::new()),
            };
            decision = (self.decide)(&world.state, NOW_MS, &world.observation(&invocation));
        }
        if !decision.changes(&world.state) {
            rules::check_end(world, &invocation);
            return;
        }
        let order = decision
            .actions
            .into_iter()
            .find_map(|action| match action {
                Action::Write(order) => Some(order),
                _ => None,
            });
        invocation.stage = Stage::Store {
            next: Box::new(decision.next),
            order,
            expected: world.state.generation,
            fresh: true,
        };
        world.invocations.push(invocation);
    }

    pub fn store(&self, world: &mut World, mut invocation: Invocation, answer: Answer) {
        let Stage::Store {
            next,
            order,
            expected,
            fresh,
        } = invocation.stage.clone()
        else {
            return;
        };
        if self.hands.store_is_conditional && world.state.generation != expected {
            Self::again(world, invocation);
            return;
        }
        rules::check_store(world, &invocation, &next);
        world.state = *next;
        match (answer, order) {
            (Answer::Known, None) => {}
            (Answer::Known, Some(order)) => {
                invocation.ask = Ask::Outcome;
                invocation.stage = Stage::Write { order, fresh };
                world.invocations.push(invocation);
            }
            _ => Self::again(world, invocation),
        }
        self.overtake(world);
    }

    pub fn write(&self, world: &mut World, invocation: Invocation, answer: Answer) {
        let Stage::Write { order, fresh } = invocation.stage.clone() else {
            return;
        };
        if answer != Answer::NotDone && (fresh || !self.hands.write_is_conditional) {
            rules::check_write(world, &order);
            self.land(world, &order);
        }
        Self::again(world, invocation);
        self.overtake(world);
    }

    fn land(&self, world: &mut World, order: &Order) {
        world.route.blue = order.weights.of(Environment::Blue);
        world.route.green = order.weights.of(Environment::Green);
        if !self.hands.weights_arrive && order.weights.of(order.base) < 100 {
            world.route.blue = 0;
        }
        world.route.base = order.base;
        world.route.marker = order.generation;
        let has_all = world.route.of(world.candidate()) == 100;
        world.past.all_units = match world.past.all_units {
            Some(units) if has_all => Some(units),
            _ => has_all.then_some(0),
        };
        for other in &mut world.invocations {
            match &mut other.stage {
                Stage::Look => {}
                Stage::Store { fresh, .. } | Stage::Write { fresh, .. } => *fresh = false,
            }
        }
    }

    /// Those that can only fail now have failed: where the failure is seen changes nothing else.
    fn overtake(&self, world: &mut World) {
        let generation = world.state.generation;
        let (conditional, cas) = (
            self.hands.store_is_conditional,
            self.hands.write_is_conditional,
        );
        let (failed, on): (Vec<_>, Vec<_>) = std::mem::take(&mut world.invocations)
            .into_iter()
            .partition(|invocation| match &invocation.stage {
                Stage::Look => false,
                Stage::Store { expected, .. } => conditional && *expected != generation,
                Stage::Write { fresh, .. } => cas && !fresh,
            });
        world.invocations = on;
        for invocation in failed {
            Self::again(world, invocation);
        }
    }

    fn again(world: &mut World, mut invocation: Invocation) {
        invocation.ask = invocation.ask.after_conflict();
        invocation.stage = Stage::Look;
        world.invocations.push(invocation);
    }
}

impl Model for SwitchModel {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.past.broken.is_some() {
            return;
        }
        moves.push(Move::Later);
        if world.invocations.len() < INVOCATIONS_MAX {
            let asks = self.asks(world).into_iter();
            moves.extend(asks.map(|(ask, alarm, verdict)| Move::Arrive(ask, alarm, verdict)));
        }
        for (i, invocation) in world.invocations.iter().enumerate() {
            moves.push(Move::Die(i));
            match &invocation.stage {
                Stage::Look => moves.push(Move::Look(i)),
                Stage::Store { .. } => {
                    moves
                        .extend([Answer::Known, Answer::Lost].map(|answer| Move::Store(i, answer)));
                }
                Stage::Write { .. } => {
                    moves.extend(
                        [Answer::Known, Answer::NotDone].map(|answer| Move::Write(i, answer)),
                    );
                }
            }
        }
    }

    fn next_state(&self, before: &World, action: Move) -> Option<World> {
        let mut world = before.clone();
        match action {
            Move::Arrive(ask, alarm, verdict) => {
                let invocation = self.arrive(ask, alarm);
                self.look(&mut world, invocation, verdict);
            }
            Move::Look(i) => {
                let invocation = world.invocations.remove(i);
                self.look(&mut world, invocation, Verdict::Pass);
            }
            Move::Store(i, answer) => {
                let invocation = world.invocations.remove(i);
                self.store(&mut world, invocation, answer);
            }
            Move::Write(i, answer) => {
                let invocation = world.invocations.remove(i);
                self.write(&mut world, invocation, answer);
            }
            Move::Die(i) => {
                world.invocations.remove(i);
            }
            Move::Later => world.later(),
        }
        world.normalize();
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(world: &World, rule: Rule) -> bool {
            world.past.broken != Some(rule)
        }
        vec![
            Property::always("rule 1: no forward order without healthy guards", |_, w| {
                holds(w, Rule::ForwardUnguarded)
            }),
            Property::always(
                "rule 1: nothing forward after a rollback until a new start",
                |_, w| holds(w, Rule::ForwardAfterRollback),
            ),
            Property::always("rule 3: no double step", |_, w| holds(w, Rule::DoubleStep)),
            Property::always("rule 3: no lost rollback", |_, w| {
                holds(w, Rule::RollbackLost)
            }),
            Property::always("rule 5: no traffic before the validation", |_, w| {
                holds(w, Rule::Unvalidated)
            }),
            Property::always("rule 5: not complete before the bake", |_, w| {
                holds(w, Rule::CompletedEarly)
            }),
            Property::always("weights add up to 100", |_, w: &World| {
                w.route.blue.checked_add(w.route.green) == Some(100)
            }),
            Property::always(
                "rolled back means that the candidate has nothing",
                |_, w| rules::rolled_back_is_back(w),
            ),
            Property::always(
                "rule 2: one rollback from every state is enough",
                rules::one_rollback,
            ),
            Property::always(
                "a rollback that was ordered is finished by one tick",
                rules::one_tick,
            ),
            Property::always("healthy ticks complete a migration", rules::healthy_ticks),
            Property::always(
                "traffic above the plan is taken back by one tick",
                rules::no_excess,
            ),
            Property::sometimes("a migration completes", |_, w: &World| {
                w.state.phase == cutover_domain::switch::Phase::Completed
            }),
            Property::sometimes("a migration is rolled back", |_, w: &World| {
                w.state.phase == cutover_domain::switch::Phase::RolledBack
            }),
        ]
    }
}
