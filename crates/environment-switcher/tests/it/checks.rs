//! Replication, counts, the exposure budget, the fence and the point of no return.

use cutover_domain::switch::{
    By, Command, CountsReading, Direction, Environment, Lag, LagReading, MayWrite, Phase, Tally,
    Trigger, Verb,
};
use cutover_ports::switch::fakes::World;
use environment_switcher::executor::{Executor, Outcome};

use crate::executor::{created, roll_back, start, start_with};
use crate::world::{executor, green_share, soon};

async fn run(executor: &Executor, trigger: Trigger) -> Outcome {
    executor.run(trigger, soon()).await.unwrap()
}

fn lag(world: &World, seconds: u64, back: Lag) {
    world.inner().replication = vec![
        LagReading {
            task: "there".to_owned(),
            direction: Direction::BlueToGreen,
            lag: Lag::Seconds(seconds),
        },
        LagReading {
            task: "back".to_owned(),
            direction: Direction::GreenToBlue,
            lag: back,
        },
    ];
}

fn counts(world: &World, candidate: (u64, u64), money: u64) {
    let tally = |(requests, failures)| Tally { requests, failures };
    world.inner().counts = Some(CountsReading::Counts {
        baseline: tally((20_000, 0)),
        candidate: tally(candidate),
        money: Some(money),
        window_seconds: 3_600,
    });
}

fn promote() -> Trigger {
    Trigger::Command(Command::Promote, By::default())
}

#[tokio::test]
async fn replication_that_is_behind_stopped_or_unknown_holds_every_step() {
    for bad in [
        Lag::Seconds(31),
        Lag::Stopped("failed".to_owned()),
        Lag::Unknown("no data".to_owned()),
    ] {
        let world = created().await;
        let mut executor = executor(&world);
        executor.replication = Some(Box::new(world.clone()));
        lag(&world, 0, bad.clone());
        run(&executor, start(&[(50, 0), (100, 0)])).await;
        let held = run(&executor, Trigger::Tick).await;
        assert_eq!(held.decision.action, Verb::Hold, "{bad:?}");
        let why = &held.decision.why;
        assert!(
            why.contains("back") && why.contains("limit is 30 s"),
            "{why}"
        );
        lag(&world, 30, Lag::Seconds(30));
        run(&executor, Trigger::Tick).await;
        assert_eq!(green_share(&world), 50);
        lag(&world, 0, bad);
        run(&executor, Trigger::Tick).await;
        let refused = run(&executor, promote()).await;
        assert_eq!(refused.refusal.unwrap().code, "replication_lag");
        assert_eq!(green_share(&world), 50);
        let back = run(&executor, roll_back()).await;
        assert_eq!(back.state.phase, Phase::RolledBack, "a rollback needs none");
    }
}

#[tokio::test]
async fn counts_pass_hold_or_take_back() {
    let world = created().await;
    let mut executor = executor(&world);
    executor.counts = Some(Box::new(world.clone()));
    run(&executor, start(&[(50, 0), (100, 0)])).await;
    let held = run(&executor, Trigger::Tick).await;
    assert!(
        held.decision.why.contains("counts are missing"),
        "{}",
        held.decision.why
    );
    counts(&world, (0, 0), 0);
    run(&executor, Trigger::Tick).await;
    assert_eq!(green_share(&world), 50);
    counts(&world, (10, 0), 0);
    let held = run(&executor, Trigger::Tick).await;
    assert_eq!(held.decision.action, Verb::Hold);
    for parameter in ["SPRT", "alpha 0.01", "beta 0.01", "n = 10"] {
        assert!(
            held.decision.why.contains(parameter),
            "{}",
            held.decision.why
        );
    }
    let refused = run(&executor, promote()).await;
    assert_eq!(refused.refusal.unwrap().code, "verdict_open");
    world.inner().counts = None;
    let held = run(&executor, Trigger::Tick).await;
    assert_eq!(held.decision.action, Verb::Hold, "missing data holds");
    assert_eq!(green_share(&world), 50);
    counts(&world, (5_000, 0), 0);
    run(&executor, Trigger::Tick).await;
    assert_eq!(green_share(&world), 100);
    counts(&world, (5_000, 2_500), 0);
    let back = run(&executor, Trigger::Tick).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
    assert!(
        back.decision.why.contains("verdict by counts"),
        "{}",
        back.decision.why
    );
}

#[tokio::test]
async fn one_broken_money_invariant_is_too_many() {
    let world = created().await;
    let mut executor = executor(&world);
    executor.counts = Some(Box::new(world.clone()));
    counts(&world, (0, 0), 0);
    run(&executor, start(&[(50, 3600), (100, 0)])).await;
    run(&executor, Trigger::Tick).await;
    counts(&world, (5_000, 0), 1);
    let back = run(&executor, Trigger::Tick).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
    assert!(back.decision.why.contains("money"), "{}", back.decision.why);
}

