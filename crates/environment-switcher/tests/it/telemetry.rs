//! The log line of each event, with its metrics in CloudWatch's Embedded Metric Format.

use cutover_domain::switch::{AlarmState, Environment, Weights};
use cutover_ports::switch::fakes::{Route, World};
use serde_json::{Value, json};

use crate::events::{invocation, switcher};
use crate::world::{GREEN, healthy};

/// The line that an event leaves; checked as every line must be.
async fn line(world: &World, event: &str) -> Value {
    let before = world.inner().journal.len();
    let (_answer, line) = switcher(world).handle_quietly(event, &invocation()).await;
    let line = line.to_json(1_800_000_000_000);
    assert_eq!(line["requestId"], invocation().request_id.as_str());
    assert_eq!(line["version"], "3");
    assert!(
        line["durationMs"].is_u64() && line["outcome"].is_string(),
        "{line}"
    );
    if line["_aws"].is_null() {
        return line;
    }
    let metrics = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(metrics["Namespace"], "Cutover");
    assert_eq!(
        metrics["Dimensions"],
        json!([["Environment", "Function"]]),
        "an id is no dimension"
    );
    for metric in metrics["Metrics"].as_array().unwrap() {
        let name = metric["Name"].as_str().unwrap();
        assert!(line[name].is_number(), "{name} has no value in {line}");
    }
    let stored = world.inner().journal.len() - before;
    assert_eq!(line["Transitions"], stored, "{line}");
    let told = line["transitions"].as_array().map_or(0, Vec::len);
    assert_eq!(told, stored, "each transition is told: {line}");
    line
}

fn world() -> World {
    let world = healthy();
    world.inner().route = Some(Route {
        weights: Weights::all(Environment::Blue),
        base: Environment::Blue,
        marker: None,
        revision: 1,
    });
    world
}

const START: &str = r#"{"action":"start","to":"green","migrationId":"m-1","versions":{"blue":"1","green":"2"},
    "strategy":{"type":"canary","percent":20,"bakeSeconds":600}}"#;
const TICK: &str = r#"{"action":"tick"}"#;

fn alarm_event() -> String {
    json!({
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "detail": {"alarmName": GREEN, "state": {"value": "ALARM"}},
    })
    .to_string()
}

#[tokio::test]
async fn every_transition_is_in_the_line_of_its_event() {
    let world = world();
    let started = line(&world, START).await;
    assert_eq!(
        (&started["outcome"], &started["phase"]),
        (&json!("start"), &json!("validating"))
    );
    let shifted = line(&world, TICK).await;
    assert_eq!(
        (&shifted["outcome"], &shifted["CandidateWeight"]),
        (&json!("shift"), &json!(20))
    );
    assert_eq!(shifted["weights"], json!({"blue": 80, "green": 20}));
    assert_eq!(shifted["migrationId"], "m-1");
    let first = &shifted["transitions"][0];
    assert_eq!(
        (&first["from"], &first["to"]),
        (&json!("validating"), &json!("shifting"))
    );
    assert_eq!(first["trigger"], "tick");
    let waiting = line(&world, TICK).await;
    assert_eq!(
        (&waiting["outcome"], &waiting["Transitions"]),
        (&json!("wait"), &json!(0))
    );
    world.tamper(Weights::share(Environment::Green, 90));
    let repaired = line(&world, TICK).await;
    assert_eq!(
        (&repaired["DriftDetected"], &repaired["Rollbacks"]),
        (&json!(1), &json!(0))
    );
    let back = line(&world, &alarm_event()).await;
    assert_eq!(
        (&back["outcome"], &back["Rollbacks"]),
        (&json!("roll_back"), &json!(1))
    );
    assert_eq!(
        (&back["phase"], &back["CandidateWeight"]),
        (&json!("rolled_back"), &json!(0))
    );
    let again = line(&world, &alarm_event()).await;
    assert_eq!(again["Rollbacks"], 0, "one rollback is counted once");
}

#[tokio::test]
async fn a_rollback_by_the_second_of_several_alarms_is_counted() {
    let world = world();
    line(&world, START).await;
    line(&world, TICK).await;
    let record = |name: &str, state: &str| {
        let message = json!({"AlarmName": name, "NewStateValue": state}).to_string();
        json!({"Sns": {"Message": message}})
    };
    let event = json!({"Records": [record("errors-blue", "OK"), record(GREEN, "ALARM")]});
    let told = line(&world, &event.to_string()).await;
    assert_eq!(
        (&told["Rollbacks"], &told["Transitions"]),
        (&json!(1), &json!(2))
    );
}

#[tokio::test]
async fn what_fails_or_is_refused_is_told_once_and_why() {
    let world = world();
    let refused = line(&world, r#"{"action":"swap"}"#).await;
    assert_eq!(
        (&refused["outcome"], &refused["refused"]),
        (&json!("refused"), &json!("unknown_command"))
    );
    world.alarm(GREEN, AlarmState::Alarm);
    let refused = line(&world, START).await;
    assert_eq!(refused["refused"], "guard_in_alarm");
    let unknown = line(&world, "{}").await;
    assert_eq!(
        (&unknown["outcome"], &unknown["level"]),
        (&json!("UnknownEvent"), &json!("ERROR"))
    );
    world.inner().store_down = true;
    let failed = line(&world, TICK).await;
    let outcome = failed["outcome"].as_str().unwrap();
    assert!(
        ["StateUnavailable", "OutOfTime"].contains(&outcome),
        "{failed}"
    );
    assert_eq!(failed["level"], "ERROR");
}

#[tokio::test]
async fn a_plan_and_a_history_are_told_as_looks() {
    let world = world();
    line(&world, START).await;
    let plan = START.replace("\"start\"", "\"plan\"").replace("m-1", "m-2");
    let planned = line(&world, &plan).await;
    assert_eq!(
        (&planned["refused"], &planned["Transitions"]),
        (&json!("migration_running"), &json!(0))
    );
    let history = line(&world, r#"{"action":"history"}"#).await;
    assert_eq!(history["Transitions"], 0);
}
