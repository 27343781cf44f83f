//! The moves of the model: what the executor does, one call at a time.

use cutover_domain::switch::{
    Action, Decision, Environment, FenceOrder, FenceSeen, MayWrite, Observation, Order, Phase,
    Purpose, State, Validation,
};
use stateright::{Model, Property};

use crate::asks::{self, Guise, Verdict};
use crate::rules::{self, Rule};
use crate::setups::{Kind, Setup};
use crate::world::{Act, Invocation, Known, Late, NOW_MS, Stage, Target, World};

/// Writes on their way at once whose answers nobody waits for.
const LATE_MAX: usize = 1;

pub type Decide = fn(&State, u64, &Observation) -> Decision;

/// How the executor's hands work. All true in production; each is broken once by a mutant.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is broken alone, whatever the others are"
)]
#[derive(Debug, Clone, Copy)]
pub struct Hands {
    /// The state is stored on the condition that its generation still stands.
    pub store_is_conditional: bool,
    /// A router that can is written on the condition that its revision still stands.
    pub write_is_conditional: bool,
    /// One that can't is written only if no newer order is stored.
    pub generation_is_checked: bool,
    /// All of the weights arrive.
    pub weights_arrive: bool,
    /// A ledger refuses an older epoch.
    pub epochs_grow: bool,
    /// A router that can't be written does not stop the others.
    pub others_are_written: bool,
}