#[tokio::test]
async fn the_exposure_budget_makes_steps_smaller_or_holds_them() {
    let world = created().await;
    let executor = executor(&world);
    // 60 s of detection, 60 of ingestion, 60 of the tick, 48 of retries, 1 of effect: 229 s.
    let budget = |seconds| {
        start_with("m-1", &[(50, 0), (100, 0)], move |start| {
            start.max_exposed_seconds = Some(seconds);
        })
    };
    run(&executor, budget(69)).await;
    for expected in [30, 50, 80, 100] {
        let ticked = run(&executor, Trigger::Tick).await;
        assert_eq!(
            ticked.decision.action,
            Verb::Shift,
            "{}",
            ticked.decision.why
        );
        assert_eq!(green_share(&world), expected);
        if expected == 50 {
            let refused = run(&executor, promote()).await;
            assert_eq!(refused.refusal.unwrap().code, "exposure_exceeded");
        }
    }
    let world = created().await;
    let executor = crate::world::executor(&world);
    run(&executor, budget(1)).await;
    let held = run(&executor, Trigger::Tick).await;
    assert_eq!(held.decision.action, Verb::Hold);
    assert!(
        held.decision.why.contains("maxExposedSeconds"),
        "{}",
        held.decision.why
    );
    assert_eq!(green_share(&world), 0);
}

#[tokio::test]
async fn a_migration_that_could_not_be_taken_back_in_time_is_not_begun() {
    let world = created().await;
    let mut executor = executor(&world);
    executor.policy.tick_seconds = 300;
    let refused = run(&executor, start(&[(50, 0), (100, 0)])).await;
    let refusal = refused.refusal.unwrap();
    assert_eq!(refusal.code, "rollback_too_slow");
    for part in ["detection", "ingestion", "tick", "retries", "effect"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
}

async fn fenced() -> (World, Executor) {
    let world = created().await;
    let mut executor = executor(&world);
    executor.fence = Some(Box::new(world.clone()));
    executor.replication = Some(Box::new(world.clone()));
    lag(&world, 0, Lag::Seconds(0));
    (world, executor)
}

fn may_write(world: &World) -> Option<MayWrite> {
    world.inner().fence.map(|(_, may_write)| may_write)
}

#[tokio::test]
async fn the_fence_opens_with_the_start_and_closes_behind_the_traffic() {
    let (world, executor) = fenced().await;
    run(&executor, start(&[(50, 0), (100, 0)])).await;
    assert_eq!(may_write(&world), Some(MayWrite::BOTH));
    run(&executor, Trigger::Tick).await;
    let back = run(&executor, roll_back()).await;
    assert_eq!(back.state.phase, Phase::RolledBack);
    assert_eq!(may_write(&world), Some(MayWrite::only(Environment::Blue)));
    assert!(back.state.fence.unwrap().stands);

    let (world, executor) = fenced().await;
    run(&executor, start(&[(100, 0)])).await;
    run(&executor, Trigger::Tick).await;
    let done = run(&executor, Trigger::Tick).await;
    assert_eq!(done.state.phase, Phase::Completed);
    assert_eq!(may_write(&world), Some(MayWrite::only(Environment::Green)));
}

#[tokio::test]
async fn without_open_ledgers_there_is_no_first_share_and_a_rollback_never_waits() {
    let (world, executor) = fenced().await;
    world.inner().fence_down = true;
    run(&executor, start(&[(50, 3600), (100, 0)])).await;
    let held = run(&executor, Trigger::Tick).await;
    assert_eq!(held.decision.action, Verb::Hold);
    assert!(
        held.decision.why.contains("ledgers"),
        "{}",
        held.decision.why
    );
    assert_eq!(green_share(&world), 0);
    world.inner().fence_down = false;
    run(&executor, Trigger::Tick).await;
    run(&executor, Trigger::Tick).await;
    assert_eq!(green_share(&world), 50);
    world.inner().fence_down = true;
    let back = run(&executor, roll_back()).await;
    assert_eq!(
        (back.state.phase, green_share(&world)),
        (Phase::RolledBack, 0)
    );
    assert!(!back.state.fence.unwrap().stands);
    world.inner().fence_down = false;
    let retried = run(&executor, Trigger::Tick).await;
    assert!(retried.state.fence.unwrap().stands);
    assert_eq!(may_write(&world), Some(MayWrite::only(Environment::Blue)));
}

#[tokio::test]
async fn past_completion_the_way_back_takes_replication_and_open_ledgers() {
    for bad in [Lag::Seconds(31), Lag::Unknown("no data".to_owned())] {
        let (world, executor) = fenced().await;
        run(&executor, start(&[(100, 0)])).await;
        run(&executor, Trigger::Tick).await;
        run(&executor, Trigger::Tick).await;
        lag(&world, 0, bad.clone());
        let refusal = run(&executor, roll_back()).await.refusal.unwrap();
        assert_eq!(refusal.code, "past_point_of_no_return");
        assert!(
            refusal.message.contains("at most 30 s"),
            "{}",
            refusal.message
        );
        if bad == Lag::Seconds(31) {
            assert!(
                refusal.message.contains("is 31 s behind"),
                "{}",
                refusal.message
            );
        }
        assert_eq!(green_share(&world), 100);

        lag(&world, 1000, Lag::Seconds(30));
        world.inner().fence_down = true;
        let waiting = run(&executor, roll_back()).await;
        assert_eq!(waiting.state.phase, Phase::RollingBack);
        assert_eq!(
            green_share(&world),
            100,
            "not before the ledgers take blue's payments"
        );
        world.inner().fence_down = false;
        let back = run(&executor, Trigger::Tick).await;
        assert_eq!(back.state.phase, Phase::RolledBack, "{}", back.decision.why);
        assert_eq!(
            (green_share(&world), back.state.active),
            (0, Environment::Blue)
        );
        assert_eq!(may_write(&world), Some(MayWrite::only(Environment::Blue)));
    }
}
