//! Drills of the alarm path.

use cutover_domain::switch::{AlarmState, By, Command, DrillBy, Phase, Trigger};
use cutover_ports::switch::fakes::World;
use environment_switcher::executor::{Executor, Outcome};

use crate::executor::{created, start, start_as};
use crate::world::{BLUE, GREEN, executor, green_share, soon};

use std::cell::Cell;

thread_local! {
    static NOW_MS: Cell<u64> = const { Cell::new(1_800_000_000_000) };
}

async fn ready() -> (World, Executor) {
    let world = created().await;
    let mut executor = executor(&world);
    executor.tester = Some(Box::new(world.clone()));
    executor.clock = || NOW_MS.get();
    (world, executor)
}

async fn run(executor: &Executor, trigger: Trigger) -> Outcome {
    executor.run(trigger, soon()).await.unwrap()
}

fn drill(alarm: Option<&str>) -> Trigger {
    let alarm = alarm.map(ToOwned::to_owned);
    Trigger::Command(Command::Drill { alarm }, By::default())
}

fn event(state: AlarmState) -> Trigger {
    Trigger::Alarm {
        name: GREEN.to_owned(),
        state,
        at_ms: Some(NOW_MS.get()),
    }
}

fn later(seconds: u64) {
    NOW_MS.set(NOW_MS.get() + seconds * 1000);
}

fn state_of(world: &World) -> AlarmState {
    world.inner().alarms[GREEN].0
}

#[tokio::test]
async fn the_event_proves_the_path_and_the_alarm_is_restored() {
    let (world, executor) = ready().await;
    run(&executor, start(&[(50, 0), (100, 0)])).await;
    run(&executor, drill(None)).await;
    assert_eq!(state_of(&world), AlarmState::Alarm);
    later(2);
    let arrived = run(&executor, event(AlarmState::Alarm)).await;
    assert_eq!(
        arrived.state.phase,
        Phase::Validating,
        "it rolls nothing back"
    );
    assert!(arrived.state.proved.contains(GREEN));
    let seen = arrived.state.drill.unwrap();
    assert_eq!(seen.by, Some(DrillBy::Event));
    assert!(seen.outcome.unwrap().contains("2000 ms"));
    assert_eq!(state_of(&world), AlarmState::Ok);
    let restored = run(&executor, event(AlarmState::Ok)).await;
    assert!(restored.state.drill.unwrap().restored);
    run(&executor, Trigger::Tick).await;
    assert_eq!(green_share(&world), 50);
}

#[tokio::test]
async fn a_poll_proves_nothing_and_the_wait_is_bounded() {
    let (world, executor) = ready().await;
    run(&executor, drill(Some(GREEN))).await;
    later(60);
    let polled = run(&executor, Trigger::Tick).await.state.drill.unwrap();
    assert_eq!((polled.by, polled.outcome), (Some(DrillBy::Poll), None));
    let refused = run(&executor, start(&[(100, 0)])).await.refusal.unwrap();
    assert_eq!(refused.code, "drill_running");
    later(240);
    let ended = run(&executor, Trigger::Tick).await.state;
    assert!(ended.proved.is_empty());
    let ended = ended.drill.unwrap();
    assert_eq!(ended.by, Some(DrillBy::Poll));
    assert!(ended.outcome.unwrap().contains("no event"));
    assert_eq!(
        state_of(&world),
        AlarmState::Ok,
        "it is restored all the same"
    );
    later(60);
    assert!(
        run(&executor, Trigger::Tick)
            .await
            .state
            .drill
            .unwrap()
            .restored
    );
    let begun = run(&executor, start(&[(100, 0)])).await;
    assert_eq!(
        (begun.state.phase, begun.refusal),
        (Phase::Validating, None)
    );
}

#[tokio::test]
async fn what_can_not_be_tripped_ends_at_once() {
    let (world, executor) = ready().await;
    world.inner().tester_down = true;
    let failed = run(&executor, drill(None)).await.state.drill.unwrap();
    assert!(failed.outcome.unwrap().contains("could not be tripped"));
}

#[tokio::test]
async fn a_restore_that_fails_is_repeated_and_holds_the_first_share() {
    let (world, executor) = ready().await;
    run(&executor, start(&[(50, 0), (100, 0)])).await;
    run(&executor, drill(None)).await;
    world.inner().tester_down = true;
    run(&executor, event(AlarmState::Alarm)).await;
    let held = run(&executor, Trigger::Tick).await;
    assert_eq!(
        (held.state.phase, green_share(&world)),
        (Phase::Validating, 0)
    );
    world.inner().tester_down = false;
    run(&executor, Trigger::Tick).await;
    assert_eq!(state_of(&world), AlarmState::Ok);
    // An alarm that stays in ALARM counts again in the end.
    run(&executor, Trigger::Tick).await;
    world.alarm(GREEN, AlarmState::Alarm);
    let back = run(&executor, Trigger::Tick).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
}

#[tokio::test]
async fn a_drill_takes_place_before_the_first_step_with_a_known_healthy_guard() {
    let (world, executor) = ready().await;
    let code = |outcome: Outcome| outcome.refusal.map(|refusal| refusal.code);
    assert_eq!(
        code(run(&executor, drill(Some("nobodys"))).await),
        Some("unknown_alarm")
    );
    world.alarm(GREEN, AlarmState::Alarm);
    assert_eq!(
        code(run(&executor, drill(None)).await),
        Some("guard_in_alarm")
    );
    world.alarm(GREEN, AlarmState::Ok);
    assert_eq!(code(run(&executor, drill(Some(BLUE))).await), None);
    assert_eq!(
        code(run(&executor, drill(None)).await),
        Some("drill_running")
    );

    let (_world, executor) = ready().await;
    run(&executor, start_as("m-2", &[(50, 3600), (100, 0)])).await;
    run(&executor, Trigger::Tick).await;
    assert_eq!(
        code(run(&executor, drill(None)).await),
        Some("migration_running")
    );
}
