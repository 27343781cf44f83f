use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use cutover_domain::payment::Color;
use cutover_lambda::Deadline;
use cutover_ports::payment::fakes::{FakeLedger, FakeLog, FakeSecrets, FakeSessions};

use super::*;
use crate::hash_keys::HashKeys;

#[path = "bad_input_tests.rs"]
mod bad_input;
#[path = "openapi_tests.rs"]
mod openapi;

type World = PaymentValidation<FakeSessions, FakeLedger, FakeLog, FakeSecrets>;

/// What each event in `events/payment-validation` is answered: a status and a code or outcome, or an error's name.
const EXPECTED: [(&str, &str); 72] = [
    ("alb-health", "200"),
    ("alb-payment", "201"),
    ("alb-payment-multi-value", "201"),
    ("direct-bad-action", "404 not_found"),
    ("direct-bad-action-type", "UnknownEvent"),
    ("direct-bad-payment", "422 validation_failed"),
    (
        "direct-bad-lookup",
        "422 validation_failed: transactionId required",
    ),
    ("direct-lookup", "404 payment_not_found"),
    ("direct-payment", "201"),
    ("direct-payment-wrapped", "201"),
    ("direct-validate", "200"),
    ("function-url-payment", "201"),
    ("function-url-payment-base64", "201"),
    ("http-payment", "201"),
    ("http-payment-stage-jwt", "201"),
    (
        "rest-bad-array-body",
        "400 idempotency_key_missing:  wrong_type",
    ),
    ("rest-bad-base64", "400 malformed_json"),
    (
        "rest-bad-bidi-text",
        "422 validation_failed: description bad_characters",
    ),
    (
        "rest-bad-card-brand",
        "422 validation_failed: paymentMethod.number card_brand_unsupported",
    ),
    (
        "rest-bad-card-cvc",
        "422 validation_failed: paymentMethod.cvc card_cvc",
    ),
    (
        "rest-bad-card-expired",
        "422 validation_failed: paymentMethod.expiryYear card_expired",
    ),
    (
        "rest-bad-card-luhn",
        "422 validation_failed: paymentMethod.number card_number_luhn",
    ),
    (
        "rest-bad-card-number-in-text",
        "422 validation_failed: description card_number_in_text",
    ),
    ("rest-bad-content-type", "415 unsupported_media_type"),
    (
        "rest-bad-duplicate-field",
        "422 validation_failed: amount duplicate_field",
    ),
    ("rest-bad-empty-body", "400 malformed_json"),
    (
        "rest-bad-exponent-amount",
        "422 validation_failed: amount amount_not_integer",
    ),
    (
        "rest-bad-float-amount",
        "422 validation_failed: amount amount_not_integer",
    ),
    (
        "rest-bad-huge-amount",
        "422 validation_failed: amount amount_not_integer",
    ),
    ("rest-bad-lone-surrogate", "400 malformed_json"),
    (
        "rest-bad-lower-case-currency",
        "422 validation_failed: currency currency_unknown",
    ),
    ("rest-bad-malformed-json", "400 malformed_json"),
    ("rest-bad-method", "405 method_not_allowed"),
    (
        "rest-bad-no-key",
        "400 idempotency_key_missing: transactionId required",
    ),
    (
        "rest-bad-no-key-value",
        "400 idempotency_key_invalid: Idempotency-Key idempotency_key_format",
    ),
    ("rest-bad-null-body", "400 malformed_json"),
    ("rest-bad-oversize", "413 body_too_large"),
    (
        "rest-bad-payment-method",
        "422 validation_failed: paymentMethod.type payment_method_unknown",
    ),
    ("rest-bad-route", "404 not_found"),
    (
        "rest-bad-string-amount",
        "422 validation_failed: amount amount_not_integer",
    ),
    (
        "rest-bad-test-currency",
        "422 validation_failed: currency currency_unknown",
    ),
    ("rest-bad-too-deep", "422 validation_failed:  too_deep"),
    ("rest-bad-two-keys", "400 idempotency_key_invalid"),
    (
        "rest-bad-unknown-field",
        "422 validation_failed: note unknown_field",
    ),
    (
        "rest-bad-zero-amount",
        "422 validation_failed: amount amount_not_positive",
    ),
    ("rest-bad-lookup", "404 payment_not_found"),
    ("rest-health", "200"),
    ("rest-lookup", "404 payment_not_found"),
    ("rest-payment", "201"),
    ("rest-payment-authorizer", "201"),
    ("rest-payment-base64", "201"),
    ("rest-payment-console-test", "201"),
    ("rest-payment-key", "201"),
    ("rest-payment-token", "201"),
    ("rest-validate", "200"),
    ("schedule-sweep", "200"),
    (
        "alb-bad-card-long-expired",
        "422 validation_failed: paymentMethod.expiryYear card_expired",
    ),
    ("alb-bad-route", "404 not_found"),
    (
        "alb-bad-two-keys-multi-value",
        "400 idempotency_key_invalid",
    ),
    ("alb-lookup-encoded", "404 payment_not_found"),
    (
        "direct-bad-key",
        "400 idempotency_key_invalid: idempotencyKey wrong_type",
    ),
    ("direct-bad-lone-surrogate", "400 malformed_json"),
    ("direct-bad-too-deep", "422 validation_failed:  too_deep"),
    ("function-url-bad-base64", "400 malformed_json"),
    (
        "function-url-bad-card-number-in-text",
        "422 validation_failed: description card_number_in_text",
    ),
    ("http-bad-content-type", "415 unsupported_media_type"),
    (
        "http-bad-exponent-amount",
        "422 validation_failed: amount amount_not_integer",
    ),
    ("http-bad-method", "405 method_not_allowed"),
    ("unknown-custom-resource", "UnknownEvent"),
    ("unknown-empty", "UnknownEvent"),
    ("unknown-rest-headers", "UnknownEvent"),
    ("unknown-sns", "UnknownEvent"),
];

