//! The whole system: real databases, the real binaries, the bundled template, in the local cloud.
//!
//! Each test brings up a lab of its own and they run one after another: two cores have enough to do with one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover::lab::cloud::Cloud;
use cutover::lab::journey::{self, Lab};
use cutover::lab::reconcile::reconcile;
use cutover::lab::show::read_back;
use cutover::lab::telemetry::Telemetry;
use cutover_tests::lab_options;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A lab in a folder that goes with it.
async fn lab(
    rate: u32,
) -> (
    MutexGuard<'static, ()>,
    TempDir,
    cutover::lab::journey::LabOptions,
    Lab,
) {
    let turn = ONE_AT_A_TIME.lock().await;
    let folder = TempDir::new().unwrap();
    let options = lab_options(folder.path(), rate);
    let lab = Lab::start(&options).await.unwrap();
    (turn, folder, options, lab)
}

/// The main job at a lower rate: a bad green is taken back, a good one takes over, every payment is there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_green_is_rolled_back_and_a_good_one_promoted() {
    let (_turn, _folder, options, mut lab) = lab(40).await;
    let telemetry = Arc::new(Telemetry::begin());
    let (known, timings) = journey::run(&mut lab, &options, &telemetry).await.unwrap();
    let found = reconcile(&known, &read_back(&lab).await.unwrap());
    println!("{found:#?} {timings:?} {:?}", known.surprises);
    assert!(found.is_clean());
    assert!(found.accepted > 2_000, "the load was steady");
    assert!(
        timings.drill > Duration::ZERO,
        "the drill's event was timed"
    );
    assert!(timings.rollback < Duration::from_mins(5));
    let history = lab.command(&json!({"action": "history"})).await.unwrap();
    let phases: Vec<&str> = history["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["to"].as_str())
        .collect();
    for phase in ["rolled_back", "completed"] {
        assert!(
            phases.contains(&phase),
            "{phase} is in the journal: {phases:?}"
        );
    }
    lab.stop().await;
}

/// Function processes die by kill -9 all the time, in whatever they do: no payment is lost or made twice.
#[tokio::test(flavor = "multi_thread")]
async fn killed_functions_lose_nothing() {
    let (_turn, _folder, options, lab) = lab(40).await;
    let telemetry = Arc::new(Telemetry::begin());
    let load = lab.start_load(&options, &telemetry).unwrap();
    let (mut killed, began) = (0_u32, Instant::now());
    while began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let processes = lab.cloud.function_processes();
        if let Some(process) =
            processes.get(usize::try_from(killed).unwrap() % processes.len().max(1))
        {
            Cloud::kill_function(*process).unwrap();
            killed += 1;
        }
    }
    let known = load.finish().await;
    let found = reconcile(&known, &read_back(&lab).await.unwrap());
    let failed = telemetry.snapshot().failed;
    println!(
        "killed {killed}, failed attempts {failed}: {found:#?} {:?}",
        known.surprises
    );
    assert!(killed > 40, "functions were there to be killed");
    assert!(failed > 0, "killing was felt");
    assert!(found.is_clean());
    lab.stop().await;
}

fn good_body(id: &str) -> Value {
    json!({
        "transactionId": id, "userId": "user-1", "amount": 1250, "currency": "EUR", "merchantId": "shop",
        "paymentMethod": {"type": "card", "number": "4242424242424242", "expiryMonth": 12, "expiryYear": 2049, "cvc": "123"},
    })
}

/// A body that breaks one rule: its name, the text, and the status that it gets.
fn bad_bodies() -> Vec<(&'static str, String, u16)> {
    let with = |name: &str, value: Value| {
        let mut body = good_body(&format!("bad-{name}"));
        body[name] = value;
        body.to_string()
    };
    vec![
        ("no JSON", "{\"transactionId\":".to_owned(), 400),
        ("no object", "[]".to_owned(), 422),
        ("empty", String::new(), 400),
        ("float amount", with("amount", json!(12.5)), 422),
        ("amount as text", with("amount", json!("12")), 422),
        ("negative amount", with("amount", json!(-1)), 422),
        ("no amount", with("amount", json!(0)), 422),
        ("unknown currency", with("currency", json!("EUX")), 422),
        ("lower case", with("currency", json!("eur")), 422),
        ("unknown field", with("surprise", json!(1)), 422),
        ("wrong type", with("userId", json!({})), 422),
        (
            "card in a text",
            with("description", json!("my card 4111 1111 1111 1111")),
            422,
        ),
    ]
}

