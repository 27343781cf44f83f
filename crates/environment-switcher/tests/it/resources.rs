//! `Custom::EnvironmentSwitch`, from the event to the PUT.

use cutover_custom_resource::fakes::AnswerServer;
use cutover_domain::switch::{AlarmState, Environment, Phase};
use cutover_ports::switch::fakes::World;
use serde_json::{Value, json};

use crate::events::{folder, handle, sample};
use crate::world::{BLUE, GREEN, green_share, healthy};

/// Sends a sample, its ResponseURL changed to a server of this test; the answer that arrived there.
async fn send(world: &World, name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let server = AnswerServer::start(&[200]);
    let mut event: Value = serde_json::from_str(&sample(name)).unwrap();
    event["ResponseURL"] = json!(server.url());
    change(&mut event);
    let answer = handle(world, &event.to_string()).await.unwrap();
    let puts = server.puts();
    assert_eq!(puts.len(), 1, "exactly one answer");
    let put = puts[0].json();
    assert_eq!(answer, json!({"status": put["Status"]}));
    put
}

async fn sent(world: &World, name: &str) -> Value {
    send(world, name, |_| {}).await
}

#[tokio::test]
async fn a_stack_lives() {
    let world = healthy();
    let created = sent(&world, "resource-create").await;
    assert_eq!(created["Status"], "SUCCESS", "{created}");
    assert_eq!(
        created["Data"],
        json!({"ActiveEnvironment": "blue", "MigrationStatus": "idle", "BlueWeight": "100", "GreenWeight": "0"})
    );
    let updated = sent(&world, "resource-update").await;
    assert_eq!(updated["Status"], "SUCCESS", "{updated}");
    let versions = world.inner().state.clone().unwrap().versions;
    assert_eq!(versions.green.as_deref(), Some("2"));
    assert_eq!(green_share(&world), 0);
    let moved = sent(&world, "resource-update-active").await;
    assert_eq!(moved["Data"]["ActiveEnvironment"], "green", "{moved}");
    assert_eq!(green_share(&world), 100);
    let again = sent(&world, "resource-update").await;
    assert_eq!(
        again["Data"]["ActiveEnvironment"], "green",
        "a declared value moves nothing back"
    );
    let deleted = sent(&world, "resource-delete").await;
    assert_eq!(deleted["Status"], "SUCCESS", "{deleted}");
    assert_eq!(world.inner().route, None);
    let repeated = sent(&world, "resource-delete").await;
    assert_eq!(repeated["Status"], "SUCCESS");
}

/// Names take up to a minute to change everywhere: the stack's answer is about what is in effect, not about what was written.
#[tokio::test]
async fn a_stack_waits_until_its_change_is_in_effect() {
    let world = healthy();
    world.inner().pending_reads = 1;
    let created = sent(&world, "resource-create").await;
    assert_eq!(created["Status"], "SUCCESS", "{created}");
    assert_eq!(world.inner().pending_reads, 0);
    sent(&world, "resource-update").await;
    world.inner().pending_reads = 1;
    let moved = sent(&world, "resource-update-active").await;
    assert_eq!(moved["Status"], "SUCCESS", "{moved}");
    assert_eq!(green_share(&world), 100);

    let world = healthy();
    world.inner().pending_reads = u32::MAX;
    let late = sent(&world, "resource-create").await;
    assert_eq!(late["Status"], "FAILED", "{late}");
    assert!(
        late["Reason"].as_str().unwrap().contains("PENDING"),
        "{late}"
    );
}

#[tokio::test]
async fn a_running_migration_outlives_an_update_and_not_a_deletion() {
    let world = healthy();
    sent(&world, "resource-create").await;
    sent(&world, "resource-update").await;
    handle(&world, &sample("start-linear")).await.unwrap();
    handle(&world, &sample("tick")).await.unwrap();
    assert_eq!(green_share(&world), 25);
    let only_deployed = send(&world, "resource-update", |event| {
        event["OldResourceProperties"] = event["ResourceProperties"].clone();
        event["ResourceProperties"]["DeploymentId"] = json!("9");
    });
    assert_eq!(only_deployed.await["Status"], "SUCCESS");
    let refused = sent(&world, "resource-update-active").await;
    assert_eq!(refused["Status"], "FAILED");
    assert!(
        refused["Reason"].as_str().unwrap().contains("shifting"),
        "{refused}"
    );
    assert_eq!(green_share(&world), 25);
    let deleted = sent(&world, "resource-delete").await;
    assert_eq!(deleted["Status"], "SUCCESS", "{deleted}");
    assert_eq!(
        world.inner().state.clone().unwrap().phase,
        Phase::RolledBack
    );
    assert_eq!(world.inner().route, None);
}

/// The event with which CloudFormation takes an update back: the properties change places.
fn reverse(event: &mut Value) {
    let new = event["ResourceProperties"].clone();
    event["ResourceProperties"] = event["OldResourceProperties"].clone();
    event["OldResourceProperties"] = new;
    event["RequestId"] = json!("rolled-back");
}

