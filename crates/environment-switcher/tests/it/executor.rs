//! The executor against a world in memory: whole migrations, races, crashes between any two calls.

use std::time::Duration;

use cutover_domain::switch::{
    AlarmState, By, Command, Environment, OnDrift, Phase, ResourceChange, Start, Step, Trigger,
    Validation, Verb, Versions, Weights, verify,
};
use cutover_lambda::{Deadline, clock};
use cutover_ports::switch::fakes::World;
use environment_switcher::executor::{ExecutorError, Outcome};

use crate::world::{GREEN, executor, green_share, healthy, soon, versions};

async fn run(world: &World, trigger: Trigger) -> Outcome {
    executor(world).run(trigger, soon()).await.unwrap()
}

fn create() -> Trigger {
    Trigger::Resource(ResourceChange::Create {
        owner: "switch-1".to_owned(),
        initial: Environment::Blue,
        versions: versions(),
        properties: "created".to_owned(),
    })
}

pub fn start(steps: &[(u8, u64)]) -> Trigger {
    start_as("m-1", steps)
}

pub fn start_as(id: &str, steps: &[(u8, u64)]) -> Trigger {
    start_with(id, steps, |_| {})
}

pub fn start_with(id: &str, steps: &[(u8, u64)], change: impl FnOnce(&mut Start)) -> Trigger {
    let mut start = Start {
        migration_id: id.to_owned(),
        to: Environment::Green,
        steps: steps
            .iter()
            .map(|(percent, bake_seconds)| Step {
                percent: *percent,
                bake_seconds: *bake_seconds,
            })
            .collect(),
        max_seconds: 3600,
        on_drift: OnDrift::Repair,
        versions: Versions::default(),
        max_exposed_payments: None,
        max_exposed_seconds: None,
    };
    change(&mut start);
    Trigger::Command(Command::Start(start), By::default())
}

pub fn roll_back() -> Trigger {
    Trigger::Command(Command::RollBack, By::default())
}

pub async fn created() -> World {
    let world = healthy();
    assert_eq!(run(&world, create()).await.state.phase, Phase::Idle);
    assert_eq!(green_share(&world), 0);
    world
}

async fn shifting() -> World {
    let world = created().await;
    run(&world, start(&[(50, 3600), (100, 3600)])).await;
    let shifted = run(&world, Trigger::Tick).await;
    assert_eq!(shifted.state.phase, Phase::Shifting);
    assert_eq!(green_share(&world), 50);
    world
}

