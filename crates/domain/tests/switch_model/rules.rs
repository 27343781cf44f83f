//! The contract's rules, said once more and apart from the code that keeps them.

use cutover_domain::switch::{
    AlarmState, Decision, Environment, OnDrift, Order, Phase, Purpose, State, Validation,
};
use stateright::Property;

use crate::asks::{Ask, Counts, Guise};
use crate::model::{Answer, SwitchModel};
use crate::world::{BAKE_UNITS, Invocation, NOW_MS, Stage, UNIT_MS, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    ForwardUnguarded,
    ForwardAfterRollback,
    ForwardUnjudged,
    ForwardUnreplicated,
    DoubleStep,
    RollbackLost,
    BackUnreplicated,
    Unvalidated,
    NoWayBack,
    CompletedEarly,
    StackTouchedMigration,
}

/// Rules about what is done, noticed while it is done.
pub fn along_the_way() -> Vec<Property<SwitchModel>> {
    vec![
        Property::always(
            "rule 1: no forward order without healthy guards",
            |_, w: &World| w.keeps(Rule::ForwardUnguarded),
        ),
        Property::always(
            "rule 1: nothing forward after a rollback until a new start",
            |_, w: &World| w.keeps(Rule::ForwardAfterRollback),
        ),
        Property::always("no forward order unless the counts pass", |_, w: &World| {
            w.keeps(Rule::ForwardUnjudged)
        }),
        Property::always(
            "no forward order while the replication is behind",
            |_, w: &World| w.keeps(Rule::ForwardUnreplicated),
        ),
        Property::always("rule 3: no double step", |_, w: &World| {
            w.keeps(Rule::DoubleStep)
        }),
        Property::always("rule 3: no lost rollback", |_, w: &World| {
            w.keeps(Rule::RollbackLost)
        }),
        Property::always(
            "past completion no way back while the replication is behind",
            |_, w: &World| w.keeps(Rule::BackUnreplicated),
        ),
        Property::always(
            "rule 5: no traffic before the validation",
            |_, w: &World| w.keeps(Rule::Unvalidated),
        ),
        Property::always(
            "no first traffic without capacity to go back",
            |_, w: &World| w.keeps(Rule::NoWayBack),
        ),
        Property::always("rule 5: not complete before the bake", |_, w: &World| {
            w.keeps(Rule::CompletedEarly)
        }),
        Property::always("no stack update touches a migration", |_, w: &World| {
            w.keeps(Rule::StackTouchedMigration)
        }),
    ]
}

/// Rules about where things stand, and about what would happen from there.
pub fn of_states() -> Vec<Property<SwitchModel>> {
    vec![
        Property::always("weights add up to 100", |_, w: &World| {
            w.routes
                .iter()
                .all(|route| route.blue.checked_add(route.green) == Some(100))
        }),
        Property::always(
            "rolled back means that the candidate has nothing",
            |_, w: &World| rolled_back_is_back(w),
        ),
        Property::always(
            "no traffic where the ledgers take no payments",
            |_, w: &World| traffic_may_write(w),
        ),
        Property::always(
            "rule 2: one rollback from every state is enough",
            one_rollback,
        ),
        Property::always(
            "rule 2: a router out of reach does not keep the others",
            others_go_back,
        ),
        Property::always(
            "a rollback that was ordered is finished by one tick",
            one_tick,
        ),
        Property::always("healthy ticks complete a migration", healthy_ticks),
        Property::always(
            "traffic above the plan is taken back by one tick",
            no_excess,
        ),
        Property::always(
            "a fence that was ordered stands after one tick",
            fence_stands,
        ),
    ]
}

impl World {
    fn broke(&mut self, rule: Rule) {
        self.past.broken.get_or_insert(rule);
    }
}

/// An invocation ends without storing anything: an operator whose rollback ends so has it done or under way, or is told
/// that it is too late.
pub fn check_end(world: &mut World, invocation: &Invocation, decision: &Decision) {
    if invocation.guise.ask != Ask::RollBack {
        return;
    }
    let is_refused = decision.refusal.is_some();
    let may_refuse = world.state.phase == Phase::Completed && !invocation.guise.is_near;
    let may_go_back = world.state.phase.is_forward() || world.state.phase == Phase::Completed;
    if may_go_back && !(is_refused && may_refuse) {
        world.broke(Rule::RollbackLost);
    }
}

