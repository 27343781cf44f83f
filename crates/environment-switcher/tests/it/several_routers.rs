//! Several routers at once: the order of the writes, one that fails, one that takes effect later, one that knows no
//! revisions.

use cutover_domain::switch::{
    By, Capacity, Command, Environment, Phase, Trigger, Verb, Weights, verify,
};
use cutover_ports::switch::fakes::{FakeRouter, Kind, ROUTER, World};
use environment_switcher::executor::{Executor, Outcome};

use crate::executor::{created, roll_back, start};
use crate::world::{executor, green_share, soon};

const RULE: &str = "alb:rule";
const ZONE: &str = "route53:zone";

fn with(world: &World, routers: Vec<FakeRouter>) -> Executor {
    let mut executor = executor(world);
    // A record's effect takes 120 s: with ticks of a minute the way back would be too long.
    executor.policy.tick_seconds = 10;
    for router in routers {
        executor.routers.push(Box::new(router));
    }
    executor
}

async fn run(executor: &Executor, trigger: Trigger) -> Outcome {
    executor.run(trigger, soon()).await.unwrap()
}

fn share(world: &World, router: &str) -> u8 {
    let inner = world.inner();
    let weights = inner.others[router].weights.unwrap();
    weights.of(Environment::Green)
}

fn writes(world: &World) -> Vec<String> {
    let inner = world.inner();
    let calls = inner.calls.iter();
    calls
        .filter(|call| {
            call.rsplit_once('.')
                .is_some_and(|(_, verb)| verb == "write")
        })
        .cloned()
        .collect()
}

/// Half of the traffic on green, behind the alias, a rule and a record.
async fn shifting() -> (World, Executor) {
    let world = created().await;
    let others = vec![
        world.other(RULE, Kind::Plain),
        world.other(ZONE, Kind::Delayed),
    ];
    let executor = with(&world, others);
    run(&executor, start(&[(50, 3600), (100, 3600)])).await;
    let waiting = run(&executor, Trigger::Tick).await;
    assert_eq!(waiting.state.phase, Phase::Shifting);
    assert!(
        waiting.state.intent.is_some(),
        "the record is not in effect yet"
    );
    world.inner().others.get_mut(ZONE).unwrap().settle();
    let shifted = run(&executor, Trigger::Tick).await;
    assert_eq!(shifted.state.intent, None);
    world.inner().calls.clear();
    (world, executor)
}

#[tokio::test]
async fn what_raises_goes_to_the_slowest_first_and_what_lowers_to_the_fastest() {
    let world = created().await;
    let others = vec![
        world.other(ZONE, Kind::Delayed),
        world.other(RULE, Kind::Plain),
    ];
    let executor = with(&world, others);
    run(&executor, start(&[(50, 3600), (100, 3600)])).await;
    world.inner().calls.clear();
    run(&executor, Trigger::Tick).await;
    let (alias, rule, zone) = ("router.write", "alb:rule.write", "route53:zone.write");
    assert_eq!(writes(&world), [zone, rule, alias]);
    world.inner().calls.clear();
    run(&executor, roll_back()).await;
    assert_eq!(writes(&world), [alias, rule, zone]);
}

#[tokio::test]
async fn a_change_is_waited_for_over_ticks_and_written_once() {
    let (world, executor) = shifting().await;
    let back = run(&executor, roll_back()).await;
    assert_eq!(back.state.phase, Phase::RollingBack);
    assert_eq!(
        (
            green_share(&world),
            share(&world, RULE),
            share(&world, ZONE)
        ),
        (0, 0, 0)
    );
    let changes = &back.state.intent.as_ref().unwrap().changes;
    assert_eq!(changes.get(ZONE).map(String::as_str), Some("2"));
    world.inner().calls.clear();
    let held = run(&executor, Trigger::Tick).await;
    assert_eq!(held.decision.action, Verb::Hold);
    assert!(
        held.decision.why.contains("PENDING"),
        "{}",
        held.decision.why
    );
    assert_eq!(
        writes(&world),
        [""; 0],
        "what is on its way is not written again"
    );
    world.inner().others.get_mut(ZONE).unwrap().settle();
    let done = run(&executor, Trigger::Tick).await;
    assert_eq!(done.state.phase, Phase::RolledBack);
    assert_eq!(verify(&world.inner().journal), Ok(()));
}

#[tokio::test]
async fn a_change_whose_id_was_lost_is_ordered_again() {
    let (world, executor) = shifting().await;
    // The three reads, the state and the guards, the order, its capacity, three writes with two looks at the state.
    world.inner().calls_left = Some(13);
    let soon = cutover_lambda::Deadline::new(
        cutover_lambda::clock::now_ms() + 50,
        std::time::Duration::ZERO,
    );
    let dead = executor.run(roll_back(), soon).await;
    assert!(dead.is_err(), "it died before it knew the id");
    world.inner().calls_left = None;
    let next = run(&executor, Trigger::Tick).await;
    let intent = next.state.intent.unwrap();
    assert!(intent.changes.contains_key(ZONE), "{intent:?}");
    world.inner().others.get_mut(ZONE).unwrap().settle();
    let done = run(&executor, Trigger::Tick).await;
    assert_eq!(done.state.phase, Phase::RolledBack);
}