/// Whatever is sent, the answer is a problem document that says what is wrong, and nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_problem_and_writes_nothing() {
    let (_turn, folder, _options, lab) = lab(1).await;
    let client = lab.client().unwrap();
    for (name, body, status) in bad_bodies() {
        let answer = client
            .post(
                "/payment",
                Some(&format!("key {name}")),
                "application/json",
                body,
            )
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        assert_eq!(
            answer.content_type.as_deref(),
            Some("application/problem+json"),
            "{name}"
        );
        assert_eq!(answer.body["effect"], "none", "{name}");
        assert!(
            answer.body["code"].is_string() && answer.body["detail"].is_string(),
            "{name}: {}",
            answer.body
        );
    }
    let large = json!({"transactionId": "x".repeat(70_000)}).to_string();
    let answer = client
        .post("/payment", None, "application/json", large)
        .await
        .unwrap();
    assert_eq!(answer.status, 413, "{}", answer.body);
    let answer = client
        .post("/payment", None, "text/plain", good_body("t-1").to_string())
        .await
        .unwrap();
    assert_eq!(answer.status, 415, "{}", answer.body);

    for event in [
        json!({}),
        json!(7),
        json!({"Records": []}),
        json!({"action": "nonsense"}),
    ] {
        let error = match lab.invoke_payment(&event).await {
            Ok(answer) => {
                assert_eq!(answer["statusCode"], 404, "{answer}");
                answer["body"].to_string()
            }
            Err(error) => error.to_string(),
        };
        assert!(
            error.contains("payment"),
            "payment-validation says what it takes: {error}"
        );
        let error = match lab.command_once(&event).await {
            Ok(answer) => answer["error"].to_string(),
            Err(error) => error.to_string(),
        };
        assert!(
            error.contains("start"),
            "environment-switcher says what it takes: {error}"
        );
    }

    let written = read_back(&lab).await.unwrap();
    assert!(written.sessions.is_empty(), "{:?}", written.sessions);
    assert!(written.log_keys.is_empty() && written.ledgers.values().all(Vec::is_empty));

    good_payments_leave_one_row_each(&lab).await;
    no_card_numbers_in(&folder.path().join("logs"));
    lab.delete_stack().await.unwrap();
    lab.stop().await;
}

/// Over HTTP and by direct invocation: one row, one session, one log object each, and no card number in them.
async fn good_payments_leave_one_row_each(lab: &Lab) {
    let client = lab.client().unwrap();
    let paid = client.pay(None, good_body("good-1").to_string()).await;
    assert_eq!(paid.status, 201, "{}", paid.body);
    let valid = client
        .post(
            "/payment/validate",
            None,
            "application/json",
            good_body("good-3").to_string(),
        )
        .await
        .unwrap();
    assert_eq!(
        (valid.status, &valid.body["valid"]),
        (200, &json!(true)),
        "{}",
        valid.body
    );
    for (path, status) in [
        ("/payment/good-1?merchantId=shop", "completed"),
        ("/health/deep", "ok"),
    ] {
        let answer = client.get(path).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (200, &json!(status)),
            "{path}: {}",
            answer.body
        );
    }
    let mut direct = good_body("good-2");
    direct["action"] = json!("payment");
    let answer = lab.invoke_payment(&direct).await.unwrap();
    assert_eq!(answer["statusCode"], 201, "{answer}");
    let written = read_back(lab).await.unwrap();
    assert_eq!(
        written.ledgers.values().map(Vec::len).collect::<Vec<_>>(),
        [2, 2]
    );
    assert_eq!((written.sessions.len(), written.log_keys.len()), (2, 2));
    assert!(!format!("{written:?}").contains("4242424242424242"));
}

fn no_card_numbers_in(logs: &std::path::Path) {
    let mut scanned = 0;
    for entry in std::fs::read_dir(logs).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(
            !text.contains("4242424242424242"),
            "{} holds a card number",
            path.display()
        );
        assert!(
            !text.contains("\"cvc\""),
            "{} holds a card's CVC",
            path.display()
        );
        scanned += 1;
    }
    assert!(
        scanned >= 3,
        "the functions' and the databases' logs were there to be scanned"
    );
}
