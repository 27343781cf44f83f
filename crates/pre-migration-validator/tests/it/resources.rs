//! What CloudFormation gets.

use cutover_custom_resource::BODY_BYTES_MAX;
use cutover_domain::validation::facts::FunctionFacts;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn attributes_are_texts_and_all_there() {
    let world = World::healthy();
    world.handle(&world.sample("create")).await.unwrap();
    let data = world.answer()["Data"].clone();
    assert_eq!(data["Status"], "pass");
    assert_eq!(
        (
            &data["ChecksPassed"],
            &data["ChecksFailed"],
            &data["ChecksUnknown"]
        ),
        (&json!("18"), &json!("0"), &json!("0"))
    );
    assert!(
        data["ReportUri"]
            .as_str()
            .unwrap()
            .starts_with("s3://transaction-logs/validation/")
    );
    assert!(data["ValidatedAt"].as_str().unwrap().ends_with('Z'));
    assert!(
        data["Message"]
            .as_str()
            .unwrap()
            .starts_with("pass: 18 passed")
    );
    assert_eq!(data.as_object().unwrap().len(), 7);
}

#[tokio::test]
async fn a_reason_names_every_check_that_did_not_pass() {
    let world = World::healthy();
    {
        let mut things = world.estate.things();
        things.tables.clear();
        things.keys.clear();
        things.targets.clear();
        things.panics.push("backup:ListRecoveryPointsByBackupVault");
        things.functions.values_mut().for_each(|function| {
            *function = FunctionFacts {
                name: "\u{1f980}\"\n".repeat(2_000),
                ..FunctionFacts::default()
            };
        });
    }
    world.handle(&world.sample("create")).await.unwrap();
    let put = world.server.puts().pop().unwrap();
    assert!(put.body.len() <= BODY_BYTES_MAX, "{}", put.body.len());
    let answer = put.json();
    assert_eq!(answer["Status"], "FAILED");
    let reason = answer["Reason"].as_str().unwrap();
    for name in [
        "session-table fail",
        "keys fail",
        "target-health fail",
        "functions fail",
        "backup unknown",
        "blue-cluster",
    ] {
        assert!(reason.contains(name), "{name} in {reason}");
    }
    assert!(
        reason.contains("Full report: s3://transaction-logs/validation/"),
        "{reason}"
    );
}

#[tokio::test]
async fn report_mode_lets_on_and_tells() {
    let world = World::healthy();
    world.handle(&world.sample("create-report")).await.unwrap();
    let answer = world.answer();
    assert_eq!(answer["Status"], "SUCCESS");
    assert_eq!(answer["Data"]["Status"], "fail");
    assert_eq!(answer["Data"]["ChecksFailed"], "1");
    assert!(
        answer["Data"]["Message"]
            .as_str()
            .unwrap()
            .contains("session-table")
    );
}

#[tokio::test]
async fn the_same_request_twice_gets_the_same_answer() {
    let world = World::healthy();
    let event = world.sample("create");
    world.handle(&event).await.unwrap();
    world.estate.things().tables.clear();
    world.handle(&event).await.unwrap();
    let puts = world.server.puts();
    assert_eq!(puts[0].body, puts[1].body);
    let mut next = event;
    next["RequestId"] = json!("another");
    world.handle(&next).await.unwrap();
    assert_eq!(world.answer()["Status"], "FAILED");
}

#[tokio::test]
async fn an_update_that_rolls_back_is_not_looked_at() {
    let world = World::healthy();
    world.estate.things().tables.clear();
    let forward = world.sample("update");
    world.handle(&forward).await.unwrap();
    assert_eq!(world.answer()["Status"], "FAILED");
    let mut back = forward.clone();
    back["RequestId"] = json!("back");
    back["ResourceProperties"] = forward["OldResourceProperties"].clone();
    back["OldResourceProperties"] = forward["ResourceProperties"].clone();
    world.handle(&back).await.unwrap();
    let answer = world.answer();
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["Status"], "skipped");
    assert_eq!(
        answer["Data"].as_object().unwrap().len(),
        7,
        "what outputs name is there"
    );
}

#[tokio::test]
async fn a_delete_looks_at_nothing() {
    for name in ["delete", "delete-odd", "schema-delete"] {
        let world = World::healthy();
        world.memory.fail(true);
        world.estate.things().hangs.push("dynamodb:DescribeTable");
        world.handle(&world.sample(name)).await.unwrap();
        let answer = world.answer();
        assert_eq!(answer["Status"], "SUCCESS", "{name}");
        assert_eq!(world.memory.calls(), 0);
        assert!(world.estate.things().reports.is_empty());
        let given = world.sample(name)["PhysicalResourceId"].clone();
        assert_eq!(answer["PhysicalResourceId"], given);
    }
}

/// The checks end by themselves; this is for what does not: the guard answers, and names what hangs.
#[tokio::test]
async fn a_report_that_hangs_does_not_keep_the_answer() {
    let world = World::healthy();
    world.estate.things().hangs.push("s3:PutObject");
    world.handle(&world.sample("create")).await.unwrap();
    let answer = world.answer();
    assert_eq!(answer["Status"], "SUCCESS", "{answer}");
    assert_eq!(answer["Data"]["ReportUri"], "");
    assert!(
        answer["Data"]["Message"]
            .as_str()
            .unwrap()
            .contains("not written"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_schema_is_brought_to_its_version_and_never_back() {
    let world = World::healthy();
    world.handle(&world.sample("schema-create")).await.unwrap();
    assert_eq!(world.answer()["Data"]["Version"], "3");
    let mut update = world.sample("schema-update");
    update["RequestId"] = json!("down");
    world.handle(&update).await.unwrap();
    let answer = world.answer();
    assert_eq!(answer["Status"], "FAILED");
    let reason: &Value = &answer["Reason"];
    assert!(
        reason
            .as_str()
            .unwrap()
            .contains("not taken back to version 2"),
        "{reason}"
    );
    // CloudFormation takes that update back, and must not be kept from it.
    let mut back = update.clone();
    back["RequestId"] = json!("back");
    back["ResourceProperties"] = update["OldResourceProperties"].clone();
    back["OldResourceProperties"] = update["ResourceProperties"].clone();
    world.handle(&back).await.unwrap();
    assert_eq!(world.answer()["Status"], "SUCCESS");
}
