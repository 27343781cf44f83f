//! What is delivered, and how.

use std::time::Duration;

use cutover_custom_resource::fakes::AnswerServer;
use cutover_custom_resource::{
    BODY_BYTES_MAX, DeliveryError, Protocol, ProtocolError, Verdict, looks_like_custom_resource,
};
use cutover_lambda::{Deadline, clock};
use serde_json::{Map, Value, json};

pub(crate) fn event(url: &str, kind: &str) -> Value {
    json!({
        "RequestType": kind, "ResponseURL": url, "StackId": "arn:stack/\u{fc}\"1", "RequestId": "r-1",
        "LogicalResourceId": "Switch", "ResourceType": "Custom::X",
        "ResourceProperties": {"A": "1"},
    })
}

pub(crate) fn in_ms(ms: u64) -> Deadline {
    Deadline::new(clock::now_ms() + ms, Duration::ZERO)
}

async fn serve(event: &Value, verdict: Verdict) -> Result<Verdict, ProtocolError> {
    let answered = Protocol::default()
        .serve(&event.to_string(), in_ms(5_000), async |_, _| verdict)
        .await?;
    Ok(answered.verdict)
}

#[tokio::test]
async fn an_answer_has_an_empty_content_type_and_the_ids_verbatim() {
    let server = AnswerServer::start(&[200]);
    let data = Map::from_iter([("Status".to_owned(), json!("ok"))]);
    serve(&event(&server.url(), "Create"), Verdict::Success(data))
        .await
        .unwrap();
    let puts = server.puts();
    assert_eq!(puts.len(), 1);
    assert_eq!(
        puts[0].request_line,
        "PUT /answer?X-Amz-Signature=secret HTTP/1.1"
    );
    let types: Vec<_> = puts[0]
        .headers
        .iter()
        .filter(|h| h.starts_with("content-type"))
        .collect();
    assert_eq!(types, ["content-type:"]);
    let body = puts[0].json();
    assert_eq!(body["Status"], "SUCCESS");
    assert_eq!(body["StackId"], "arn:stack/\u{fc}\"1");
    assert_eq!(body["RequestId"], "r-1");
    assert_eq!(body["LogicalResourceId"], "Switch");
    assert_eq!(body["Data"]["Status"], "ok");
    assert_eq!(body.get("Reason"), None);
}

#[tokio::test]
async fn the_physical_id_never_changes() {
    let server = AnswerServer::start(&[200]);
    let mut update = event(&server.url(), "Update");
    for _twice in 0..2 {
        serve(
            &event(&server.url(), "Create"),
            Verdict::Success(Map::new()),
        )
        .await
        .unwrap();
    }
    update["PhysicalResourceId"] = json!("Some-Other-Id");
    serve(&update, Verdict::Failed("no".to_owned()))
        .await
        .unwrap();
    let ids: Vec<Value> = server
        .puts()
        .iter()
        .map(|put| put.json()["PhysicalResourceId"].clone())
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0].as_str().unwrap().starts_with("Switch-"));
    assert_eq!(ids[2], "Some-Other-Id");
}

#[tokio::test]
async fn a_long_reason_is_cut_between_characters() {
    let server = AnswerServer::start(&[200]);
    for text in ["x", "\u{20ac}", "\"", "\u{1}", "\u{1f980}", "a\u{e9}\\"] {
        let reason = text.repeat(5_000);
        serve(&event(&server.url(), "Create"), Verdict::Failed(reason))
            .await
            .unwrap();
        let put = server.puts().pop().unwrap();
        assert!(put.body.len() <= BODY_BYTES_MAX, "{}", put.body.len());
        assert!(
            put.body.len() > BODY_BYTES_MAX - 16,
            "no more is cut than must be"
        );
        let reason = put.json()["Reason"].as_str().unwrap().to_owned();
        assert!(reason.ends_with("[cut]"));
    }
}

#[tokio::test]
async fn attributes_that_do_not_fit_are_a_failure() {
    let server = AnswerServer::start(&[200]);
    let data = Map::from_iter([("Status".to_owned(), json!("x".repeat(5_000)))]);
    serve(&event(&server.url(), "Create"), Verdict::Success(data))
        .await
        .unwrap();
    assert_eq!(server.puts()[0].json()["Status"], "FAILED");
}

