//! The router of an alias at the wire.

use cutover_domain::switch::{
    Capacity, Environment, Order, RouterReading, Seen, Versions, Weights,
};
use cutover_ports::switch::{Router as _, RouterError};
use serde_json::{Value, json};

use crate::lambda_alias::LambdaAlias;
use crate::replay::{Answer, Replay};

async fn router(answers: Vec<Answer>) -> (LambdaAlias, Replay) {
    let replay = Replay::new(answers);
    let sdk = replay.config().await;
    (
        LambdaAlias::new(&sdk, "pay".to_owned(), "live".to_owned()),
        replay,
    )
}

fn versions() -> Versions {
    Versions {
        blue: Some("1".to_owned()),
        green: Some("2".to_owned()),
    }
}

fn error(status: u16, code: &'static str) -> Answer {
    Answer::json(status, &json!({"message": "told why"})).with("x-amzn-errortype", code)
}

fn alias(generation: u64, weights: &Value) -> Answer {
    let description = format!("cutover generation {generation}");
    Answer::json(
        200,
        &json!({
            "Name": "live", "FunctionVersion": "1", "Description": description, "RevisionId": "r-1",
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        }),
    )
}

fn order(percent: u8) -> Order {
    Order {
        generation: 7,
        base: Environment::Blue,
        weights: Weights::share(Environment::Green, percent),
        versions: versions(),
        routers: Vec::new(),
    }
}

async fn read(router: &LambdaAlias) -> RouterReading {
    router.read(&versions(), None).await
}

#[tokio::test]
async fn an_update_names_the_revision_that_was_read_and_its_generation() {
    for (percent, weights) in [(10, json!({"2": 0.1})), (0, json!({}))] {
        let (router, replay) =
            router(vec![alias(6, &json!({"2": 0.05})), alias(7, &weights)]).await;
        let reading = read(&router).await;
        assert_eq!(
            (reading.revision.as_deref(), reading.marker),
            (Some("r-1"), Some(6))
        );
        assert_eq!(router.write(&order(percent), &reading).await.unwrap(), None);
        let update = json!({
            "FunctionVersion": "1", "Description": "cutover generation 7", "RevisionId": "r-1",
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        });
        assert_eq!(replay.sent()[1].json(), update);
    }
}

#[tokio::test]
async fn a_lost_race_a_missing_alias_and_a_throttled_call_are_told_apart() {
    let (router, _) = router(vec![
        alias(6, &json!({})),
        error(412, "PreconditionFailedException"),
    ])
    .await;
    let reading = read(&router).await;
    let lost = router.write(&order(10), &reading).await.unwrap_err();
    assert!(matches!(lost, RouterError::Changed { .. }), "{lost}");
    let (router, _) = self::router(vec![error(404, "ResourceNotFoundException")]).await;
    assert_eq!(read(&router).await.seen, Seen::Absent);
    let throttled = || error(429, "TooManyRequestsException");
    let (router, _) = self::router(vec![throttled(), throttled(), alias(7, &json!({}))]).await;
    assert!(router.write(&order(10), &reading).await.is_ok());
    let (router, _) = self::router(vec![throttled(), throttled(), throttled()]).await;
    let refused = router.write(&order(10), &reading).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("throttled"), "{why}");
}

#[tokio::test]
async fn the_state_of_a_version_is_its_capacity() {
    let state = |state: &str| Answer::json(200, &json!({"State": state}));
    for (answer, expected, detail) in [
        (state("Active"), Capacity::Ready, "version 2 is Active"),
        (
            Answer::json(
                200,
                &json!({"State": "Inactive", "StateReasonCode": "Idle"}),
            ),
            Capacity::Idle,
            "version 2 is Inactive (Idle)",
        ),
        (state("Pending"), Capacity::Short, "version 2 is Pending"),
        (state("Failed"), Capacity::Short, "version 2 is Failed"),
        (
            state("SomethingNew"),
            Capacity::Unknown,
            "version 2 is SomethingNew",
        ),
        (
            Answer::json(200, &json!({})),
            Capacity::Unknown,
            "version 2 has no state",
        ),
        (
            error(404, "ResourceNotFoundException"),
            Capacity::Short,
            "there is no version 2",
        ),
        (
            error(403, "AccessDeniedException"),
            Capacity::Unknown,
            "GetFunctionConfiguration: AccessDeniedException: told why (the function's role does not allow this call on this resource)",
        ),
    ] {
        let (router, replay) = router(vec![answer]).await;
        let reading = router.capacity(Environment::Green, &versions()).await;
        assert_eq!((reading.state, reading.detail.as_str()), (expected, detail));
        assert!(
            replay.sent()[0]
                .uri
                .ends_with("/functions/pay/configuration?Qualifier=2")
        );
    }
    let (router, _) = router(Vec::new()).await;
    let reading = router
        .capacity(Environment::Green, &Versions::default())
        .await;
    assert_eq!(reading.state, Capacity::Unknown);
}

#[tokio::test]
async fn a_version_is_woken_by_its_health_action() {
    let (router, replay) = router(vec![Answer::json(200, &json!({"statusCode": 200}))]).await;
    router.warm(Environment::Green, &versions()).await.unwrap();
    let sent = replay.sent();
    assert_eq!(sent[0].json(), json!({"action": "health"}));
    assert!(
        sent[0]
            .uri
            .ends_with("/functions/pay/invocations?Qualifier=2"),
        "{}",
        sent[0].uri
    );
    let waking = || error(502, "ResourceNotReadyException");
    let (router, _) = self::router(vec![waking(), waking(), waking()]).await;
    router.warm(Environment::Green, &versions()).await.unwrap();
    let (router, _) = self::router(vec![error(409, "ResourceConflictException")]).await;
    router.warm(Environment::Green, &versions()).await.unwrap();
    let crashed = json!({"errorMessage": "exited"});
    let crashed = Answer::json(200, &crashed).with("x-amz-function-error", "Unhandled");
    let (router, _) = self::router(vec![crashed]).await;
    let failed = router
        .warm(Environment::Green, &versions())
        .await
        .unwrap_err();
    let why = std::error::Error::source(&failed).unwrap().to_string();
    assert!(why.contains("exited"), "{why}");
    let (router, _) = self::router(Vec::new()).await;
    let unknown = router
        .warm(Environment::Green, &Versions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(unknown, RouterError::VersionUnknown { .. }),
        "{unknown}"
    );
}
