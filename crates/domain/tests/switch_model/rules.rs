//! The contract's rules, said once more and apart from the code that keeps them.

use cutover_domain::switch::{AlarmState, Environment, Order, Phase, Purpose, State, Validation};

use crate::model::{Answer, SwitchModel, Verdict};
use crate::world::{Ask, BAKE_UNITS, Invocation, NOW_MS, Stage, UNIT_MS, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    ForwardUnguarded,
    ForwardAfterRollback,
    DoubleStep,
    RollbackLost,
    Unvalidated,
    CompletedEarly,
}

impl World {
    fn broke(&mut self, rule: Rule) {
        self.past.broken.get_or_insert(rule);
    }
}

/// An invocation ends without storing anything: an operator whose rollback ends so has it done or under way.
pub fn check_end(world: &mut World, invocation: &Invocation) {
    let may_go_back = world.state.phase.is_forward() || world.state.phase == Phase::Completed;
    if invocation.ask == Ask::RollBack && may_go_back {
        world.broke(Rule::RollbackLost);
    }
}

/// An invocation stores a decision.
pub fn check_store(world: &mut World, invocation: &Invocation, next: &State) {
    let was_taken_back = world.is_taken_back();
    let is_start = matches!(invocation.ask, Ask::Start(..));
    if is_start {
        world.past.rollback = None;
    } else if was_taken_back && (next.phase.is_forward() || next.phase == Phase::Completed) {
        world.broke(Rule::RollbackLost);
    }
    let is_ordered = next.intent.is_some() && next.intended != world.state.intended;
    match next.intent.as_ref().map(|intent| intent.purpose) {
        Some(Purpose::RollBack) if world.past.rollback.is_none() => {
            world.past.rollback = Some(next.generation);
        }
        Some(Purpose::Step(index)) if is_ordered => check_step(world, invocation, next, index),
        Some(Purpose::Complete) if world.state.intent.is_none() => {
            check_forward(world, invocation);
            if world.past.all_units != Some(BAKE_UNITS) {
                world.broke(Rule::CompletedEarly);
            }
        }
        _ => {}
    }
}

fn check_forward(world: &mut World, invocation: &Invocation) {
    if invocation.alarm != AlarmState::Ok || invocation.ask == Ask::Alarm {
        world.broke(Rule::ForwardUnguarded);
    }
    if !world.state.phase.is_forward() {
        world.broke(Rule::ForwardAfterRollback);
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
    if !is_next && invocation.ask != Ask::Promote {
        world.broke(Rule::DoubleStep);
    }
    let is_first = world.state.phase == Phase::Validating;
    if is_first
        && !matches!(
            invocation.validation,
            Validation::Passed | Validation::NotConfigured
        )
    {
        world.broke(Rule::Unvalidated);
    }
    if next.phase == Phase::Completed {
        world.broke(Rule::CompletedEarly);
    }
}

/// A write reaches the router. One that was ordered before a rollback may still arrive until the rollback's own write;
/// after that, and for any order later than the rollback, nothing goes forward.
pub fn check_write(world: &mut World, order: &Order) {
    let candidate = world.candidate();
    let raises = order.weights.of(candidate) > world.route.of(candidate);
    let Some(rollback) = world.past.rollback else {
        return;
    };
    if raises && (order.generation > rollback || world.route.marker >= rollback) {
        world.broke(Rule::ForwardAfterRollback);
    }
}

/// Where nothing is under way, the candidate has what the phase says.
pub fn rolled_back_is_back(world: &World) -> bool {
    match world.state.phase {
        Phase::Idle | Phase::Validating | Phase::RolledBack | Phase::Failed => {
            world.route.of(world.candidate()) == 0
        }
        _ => true,
    }
}

// What follows asks what happens once all invocations under way have died. Each may die at any time, so a state without
// invocations follows every state, and only those need to be asked.

/// Calls of one invocation: far more than it needs without company.
const CALLS_MAX: usize = 30;

/// One invocation without company, from beginning to end.
fn alone(model: &SwitchModel, world: &mut World, ask: Ask, alarm: AlarmState) {
    let invocation = model.arrive(ask, alarm);
    model.look(world, invocation, Verdict::Pass);
    for _call in 0..CALLS_MAX {
        let Some(invocation) = world.invocations.pop() else {
            return;
        };
        match invocation.stage {
            Stage::Look => model.look(world, invocation, Verdict::Pass),
            Stage::Store { .. } => model.store(world, invocation, Answer::Known),
            Stage::Write { .. } => model.write(world, invocation, Answer::Known),
        }
    }
}

fn is_settled_back(world: &World) -> bool {
    let is_over = matches!(
        world.state.phase,
        Phase::Idle | Phase::RolledBack | Phase::Failed
    );
    is_over && world.is_back()
}

/// From every state, one rollback that meets no failure ends with everything on the previous environment.
pub fn one_rollback(model: &SwitchModel, world: &World) -> bool {
    if !world.invocations.is_empty() {
        return true;
    }
    let mut world = world.clone();
    alone(model, &mut world, Ask::RollBack, AlarmState::Unreadable);
    is_settled_back(&world)
}

/// A rollback that was ordered, and abandoned at any point, is finished by the next tick, whatever the alarm says.
pub fn one_tick(model: &SwitchModel, world: &World) -> bool {
    if !world.invocations.is_empty() {
        return true;
    }
    if world.state.phase != Phase::RollingBack {
        return true;
    }
    let mut world = world.clone();
    alone(model, &mut world, Ask::Tick, AlarmState::Unreadable);
    is_settled_back(&world)
}

/// Nothing hangs: with healthy guards and time, ticks alone complete what was begun and not taken back.
pub fn healthy_ticks(model: &SwitchModel, world: &World) -> bool {
    if !world.invocations.is_empty() {
        return true;
    }
    if !world.state.phase.is_forward() || world.state.phase == Phase::Paused {
        return true;
    }
    let mut world = world.clone();
    if let Some(migration) = &mut world.state.migration {
        migration.max_seconds = 1_000_000;
    }
    for _tick in 0..8 {
        world.later();
        alone(model, &mut world, Ask::Tick, AlarmState::Ok);
        world.normalize();
    }
    world.state.phase == Phase::Completed
}

/// Someone gives the candidate more than the plan: the next tick takes it back, in every phase.
pub fn no_excess(model: &SwitchModel, world: &World) -> bool {
    if !world.invocations.is_empty() {
        return true;
    }
    let mut world = world.clone();
    let candidate = world.candidate();
    (world.route.blue, world.route.green) = match candidate {
        Environment::Blue => (100, 0),
        Environment::Green => (0, 100),
    };
    alone(model, &mut world, Ask::Tick, AlarmState::Unreadable);
    world.route.of(candidate) <= world.state.intended.of(candidate)
}