impl Hands {
    pub const PROPER: Self = Self {
        store_is_conditional: true,
        write_is_conditional: true,
        generation_is_checked: true,
        weights_arrive: true,
        epochs_grow: true,
        others_are_written: true,
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Move {
    /// An invocation begins: it polls, loads, reads and decides. Alarms, counts and lags change at any time, so any of
    /// them may be seen.
    Arrive(Guise),
    /// An invocation that lost a race, or wrote, looks again.
    Look(usize),
    /// It stores its decision; the answer may be lost.
    Store(usize, Answer),
    /// It writes the next router, or sets the fence.
    Act(usize, Answer),
    /// It dies.
    Die(usize),
    /// A write lands that nobody waits for any more.
    Land(usize),
    /// Every change so far is in effect.
    Settle,
    /// Someone else gives green this share, at this router.
    Tamper(usize, u8),
    /// Time goes by.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Done, and it knows.
    Known,
    /// Done, but the answer is lost. (A write to a router may then land later.)
    Lost,
    /// Not done.
    NotDone,
}

pub struct SwitchModel {
    pub decide: Decide,
    pub hands: Hands,
    pub setup: Setup,
}

impl SwitchModel {
    pub fn new(decide: Decide, hands: Hands, setup: Setup) -> Self {
        Self {
            decide,
            hands,
            setup,
        }
    }

    pub fn arrive(&self, guise: Guise) -> Invocation {
        Invocation {
            guise,
            validation: if self.setup.validator {
                Validation::NotAsked
            } else {
                Validation::NotConfigured
            },
            has_looked: false,
            fence: None,
            changes: (0, std::collections::BTreeMap::new()),
            stage: Stage::Look,
        }
    }

    /// Load, read, decide; what is only asked for on the way is answered at once. The invocation goes on if there is
    /// something to store or to set.
    pub fn look(&self, world: &mut World, mut invocation: Invocation) {
        let decide = |world: &World, invocation: &Invocation| {
            let seen = asks::observation(&self.setup, world, invocation);
            (self.decide)(&world.state, NOW_MS, &seen)
        };
        let mut decision = decide(world, &invocation);
        for _question in 0..2 {
            match decision.actions.as_slice() {
                [Action::Validate] => {
                    invocation.validation = match invocation.guise.verdict {
                        Verdict::Pass => Validation::Passed,
                        Verdict::Fail => Validation::Failed(String::new()),
                        Verdict::Unknown => Validation::Unknown(String::new()),
                    };
                }
                [Action::Warm(_)] => invocation.has_looked = true,
                _ => break,
            }
            decision = decide(world, &invocation);
        }
        let act = self.act_of(world, &invocation, &decision);
        if !decision.changes(&world.state) {
            if let Some(act @ Act::Fence(_)) = act {
                invocation.stage = Stage::Act(act);
                world.invocations.push(invocation);
                return;
            }
            rules::check_end(world, &invocation, &decision);
            return;
        }
        invocation.stage = Stage::Store {
            next: Box::new(decision.next),
            act,
            expected: world.state.generation,
        };
        world.invocations.push(invocation);
    }

    fn act_of(&self, world: &World, invocation: &Invocation, decision: &Decision) -> Option<Act> {
        decision.actions.iter().find_map(|action| match action {
            Action::Write(order) => Some(Act::Write {
                order: order.clone(),
                targets: self.targets(world, invocation, order, &decision.next),
            }),
            Action::Fence(order) => Some(Act::Fence(*order)),
            _ => None,
        })
    }

    /// In the executor's order: the first router is the fastest.
    fn targets(
        &self,
        world: &World,
        invocation: &Invocation,
        order: &Order,
        next: &State,
    ) -> Vec<Target> {
        let candidate = next.candidate();
        let ordered = order.weights.of(candidate);
        let mut targets: Vec<usize> = (0..world.routes.len())
            .filter(|router| order.routers.contains(&router.to_string()))
            .collect();
        let is = |raised: fn(&u8, &u8) -> bool| {
            let mut shares = targets.iter().map(|r| world.routes[*r].of(candidate));
            shares.any(|share| raised(&share, &ordered))
        };
        if is(u8::lt) && !is(u8::gt) {
            targets.reverse();
        }
        if !self.hands.others_are_written && invocation.guise.down.is_some() {
            return Vec::new();
        }
        targets
            .into_iter()
            .filter(|router| invocation.guise.down != Some(*router))
            .map(|router| Target {
                router,
                known: match self.setup.routers[router] {
                    Kind::Conditional => Known::Current,
                    Kind::Plain | Kind::Delayed => Known::Share(world.routes[router].green),
                },
            })
            .collect()
    }

    pub fn store(&self, world: &mut World, mut invocation: Invocation, answer: Answer) {
        let Stage::Store {
            next,
            act,
            expected,
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
        match (answer, act) {
            (Answer::Known, None) => {}
            (Answer::Known, Some(act)) => {
                if let Act::Write { .. } = act {
                    invocation.guise.ask = asks::Ask::Outcome;
                }
                invocation.stage = Stage::Act(act);
                self.go_on(world, invocation);
            }
            _ => Self::again(world, invocation),
        }
        self.overtake(world);
    }

    pub fn act(&self, world: &mut World, mut invocation: Invocation, answer: Answer) {
        match invocation.stage.clone() {
            Stage::Act(Act::Fence(order)) => {
                self.set_fence(world, &mut invocation, order, answer);
                invocation.stage = Stage::Look;
                world.invocations.push(invocation);
            }
            Stage::Act(Act::Write { order, mut targets }) => {
                let target = targets.remove(0);
                let is_late = self.write(world, &mut invocation, &order, target, answer);
                if is_late {
                    world.late.push(Late {
                        router: target.router,
                        order: order.clone(),
                        known: target.known,
                    });
                }
                invocation.stage = Stage::Act(Act::Write { order, targets });
                self.go_on(world, invocation);
                self.overtake(world);
            }
            Stage::Look | Stage::Store { .. } => {}
        }
    }

    /// Whether the write is now on its way with nobody waiting for it.
    fn write(
        &self,
        world: &mut World,
        invocation: &mut Invocation,
        order: &Order,
        target: Target,
        answer: Answer,
    ) -> bool {
        let is_checked = match target.known {
            Known::Current => true,
            Known::Old => !self.hands.write_is_conditional,
            Known::Share(share) => {
                let is_newest = world.state.generation == order.generation;
                world.routes[target.router].green == share
                    && (is_newest || !self.hands.generation_is_checked)
            }
        };
        if answer == Answer::NotDone || !is_checked {
            return false;
        }
        if answer == Answer::Lost {
            return true;
        }
        rules::check_write(world, order, target.router);
        self.land(world, order, target.router);
        if self.setup.routers[target.router] == Kind::Delayed {
            let since = world.state.intent.as_ref().map_or(0, |intent| intent.since);
            if invocation.changes.0 != since {
                invocation.changes = (since, std::collections::BTreeMap::new());
            }
            let change = world.routes[target.router].change;
            invocation.changes.1.insert(target.router, change);
        }
        false
    }

    fn land(&self, world: &mut World, order: &Order, router: usize) {
        let candidate = world.candidate();
        let is_repair = world
            .state
            .intent
            .as_ref()
            .is_some_and(|intent| intent.purpose == Purpose::Repair);
        let route = &mut world.routes[router];
        let was = (route.blue, route.green);
        route.blue = order.weights.of(Environment::Blue);
        route.green = order.weights.of(Environment::Green);
        if !self.hands.weights_arrive && order.weights.of(order.base) < 100 {
            route.blue = 0;
        }
        let is = (route.blue, route.green);
        route.base = order.base;
        route.marker = order.generation;
        if self.setup.routers[router] == Kind::Delayed {
            route.change += 1;
        }
        let has_all = world.routes.iter().all(|route| route.of(candidate) == 100);
        world.past.all_units = match world.past.all_units {
            Some(units) if has_all && !(is_repair && was != is) => Some(units),
            _ => has_all.then_some(0),
        };
        Self::outdate(world, router);
    }

    /// Every revision of this router that was read before is an old one now.
    fn outdate(world: &mut World, router: usize) {
        for other in &mut world.invocations {
            let (Stage::Store {
                act: Some(Act::Write { targets, .. }),
                ..
            }
            | Stage::Act(Act::Write { targets, .. })) = &mut other.stage
            else {
                continue;
            };
            for target in targets.iter_mut().filter(|target| target.router == router) {
                if target.known == Known::Current {
                    target.known = Known::Old;
                }
            }
        }
    }

    fn set_fence(
        &self,
        world: &mut World,
        invocation: &mut Invocation,
        order: FenceOrder,
        answer: Answer,
    ) {
        let is_newer = order.epoch >= world.fence.0 || !self.hands.epochs_grow;
        if answer != Answer::NotDone && is_newer {
            world.fence = (order.epoch, order.may_write);
        }
        let (epoch, MayWrite { blue, green }) = world.fence;
        let seen = match answer {
            Answer::Known => FenceSeen::Stands { epoch, blue, green },
            Answer::Lost | Answer::NotDone => FenceSeen::Failed(String::new()),
        };
        invocation.fence = Some((order.epoch, seen));
    }

    /// To the next router, or to the look at what came of it.
    fn go_on(&self, world: &mut World, mut invocation: Invocation) {
        if let Stage::Act(Act::Write { targets, .. }) = &mut invocation.stage {
            // A write that can only fail has failed.
            if self.hands.write_is_conditional {
                targets.retain(|target| target.known != Known::Old);
            }
            if targets.is_empty() {
                Self::again(world, invocation);
                return;
            }
        }
        world.invocations.push(invocation);
    }

    /// Those that can only fail now have failed: where the failure is seen changes nothing else.
    fn overtake(&self, world: &mut World) {
        let generation = world.state.generation;
        for invocation in std::mem::take(&mut world.invocations) {
            let is_lost = match &invocation.stage {
                Stage::Look | Stage::Act(_) => false,
                Stage::Store { expected, .. } => {
                    self.hands.store_is_conditional && *expected != generation
                }
            };
            if is_lost {
                Self::again(world, invocation);
            } else {
                self.go_on(world, invocation);
            }
        }
    }

    fn again(world: &mut World, mut invocation: Invocation) {
        invocation.guise.ask = invocation.guise.ask.after_conflict();
        invocation.stage = Stage::Look;
        world.invocations.push(invocation);
    }

    fn land_late(&self, world: &mut World, index: usize) {
        let late = world.late.remove(index);
        let lands = match (self.setup.routers[late.router], late.known) {
            (Kind::Conditional, known) => known == Known::Current,
            (Kind::Delayed, Known::Share(share)) => world.routes[late.router].green == share,
            _ => true,
        };
        if lands {
            self.land(world, &late.order, late.router);
            world.past.is_disturbed = true;
        }
    }

    fn tamper(world: &mut World, router: usize, green: u8) {
        let route = &mut world.routes[router];
        (route.blue, route.green) = (100 - green, green);
        route.change += 1;
        world.past.is_disturbed = true;
        Self::outdate(world, router);
    }

    fn answers(&self, act: &Act) -> &'static [Answer] {
        let late = |router: usize| self.setup.routers[router] != Kind::Conditional;
        match act {
            Act::Write { targets, .. } if targets.first().is_some_and(|t| late(t.router)) => {
                &[Answer::Known, Answer::Lost, Answer::NotDone]
            }
            Act::Write { .. } => &[Answer::Known, Answer::NotDone],
            Act::Fence(_) => &[Answer::Known, Answer::Lost, Answer::NotDone],
        }
    }
}

impl Model for SwitchModel {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.setup)]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.past.broken.is_some() {
            return;
        }
        moves.push(Move::Later);
        if self.setup.routers.contains(&Kind::Delayed) {
            moves.push(Move::Settle);
        }
        if self.setup.stranger && !world.past.is_disturbed {
            moves.extend([0, 30, 100].map(|share| Move::Tamper(0, share)));
        }
        moves.extend((0..world.late.len()).map(Move::Land));
        if world.invocations.len() < self.setup.invocations {
            moves.extend(asks::asks(&self.setup, world).into_iter().map(Move::Arrive));
        }
        for (i, invocation) in world.invocations.iter().enumerate() {
            moves.push(Move::Die(i));
            match &invocation.stage {
                Stage::Look => moves.push(Move::Look(i)),
                Stage::Store { .. } => {
                    let answers = [Answer::Known, Answer::Lost];
                    moves.extend(answers.map(|answer| Move::Store(i, answer)));
                }
                Stage::Act(act) => {
                    let answers = self.answers(act).iter();
                    let is_full = world.late.len() >= LATE_MAX;
                    moves.extend(
                        answers
                            .filter(|answer| !is_full || **answer != Answer::Lost)
                            .map(|answer| Move::Act(i, *answer)),
                    );
                }
            }
        }
    }

    fn next_state(&self, before: &World, action: Move) -> Option<World> {
        let mut world = before.clone();
        match action {
            Move::Arrive(guise) => {
                let invocation = self.arrive(guise);
                self.look(&mut world, invocation);
            }
            Move::Look(i) => {
                let invocation = world.invocations.remove(i);
                self.look(&mut world, invocation);
            }
            Move::Store(i, answer) => {
                let invocation = world.invocations.remove(i);
                self.store(&mut world, invocation, answer);
            }
            Move::Act(i, answer) => {
                let invocation = world.invocations.remove(i);
                self.act(&mut world, invocation, answer);
            }
            Move::Die(i) => {
                world.invocations.remove(i);
            }
            Move::Land(i) => self.land_late(&mut world, i),
            Move::Settle => world.settle(),
            Move::Tamper(router, green) => Self::tamper(&mut world, router, green),
            Move::Later => world.later(),
        }
        world.normalize(&self.setup);
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = rules::along_the_way();
        properties.extend(rules::of_states());
        properties.extend([
            Property::sometimes("a migration completes", |_, w: &World| {
                w.state.phase == Phase::Completed
            }),
            Property::sometimes("a migration is rolled back", |_, w: &World| {
                w.state.phase == Phase::RolledBack
            }),
        ]);
        properties
    }
}

impl World {
    pub fn keeps(&self, rule: Rule) -> bool {
        self.past.broken != Some(rule)
    }
}