#[tokio::test]
async fn a_stack_that_rolls_back_is_never_blocked() {
    let world = healthy();
    sent(&world, "resource-create").await;
    sent(&world, "resource-update").await;
    sent(&world, "resource-update-active").await;
    assert_eq!(green_share(&world), 100);
    // Blue has had no traffic: its guards know nothing, and that does not matter on the way back.
    world.alarm(BLUE, AlarmState::InsufficientData);
    let back = send(&world, "resource-update-active", reverse).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(back["Data"]["ActiveEnvironment"], "blue");
    assert_eq!(green_share(&world), 0);
    let twice = send(&world, "resource-update-active", reverse).await;
    assert_eq!(twice["Status"], "SUCCESS", "{twice}");
}

#[tokio::test]
async fn the_rollback_of_a_refused_update_changes_nothing() {
    let world = healthy();
    sent(&world, "resource-create").await;
    // What the refused update says that the properties were before it.
    let declared = |event: &mut Value| {
        let next: Value = serde_json::from_str(&sample("resource-update-active")).unwrap();
        event["ResourceProperties"] = next["OldResourceProperties"].clone();
    };
    send(&world, "resource-update", declared).await;
    world.alarm(GREEN, AlarmState::InsufficientData);
    assert_eq!(
        sent(&world, "resource-update-active").await["Status"],
        "FAILED"
    );
    let before = world.inner().state.clone();
    let back = send(&world, "resource-update-active", reverse).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(world.inner().state, before);

    world.alarm(GREEN, AlarmState::Ok);
    handle(&world, &sample("start-linear")).await.unwrap();
    handle(&world, &sample("tick")).await.unwrap();
    assert_eq!(
        sent(&world, "resource-update-active").await["Status"],
        "FAILED"
    );
    let back = send(&world, "resource-update-active", reverse).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(green_share(&world), 25, "the migration runs on");
}

#[tokio::test]
async fn a_stack_that_rolls_back_does_not_undo_what_an_operator_did() {
    let world = healthy();
    sent(&world, "resource-create").await;
    sent(&world, "resource-update").await;
    handle(&world, &sample("start-all-at-once")).await.unwrap();
    handle(&world, &sample("tick")).await.unwrap();
    // The stack learns of it, fails elsewhere, and rolls back.
    let learnt = send(&world, "resource-update-active", |event| {
        event["OldResourceProperties"]["DeploymentId"] = json!("2");
    });
    let learnt = learnt.await;
    let state = world.inner().state.clone().unwrap();
    assert_eq!(green_share(&world), 100, "{learnt} {:?}", state.phase);
    let back = send(&world, "resource-update-active", reverse).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(green_share(&world), 100);
}

#[tokio::test]
async fn no_update_moves_all_traffic_past_a_guard() {
    let world = healthy();
    sent(&world, "resource-create").await;
    world.alarm(GREEN, AlarmState::InsufficientData);
    let refused = sent(&world, "resource-update-active").await;
    assert!(
        refused["Reason"]
            .as_str()
            .unwrap()
            .contains("guard_not_healthy"),
        "{refused}"
    );
    let in_place = send(&world, "resource-update", |event| {
        event["ResourceProperties"]["BlueVersion"] = json!("7");
    });
    let refused = in_place.await;
    assert!(
        refused["Reason"]
            .as_str()
            .unwrap()
            .contains("active_version"),
        "{refused}"
    );
    assert_eq!(green_share(&world), 0);
    assert_eq!(
        world.inner().state.clone().unwrap().active,
        Environment::Blue
    );
}

#[tokio::test]
async fn bad_properties_are_answered_with_failed() {
    for (name, reason) in [
        ("bad-resource-property", "BlueWeight"),
        ("bad-resource-active", "blue or green"),
        (
            "bad-resource-alias",
            "Alias is not the one in ROUTERS, live",
        ),
        (
            "bad-resource-rule",
            "RuleArn is not the one in ROUTERS, which has none",
        ),
        (
            "bad-resource-properties-list",
            "ResourceProperties is no JSON object",
        ),
        ("bad-resource-type", "Create, Update, Delete"),
    ] {
        let world = healthy();
        let answer = sent(&world, name).await;
        assert_eq!(answer["Status"], "FAILED");
        assert!(
            answer["Reason"].as_str().unwrap().contains(reason),
            "{answer}"
        );
        assert_eq!(world.inner().state, None);
    }
    let samples = std::fs::read_dir(folder()).unwrap().filter(|file| {
        let name = file.as_ref().unwrap().file_name().into_string().unwrap();
        name.starts_with("bad-resource-")
    });
    assert_eq!(samples.count(), 8, "each is tested here");
}

#[tokio::test]
async fn where_no_answer_may_go_the_invocation_fails_and_shows_no_signature() {
    for name in ["bad-resource-no-url", "bad-resource-plain-http"] {
        let world = healthy();
        let error = handle(&world, &sample(name)).await.unwrap_err();
        assert!(error.starts_with("AnswerNotDelivered"), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(world.inner().state, None);
    }
}
