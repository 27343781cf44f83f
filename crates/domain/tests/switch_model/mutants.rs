//! Each rule, broken once: outside the production function, by changing what it is shown or what it said.

use cutover_domain::switch::{
    Action, AlarmState, Capacity, CountsReading, Decision, FenceOrder, FenceSeen, Lag, MayWrite,
    Observation, Phase, Purpose, ResourceChange, Seen, State, Tally, Trigger, Validation, Weights,
    step,
};
use stateright::{Checker, HasDiscoveries, Model};

use crate::model::{Decide, Hands, SwitchModel};
use crate::setups::{
    COUNTS, DELAYED, FENCE, OPERATORS, ROUTERS, STACK, STRANGER, Setup, VALIDATOR,
};

fn finds(decide: Decide, hands: Hands, setup: Setup) -> Vec<&'static str> {
    let checker = SwitchModel::new(decide, hands, setup)
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
    let found = finds(blind, Hands::PROPER, OPERATORS);
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
    let found = finds(hopeful, Hands::PROPER, OPERATORS);
    assert_eq!(found, ["rule 1: no forward order without healthy guards"]);
}

#[test]
fn a_router_written_without_its_revision_is_found() {
    let hands = Hands {
        write_is_conditional: false,
        ..Hands::PROPER
    };
    assert!(!finds(step, hands, OPERATORS).is_empty());
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
    let found = finds(lazy, Hands::PROPER, OPERATORS);
    assert_eq!(found, ["rolled back means that the candidate has nothing"]);
}

#[test]
fn a_state_stored_without_its_condition_is_found() {
    let hands = Hands {
        store_is_conditional: false,
        ..Hands::PROPER
    };
    assert!(!finds(step, hands, OPERATORS).is_empty());
}

#[test]
fn a_bake_that_is_cut_short_is_found() {
    fn hasty(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let is_baking = state.phase == Phase::Baking;
        let ahead_ms = if is_baking { 1000 } else { 0 };
        step(state, now_ms + ahead_ms, seen)
    }
    assert_eq!(
        finds(hasty, Hands::PROPER, OPERATORS),
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
        finds(hasty, Hands::PROPER, OPERATORS),
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
    let found = finds(trusting, Hands::PROPER, VALIDATOR);
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
    let found = finds(deaf, Hands::PROPER, OPERATORS);
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
    let found = finds(forgetful, Hands::PROPER, OPERATORS);
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
    let found = finds(stuck, Hands::PROPER, OPERATORS);
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
    assert!(finds(step, hands, OPERATORS).contains(&"weights add up to 100"));
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
    let found = finds(lenient, Hands::PROPER, OPERATORS);
    assert!(
        found.contains(&"traffic above the plan is taken back by one tick"),
        "{found:?}"
    );
}

fn has(found: &[&str], rule: &str) {
    assert!(found.contains(&rule), "{found:?}");
}

#[test]
fn counts_that_are_ignored_are_found() {
    fn hopeful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if let Some(CountsReading::Counts { candidate, .. }) = &mut seen.counts
                && candidate.requests < 100
            {
                *candidate = Tally {
                    requests: 10_000,
                    failures: 0,
                };
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(hopeful, Hands::PROPER, COUNTS);
    has(&found, "no forward order unless the counts pass");
}

#[test]
fn missing_counts_taken_for_good_ones_are_found() {
    fn hopeful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            seen.has_counts = !matches!(seen.counts, Some(CountsReading::Missing(_)));
        });
        step(state, now_ms, &seen)
    }
    let found = finds(hopeful, Hands::PROPER, COUNTS);
    has(&found, "no forward order unless the counts pass");
}