#[tokio::test]
async fn a_migration_goes_step_by_step_and_its_journal_holds() {
    let world = created().await;
    let started = run(&world, start(&[(25, 0), (50, 0), (100, 0)])).await;
    assert_eq!(started.state.phase, Phase::Validating);
    assert_eq!(green_share(&world), 0, "no traffic before the validation");
    for share in [25, 50, 100] {
        let ticked = run(&world, Trigger::Tick).await;
        assert_eq!(ticked.decision.action, Verb::Shift);
        assert_eq!(green_share(&world), share);
    }
    let completed = run(&world, Trigger::Tick).await;
    assert_eq!(completed.state.phase, Phase::Completed);
    assert_eq!(completed.state.active, Environment::Green);
    assert_eq!(
        world.inner().route.as_ref().unwrap().base,
        Environment::Green
    );
    assert_eq!(verify(&world.inner().journal), Ok(()));
    let generations: Vec<u64> = world.inner().journal.iter().map(|e| e.generation).collect();
    assert_eq!(
        generations,
        (1..=completed.state.generation).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_tick_with_nothing_to_do_reads_and_writes_nothing() {
    let world = shifting().await;
    world.inner().calls.clear();
    let ticked = run(&world, Trigger::Tick).await;
    assert_eq!(ticked.decision.action, Verb::Wait);
    let mut calls = world.inner().calls.clone();
    calls.sort();
    assert_eq!(calls, ["alarms.read", "router.read", "store.load"]);
}

#[tokio::test]
async fn an_alarm_takes_all_traffic_back_by_event_and_by_poll() {
    for trigger in [
        Trigger::Tick,
        Trigger::Alarm {
            name: GREEN.to_owned(),
            state: AlarmState::Alarm,
            at_ms: None,
        },
    ] {
        let world = shifting().await;
        if trigger == Trigger::Tick {
            world.alarm(GREEN, AlarmState::Alarm);
        } else {
            world.inner().alarms_down = true;
        }
        let back = run(&world, trigger).await;
        assert_eq!(back.state.phase, Phase::RolledBack);
        assert_eq!(back.decision.action, Verb::RollBack);
        assert_eq!(green_share(&world), 0);
    }
}

#[tokio::test]
async fn an_event_older_than_the_migration_is_no_alarm_of_it() {
    let world = shifting().await;
    let old = Trigger::Alarm {
        name: GREEN.to_owned(),
        state: AlarmState::Alarm,
        at_ms: Some(1),
    };
    assert_eq!(run(&world, old).await.state.phase, Phase::Shifting);
    let other = Trigger::Alarm {
        name: "someone-elses".to_owned(),
        state: AlarmState::Alarm,
        at_ms: None,
    };
    assert_eq!(run(&world, other).await.state.phase, Phase::Shifting);
}

#[tokio::test]
async fn missing_data_holds_and_never_goes_forward() {
    let world = created().await;
    world.alarm(GREEN, AlarmState::InsufficientData);
    let started = run(&world, start(&[(100, 0)])).await;
    assert_eq!(started.state.phase, Phase::Validating);
    assert_eq!(run(&world, Trigger::Tick).await.decision.action, Verb::Hold);
    world.inner().alarms.clear();
    assert_eq!(run(&world, Trigger::Tick).await.decision.action, Verb::Hold);
    world
        .inner()
        .alarms
        .insert(GREEN.to_owned(), (AlarmState::Ok, false));
    assert_eq!(run(&world, Trigger::Tick).await.decision.action, Verb::Hold);
    world.alarm(GREEN, AlarmState::Ok);
    world.inner().alarms_down = true;
    assert_eq!(run(&world, Trigger::Tick).await.decision.action, Verb::Hold);
    assert_eq!(green_share(&world), 0);
    world.inner().alarms_down = false;
    assert_eq!(
        run(&world, Trigger::Tick).await.decision.action,
        Verb::Shift
    );
}

#[tokio::test]
async fn a_start_is_refused_by_name_and_changes_nothing() {
    for (state, code) in [
        (Some((AlarmState::Alarm, true)), "guard_in_alarm"),
        (Some((AlarmState::Ok, false)), "guard_disabled"),
        (None, "guard_missing"),
    ] {
        let world = created().await;
        let before = world.inner().state.clone();
        match state {
            Some(alarm) => world.inner().alarms.insert(GREEN.to_owned(), alarm),
            None => world.inner().alarms.remove(GREEN),
        };
        let refusal = run(&world, start(&[(100, 0)])).await.refusal.unwrap();
        assert_eq!(refusal.code, code);
        assert!(refusal.message.contains(GREEN));
        assert_eq!(world.inner().state, before);
    }
}

#[tokio::test]
async fn a_repeated_start_is_no_new_start_even_after_the_rollback() {
    let world = shifting().await;
    run(&world, roll_back()).await;
    let again = run(&world, start(&[(100, 0)])).await;
    assert_eq!(
        (again.state.phase, again.refusal),
        (Phase::RolledBack, None)
    );
    run(&world, start_as("m-2", &[(100, 0)])).await;
    run(&world, roll_back()).await;
    let late = run(&world, start(&[(100, 0)])).await;
    assert_eq!(late.state.phase, Phase::RolledBack, "m-1 is remembered");
    let other = run(&world, start_as("m-3", &[(100, 0)])).await;
    assert_eq!(other.state.phase, Phase::Validating);
    let running = run(&world, start_as("m-4", &[(100, 0)])).await;
    assert_eq!(running.refusal.unwrap().code, "migration_running");
}

#[tokio::test]
async fn a_rollback_writes_even_if_the_router_reads_right() {
    let world = created().await;
    run(&world, start(&[(100, 0)])).await;
    let before = world.inner().route.clone().unwrap().revision;
    let back = run(&world, roll_back()).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
    assert!(world.inner().route.clone().unwrap().revision > before);
    let repeated = run(&world, roll_back()).await;
    assert_eq!(repeated.state.generation, back.state.generation);
}

#[tokio::test]
async fn a_rollback_wins_against_faster_writers() {
    let world = shifting().await;
    world.inner().races = 3;
    let back = run(&world, roll_back()).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
    assert_eq!(green_share(&world), 0);
}

#[tokio::test]
async fn traffic_above_the_plan_is_taken_back_in_every_phase() {
    for end in [None, Some(roll_back())] {
        let world = shifting().await;
        if let Some(end) = end {
            run(&world, end).await;
        }
        let planned = green_share(&world);
        world.tamper(Weights::share(Environment::Green, 80));
        let repaired = run(&world, Trigger::Tick).await;
        assert_eq!(repaired.decision.action, Verb::Repair);
        assert_eq!(green_share(&world), planned);
    }
}

#[tokio::test]
async fn a_failed_validation_ends_before_the_first_traffic() {
    let world = created().await;
    let mut executor = executor(&world);
    executor.validator = Some(Box::new(world.clone()));
    executor.run(start(&[(100, 0)]), soon()).await.unwrap();
    world.inner().validation = Some(Validation::Unknown("no answer".to_owned()));
    let held = executor.run(Trigger::Tick, soon()).await.unwrap();
    assert_eq!(held.decision.action, Verb::Hold);
    world.inner().validation = Some(Validation::Failed("backup".to_owned()));
    let failed = executor.run(Trigger::Tick, soon()).await.unwrap();
    assert_eq!(failed.state.phase, Phase::Failed);
    assert_eq!(green_share(&world), 0);
}

#[tokio::test]
async fn pause_holds_resume_goes_on_and_promote_goes_to_all() {
    let world = created().await;
    run(&world, start(&[(50, 0), (100, 3600)])).await;
    run(&world, Trigger::Tick).await;
    let command = |command| Trigger::Command(command, By::default());
    run(&world, command(Command::Pause)).await;
    run(&world, Trigger::Tick).await;
    assert_eq!(green_share(&world), 50);
    let resumed = run(&world, command(Command::Resume)).await;
    assert_eq!(resumed.state.phase, Phase::Shifting);
    world.alarm(GREEN, AlarmState::InsufficientData);
    let refused = run(&world, command(Command::Promote)).await;
    assert_eq!(refused.refusal.unwrap().code, "guard_not_healthy");
    world.alarm(GREEN, AlarmState::Ok);
    let promoted = run(&world, command(Command::Promote)).await;
    assert_eq!(promoted.state.phase, Phase::Baking);
    assert_eq!(green_share(&world), 100);
    let refused = run(&world, command(Command::Promote)).await;
    assert_eq!(refused.refusal.unwrap().code, "already_baking");
    let back = run(&world, roll_back()).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
}

#[tokio::test]
async fn without_the_memory_nothing_is_claimed() {
    let world = shifting().await;
    world.inner().store_down = true;
    let failed = executor(&world).run(roll_back(), soon()).await;
    assert!(matches!(failed, Err(ExecutorError::Store(_))));
}

#[tokio::test]
async fn whoever_is_not_told_stops_nothing() {
    let world = shifting().await;
    world.inner().notifications_down = true;
    let back = run(&world, roll_back()).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
    let faults = executor(&world).tell(&back.transitions, "{}", soon()).await;
    assert_eq!(faults.len(), 1);
}

#[tokio::test]
async fn a_crash_between_any_two_calls_is_finished_by_the_next_invocation() {
    for trigger in [Trigger::Tick, roll_back()] {
        for calls in 0..12 {
            let world = created().await;
            run(&world, start(&[(50, 3600), (100, 3600)])).await;
            if trigger != Trigger::Tick {
                run(&world, Trigger::Tick).await;
            }
            world.inner().calls_left = Some(calls);
            let soon = Deadline::new(clock::now_ms() + 20, Duration::ZERO);
            let _dead = executor(&world).run(trigger.clone(), soon).await;
            world.inner().calls_left = None;
            let next = run(&world, trigger.clone()).await;
            let (phase, share) = match trigger {
                Trigger::Tick => (Phase::Shifting, 50),
                _ => (Phase::RolledBack, 0),
            };
            assert_eq!(
                next.state.phase, phase,
                "{trigger:?} died after {calls} calls"
            );
            assert_eq!(next.state.intent, None);
            assert_eq!(green_share(&world), share);
            assert_eq!(verify(&world.inner().journal), Ok(()));
        }
    }
}

#[tokio::test]
async fn the_stack_makes_moves_and_removes() {
    let world = created().await;
    let again = run(&world, create()).await;
    assert_eq!(again.transitions, [], "a repeated Create changes nothing");
    let update = |id: &str, active| {
        Trigger::Resource(ResourceChange::Update {
            owner: "switch-1".to_owned(),
            migration_id: id.to_owned(),
            active,
            versions: Versions {
                blue: None,
                green: Some("3".to_owned()),
            },
            declared: Versions::default(),
            properties: id.to_owned(),
            before: "created".to_owned(),
        })
    };
    let noted = run(&world, update("cfn-1", None)).await;
    assert_eq!(noted.state.versions.green.as_deref(), Some("3"));
    assert_eq!(green_share(&world), 0);
    world.alarm(GREEN, AlarmState::InsufficientData);
    let refused = run(&world, update("cfn-2", Some(Environment::Green))).await;
    assert_eq!(refused.refusal.unwrap().code, "guard_not_healthy");
    world.alarm(GREEN, AlarmState::Ok);
    let moved = run(&world, update("cfn-2", Some(Environment::Green))).await;
    assert_eq!(moved.state.phase, Phase::Completed);
    assert_eq!(green_share(&world), 100);
    let delete = |owner: &str| {
        Trigger::Resource(ResourceChange::Delete {
            owner: owner.to_owned(),
        })
    };
    run(&world, delete("someone-else")).await;
    assert!(world.inner().route.is_some());
    run(&world, delete("switch-1")).await;
    assert_eq!(world.inner().route, None);
    assert_eq!(run(&world, Trigger::Tick).await.decision.action, Verb::None);
    assert_eq!(world.inner().route, None, "what was removed stays removed");
}

#[tokio::test]
async fn a_running_migration_is_not_the_stacks() {
    let world = shifting().await;
    let update = |versions| {
        Trigger::Resource(ResourceChange::Update {
            owner: "switch-1".to_owned(),
            migration_id: "cfn-1".to_owned(),
            active: None,
            versions,
            declared: Versions::default(),
            properties: "cfn-1".to_owned(),
            before: "created".to_owned(),
        })
    };
    let same = run(&world, update(Versions::default())).await;
    assert_eq!((same.refusal, same.transitions.len()), (None, 0));
    let other = Versions {
        blue: None,
        green: Some("3".to_owned()),
    };
    let refused = run(&world, update(other)).await;
    assert_eq!(refused.refusal.unwrap().code, "migration_running");
    assert_eq!(green_share(&world), 50);
}
