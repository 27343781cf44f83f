//! The router of a stage's canary at the wire.

use cutover_domain::switch::{Environment, Order, RouterReading, Seen, Versions, Weights};
use cutover_ports::switch::{Router as _, RouterError};
use serde_json::{Value, json};

use crate::api_gateway_canary::ApiGatewayCanary;
use crate::replay::{Answer, Replay};

async fn router(answers: Vec<Answer>) -> (ApiGatewayCanary, Replay) {
    let replay = Replay::new(answers);
    let sdk = replay.config().await;
    let router = ApiGatewayCanary::new(&sdk, "a1b2".to_owned(), "prod".to_owned());
    (router, replay)
}

fn stage(color: &str, canary: Option<(f64, &str)>) -> Answer {
    let mut stage = json!({"deploymentId": "d1", "stageName": "prod", "variables": {"color": color, "other": "kept"}});
    if let Some((percent, color)) = canary {
        stage["canarySettings"] = json!({
            "percentTraffic": percent, "deploymentId": "d2", "useStageCache": false,
            "stageVariableOverrides": {"color": color, "flag": "on"},
        });
    }
    Answer::json(200, &stage)
}

fn updated() -> Answer {
    Answer::json(200, &json!({"stageName": "prod"}))
}

fn error(status: u16, code: &'static str) -> Answer {
    Answer::json(status, &json!({"message": "told why"})).with("x-amzn-errortype", code)
}

fn green(percent: u8) -> Weights {
    Weights::share(Environment::Green, percent)
}

fn order(base: Environment, weights: Weights) -> Order {
    Order {
        generation: 7,
        base,
        weights,
        versions: Versions::default(),
        routers: Vec::new(),
    }
}

async fn read(router: &ApiGatewayCanary) -> RouterReading {
    router.read(&Versions::default(), None).await
}

/// Reads, carries the order out, and answers the operations that were sent.
async fn operations(was: impl Fn() -> Answer, order: &Order) -> Value {
    let (router, replay) = router(vec![was(), was(), updated()]).await;
    let reading = read(&router).await;
    assert_eq!(router.write(order, &reading).await.unwrap(), None);
    let sent = replay.sent();
    assert_eq!(
        (sent[0].method.as_str(), sent[0].uri.as_str()),
        ("GET", "/restapis/a1b2/stages/prod")
    );
    assert_eq!(
        (sent[2].method.as_str(), sent[2].uri.as_str()),
        ("PATCH", "/restapis/a1b2/stages/prod")
    );
    sent[2].json()["patchOperations"].clone()
}

#[tokio::test]
async fn each_order_is_one_update() {
    let blue = Environment::Blue;
    let step = operations(|| stage("blue", None), &order(blue, green(10))).await;
    assert_eq!(
        step,
        json!([
            {"op": "replace", "path": "/canarySettings/percentTraffic", "value": "10.0"},
            {"op": "replace", "path": "/canarySettings/stageVariableOverrides/color", "value": "green"},
            {"op": "replace", "path": "/canarySettings/useStageCache", "value": "false"},
        ])
    );
    let rollback = operations(
        || stage("blue", Some((10.0, "green"))),
        &order(blue, green(0)),
    )
    .await;
    assert_eq!(
        rollback,
        json!([{"op": "remove", "path": "/canarySettings"}])
    );
    let completion = order(Environment::Green, green(100));
    let completion = operations(|| stage("blue", Some((100.0, "green"))), &completion).await;
    assert_eq!(
        completion,
        json!([
            {"op": "replace", "path": "/variables/flag", "value": "on"},
            {"op": "replace", "path": "/deploymentId", "value": "d2"},
            {"op": "replace", "path": "/variables/color", "value": "green"},
            {"op": "remove", "path": "/canarySettings"},
        ])
    );
}

#[tokio::test]
async fn what_is_read_says_who_gets_what() {
    for (answer, seen, base) in [
        (
            stage("blue", Some((25.0, "green"))),
            Seen::Split(green(25)),
            Some(Environment::Blue),
        ),
        (
            stage("green", None),
            Seen::Split(green(100)),
            Some(Environment::Green),
        ),
        (error(404, "NotFoundException"), Seen::Absent, None),
        (
            Answer::json(200, &json!({"stageName": "prod"})),
            Seen::Absent,
            None,
        ),
        (
            stage("red", None),
            Seen::Foreign("the stage variable color is red".to_owned()),
            None,
        ),
    ] {
        let (router, _) = router(vec![answer]).await;
        let reading = read(&router).await;
        assert_eq!((reading.seen, reading.base), (seen, base));
        assert_eq!(reading.router, "api-gateway-canary:a1b2:prod");
    }
}

#[tokio::test]
async fn a_stage_that_was_changed_meanwhile_is_left_alone() {
    let (router, _) = router(vec![
        stage("blue", None),
        stage("blue", Some((50.0, "green"))),
    ])
    .await;
    let reading = read(&router).await;
    let refused = router
        .write(&order(Environment::Blue, green(10)), &reading)
        .await
        .unwrap_err();
    assert!(matches!(refused, RouterError::Changed { .. }), "{refused}");
}

#[tokio::test]
async fn throttling_is_waited_out_within_bounds_and_failures_are_told_apart() {
    let throttled = || error(429, "TooManyRequestsException");
    let answers = vec![
        throttled(),
        stage("blue", None),
        stage("blue", None),
        throttled(),
        throttled(),
        updated(),
    ];
    let (router, replay) = router(answers).await;
    let reading = read(&router).await;
    let step = order(Environment::Blue, green(10));
    assert!(router.write(&step, &reading).await.is_ok());
    assert_eq!(replay.sent().len(), 6);
    for (answers, told) in [
        (vec![throttled(), throttled(), throttled()], "throttled"),
        (vec![error(403, "AccessDeniedException")], "role"),
        (
            vec![error(400, "BadRequestException")],
            "BadRequestException: told why",
        ),
        (
            vec![Answer::Lost, Answer::Lost, Answer::Lost],
            "no connection",
        ),
    ] {
        let mut all = vec![stage("blue", None)];
        all.extend(answers);
        let (router, _) = self::router(all).await;
        let error = router.write(&step, &reading).await.unwrap_err();
        assert!(error.to_string().contains("UpdateStage"), "{error}");
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains(told), "{why}");
    }
    let (router, _) = self::router(vec![error(404, "NotFoundException")]).await;
    let error = router.write(&step, &reading).await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("the stack declares it"), "{why}");
}

#[tokio::test]
async fn removal_takes_the_canary_and_leaves_the_stage() {
    let (router, replay) = router(vec![stage("green", Some((0.0, "blue"))), updated()]).await;
    router.remove().await.unwrap();
    let removed = json!([{"op": "remove", "path": "/canarySettings"}]);
    assert_eq!(replay.sent()[1].json()["patchOperations"], removed);
    for nothing in [stage("green", None), error(404, "NotFoundException")] {
        let (router, replay) = self::router(vec![nothing]).await;
        router.remove().await.unwrap();
        assert_eq!(replay.sent().len(), 1);
    }
}
