//! What only the real table can show: one transaction id, several keys, at once; and the function's own checks of it.

use cutover::lab::Color;
use cutover::lab::client::PaymentClient;
use cutover::lab::journey::Lab;
use cutover::lab::show::read_back;
use cutover_tests::lab_options;
use serde_json::{Value, json};
use tempfile::TempDir;

async fn pay(client: &PaymentClient, id: &str, key: Option<&str>) -> String {
    let body = json!({
        "transactionId": id, "userId": "user-1", "amount": 1250, "currency": "EUR", "merchantId": "shop",
        "paymentMethod": {"type": "token", "token": "tok_1"},
    });
    let answer = client.pay(key, body.to_string()).await;
    match answer.body["code"].as_str() {
        Some(code) => format!("{} {code} {}", answer.status, answer.body["effect"]),
        None => answer.status.to_string(),
    }
}

const PAID: &str = "201";
const TAKEN: &str = "409 transaction_exists \"none\"";

#[tokio::test(flavor = "multi_thread")]
async fn of_several_keys_one_gets_the_transaction_id() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(&lab_options(folder.path(), 1)).await.unwrap();
    let client = lab.client().unwrap();
    for (n, (first, second)) in [(None, Some("a")), (Some("b"), None), (Some("c"), Some("d"))]
        .into_iter()
        .enumerate()
    {
        let id = format!("in-turn-{n}");
        for told in [PAID, PAID] {
            assert_eq!(pay(&client, &id, first).await, told, "{id}");
        }
        assert_eq!(pay(&client, &id, second).await, TAKEN, "{id}");
    }
    // A key that is another payment's transaction id is a key like any other.
    assert_eq!(pay(&client, "unrelated", Some("in-turn-1")).await, PAID);
    assert_eq!(pay(&client, "unrelated", Some("in-turn-1")).await, PAID);
    for n in 0..12 {
        let id = format!("at-once-{n}");
        let (x, y) = (format!("x-{n}"), format!("y-{n}"));
        let (bare, x, y) = tokio::join!(
            pay(&client, &id, None),
            pay(&client, &id, Some(&x)),
            pay(&client, &id, Some(&y))
        );
        let mut told = [bare, x, y];
        told.sort();
        println!("{told:?}");
        assert_eq!(told[0], PAID, "{told:?}");
        assert!(!told[1..].contains(&PAID.to_owned()), "{told:?}");
    }
    let written = read_back(&lab).await.unwrap();
    assert_eq!(written.ledgers[&Color::Blue].len(), 3 + 1 + 12);
    checks_itself(&lab).await;
    lab.stop().await;
}

/// Each self-test makes its round trip, and deep health finds everything well.
async fn checks_itself(lab: &Lab) {
    for event in [
        json!({"action": "test-dynamodb-access"}),
        json!({"action": "test-s3-access"}),
        json!({"action": "test-s3-access"}),
        json!({"action": "test-secrets-access"}),
        json!({"httpMethod": "GET", "path": "/health/deep", "requestContext": {}}),
    ] {
        let answer = lab.invoke_payment(&event).await.unwrap();
        assert_eq!(answer["statusCode"], 200, "{event}: {answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["status"], "ok", "{event}: {answer}");
    }
}