fn world() -> World {
    let secrets = FakeSecrets {
        texts: RefCell::new(BTreeMap::from([
            ("hash".to_owned(), "ab".repeat(32)),
            ("db".to_owned(), "{}".to_owned()),
        ])),
        ..FakeSecrets::default()
    };
    PaymentValidation {
        payments: Payments {
            color: Color::Green,
            environment: "dev-payment-ab12cd34".to_owned(),
            sessions: FakeSessions::default(),
            ledger: FakeLedger::default(),
            log: FakeLog::default(),
            hash_keys: HashKeys::new(secrets, "hash".to_owned()),
        },
        rules: Rules::default(),
        body_bytes_max: 65_536,
        db_secret: "db".to_owned(),
        last_health: LastHealth::default(),
    }
}

fn invocation() -> Invocation {
    Invocation {
        request_id: "r-1".to_owned(),
        version: "7".to_owned(),
        trace_id: None,
        deadline: Deadline::new(clock::now_ms() + 10_000, Duration::from_millis(300)),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events/payment-validation")
}

fn event(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

async fn send(world: &World, event: &str) -> Result<Value, InvocationError> {
    let event = RawValue::from_string(event.to_owned()).unwrap();
    world.handle(&event, &invocation()).await
}

async fn send_file(world: &World, name: &str) -> Value {
    send(world, &event(name)).await.unwrap()
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn summary(answered: Result<Value, InvocationError>) -> String {
    let answer = match answered {
        Ok(answer) => answer,
        Err(error) => return error.kind.to_owned(),
    };
    let body = body(&answer);
    let mut summary = answer["statusCode"].to_string();
    if let Some(code) = body["code"].as_str() {
        assert_eq!(body["status"], answer["statusCode"]);
        summary = format!("{summary} {code}");
    }
    match body["errors"].as_array().map(Vec::as_slice) {
        Some([only]) => {
            let part = |name: &str| only[name].as_str().unwrap().to_owned();
            format!("{summary}: {} {}", part("field"), part("code"))
        }
        _ => summary,
    }
}

#[tokio::test]
async fn every_sample_event_is_answered_as_the_contract_says() {
    let expected: BTreeMap<&str, &str> = EXPECTED.into_iter().collect();
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let named: BTreeSet<String> = expected.keys().map(|&name| name.to_owned()).collect();
    assert_eq!(files, named);
    for (name, expected) in expected {
        let answered = send(&world(), &event(name)).await;
        let told = summary(answered);
        assert_eq!(told, expected, "{name}");
    }
}

#[tokio::test]
async fn the_same_payment_has_one_result_however_it_comes() {
    let names = [
        "rest-payment",
        "rest-payment-base64",
        "rest-payment-console-test",
        "alb-payment",
        "alb-payment-multi-value",
        "direct-payment",
    ];
    let world = world();
    let first = body(&send_file(&world, names[0]).await);
    for name in &names[1..] {
        let again = send_file(&world, name).await;
        assert_eq!(body(&again), first, "{name}");
        let headers = if *name == "alb-payment-multi-value" {
            assert_eq!(again.get("headers"), None);
            again["multiValueHeaders"]["idempotency-replayed"][0].clone()
        } else {
            again["headers"]["idempotency-replayed"].clone()
        };
        assert_eq!(headers, "true", "{name}");
    }
    assert_eq!(world.payments.ledger.rows.borrow().len(), 1);
}

#[tokio::test]
async fn an_answer_has_the_contract_s_members() {
    let answer = send_file(&world(), "rest-payment").await;
    assert_eq!(answer["headers"]["x-cutover-color"], "green");
    assert_eq!(answer["headers"]["content-type"], "application/json");
    let mut body = body(&answer);
    let created_at = body["createdAt"].take();
    assert!(created_at.as_str().unwrap().parse::<Timestamp>().is_ok());
    assert_eq!(
        body,
        json!({
            "transactionId": "order-1001", "status": "completed", "amount": 1250, "currency": "EUR", "exponent": 2,
            "amountDecimal": "12.50", "environment": "dev-payment-ab12cd34", "color": "green", "createdAt": null,
            "card": {"brand": "visa", "last4": "4242"},
        })
    );
}

#[tokio::test]
async fn callers_have_scopes_of_their_own() {
    let world = world();
    for name in [
        "rest-payment",
        "rest-payment-authorizer",
        "http-payment-stage-jwt",
        "function-url-payment",
        "direct-payment-wrapped",
    ] {
        send_file(&world, name).await;
    }
    let scopes: Vec<String> = world
        .payments
        .sessions
        .items
        .borrow()
        .values()
        .map(|s| s.claim.scope.to_string())
        .collect();
    // The same caller by way of two APIs: the second key finds its transaction id taken.
    assert_eq!(
        scopes,
        [
            "m:shop-7",
            "u:arn:aws:iam::123456789012:user/shop",
            "u:batch",
            "u:customer-17",
        ]
    );
}

#[tokio::test]
async fn problems_are_problem_documents() {
    let answer = send_file(&world(), "rest-bad-method").await;
    assert_eq!(
        answer["headers"]["content-type"],
        "application/problem+json"
    );
    assert_eq!(answer["headers"]["allow"], "POST");
    let body = body(&answer);
    assert_eq!(
        (&body["effect"], &body["retryable"]),
        (&json!("none"), &json!(false))
    );
    assert_eq!(body["requestId"], "r-1");

    let fenced = world();
    fenced
        .payments
        .ledger
        .fenced
        .borrow_mut()
        .insert(Color::Green);
    let answer = send_file(&fenced, "rest-payment").await;
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["retry-after"]),
        (&json!(503), &json!("1"))
    );
}

#[tokio::test]
async fn an_unknown_event_is_told_what_is_taken() {
    let error = send(&world(), &event("unknown-empty")).await.unwrap_err();
    for shape in ["REST", "HTTP or function URL", "Load Balancer", "direct"] {
        assert!(error.message.contains(shape), "{}", error.message);
    }
    for event in ["null", "7", "\"x\"", "[]", "[[]]"] {
        assert_eq!(
            send(&world(), event).await.unwrap_err().kind,
            "UnknownEvent",
            "{event}"
        );
    }
}

#[tokio::test]
async fn a_payment_is_looked_up_in_its_scope() {
    let world = world();
    let paid = body(&send_file(&world, "rest-payment-key").await);
    for name in ["rest-lookup", "alb-lookup-encoded", "direct-lookup"] {
        let found = send_file(&world, name).await;
        assert_eq!(
            (&found["statusCode"], body(&found)),
            (&json!(200), paid.clone()),
            "{name}"
        );
    }
    let mut elsewhere: Value = serde_json::from_str(&event("rest-lookup")).unwrap();
    elsewhere["queryStringParameters"] = json!({"merchantId": "shop-8"});
    elsewhere["multiValueQueryStringParameters"] = Value::Null;
    let answered = send(&world, &elsewhere.to_string()).await;
    assert_eq!(summary(answered), "404 payment_not_found");
}

#[tokio::test]
async fn validation_writes_nothing() {
    let world = world();
    let answer = send_file(&world, "rest-validate").await;
    assert_eq!(body(&answer)["valid"], true);
    assert!(world.payments.sessions.items.borrow().is_empty());
    assert!(world.payments.log.objects.borrow().is_empty());
}

#[tokio::test]
async fn no_card_number_or_security_code_is_kept_or_answered() {
    let world = world();
    let answer = send_file(&world, "rest-payment").await.to_string();
    let sessions = format!("{:?}", world.payments.sessions.items.borrow());
    let rows = format!("{:?}", world.payments.ledger.rows.borrow());
    let objects: Vec<String> = world
        .payments
        .log
        .objects
        .borrow()
        .iter()
        .map(|(key, bytes)| format!("{key} {}", String::from_utf8_lossy(bytes)))
        .collect();
    for kept in [answer, sessions, rows, objects.join("\n")] {
        assert!(
            !kept.contains("4242 4242") && !kept.contains("42424242") && !kept.contains("\"123\""),
            "{kept}"
        );
        assert!(!kept.contains("Cardholder"), "{kept}");
    }
}

#[test]
fn counts_are_in_every_line_zeros_too() {
    let mut line = EventLine::new("payment-validation", "dev-payment-ab12cd34", Some("blue"));
    finish(
        &mut line,
        Seen::default(),
        Some(200),
        Duration::from_millis(2),
    );
    let json = line.to_json(0);
    for name in ["Payments", "Replays", "Refusals", "Failures"] {
        assert_eq!(json[name], 0, "{name}");
    }
    assert_eq!(json["Requests"], 1);
    assert_eq!(json["DurationMs"], 2.0);
    assert_eq!(json.get("ClaimMs"), None);
}

const DEEP: &str = r#"{"httpMethod":"GET","path":"/health/deep","requestContext":{}}"#;

#[tokio::test]
async fn deep_health_names_what_fails_and_is_kept_for_a_while() {
    let failing = async |world: &World| {
        let answer = send(world, DEEP).await.unwrap();
        let body = body(&answer);
        let failing: Vec<String> = body["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["ok"] == false)
            .map(|check| format!("{}: {}", check["name"], check["detail"]).replace('"', ""))
            .collect();
        let status = if failing.is_empty() {
            (200, "ok")
        } else {
            (503, "failing")
        };
        assert_eq!(
            (&answer["statusCode"], &body["status"]),
            (&json!(status.0), &json!(status.1))
        );
        failing
    };
    let world = world();
    assert!(failing(&world).await.is_empty());
    world.payments.ledger.read_only.set(true);
    assert!(failing(&world).await.is_empty(), "the last answer stands");

    let other = super::tests::world();
    let planned = || [Some(cutover_ports::payment::fakes::Fault::Refused)];
    other.payments.sessions.faults.plan(planned());
    other.payments.log.faults.plan(planned());
    other.payments.hash_keys.secrets().faults.plan(planned());
    other
        .payments
        .ledger
        .fenced
        .borrow_mut()
        .insert(Color::Green);
    assert_eq!(
        failing(&other).await,
        [
            "session-table: does not answer as it should",
            "log-bucket: does not answer as it should",
            "ledger: this color may not write",
            "secret: does not answer as it should",
        ]
    );
    assert!(other.payments.sessions.items.borrow().is_empty());
}

#[tokio::test]
async fn self_tests_answer_by_direct_invocation_only() {
    for (action, code) in [
        ("test-dynamodb-access", "session_store_unavailable"),
        ("test-s3-access", "transaction_log_unavailable"),
        ("test-secrets-access", "secret_unavailable"),
    ] {
        let world = world();
        let event = json!({ "action": action }).to_string();
        assert_eq!(summary(send(&world, &event).await), "200", "{action}");
        let planned = || [Some(cutover_ports::payment::fakes::Fault::LostBefore)];
        world.payments.sessions.faults.plan(planned());
        world.payments.log.faults.plan(planned());
        world.payments.hash_keys.secrets().faults.plan(planned());
        assert_eq!(summary(send(&world, &event).await), format!("503 {code}"));
        for path in [format!("/{action}"), format!("/payment?action={action}")] {
            let event =
                json!({"httpMethod": "POST", "path": path, "requestContext": {}, "body": event});
            let told = summary(send(&world, &event.to_string()).await);
            assert!(told.starts_with('4'), "{path}: {told}");
        }
        assert!(world.payments.ledger.rows.borrow().is_empty());
    }
}