#[tokio::test]
async fn a_router_that_fails_does_not_keep_the_others() {
    for (name, fail) in [
        ("read", (true, false, false)),
        ("write", (false, true, false)),
    ] {
        let (world, executor) = shifting().await;
        {
            let mut inner = world.inner();
            let rule = inner.others.get_mut(RULE).unwrap();
            (rule.reads_fail, rule.writes_fail, rule.writes_hang) = fail;
        }
        let back = run(&executor, roll_back()).await;
        assert_eq!(back.state.phase, Phase::RollingBack, "{name}");
        assert_eq!((green_share(&world), share(&world, ZONE)), (0, 0), "{name}");
        assert_eq!(share(&world, RULE), 50, "{name}");
        assert!(!back.faults.is_empty(), "{name}");
        let held = run(&executor, Trigger::Tick).await;
        assert!(held.decision.why.contains(RULE), "{}", held.decision.why);
        {
            let mut inner = world.inner();
            let rule = inner.others.get_mut(RULE).unwrap();
            (rule.reads_fail, rule.writes_fail, rule.writes_hang) = (false, false, false);
            inner.others.get_mut(ZONE).unwrap().settle();
        }
        let done = run(&executor, Trigger::Tick).await;
        assert_eq!(done.state.phase, Phase::RolledBack, "{name}");
        assert_eq!(share(&world, RULE), 0, "{name}");
    }
}

#[tokio::test]
async fn an_invocation_that_was_overtaken_does_not_write_a_router_without_revisions() {
    let world = created().await;
    let rule = world.other(RULE, Kind::Plain);
    let executor = with(&world, vec![rule]);
    run(&executor, start(&[(50, 0), (100, 3600)])).await;
    // Another invocation stores a newer state between this one's order and its write.
    world.inner().overtakes = 1;
    let ticked = run(&executor, Trigger::Tick).await;
    assert!(
        ticked
            .faults
            .iter()
            .any(|fault| fault.contains("newer order")),
        "{:?}",
        ticked.faults
    );
    assert_eq!((share(&world, RULE), green_share(&world)), (0, 0));
}

#[tokio::test]
async fn a_stranger_at_one_router_is_put_right() {
    let (world, executor) = shifting().await;
    let weights = Some(Weights::share(Environment::Green, 90));
    world.inner().others.get_mut(RULE).unwrap().weights = weights;
    let repaired = run(&executor, Trigger::Tick).await;
    assert_eq!(repaired.decision.action, Verb::Repair);
    assert!(
        repaired.decision.why.contains(RULE),
        "{}",
        repaired.decision.why
    );
    assert_eq!(share(&world, RULE), 50);
}

#[tokio::test]
async fn the_first_share_takes_capacity_to_go_back_and_wakes_what_is_idle() {
    for (capacity, sleeps_on, goes) in [
        (Capacity::Ready, false, true),
        (Capacity::NotApplicable, false, true),
        (Capacity::Idle, false, true),
        (Capacity::Idle, true, false),
        (Capacity::Short, false, false),
        (Capacity::Unknown, false, false),
    ] {
        let world = created().await;
        world.inner().capacity.insert(Environment::Blue, capacity);
        world.inner().sleeps_on = sleeps_on;
        let executor = executor(&world);
        run(&executor, start(&[(50, 0), (100, 0)])).await;
        let ticked = run(&executor, Trigger::Tick).await;
        assert_eq!(green_share(&world) == 50, goes, "{capacity:?}");
        if !goes {
            let why = &ticked.decision.why;
            assert_eq!(ticked.decision.action, Verb::Hold);
            assert!(why.contains("blue") && why.contains(ROUTER), "{why}");
        }
        let was_woken = world.inner().calls.iter().any(|call| call == "router.warm");
        assert_eq!(was_woken, capacity == Capacity::Idle);
    }
}

#[tokio::test]
async fn a_rollback_wakes_what_is_idle_first_and_goes_on_without_capacity() {
    for (capacity, wakes) in [(Capacity::Idle, true), (Capacity::Short, false)] {
        let world = created().await;
        let executor = executor(&world);
        run(&executor, start(&[(50, 3600), (100, 0)])).await;
        run(&executor, Trigger::Tick).await;
        world.inner().capacity.insert(Environment::Blue, capacity);
        world.inner().calls.clear();
        let back = run(
            &executor,
            Trigger::Command(Command::RollBack, By::default()),
        )
        .await;
        assert_eq!(back.state.phase, Phase::RolledBack);
        let calls = world.inner().calls.clone();
        let at = |name: &str| calls.iter().position(|call| call == name);
        assert_eq!(at("router.warm").is_some(), wakes);
        assert!(
            at("store.commit") < at("router.capacity"),
            "the rollback is known first"
        );
        assert!(at("router.warm") < at("router.write"), "{calls:?}");
        let said = back.transitions.iter().flat_map(|entry| &entry.evidence);
        let told: Vec<_> = said.filter(|e| e.name.starts_with("capacity")).collect();
        assert!(!told.is_empty(), "what was seen is in the evidence");
    }
}
