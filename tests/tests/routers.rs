//! The real switch over a load balancer, names and an API's canary at once: what it says is what requests meet.

use cutover_tests::switch_world::{SwitchWorld, Way};
use serde_json::{Value, json};

/// Requests of one look at the split.
const REQUESTS: u32 = 200;

fn start(percent: u32) -> Value {
    json!({
        "action": "start", "to": "green", "migrationId": format!("to-{percent}"), "bakeSeconds": 600, "maxSeconds": 3000,
        "strategy": {"type": "steps", "steps": [{"percent": percent, "bakeSeconds": 600}]},
    })
}

fn tick() -> Value {
    json!({"action": "tick"})
}

fn verified(answer: &Value, green: u32) -> bool {
    let routers = answer["verifiedWeights"].as_object();
    routers.is_some_and(|routers| {
        routers.len() == 3 && routers.values().all(|weights| weights["green"] == green)
    })
}

async fn everyone_meets(world: &SwitchWorld, green: std::ops::RangeInclusive<u32>) {
    for way in [Way::Alb, Way::Dns, Way::Api] {
        let met = world.green_of(way, REQUESTS).await;
        assert!(green.contains(&met), "{way:?}: {met} of {REQUESTS}");
    }
}

/// Alarms need a moment until they are OK: a start before that is refused.
async fn started(world: &SwitchWorld, percent: u32) {
    world
        .until(&start(percent), |answer| answer["error"].is_null())
        .await;
    let shifted = world
        .until(&tick(), |answer| {
            verified(answer, percent) && answer["step"] == 1
        })
        .await;
    assert_eq!(shifted["phase"], "shifting", "{shifted:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_routers_shift_and_come_back_together() {
    let world = SwitchWorld::start().await;
    everyone_meets(&world, 0..=0).await;
    started(&world, 25).await;
    // 50 of 200 expected; six standard deviations are 37.
    everyone_meets(&world, 13..=87).await;
    // One command takes all traffic back, whatever DNS still has to do.
    let back = world
        .command(&json!({"action": "rollback", "reason": "test"}))
        .await;
    assert!(verified(&back, 0), "{back:#}");
    for way in [Way::Alb, Way::Api] {
        assert_eq!(world.green_of(way, REQUESTS).await, 0, "{way:?}");
    }
    world
        .until(&tick(), |answer| answer["phase"] == "rolled_back")
        .await;
    everyone_meets(&world, 0..=0).await;
    world.stop().await;
}

/// Throttling is waited out; a write whose answer is lost is found done; a router that is down does not keep the others from
/// coming back.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_one_router_do_not_hold_the_others() {
    let world = SwitchWorld::start().await;
    for fault in [
        json!({"action": "elasticloadbalancing:ModifyRule", "code": "Throttling", "times": 2}),
        json!({"action": "route53:ChangeResourceRecordSets", "code": "InternalError", "status": 500, "when": "after"}),
        json!({"action": "apigateway:PATCH", "code": "TooManyRequestsException", "status": 429}),
    ] {
        world.control("fault", &fault).await;
    }
    started(&world, 25).await;
    everyone_meets(&world, 13..=87).await;
    let down = json!({
        "action": "route53:ChangeResourceRecordSets", "code": "ServiceUnavailable", "status": 503, "times": 50,
    });
    world.control("fault", &down).await;
    let back = world.command(&json!({"action": "rollback"})).await;
    assert_eq!(back["phase"], "rolling_back", "{back:#}");
    for way in [Way::Alb, Way::Api] {
        assert_eq!(world.green_of(way, REQUESTS).await, 0, "{way:?}");
    }
    let up = json!({"action": "route53:ChangeResourceRecordSets", "clear": true});
    world.control("fault", &up).await;
    world
        .until(&tick(), |answer| answer["phase"] == "rolled_back")
        .await;
    everyone_meets(&world, 0..=0).await;
    world.stop().await;
}
