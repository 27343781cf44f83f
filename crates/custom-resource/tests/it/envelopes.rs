//! Envelopes, good and broken.

use std::time::Duration;

use cutover_custom_resource::fakes::AnswerServer;
use cutover_custom_resource::{Protocol, Request, Verdict};
use serde_json::{Map, Value, json};

use crate::answers::{event, in_ms};

async fn answered(event: &Value) -> (Verdict, usize) {
    let mut handled = 0;
    let served = Protocol::default()
        .serve(&event.to_string(), in_ms(5_000), async |_, _| {
            handled += 1;
            Verdict::Success(Map::new())
        })
        .await
        .unwrap();
    (served.verdict, handled)
}

/// CloudFormation may ignore such an answer; to give none would have it wait for an hour.
#[tokio::test]
async fn an_event_without_ids_is_answered_with_what_is_missing() {
    for missing in ["StackId", "RequestId", "LogicalResourceId"] {
        for value in [Value::Null, json!(""), json!(7), json!({})] {
            let server = AnswerServer::start(&[200]);
            let mut event = event(&server.url(), "Create");
            event[missing] = value;
            let (verdict, handled) = answered(&event).await;
            let Verdict::Failed(reason) = verdict else {
                panic!("{verdict:?}");
            };
            assert!(reason.contains(missing), "{reason}");
            assert_eq!((handled, server.puts().len()), (0, 1));
            assert!(!server.puts()[0].json()["PhysicalResourceId"].is_null());
        }
    }
}

#[tokio::test]
async fn a_request_type_of_another_type_is_answered_with_what_is_taken() {
    for kind in [json!("create"), json!(""), Value::Null, json!(["Create"])] {
        let server = AnswerServer::start(&[200]);
        let mut event = event(&server.url(), "Create");
        event["RequestType"] = kind;
        let (verdict, handled) = answered(&event).await;
        assert_eq!(handled, 0);
        assert!(
            matches!(verdict, Verdict::Failed(reason) if reason.contains("Create, Update, Delete"))
        );
        assert_eq!(server.puts().len(), 1);
    }
}

async fn request(event: &Value) -> Request {
    Protocol::default()
        .serve(&event.to_string(), in_ms(5_000), async |_, _| {
            Verdict::Success(Map::new())
        })
        .await
        .unwrap()
        .request
}

#[tokio::test]
async fn properties_that_can_not_be_read_keep_nobody_from_answering() {
    let server = AnswerServer::start(&[200]);
    let mut event = event(&server.url(), "Create");
    for broken in [json!([]), json!("text"), json!(7)] {
        event["ResourceProperties"] = broken;
        let request = request(&event).await;
        assert!(request.properties().is_err());
        assert_eq!(request.service_timeout(), Duration::from_hours(1));
    }
    assert_eq!(server.puts().len(), 3);
}

#[tokio::test]
async fn the_service_timeout_is_read_from_text_and_number() {
    let server = AnswerServer::start(&[200]);
    let mut event = event(&server.url(), "Create");
    for (given, seconds) in [
        (json!("120"), 120),
        (json!(90), 90),
        (json!("0"), 3600),
        (json!("4000"), 3600),
        (json!("soon"), 3600),
        (Value::Null, 3600),
    ] {
        event["ResourceProperties"]["ServiceTimeout"] = given;
        let timeout = request(&event).await.service_timeout();
        assert_eq!(timeout, Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn the_physical_id_fits_whatever_the_logical_id_is() {
    let server = AnswerServer::start(&[200]);
    let mut event = event(&server.url(), "Create");
    event["LogicalResourceId"] = json!("\u{20ac}".repeat(1_000));
    answered(&event).await;
    let answer = server.puts()[0].json();
    assert!(answer["PhysicalResourceId"].as_str().unwrap().len() <= 1024);
    assert_eq!(answer["LogicalResourceId"], event["LogicalResourceId"]);
}

#[tokio::test]
async fn two_stacks_never_share_a_physical_id() {
    let server = AnswerServer::start(&[200]);
    let mut event = event(&server.url(), "Create");
    let first = request(&event).await.own_id();
    event["StackId"] = json!("arn:stack/2");
    let second = request(&event).await.own_id();
    event["LogicalResourceId"] = json!("Other");
    let third = request(&event).await.own_id();
    assert!(first != second && second != third && first != third);
}