/// An invocation stores a decision.
pub fn check_store(world: &mut World, invocation: &Invocation, next: &State) {
    let was_taken_back = world.is_taken_back();
    match invocation.guise.ask {
        Ask::Start(..) => world.past.rollback = None,
        Ask::Update(..) if world.state.phase.is_running() => check_stack(world, next),
        Ask::Update(..) if next.phase.is_forward() => world.past.rollback = None,
        _ if was_taken_back && (next.phase.is_forward() || next.phase == Phase::Completed) => {
            world.broke(Rule::RollbackLost);
        }
        _ => {}
    }
    let begins_back = next.phase == Phase::RollingBack && !was_taken_back;
    if begins_back {
        world.past.rollback = Some(next.generation);
        if world.state.phase == Phase::Completed && !invocation.guise.is_near {
            world.broke(Rule::BackUnreplicated);
        }
    }
    let is_ordered = next.intent.is_some() && next.intended != world.state.intended;
    match next.intent.as_ref().map(|intent| intent.purpose) {
        Some(Purpose::Step(index)) if is_ordered => check_step(world, invocation, next, index),
        Some(Purpose::Complete) if world.state.intent.is_none() => {
            check_forward(world, invocation);
            let is_at_once = matches!(invocation.guise.ask, Ask::Update(..));
            if world.past.all_units != Some(BAKE_UNITS) && !is_at_once {
                world.broke(Rule::CompletedEarly);
            }
        }
        _ => {}
    }
}

/// An update may turn into a rollback, as everything may that sees an alarm; it changes nothing else.
fn check_stack(world: &mut World, next: &State) {
    let before = &world.state;
    let is_rollback = next.phase == Phase::RollingBack;
    let is_untouched = (next.intended, next.phase, &next.migration, next.active)
        == (
            before.intended,
            before.phase,
            &before.migration,
            before.active,
        );
    // What was begun is finished by whoever comes.
    let is_upkeep = before.intent.is_some() || next.fence != before.fence;
    if !(is_rollback || is_untouched || is_upkeep) {
        world.broke(Rule::StackTouchedMigration);
    }
}

fn check_forward(world: &mut World, invocation: &Invocation) {
    let guise = &invocation.guise;
    if guise.alarm != AlarmState::Ok || guise.ask == Ask::Alarm {
        world.broke(Rule::ForwardUnguarded);
    }
    if !guise.is_near {
        world.broke(Rule::ForwardUnreplicated);
    }
    let is_update = matches!(guise.ask, Ask::Update(..));
    if !world.state.phase.is_forward() && !is_update {
        world.broke(Rule::ForwardAfterRollback);
    }
    let migration = world.state.migration.as_ref();
    let has_share = migration.is_some_and(|migration| migration.step.is_some());
    let is_judged = guise.counts == Counts::Good
        || (!has_share && guise.counts != Counts::Missing)
        || is_update;
    if !is_judged {
        world.broke(Rule::ForwardUnjudged);
    }
}

fn check_step(world: &mut World, invocation: &Invocation, next: &State, index: usize) {
    check_forward(world, invocation);
    let Some(migration) = &world.state.migration else {
        return world.broke(Rule::DoubleStep);
    };
    let is_next = match migration.step {
        None => index == 0,
        Some(step) => {
            let baked_ms = migration.steps[step].bake_seconds * UNIT_MS;
            index == step + 1 && NOW_MS.saturating_sub(migration.step_at_ms) >= baked_ms
        }
    };
    if !is_next && invocation.guise.ask != Ask::Promote {
        world.broke(Rule::DoubleStep);
    }
    if world.state.phase == Phase::Validating {
        let is_validated = matches!(
            invocation.validation,
            Validation::Passed | Validation::NotConfigured
        );
        if !is_validated {
            world.broke(Rule::Unvalidated);
        }
        if !invocation.guise.has_capacity {
            world.broke(Rule::NoWayBack);
        }
    }
    if next.phase == Phase::Completed {
        world.broke(Rule::CompletedEarly);
    }
}

/// A write reaches a router while its writer waits. One that was ordered before a rollback may still arrive until the
/// rollback's own write; after that, and for any order later than the rollback, nothing goes forward.
pub fn check_write(world: &mut World, order: &Order, router: usize) {
    let candidate = world.candidate();
    let route = &world.routes[router];
    let raises = order.weights.of(candidate) > route.of(candidate);
    let Some(rollback) = world.past.rollback else {
        return;
    };
    // Before the ledgers are open again a repair may still keep the traffic where it is.
    let is_waiting = world.state.phase == Phase::RollingBack && world.state.intent.is_none();
    let is_repair = world.state.intended == order.weights && order.weights.of(candidate) == 100;
    let marker = route.marker;
    if raises && !is_repair && !is_waiting && (order.generation > rollback || marker >= rollback) {
        world.broke(Rule::ForwardAfterRollback);
    }
}

/// Where nothing is under way, the candidate has what the phase says.
fn rolled_back_is_back(world: &World) -> bool {
    let is_over = matches!(
        world.state.phase,
        Phase::Idle | Phase::Validating | Phase::RolledBack | Phase::Failed
    );
    let has_nothing = |w: &World| w.routes.iter().all(|route| route.of(w.candidate()) == 0);
    !is_over || world.past.is_disturbed || has_nothing(world)
}

fn traffic_may_write(world: &World) -> bool {
    let (_, may_write) = world.fence;
    world.past.is_disturbed
        || [Environment::Blue, Environment::Green]
            .into_iter()
            .filter(|environment| !may_write.of(*environment))
            .all(|retired| world.routes.iter().all(|route| route.of(retired) == 0))
}

// What follows asks what happens once all invocations under way have died, and every write that was sent has landed.
// Either may happen at any time, so such a state follows every state, and only those need to be asked.

