//! Each rule, broken once: outside the production function, by changing what it is shown or what it said.

use cutover_domain::switch::{
    Action, AlarmState, Decision, Observation, Phase, Purpose, Seen, State, Trigger, Validation,
    step,
};
use stateright::{Checker, HasDiscoveries, Model};

use crate::model::{Decide, Hands, SwitchModel};

fn finds(decide: Decide, hands: Hands, with_validator: bool) -> Vec<&'static str> {
    let checker = SwitchModel::new(decide, hands, with_validator)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found: Vec<&'static str> = checker
        .discoveries()
        .into_keys()
        .filter(|name| !name.starts_with("a migration"))
        .collect();
    found.sort_unstable();
    println!(
        "found after {} states: {found:?}",
        checker.unique_state_count()
    );
    found
}

fn with(seen: &Observation, change: impl FnOnce(&mut Observation)) -> Observation {
    let mut seen = seen.clone();
    change(&mut seen);
    seen
}

#[test]
fn an_alarm_that_is_overlooked_is_found() {
    fn blind(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            for guard in seen.guards.values_mut().flatten() {
                guard.state = AlarmState::Ok;
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(blind, Hands::PROPER, false);
    assert_eq!(found, ["rule 1: no forward order without healthy guards"]);
}

#[test]
fn missing_data_taken_for_health_is_found() {
    fn hopeful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            for guard in seen.guards.values_mut().flatten() {
                if guard.state == AlarmState::InsufficientData {
                    guard.state = AlarmState::Ok;
                }
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(hopeful, Hands::PROPER, false);
    assert_eq!(found, ["rule 1: no forward order without healthy guards"]);
}

#[test]
fn a_router_written_without_its_revision_is_found() {
    let hands = Hands {
        write_is_conditional: false,
        ..Hands::PROPER
    };
    assert!(!finds(step, hands, false).is_empty());
}

#[test]
fn a_rollback_that_does_not_write_what_reads_right_is_found() {
    fn lazy(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut decision = step(state, now_ms, seen);
        let intended = decision.next.intended;
        let is_right = seen
            .routers
            .iter()
            .all(|router| router.seen == Seen::Split(intended));
        if is_right && decision.next.phase == Phase::RollingBack {
            decision.actions.clear();
            decision.next.intent = None;
            decision.next.phase = Phase::RolledBack;
        }
        decision
    }
    let found = finds(lazy, Hands::PROPER, false);
    assert_eq!(found, ["rolled back means that the candidate has nothing"]);
}

#[test]
fn a_state_stored_without_its_condition_is_found() {
    let hands = Hands {
        store_is_conditional: false,
        ..Hands::PROPER
    };
    assert!(!finds(step, hands, false).is_empty());
}

#[test]
fn a_bake_that_is_cut_short_is_found() {
    fn hasty(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let is_baking = state.phase == Phase::Baking;
        let ahead_ms = if is_baking { 1000 } else { 0 };
        step(state, now_ms + ahead_ms, seen)
    }
    assert_eq!(
        finds(hasty, Hands::PROPER, false),
        ["rule 5: not complete before the bake"]
    );
}

#[test]
fn a_step_before_its_time_is_found() {
    fn hasty(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let is_shifting = state.phase == Phase::Shifting && state.intent.is_none();
        let ahead_ms = if is_shifting { 1000 } else { 0 };
        step(state, now_ms + ahead_ms, seen)
    }
    assert_eq!(
        finds(hasty, Hands::PROPER, false),
        ["rule 3: no double step"]
    );
}

#[test]
fn a_validation_that_is_skipped_is_found() {
    fn trusting(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if matches!(
                seen.validation,
                Validation::Unknown(_) | Validation::NotAsked
            ) {
                seen.validation = Validation::NotConfigured;
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(trusting, Hands::PROPER, true);
    assert_eq!(found, ["rule 5: no traffic before the validation"]);
}

#[test]
fn a_rollback_that_is_not_taken_while_paused_is_found() {
    fn deaf(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if state.phase == Phase::Paused && matches!(seen.trigger, Trigger::Command(..)) {
                seen.trigger = Trigger::Outcome;
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(deaf, Hands::PROPER, false);
    assert!(
        found.contains(&"rule 2: one rollback from every state is enough"),
        "{found:?}"
    );
}

#[test]
fn a_rollback_that_is_given_up_is_found() {
    fn forgetful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut decision = step(state, now_ms, seen);
        let is_abandoned = state.phase == Phase::RollingBack && seen.trigger == Trigger::Tick;
        if is_abandoned && !decision.actions.is_empty() {
            decision.actions.clear();
            decision.next = state.clone();
        }
        decision
    }
    let found = finds(forgetful, Hands::PROPER, false);
    assert!(
        found.contains(&"a rollback that was ordered is finished by one tick"),
        "{found:?}"
    );
}

#[test]
fn a_step_that_is_never_finished_is_found() {
    fn stuck(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut decision = step(state, now_ms, seen);
        let is_step = state
            .intent
            .as_ref()
            .is_some_and(|i| matches!(i.purpose, Purpose::Step(_)));
        if is_step
            && decision
                .actions
                .iter()
                .any(|a| matches!(a, Action::Write(_)))
            && state.phase == Phase::Shifting
            && seen.trigger == Trigger::Tick
        {
            decision.actions.clear();
            decision.next = state.clone();
        }
        decision
    }
    let found = finds(stuck, Hands::PROPER, false);
    assert!(
        found.contains(&"healthy ticks complete a migration"),
        "{found:?}"
    );
}

#[test]
fn weights_that_do_not_add_up_are_found() {
    let hands = Hands {
        weights_arrive: false,
        ..Hands::PROPER
    };
    assert!(finds(step, hands, false).contains(&"weights add up to 100"));
}

#[test]
fn excess_that_is_left_alone_is_found() {
    fn lenient(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if state.phase.is_forward() || seen.trigger != Trigger::Tick {
                return;
            }
            for router in &mut seen.routers {
                if state.intent.is_none() {
                    router.seen = Seen::Split(state.intended);
                }
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(lenient, Hands::PROPER, false);
    assert!(
        found.contains(&"traffic above the plan is taken back by one tick"),
        "{found:?}"
    );
}
