//! Every sample event in `events/pre-migration-validator`, good and bad, is used here.

use std::path::PathBuf;

use cutover_custom_resource::BODY_BYTES_MAX;
use serde_json::{Value, json};

use crate::world::World;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/pre-migration-validator")
}

pub fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

fn names(prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".json").map(ToOwned::to_owned))
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no sample {prefix}*");
    names
}

#[tokio::test]
async fn good_requests_succeed_each_with_one_answer() {
    for name in [
        "create",
        "create-plain",
        "create-report",
        "create-some",
        "update",
        "delete",
        "delete-odd",
        "schema-create",
        "schema-update",
        "schema-delete",
    ] {
        let world = World::healthy();
        let event = world.sample(name);
        world.handle(&event).await.unwrap();
        let puts = world.server.puts();
        assert_eq!(puts.len(), 1, "{name}");
        let answer = world.answer();
        assert_eq!(answer["Status"], "SUCCESS", "{name}: {answer}");
        for id in ["StackId", "RequestId", "LogicalResourceId"] {
            assert_eq!(answer[id], event[id], "{name}");
        }
    }
}

#[tokio::test]
async fn bad_requests_fail_with_what_is_taken() {
    let told = |name: &str| match name {
        "bad-resource-nothing" => "nothing to check",
        "bad-resource-property" => "unknown property BlueClusterID",
        "bad-resource-mode" => "enforce or report",
        "bad-resource-check" => "moon-phase",
        "bad-resource-check-without" => "BackupVaultName",
        "bad-resource-lag" => "0 to 3600",
        "bad-resource-table" => "ParityTables",
        "bad-resource-list" => "no JSON object",
        "bad-resource-plain" => "ClusterId",
        "bad-resource-type" => "Custom::PreMigrationValidation",
        "bad-resource-request-type" => "Create, Update, Delete",
        "bad-resource-no-stack" => "StackId",
        "bad-resource-schema-none" => "SecretArns",
        "bad-resource-schema-version" => "Version takes",
        other => panic!("{other} is not tested"),
    };
    for name in names("bad-resource-") {
        let world = World::healthy();
        world.handle(&world.sample(&name)).await.unwrap();
        let puts = world.server.puts();
        assert_eq!(puts.len(), 1, "{name}");
        assert!(puts[0].body.len() <= BODY_BYTES_MAX);
        let answer = world.answer();
        assert_eq!(answer["Status"], "FAILED", "{name}");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(told(&name)), "{name}: {reason}");
    }
}

#[tokio::test]
async fn bad_events_are_errors_that_say_what_is_taken() {
    for name in names("bad-event-") {
        let world = World::healthy();
        // As it is: its ResponseURL leads nowhere, or is missing.
        let event: Value = serde_json::from_str(&text(&name)).unwrap();
        let error = world.handle(&event).await.unwrap_err();
        assert!(!error.contains("Signature"), "{name}: {error}");
        let told = match name.as_str() {
            "bad-event-no-url" => "ResponseURL",
            "bad-event-plain-http" => "ALLOW_HTTP_RESPONSE_URL",
            "bad-event-property" => "unknown property SesionTable",
            "bad-event-nothing" => "nothing to check",
            _ => "it takes",
        };
        assert!(error.contains(told), "{name}: {error}");
    }
}

#[tokio::test]
async fn commands_answer_with_their_report() {
    for name in ["validate", "validate-table"] {
        let world = World::healthy();
        let report = world.handle(&world.sample(name)).await.unwrap();
        assert_eq!(report["status"], "pass", "{name}: {report}");
    }
    let world = World::healthy();
    let fence = world.handle(&world.sample("fence")).await.unwrap();
    assert_eq!(fence["status"], "pass");
    assert_eq!(
        fence["ledgers"]["green"]["mayWrite"],
        json!({"blue": true, "green": false})
    );
}

#[test]
fn every_sample_is_of_a_kind_that_is_tested() {
    let others: Vec<String> = names("")
        .into_iter()
        .filter(|name| !name.starts_with("bad-"))
        .collect();
    assert_eq!(
        others,
        [
            "create",
            "create-plain",
            "create-report",
            "create-some",
            "delete",
            "delete-odd",
            "fence",
            "schema-create",
            "schema-delete",
            "schema-update",
            "update",
            "validate",
            "validate-table",
        ]
    );
}
