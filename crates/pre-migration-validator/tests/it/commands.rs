//! Commands: what the switch and an operator get.

use cutover_domain::validation::Obstacle;
use cutover_ports::parity::Trouble;
use serde_json::{Value, json};

use crate::world::World;

const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:";

fn fence(epoch: i64, blue: bool, green: bool) -> Value {
    json!({
        "action": "fence", "epoch": epoch, "mayWrite": {"blue": blue, "green": green},
        "properties": {"BlueSecretArn": format!("{SECRET}blue"), "GreenSecretArn": format!("{SECRET}green")},
    })
}

#[tokio::test]
async fn a_report_lies_in_the_bucket_in_both_forms() {
    let world = World::healthy();
    let event = world.sample("validate");
    let report = world.handle(&event).await.unwrap();
    let uri = report["reportUri"].as_str().unwrap();
    let prefix = "s3://transaction-logs/validation/dev-payment-ab12cd34/";
    assert!(uri.starts_with(prefix) && uri.ends_with(".json"), "{uri}");
    let things = world.estate.things();
    let key = uri.strip_prefix("s3://").unwrap();
    let stored: Value = serde_json::from_slice(&things.reports[key]).unwrap();
    assert_eq!(stored, report);
    let page = &things.reports[&key.replace(".json", ".html")];
    let page = String::from_utf8(page.clone()).unwrap();
    assert!(page.contains("Deployment 7") && page.contains("session-table"));
    assert_eq!(things.reports.len(), 2);
}

#[tokio::test]
async fn a_report_that_can_not_be_written_changes_no_verdict() {
    let world = World::healthy();
    world
        .estate
        .things()
        .obstacles
        .insert("s3:PutObject", Obstacle::Denied);
    let report = world.handle(&world.sample("validate")).await.unwrap();
    assert_eq!(report["status"], "pass");
    assert_eq!(report["reportUri"], Value::Null);
}

#[tokio::test]
async fn the_fence_is_set_in_both_ledgers_and_again_without_harm() {
    let world = World::healthy();
    for outcome in ["applied", "stood"] {
        let answer = world.handle(&fence(7, true, false)).await.unwrap();
        assert_eq!(answer["status"], "pass");
        for ledger in ["blue", "green"] {
            let said = &answer["ledgers"][ledger];
            assert_eq!(said["outcome"], outcome);
            assert_eq!(said["epoch"], 7);
            assert_eq!(said["mayWrite"], json!({"blue": true, "green": false}));
        }
    }
}

#[tokio::test]
async fn an_older_epoch_is_refused_and_the_answer_says_what_stands() {
    let world = World::healthy();
    world.handle(&fence(8, false, true)).await.unwrap();
    for older in [fence(7, true, false), fence(8, true, false)] {
        let answer = world.handle(&older).await.unwrap();
        assert_eq!(answer["status"], "fail");
        let said = &answer["ledgers"]["blue"];
        assert_eq!(said["epoch"], 8);
        assert_eq!(said["mayWrite"], json!({"blue": false, "green": true}));
    }
}

#[tokio::test]
async fn a_ledger_that_can_not_be_asked_is_no_fence_and_keeps_the_other_from_nothing() {
    let world = World::healthy();
    world
        .databases
        .inner()
        .down
        .insert("green".to_owned(), Trouble::Tcp);
    let answer = world.handle(&fence(7, true, false)).await.unwrap();
    assert_eq!(answer["status"], "unknown");
    assert_eq!(answer["ledgers"]["blue"]["outcome"], "applied");
    assert_eq!(answer["ledgers"]["green"]["outcome"], "failed");
    assert_eq!(answer["ledgers"]["green"].get("mayWrite"), None);
    world.databases.inner().down.clear();
    let answer = world.handle(&fence(7, true, false)).await.unwrap();
    assert_eq!(answer["status"], "pass");
    assert_eq!(answer["ledgers"]["blue"]["outcome"], "stood");
}

#[tokio::test]
async fn validating_writes_to_no_database() {
    let world = World::healthy();
    world.handle(&world.sample("validate")).await.unwrap();
    let inner = world.databases.inner();
    assert!(inner.fences.is_empty() && inner.versions.is_empty());
}
