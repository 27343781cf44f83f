//! The real switch over a load balancer, names and an API's canary at once, and over rules that it makes itself: what it says
//! is what requests meet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    verified_by(answer, green, 3)
}

fn verified_by(answer: &Value, green: u32, count: usize) -> bool {
    let routers = answer["verifiedWeights"].as_object();
    routers.is_some_and(|routers| {
        routers.len() == count && routers.values().all(|weights| weights["green"] == green)
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
    let began = Instant::now();
    let back = world
        .command(&json!({"action": "rollback", "reason": "test"}))
        .await;
    assert!(verified(&back, 0), "{back:#}");
    let written = began.elapsed();
    for way in [Way::Alb, Way::Api] {
        assert_eq!(world.green_of(way, REQUESTS).await, 0, "{way:?}");
    }
    world
        .until(&tick(), |answer| answer["phase"] == "rolled_back")
        .await;
    println!(
        "rollback: read back from all routers after {written:?}, in effect everywhere after {:?}",
        began.elapsed()
    );
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

/// A copy that does not run, and one of which nobody says how far it is, hold the first step; counts that nobody sent hold the
/// second one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_of_copies_and_counts_holds_each_step() {
    let world = SwitchWorld::start_with(&[
        ("REPLICATION", |outputs| {
            json!({"tasks": [{"arn": outputs["Task"], "direction": "blue-to-green"}], "maxLagSeconds": 5})
        }),
        ("METRICS", |_| {
            let m = |color: &str, name: &str| {
                json!({"namespace": "Test", "name": name, "dimensions": {"Color": color}, "stat": "Sum"})
            };
            let of = |color: &str| json!({"requests": m(color, "Requests"), "failures": m(color, "Failures")});
            json!({"blue": of("blue"), "green": of("green")})
        }),
    ])
    .await;
    let begin = json!({
        "action": "start", "to": "green", "migrationId": "held", "bakeSeconds": 600, "maxSeconds": 3000,
        "strategy": {"type": "steps", "steps": [{"percent": 25, "bakeSeconds": 1}, {"percent": 50, "bakeSeconds": 600}]},
    });
    let task = world.output("Task").to_owned();
    let replication = |status: &str, lag: Option<u32>| json!({"task": task, "status": status, "sourceLatencySeconds": lag, "targetLatencySeconds": lag});
    let is_held = |answer: &Value, told: &str| {
        let decision = answer["decision"].to_string() + &answer["error"].to_string();
        verified(answer, 0) && decision.contains(told)
    };
    world
        .control("replication", &replication("stopped", None))
        .await;
    world
        .until(&begin, |answer| answer["error"].is_null())
        .await;
    world
        .until(&tick(), |answer| is_held(answer, "the task is stopped"))
        .await;
    world
        .control("replication", &replication("running", None))
        .await;
    world
        .until(&tick(), |answer| is_held(answer, "no CDCLatencySource"))
        .await;
    world
        .control("replication", &replication("running", Some(1)))
        .await;
    world.until(&tick(), |answer| verified(answer, 25)).await;
    let held = world
        .until(&tick(), |answer| {
            answer["decision"]
                .to_string()
                .contains("too few to compare with")
        })
        .await;
    assert!(verified(&held, 25), "{held:#}");
    world.stop().await;
}

/// Payments and webhooks, as two rules of one listener.
fn own_rules(outputs: &BTreeMap<String, String>) -> Value {
    let rule = |priority: u32, path: &str| {
        json!({
            "type": "alb", "listenerArn": outputs["OwnListener"],
            "blueTargetGroupArn": outputs["OwnBlueGroup"], "greenTargetGroupArn": outputs["OwnGreenGroup"],
            "rule": {"priority": priority, "pathPatterns": [path]},
        })
    };
    json!([rule(100, "/*"), rule(10, "/webhooks/*")])
}

const OWN: [Way; 2] = [Way::Own, Way::OwnWebhooks];

/// The listener answers 503 until the stack has made the switch, follows it, and answers 503 once the stack is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_switch_are_made_shifted_and_removed() {
    let world = SwitchWorld::start_with(&[("ROUTERS", own_rules)]).await;
    for way in OWN {
        assert_eq!(world.color(way).await, "nobody", "{way:?}");
    }
    let made = world.resource("Create").await;
    assert_eq!(made["Status"], "SUCCESS", "{made:#}");
    assert_eq!(made["Data"]["BlueWeight"], "100", "{made:#}");
    for way in OWN {
        assert_eq!(world.green_of(way, REQUESTS).await, 0, "{way:?}");
    }
    world
        .until(&start(25), |answer| answer["error"].is_null())
        .await;
    world
        .until(&tick(), |answer| verified_by(answer, 25, 2))
        .await;
    for way in OWN {
        let met = world.green_of(way, REQUESTS).await;
        assert!((13..=87).contains(&met), "{way:?}: {met} of {REQUESTS}");
    }
    // A migration runs: the deletion ends it first.
    let removed = world.resource("Delete").await;
    assert_eq!(removed["Status"], "SUCCESS", "{removed:#}");
    for way in OWN {
        assert_eq!(world.color(way).await, "nobody", "{way:?}");
    }
    world.stop().await;
}

/// The rule is made and the switch dies before it knows: the next delivery of the same request finishes the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_maker_died_is_finished_by_the_next_invocation() {
    let mut world = SwitchWorld::start_with(&[("ROUTERS", own_rules)]).await;
    let slow = json!({
        "action": "elasticloadbalancing:CreateRule", "code": "InternalError", "status": 500, "when": "after",
        "delaySeconds": 30,
    });
    world.control("fault", &slow).await;
    let _dies = world.begin_resource("Create").await;
    let began = Instant::now();
    while world.color(Way::Own).await != "blue" && world.color(Way::OwnWebhooks).await != "blue" {
        assert!(began.elapsed() < Duration::from_secs(20), "no rule is made");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.restart().await;
    let made = world.resource("Create").await;
    assert_eq!(made["Status"], "SUCCESS", "{made:#}");
    for way in OWN {
        assert_eq!(world.color(way).await, "blue", "{way:?}");
    }
    let status = world.command(&json!({"action": "status"})).await;
    assert!(verified_by(&status, 0, 2), "{status:#}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_another_at_that_priority_is_refused_and_left() {
    let world = SwitchWorld::start_with(&[("ROUTERS", |outputs| {
        let mut routers = own_rules(outputs);
        routers[0]["listenerArn"] = json!(outputs["TakenListener"]);
        routers
    })])
    .await;
    let refused = world.resource("Create").await;
    assert_eq!(refused["Status"], "FAILED", "{refused:#}");
    let reason = refused["Reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("not this switch's: it is for path-pattern /admin/*"),
        "{reason}"
    );
    let removed = world.resource("Delete").await;
    assert_eq!(removed["Status"], "SUCCESS", "{removed:#}");
    assert_eq!(world.color(Way::OwnWebhooks).await, "nobody");
    assert_eq!(world.color(Way::Taken).await, "blue");
    world.stop().await;
}
