//! Every sample event in `events/environment-switcher`, good and bad, is used here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use cutover_custom_resource::Protocol;
use cutover_domain::switch::{AlarmState, Command, Environment, OnDrift, Phase, Trigger, Versions};
use cutover_lambda::{Deadline, Function, Invocation, clock};
use cutover_ports::switch::fakes::{Route, World};
use environment_switcher::config_routers::RouterConfig;
use environment_switcher::event::Event;
use environment_switcher::handler::Switcher;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::world::{executor, healthy};

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/environment-switcher")
}

pub fn sample(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

pub fn switcher(world: &World) -> Switcher {
    Switcher {
        environment: "dev-payment-ab12cd34".to_owned(),
        executor: executor(world),
        routers: vec![RouterConfig::LambdaAlias {
            function: "payment-validation".to_owned(),
            alias: "live".to_owned(),
            versions: Versions::default(),
        }],
        protocol: Protocol::default(),
        tick: Duration::from_mins(1),
    }
}

pub fn invocation() -> Invocation {
    Invocation {
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        version: "3".to_owned(),
        trace_id: None,
        deadline: Deadline::new(clock::now_ms() + 3_000, Duration::ZERO),
    }
}

pub async fn handle(world: &World, event: &str) -> Result<Value, String> {
    let raw: Box<RawValue> = serde_json::from_str(event).unwrap();
    let handled = switcher(world).handle(&raw, &invocation()).await;
    handled.map_err(|error| format!("{}: {}", error.kind, error.message))
}

fn read(name: &str) -> Event {
    Event::read(&sample(name), "r-1").unwrap()
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

#[test]
fn every_sample_is_of_a_kind_that_is_tested() {
    let tested: BTreeSet<String> = ["bad-event-", "bad-command-", "bad-resource-", "resource-"]
        .into_iter()
        .flat_map(names)
        .collect();
    let others: Vec<String> = names("")
        .into_iter()
        .filter(|n| !tested.contains(n))
        .collect();
    assert_eq!(
        others,
        [
            "alarm-action",
            "alarm-event",
            "alarm-event-composite",
            "alarm-event-ok",
            "alarm-sns",
            "drill",
            "drill-any",
            "history",
            "pause",
            "plan",
            "promote",
            "resume",
            "rollback",
            "start-all-at-once",
            "start-canary",
            "start-exposure",
            "start-linear",
            "start-steps",
            "status",
            "tick",
            "tick-schedule",
        ]
    );
}

#[test]
fn alarms_of_all_three_shapes_say_the_same() {
    let alarm = Trigger::Alarm {
        name: "errors-green-dev-payment-ab12cd34".to_owned(),
        state: AlarmState::Alarm,
        at_ms: Some(1_795_173_438_985),
    };
    assert_eq!(read("alarm-event"), Event::Trigger(alarm.clone()));
    assert_eq!(read("alarm-action"), Event::Trigger(alarm.clone()));
    let Event::Alarms(alarms) = read("alarm-sns") else {
        panic!("no alarms");
    };
    assert_eq!(alarms.len(), 2);
    assert_eq!(alarms[1], alarm);
    assert!(matches!(
        read("alarm-event-ok"),
        Event::Trigger(Trigger::Alarm {
            state: AlarmState::Ok,
            ..
        })
    ));
    assert!(matches!(
        read("alarm-event-composite"),
        Event::Trigger(Trigger::Alarm { .. })
    ));
}

#[test]
fn commands_become_what_they_say() {
    assert_eq!(read("tick"), Event::Trigger(Trigger::Tick));
    assert_eq!(read("tick-schedule"), Event::Trigger(Trigger::Tick));
    assert_eq!(read("status"), Event::Status);
    let migration_id = Some("m-2026-11-20".to_owned());
    assert_eq!(read("history"), Event::History { migration_id });
    let Event::Plan(planned, _) = read("plan") else {
        panic!("no plan");
    };
    assert_eq!((planned.to, planned.steps.len()), (Environment::Green, 2));
    assert_eq!(planned.max_exposed_seconds, Some(200));
    for (name, asked) in [("drill", Some("errors-green")), ("drill-any", None)] {
        let Event::Trigger(Trigger::Command(Command::Drill { alarm }, _)) = read(name) else {
            panic!("no drill");
        };
        assert_eq!(alarm.as_deref(), asked);
    }
    let Event::Trigger(Trigger::Command(Command::RollBack, by)) = read("rollback") else {
        panic!("no rollback");
    };
    assert_eq!(by.operator.as_deref(), Some("alice"));
    for (name, command) in [
        ("pause", Command::Pause),
        ("resume", Command::Resume),
        ("promote", Command::Promote),
    ] {
        assert!(matches!(read(name), Event::Trigger(Trigger::Command(c, _)) if c == command));
    }
}

#[test]
fn all_strategies_come_down_to_steps() {
    let shares = |name: &str| {
        let Event::Trigger(Trigger::Command(Command::Start(start), _)) = read(name) else {
            panic!("no start");
        };
        let steps = start.steps.iter();
        let steps: Vec<(u8, u64)> = steps.map(|s| (s.percent, s.bake_seconds)).collect();
        (steps, start)
    };
    let (linear, start) = shares("start-linear");
    assert_eq!(linear, [(25, 60), (50, 60), (75, 60), (100, 300)]);
    assert_eq!((start.to, start.max_seconds), (Environment::Green, 3600));
    let (all, start) = shares("start-all-at-once");
    assert_eq!(all, [(100, 300)]);
    assert_eq!(
        start.migration_id, "m-r-1",
        "the same for a repeated delivery"
    );
    assert_eq!(start.versions.green.as_deref(), Some("2"));
    let (canary, start) = shares("start-canary");
    assert_eq!(canary, [(5, 300), (100, 600)]);
    assert_eq!(start.on_drift, OnDrift::Hold);
    let (_, start) = shares("start-exposure");
    let budget = (start.max_exposed_payments, start.max_exposed_seconds);
    assert_eq!(budget, (Some(500), Some(60)));
    let (steps, _) = shares("start-steps");
    assert_eq!(steps, [(1, 60), (10, 60), (50, 120), (100, 600)]);
}

#[tokio::test]
async fn unknown_events_are_told_what_is_taken() {
    for name in names("bad-event-") {
        let world = healthy();
        let error = handle(&world, &sample(&name)).await.unwrap_err();
        assert!(error.starts_with("UnknownEvent: "), "{name}: {error}");
        for shape in [
            "scheduled event",
            "Alarm State Change",
            "SNS",
            "EnvironmentSwitch",
            "rollback",
            "drill",
        ] {
            assert!(error.contains(shape), "{name}: {error}");
        }
        assert_eq!(world.inner().calls, Vec::<String>::new(), "{name}");
    }
}

/// What each bad command is told, in part.
const TOLD: [(&str, &str); 43] = [
    ("action-number", "start, plan, status"),
    ("alarm-empty", "alarm is \"\": it takes 1 to 255 printable"),
    ("alarm-list", "alarm is a list: it takes a string"),
    ("bake-float", "bakeSeconds is 60.5: it takes a whole number"),
    (
        "bake-negative",
        "bakeSeconds is -1: it takes a whole number",
    ),
    (
        "drift",
        "onDrift is \"ignore\": it takes `repair` or `hold`",
    ),
    (
        "exposed-payments",
        "maxExposedPayments is 0: it takes a whole number from 1",
    ),
    (
        "exposed-seconds",
        "maxExposedSeconds is \"60\": it takes a whole number",
    ),
    (
        "field",
        "unknown field `force`: known are action, operator, reason",
    ),
    ("field-nested", "unknown field `versions.red`"),
    ("field-start", "unknown field `weight`"),
    ("field-strategy", "unknown field `strategy.weight`"),
    ("history-id", "migrationId is \"a b\": it takes 1 to 64"),
    ("many-mistakes", "to is \"red\""),
    ("max", "maxSeconds is 0"),
    (
        "max-text",
        "maxSeconds is \"3600\": it takes a whole number",
    ),
    ("migration-id", "migrationId is \"../m-1\""),
    (
        "no-strategy",
        "missing field `strategy`: it takes an object",
    ),
    (
        "no-to",
        "plan: missing field `to`: it takes `blue` or `green`",
    ),
    ("null", "operator is null: it takes a string"),
    (
        "operator",
        "operator is \"a\\nb\": it takes 1 to 256 printable",
    ),
    ("percent", "strategy.percent is 100"),
    (
        "percent-float",
        "strategy.percent is 5.0: it takes a whole number",
    ),
    (
        "percent-huge",
        "strategy.stepPercent is 300: it takes a whole number from 1 to 100",
    ),
    ("percent-zero", "strategy.percent is 0"),
    ("plan-field", "unknown field `dryRun`"),
    ("reason-long", "reason is \"xxx"),
    ("repeated-field", "given twice: `operator`"),
    ("repeated-nested", "given twice: `percent`"),
    (
        "step-list",
        "strategy.steps[0] is a list: it takes a JSON object",
    ),
    ("steps-empty", "0 steps"),
    ("steps-many", "101 steps"),
    (
        "steps-object",
        "strategy.steps is an object: it takes a JSON list",
    ),
    ("steps-shrink", "steps[1]"),
    ("strategy", "all-at-once"),
    (
        "strategy-list",
        "strategy is a list: it takes a JSON object",
    ),
    (
        "strategy-text",
        "strategy is \"all-at-once\": it takes a JSON object",
    ),
    ("strategy-week", "strategy.bakeSeconds is 604801"),
    ("to", "to is \"red\": it takes `blue` or `green`"),
    ("to-number", "to is 1: it takes a string"),
    ("unknown", "rollback, tick, drill"),
    ("version", "published version"),
    (
        "versions-list",
        "versions is a list: it takes a JSON object",
    ),
];

#[test]
fn all_mistakes_of_a_command_are_told_at_once() {
    let Event::Refused { message, .. } = read("bad-command-many-mistakes") else {
        panic!("it was taken");
    };
    for part in [
        "start: ",
        "to is \"red\"",
        "strategy.percent is \"5\"",
        "missing field `strategy.bakeSeconds`",
        "unknown field `weight`",
        "maxSeconds is 0",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[tokio::test]
async fn bad_commands_are_refused_with_the_state_and_change_nothing() {
    let told: BTreeMap<String, _> = TOLD
        .iter()
        .map(|(name, text)| (format!("bad-command-{name}"), *text))
        .collect();
    for name in names("bad-command-") {
        let world = healthy();
        world.inner().route = Some(Route {
            weights: cutover_domain::switch::Weights::all(Environment::Blue),
            base: Environment::Blue,
            marker: None,
            revision: 1,
        });
        let text = told
            .get(&name)
            .unwrap_or_else(|| panic!("{name} is not tested"));
        let code = match name.as_str() {
            "bad-command-unknown" | "bad-command-action-number" => "unknown_command",
            _ => "invalid_command",
        };
        let answer = handle(&world, &sample(&name)).await.unwrap();
        assert_eq!(answer["error"]["code"], code, "{name}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{name}: {message}");
        assert_eq!(answer["phase"], Phase::Idle.as_str());
        assert_eq!(
            answer["weights"],
            serde_json::json!({"blue": 100, "green": 0})
        );
        assert_eq!(world.inner().state, None, "{name}");
    }
}

#[tokio::test]
async fn an_answer_is_as_the_contract_says() {
    let world = healthy();
    world.inner().route = Some(Route {
        weights: cutover_domain::switch::Weights::all(Environment::Blue),
        base: Environment::Blue,
        marker: None,
        revision: 1,
    });
    world.alarm("errors-green", AlarmState::Ok);
    let started = handle(&world, &sample("start-all-at-once")).await.unwrap();
    assert_eq!(started["phase"], "validating");
    assert!(started["nextActionAt"].as_str().unwrap().ends_with('Z'));
    let shifted = handle(&world, &sample("tick")).await.unwrap();
    assert_eq!(shifted["phase"], "baking");
    assert_eq!(shifted["decision"]["action"], "shift");
    assert_eq!(
        shifted["decision"]["evidence"][0]["name"],
        "alarm errors-green"
    );
    assert_eq!(shifted["verifiedWeights"]["fake:live"]["green"], 100);
    assert_eq!(
        (&shifted["step"], &shifted["steps"]),
        (&1.into(), &1.into())
    );
    assert_eq!(shifted["generation"], 3);
    assert_eq!(shifted["activeEnvironment"], "blue");
    let before = world.inner().state.clone();
    let status = handle(&world, &sample("status")).await.unwrap();
    assert_eq!(status["decision"]["action"], "verify");
    let history = handle(&world, r#"{"action":"history"}"#).await.unwrap();
    assert_eq!(history["entries"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        history["entries"][1]["previousHash"],
        history["entries"][0]["hash"]
    );
    assert_eq!(world.inner().state, before);
    let back = handle(&world, &sample("rollback")).await.unwrap();
    assert_eq!(
        (&back["phase"], &back["weights"]["blue"]),
        (&"rolled_back".into(), &100.into())
    );
    assert!(back["decision"]["why"].as_str().unwrap().contains("alice"));
    assert_eq!(world.inner().published, [1, 2, 3, 4, 5]);
}