fn is_calm(world: &World) -> bool {
    world.invocations.is_empty() && world.late.is_empty()
}

/// Calls of one invocation: far more than it needs without company.
const CALLS_MAX: usize = 40;

/// One invocation without company, from beginning to end.
fn alone(model: &SwitchModel, world: &mut World, guise: Guise) {
    let invocation = model.arrive(guise);
    model.look(world, invocation);
    for _call in 0..CALLS_MAX {
        let Some(invocation) = world.invocations.pop() else {
            return;
        };
        match invocation.stage {
            Stage::Look => model.look(world, invocation),
            Stage::Store { .. } => model.store(world, invocation, Answer::Known),
            Stage::Act(_) => model.act(world, invocation, Answer::Known),
        }
    }
}

fn unreadable(ask: Ask) -> Guise {
    Guise {
        alarm: AlarmState::Unreadable,
        counts: Counts::Missing,
        ..Guise::healthy(ask)
    }
}

fn is_settled_back(world: &World) -> bool {
    let is_over = matches!(
        world.state.phase,
        Phase::Idle | Phase::RolledBack | Phase::Failed
    );
    is_over && world.is_back()
}

/// From every state, one rollback that meets no failure puts everything on the previous environment; and once that is in
/// effect, one tick knows it.
fn one_rollback(model: &SwitchModel, world: &World) -> bool {
    if !is_calm(world) {
        return true;
    }
    let mut world = world.clone();
    if is_left_to_operators(&world) {
        return true;
    }
    alone(model, &mut world, unreadable(Ask::RollBack));
    let is_back = world.is_back();
    world.settle();
    alone(model, &mut world, unreadable(Ask::Tick));
    is_back && is_settled_back(&world)
}

/// Where nothing runs and drift is held, a stranger's weights are an operator's business.
fn is_left_to_operators(world: &World) -> bool {
    let holds = world.state.migration.as_ref();
    world.past.is_disturbed && holds.is_some_and(|m| m.on_drift == OnDrift::Hold)
}

/// As [`one_rollback`], but one router can't be reached: the others have nothing left for the candidate.
fn others_go_back(model: &SwitchModel, world: &World) -> bool {
    let routers = world.routes.len();
    if !is_calm(world) || routers < 2 || !world.state.phase.is_forward() {
        return true;
    }
    (0..routers).all(|down| {
        let mut world = world.clone();
        let guise = Guise {
            down: Some(down),
            ..unreadable(Ask::RollBack)
        };
        alone(model, &mut world, guise);
        let candidate = world.candidate();
        (0..routers).all(|router| router == down || world.routes[router].of(candidate) == 0)
    })
}

/// A rollback that was ordered, and abandoned at any point, is finished by the next tick, whatever the alarm says; if it
/// takes effect later, by the tick after that.
fn one_tick(model: &SwitchModel, world: &World) -> bool {
    if !is_calm(world) || world.state.phase != Phase::RollingBack {
        return true;
    }
    let mut world = world.clone();
    alone(model, &mut world, unreadable(Ask::Tick));
    let is_back = world.is_back();
    world.settle();
    alone(model, &mut world, unreadable(Ask::Tick));
    is_back && is_settled_back(&world)
}

/// Nothing hangs: with healthy guards and time, ticks alone complete what was begun and not taken back.
fn healthy_ticks(model: &SwitchModel, world: &World) -> bool {
    let is_held = is_left_to_operators(world);
    let runs = world.state.phase.is_forward() && world.state.phase != Phase::Paused;
    if !is_calm(world) || !runs || is_held {
        return true;
    }
    let mut world = world.clone();
    if let Some(migration) = &mut world.state.migration {
        migration.max_seconds = 1_000_000;
    }
    for _tick in 0..10 {
        world.later();
        world.settle();
        alone(model, &mut world, Guise::healthy(Ask::Tick));
        world.normalize(&model.setup);
    }
    world.state.phase == Phase::Completed
}

/// Someone gives the candidate more than the plan: the next tick takes it back, in every phase.
fn no_excess(model: &SwitchModel, world: &World) -> bool {
    if !is_calm(world) {
        return true;
    }
    let candidate = world.candidate();
    (0..world.routes.len()).all(|router| {
        let mut world = world.clone();
        let route = &mut world.routes[router];
        (route.blue, route.green) = match candidate {
            Environment::Blue => (100, 0),
            Environment::Green => (0, 100),
        };
        alone(model, &mut world, unreadable(Ask::Tick));
        let intended = world.state.intended.of(candidate);
        world.routes[router].of(candidate) <= intended
    })
}

/// Whatever was said to the ledgers last stands in them after a tick that reaches them, but for a change that is not in
/// effect yet.
fn fence_stands(model: &SwitchModel, world: &World) -> bool {
    if !is_calm(world) || world.state.intent.is_some() || world.past.is_disturbed {
        return true;
    }
    let mut world = world.clone();
    alone(model, &mut world, unreadable(Ask::Tick));
    let Some(order) = world.state.fence else {
        return true;
    };
    order.stands && world.fence == (order.epoch, order.may_write)
}