#[tokio::test]
async fn only_what_may_pass_is_tried_again() {
    for (statuses, puts) in [(&[503, 429, 200][..], 3), (&[200], 1)] {
        let server = AnswerServer::start(statuses);
        serve(
            &event(&server.url(), "Create"),
            Verdict::Success(Map::new()),
        )
        .await
        .unwrap();
        assert_eq!(server.puts().len(), puts);
    }
    for refused in [403, 400, 301] {
        let server = AnswerServer::start(&[refused]);
        let failed = serve(
            &event(&server.url(), "Create"),
            Verdict::Success(Map::new()),
        )
        .await;
        let refused = matches!(
            failed,
            Err(ProtocolError::Delivery(DeliveryError::Refused(_)))
        );
        assert!(refused, "{failed:?}");
        assert_eq!(server.puts().len(), 1);
    }
    let server = AnswerServer::start(&[500]);
    let failed = serve(
        &event(&server.url(), "Create"),
        Verdict::Success(Map::new()),
    )
    .await;
    assert!(matches!(
        failed,
        Err(ProtocolError::Delivery(DeliveryError::GaveUp {
            attempts: 5,
            ..
        }))
    ));
    assert_eq!(server.puts().len(), 5);
}

#[tokio::test]
async fn a_handler_that_never_ends_is_answered_for_in_time() {
    let server = AnswerServer::start(&[200]);
    let event = event(&server.url(), "Create").to_string();
    let before_ms = clock::now_ms();
    let answered = Protocol::default()
        .serve(&event, in_ms(400), async |_, _| {
            std::future::pending().await
        })
        .await
        .unwrap();
    assert_eq!(answered.verdict.status(), "FAILED");
    assert!(clock::now_ms() - before_ms < 400);
    assert_eq!(server.puts().len(), 1);
}

#[tokio::test]
async fn what_says_nowhere_where_to_is_an_error_that_shows_no_signature() {
    for broken in [
        json!({"RequestType": "Create"}),
        json!({"RequestType": "Create", "ResponseURL": 7}),
        event("http://example.com/x?sig=secret", "Create"),
        event("nonsense secret", "Create"),
    ] {
        assert!(looks_like_custom_resource(&broken.to_string()));
        let error = serve(&broken, Verdict::Success(Map::new()))
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(!looks_like_custom_resource("{}"));
    assert!(!looks_like_custom_resource("[]"));
}

#[tokio::test]
async fn an_unknown_request_type_is_answered_with_failed() {
    let server = AnswerServer::start(&[200]);
    let verdict = serve(
        &event(&server.url(), "Replace"),
        Verdict::Success(Map::new()),
    )
    .await
    .unwrap();
    assert_eq!(verdict.status(), "FAILED");
    assert_eq!(server.puts()[0].json()["Status"], "FAILED");
}

#[tokio::test]
async fn what_s3_asks_to_repeat_is_repeated() {
    let slow =
        AnswerServer::start_saying(&[400, 200], "<Error><Code>RequestTimeout</Code></Error>");
    let wrong = AnswerServer::start_saying(&[400], "<Error><Code>MalformedXML</Code></Error>");
    let busy = AnswerServer::start(&[409, 408, 200]);
    for (server, puts) in [(&slow, 2), (&wrong, 1), (&busy, 3)] {
        let served = serve(
            &event(&server.url(), "Create"),
            Verdict::Success(Map::new()),
        )
        .await;
        assert_eq!(server.puts().len(), puts);
        assert_eq!(served.is_ok(), puts > 1, "{served:?}");
    }
}

#[tokio::test]
async fn a_refused_answer_is_an_error_that_shows_no_signature() {
    for status in [500, 403, 404, 307] {
        let server = AnswerServer::start(&[status]);
        let error = serve(
            &event(&server.url(), "Create"),
            Verdict::Success(Map::new()),
        )
        .await
        .unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("secret"), "{told}");
    }
}

#[tokio::test]
async fn nobody_at_the_other_end_is_an_error_in_time() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x?sig=secret", closed.local_addr().unwrap());
    drop(closed);
    let before_ms = clock::now_ms();
    let error = serve(&event(&url, "Create"), Verdict::Success(Map::new()))
        .await
        .unwrap_err();
    assert!(clock::now_ms() - before_ms < 5_000);
    assert!(error.to_string().contains("no connection"), "{error}");
}

#[tokio::test]
async fn an_end_that_takes_the_body_and_never_answers_is_left_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", silent.local_addr().unwrap());
    let before_ms = clock::now_ms();
    let event = event(&url, "Create").to_string();
    let served = Protocol::default()
        .serve(
            &event,
            in_ms(700),
            async |_, _| Verdict::Success(Map::new()),
        )
        .await;
    assert!(matches!(
        served,
        Err(ProtocolError::Delivery(DeliveryError::GaveUp { .. }))
    ));
    assert!(clock::now_ms() - before_ms < 1_500);
}

#[tokio::test]
async fn a_reason_of_control_characters_is_still_json() {
    let server = AnswerServer::start(&[200]);
    let reason: String = (0_u8..0x80).map(char::from).collect();
    serve(
        &event(&server.url(), "Create"),
        Verdict::Failed(reason.clone()),
    )
    .await
    .unwrap();
    assert_eq!(server.puts()[0].json()["Reason"], reason);
}
