//! A validation that is longer than one invocation.

use cutover_domain::parity::TableState;
use cutover_domain::validation::Obstacle;
use serde_json::{Value, json};

use crate::world::{World, check, rows};

/// Rows take so many invocations before they end with `state`.
fn takes(world: &World, invocations: u64, state: TableState) {
    let mut answers: Vec<_> = (1..invocations)
        .map(|n| rows(TableState::Open, n * 100))
        .collect();
    answers.push(rows(state, invocations * 100));
    world.databases.inner().rows = answers;
}

/// Runs the event, and whatever it hands on, each as an invocation of its own. How many there were.
async fn run(world: &World, event: &Value) -> usize {
    let mut invocations = 0;
    let mut next = Some(event.clone());
    while let Some(event) = next.take() {
        invocations += 1;
        assert!(invocations < 50, "it never ends");
        world
            .handle_as(&event, &format!("invocation-{invocations}"), 4_000)
            .await
            .unwrap();
        let handed = world.estate.things().again.pop();
        next = handed.map(|event| serde_json::from_str(&event).unwrap());
    }
    invocations
}

#[tokio::test]
async fn it_goes_on_by_itself_and_is_answered_once() {
    for (state, status) in [
        (TableState::Equal, "SUCCESS"),
        (TableState::Differs(true), "FAILED"),
    ] {
        let world = World::healthy();
        takes(&world, 4, state);
        assert_eq!(run(&world, &world.sample("create")).await, 4);
        let puts = world.server.puts();
        assert_eq!(puts.len(), 1);
        assert_eq!(world.answer()["Status"], status);
        assert_eq!(
            world.estate.things().reports.len(),
            2,
            "one report, in two forms"
        );
        let inner = world.databases.inner();
        let gone_on: Vec<Option<u64>> = inner
            .row_calls
            .iter()
            .map(|(progress, _)| progress.as_ref().map(|p| p.tables[0].blue_rows))
            .collect();
        assert_eq!(gone_on, [None, Some(100), Some(200), Some(300)]);
    }
}

#[tokio::test]
async fn there_is_a_bound_and_an_answer_at_it() {
    let world = World::healthy();
    takes(&world, 1_000, TableState::Equal);
    let invocations = run(&world, &world.sample("create")).await;
    assert_eq!(invocations, 12);
    assert_eq!(world.server.puts().len(), 1);
    let answer = world.answer();
    assert_eq!(answer["Status"], "FAILED");
    assert!(
        answer["Reason"]
            .as_str()
            .unwrap()
            .contains("not finished within 12 invocations"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_comes_no_further_ends() {
    let world = World::healthy();
    world.databases.inner().rows = vec![rows(TableState::Open, 7)];
    assert_eq!(run(&world, &world.sample("create")).await, 4);
    let reason = world.answer()["Reason"].clone();
    assert!(reason.as_str().unwrap().contains("no further"), "{reason}");
}

#[tokio::test]
async fn the_service_timeout_ends_it() {
    let world = World::healthy();
    takes(&world, 1_000, TableState::Equal);
    let mut event = world.sample("create");
    event["ResourceProperties"]["ServiceTimeout"] = json!("3");
    let began = std::time::Instant::now();
    let mut next = event;
    loop {
        world
            .handle_as(&next, &began.elapsed().as_millis().to_string(), 4_000)
            .await
            .unwrap();
        let Some(event) = world.estate.things().again.pop() else {
            break;
        };
        next = serde_json::from_str(&event).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    assert!(
        began.elapsed().as_secs() < 4,
        "CloudFormation waits no longer"
    );
    assert_eq!(world.server.puts().len(), 1);
    assert_eq!(world.answer()["Status"], "FAILED");
}

#[tokio::test]
async fn what_can_not_be_handed_on_is_answered_at_once() {
    for broken in ["memory", "call"] {
        let world = World::healthy();
        takes(&world, 3, TableState::Equal);
        if broken == "memory" {
            world.memory.fail(true);
        } else {
            world
                .estate
                .things()
                .obstacles
                .insert("lambda:InvokeFunction", Obstacle::Denied);
        }
        assert_eq!(run(&world, &world.sample("create")).await, 1);
        let answer = world.answer();
        assert_eq!(answer["Status"], "FAILED", "{broken}");
        assert!(
            answer["Reason"]
                .as_str()
                .unwrap()
                .contains("data-parity unknown"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_repeated_delivery_goes_on_where_the_dead_invocation_stopped() {
    let world = World::healthy();
    takes(&world, 3, TableState::Equal);
    let create = world.sample("create");
    world.handle_as(&create, "first", 4_000).await.unwrap();
    let handed: Value = serde_json::from_str(&world.estate.things().again.pop().unwrap()).unwrap();
    // The second invocation dies while it compares rows, and Lambda repeats its event.
    let function = world.clone();
    let event = handed.clone();
    let dying = async move { function.handle_as(&event, "second", 60_000).await };
    world.estate.things().hangs.push("dynamodb:DescribeTable");
    let died = tokio::time::timeout(std::time::Duration::from_millis(300), dying).await;
    assert!(died.is_err());
    world.estate.things().hangs.clear();
    // Another delivery of the first event meanwhile does nothing.
    let twin = world.handle_as(&create, "twin", 4_000).await.unwrap();
    assert_eq!(twin["status"], "continued");
    assert!(world.server.puts().is_empty());
    world.handle_as(&handed, "second", 4_000).await.unwrap();
    let mut last = world.estate.things().again.pop();
    while let Some(event) = last.take() {
        let event: Value = serde_json::from_str(&event).unwrap();
        world.handle_as(&event, "third", 4_000).await.unwrap();
        last = world.estate.things().again.pop();
    }
    assert_eq!(world.answer()["Status"], "SUCCESS");
    assert_eq!(world.server.puts().len(), 1);
}

#[tokio::test]
async fn a_command_goes_on_when_it_is_asked_again() {
    let world = World::healthy();
    takes(&world, 3, TableState::Equal);
    let event = world.sample("validate");
    for (call, status) in [("a", "unknown"), ("b", "unknown"), ("c", "pass")] {
        let report = world.handle_as(&event, call, 4_000).await.unwrap();
        assert_eq!(report["status"], status, "{call}: {report}");
        assert_eq!(check(&report, "data-parity")["status"], status);
        assert!(world.estate.things().again.is_empty(), "it calls nobody");
    }
    // The next one looks at every row again.
    world.handle_as(&event, "d", 4_000).await.unwrap();
    assert_eq!(world.databases.inner().row_calls[3].0, None);
}
