//! What an answer says beside the contract's fields: changes that are not in effect yet, the fence, the last drill.

use std::time::Duration;

use cutover_domain::switch::{By, Command, Environment, Trigger};
use cutover_ports::switch::fakes::Kind;
use environment_switcher::answer;
use environment_switcher::executor::{Executor, Outcome};
use serde_json::{Value, json};

use crate::executor::{created, start};
use crate::world::{GREEN, executor, soon};

const NOW_MS: u64 = 1_800_000_000_000;

async fn run(executor: &Executor, trigger: Trigger) -> Outcome {
    executor.run(trigger, soon()).await.unwrap()
}

fn status(outcome: &Outcome) -> Value {
    answer::status(outcome, NOW_MS, Duration::from_mins(1))
}

#[tokio::test]
async fn nothing_is_said_of_what_never_was() {
    let world = created().await;
    let answer = status(&run(&executor(&world), Trigger::Tick).await);
    for name in ["pending", "fence", "drill", "error"] {
        assert_eq!(answer.get(name), None, "{answer}");
    }
}

#[tokio::test]
async fn a_change_that_is_not_in_effect_is_told_and_waited_for() {
    let world = created().await;
    let mut executor = executor(&world);
    executor
        .routers
        .push(Box::new(world.other("weighted", Kind::Delayed)));
    executor.guards.remove(&Environment::Blue);
    executor.policy.tick_seconds = 1;
    let started = run(&executor, start(&[(50, 0), (100, 0)])).await;
    assert_eq!(started.refusal, None);
    let answer = status(&run(&executor, Trigger::Tick).await);
    assert!(
        answer["pending"]["weighted"]
            .as_str()
            .unwrap()
            .contains("PENDING"),
        "{answer}"
    );
    assert_eq!(
        answer["step"], 0,
        "the step is not done before it is in effect"
    );
    assert_eq!(answer["nextActionAt"], "2027-01-15T08:01:00Z");
    for route in world.inner().others.values_mut() {
        route.settle();
    }
    let answer = status(&run(&executor, Trigger::Tick).await);
    assert_eq!((answer.get("pending"), &answer["step"]), (None, &json!(1)));
}

#[tokio::test]
async fn the_fence_and_the_last_drill_are_told() {
    let world = created().await;
    let mut executor = executor(&world);
    executor.fence = Some(Box::new(world.clone()));
    executor.tester = Some(Box::new(world.clone()));
    world.inner().fence_down = true;
    let answer = status(&run(&executor, start(&[(100, 0)])).await);
    assert_eq!(answer["fence"]["stands"], false, "{answer}");
    assert_eq!(
        answer["fence"]["mayWrite"],
        json!({"blue": true, "green": true})
    );
    world.inner().fence_down = false;
    let drill = Trigger::Command(Command::Drill { alarm: None }, By::default());
    let answer = status(&run(&executor, drill).await);
    assert_eq!(
        (&answer["drill"]["alarm"], &answer["drill"]["restored"]),
        (&json!(GREEN), &json!(false))
    );
    assert!(
        answer["drill"]["startedAt"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
}