#[test]
fn a_lag_that_is_overlooked_is_found() {
    fn hopeful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if state.phase != Phase::Completed {
                for reading in &mut seen.replication {
                    reading.lag = Lag::Seconds(0);
                }
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(hopeful, Hands::PROPER, FENCE);
    has(&found, "no forward order while the replication is behind");
}

#[test]
fn a_way_back_without_the_writes_since_completion_is_found() {
    fn rash(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if state.phase == Phase::Completed {
                for reading in &mut seen.replication {
                    reading.lag = Lag::Seconds(0);
                }
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(rash, Hands::PROPER, FENCE);
    has(
        &found,
        "past completion no way back while the replication is behind",
    );
}

#[test]
fn a_fence_that_leads_the_traffic_is_found() {
    /// Retires the candidate when the rollback is ordered, not when it was read back.
    fn eager(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut decision = step(state, now_ms, seen);
        let is_new = decision.next.phase == Phase::RollingBack
            && state.phase != Phase::RollingBack
            && decision.next.intent.is_some();
        if is_new && seen.fence != FenceSeen::NotConfigured {
            let order = FenceOrder {
                epoch: decision.next.generation,
                may_write: MayWrite::only(decision.next.active),
                stands: false,
            };
            decision.next.fence = Some(order);
            decision.actions.insert(0, Action::Fence(order));
        }
        decision
    }
    let found = finds(eager, Hands::PROPER, FENCE);
    has(&found, "no traffic where the ledgers take no payments");
}

#[test]
fn a_way_back_before_the_ledgers_are_open_is_found() {
    fn rash(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut state = state.clone();
        let is_waiting = state.phase == Phase::RollingBack && state.intent.is_none();
        if let Some(fence) = state.fence.as_mut().filter(|_| is_waiting) {
            fence.stands = true;
        }
        step(&state, now_ms, seen)
    }
    let found = finds(rash, Hands::PROPER, FENCE);
    has(&found, "no traffic where the ledgers take no payments");
}

#[test]
fn a_start_that_does_not_open_the_ledgers_is_found() {
    fn forgetful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut state = state.clone();
        if let Some(fence) = &mut state.fence
            && state.phase == Phase::Validating
        {
            fence.stands = true;
        }
        step(&state, now_ms, seen)
    }
    let found = finds(forgetful, Hands::PROPER, FENCE);
    has(&found, "a fence that was ordered stands after one tick");
}

#[test]
fn a_fence_that_is_never_retried_is_found() {
    fn forgetful(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut decision = step(state, now_ms, seen);
        if decision.next.generation == state.generation && state.phase == Phase::RolledBack {
            decision.actions.clear();
        }
        decision
    }
    let found = finds(forgetful, Hands::PROPER, FENCE);
    has(&found, "a fence that was ordered stands after one tick");
}

#[test]
fn a_ledger_that_takes_an_older_epoch_is_found() {
    let hands = Hands {
        epochs_grow: false,
        ..Hands::PROPER
    };
    has(
        &finds(step, hands, FENCE),
        "a fence that was ordered stands after one tick",
    );
}

#[test]
fn a_rollback_that_waits_for_the_fence_is_found() {
    fn patient(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let decision = step(state, now_ms, seen);
        let is_closed = state.fence.is_some_and(|order| !order.stands);
        if state.phase.is_forward() && decision.next.phase == Phase::RollingBack && is_closed {
            let seen = with(seen, |seen| seen.trigger = Trigger::Outcome);
            return step(state, now_ms, &seen);
        }
        decision
    }
    let found = finds(patient, Hands::PROPER, FENCE);
    has(&found, "rule 3: no lost rollback");
}

#[test]
fn a_first_share_without_a_way_back_is_found() {
    fn rash(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            for reading in &mut seen.capacity {
                reading.state = Capacity::Ready;
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(rash, Hands::PROPER, VALIDATOR);
    has(&found, "no first traffic without capacity to go back");
}

#[test]
fn a_router_that_stops_the_others_is_found() {
    let hands = Hands {
        others_are_written: false,
        ..Hands::PROPER
    };
    has(
        &finds(step, hands, ROUTERS),
        "rule 2: a router out of reach does not keep the others",
    );
}

#[test]
fn a_rollback_that_waits_for_every_router_is_found() {
    fn fussy(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let decision = step(state, now_ms, seen);
        let is_down = |seen: &Seen| matches!(seen, Seen::Unreadable(_));
        if seen.routers.iter().any(|router| is_down(&router.seen)) {
            let mut held = decision;
            held.next = state.clone();
            held.actions.clear();
            return held;
        }
        decision
    }
    let found = finds(fussy, Hands::PROPER, ROUTERS);
    assert!(
        found.contains(&"rule 2: a router out of reach does not keep the others")
            || found.contains(&"rule 3: no lost rollback"),
        "{found:?}"
    );
}

#[test]
fn an_old_order_written_to_a_router_without_revisions_is_found() {
    let hands = Hands {
        generation_is_checked: false,
        ..Hands::PROPER
    };
    assert!(!finds(step, hands, ROUTERS).is_empty());
}

#[test]
fn one_router_taken_for_all_is_found() {
    fn hasty(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if state.intent.is_some() && seen.routers[0].seen == Seen::Split(state.intended) {
                seen.routers[1].seen = Seen::Split(state.intended);
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(hasty, Hands::PROPER, ROUTERS);
    has(&found, "traffic above the plan is taken back by one tick");
}

#[test]
fn a_change_that_is_never_waited_for_again_is_found() {
    /// Writes anew as long as the change is pending: it never ends.
    fn impatient(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            for router in &mut seen.routers {
                if router.pending.is_some() {
                    router.seen = Seen::Absent;
                }
            }
            seen.changes.clear();
        });
        let mut state = state.clone();
        if let Some(intent) = &mut state.intent {
            intent.changes.clear();
        }
        step(&state, now_ms, &seen)
    }
    let found = finds(impatient, Hands::PROPER, DELAYED);
    assert!(!found.is_empty());
}

#[test]
fn drift_that_is_left_alone_is_found() {
    fn lenient(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            for router in &mut seen.routers {
                if state.intent.is_none() {
                    router.seen = Seen::Split(state.intended);
                }
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(lenient, Hands::PROPER, STRANGER);
    has(&found, "traffic above the plan is taken back by one tick");
}

#[test]
fn a_stack_update_that_resets_a_migration_is_found() {
    fn owning(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let mut decision = step(state, now_ms, seen);
        let is_update = matches!(
            seen.trigger,
            Trigger::Resource(ResourceChange::Update { .. })
        );
        if is_update
            && state.phase == Phase::Baking
            && state.intent.is_none()
            && decision.refusal.is_some()
        {
            decision.refusal = None;
            decision.next.generation = state.generation + 1;
            decision.next.intended = Weights::all(state.active);
        }
        decision
    }
    let found = finds(owning, Hands::PROPER, STACK);
    has(&found, "no stack update touches a migration");
}

#[test]
fn a_stack_update_that_moves_past_a_guard_is_found() {
    fn blind(state: &State, now_ms: u64, seen: &Observation) -> Decision {
        let seen = with(seen, |seen| {
            if matches!(seen.trigger, Trigger::Resource(_)) {
                for guard in seen.guards.values_mut().flatten() {
                    guard.state = AlarmState::Ok;
                }
            }
        });
        step(state, now_ms, &seen)
    }
    let found = finds(blind, Hands::PROPER, STACK);
    has(&found, "rule 1: no forward order without healthy guards");
}
