//! What a payment sends over its wires: three hops in a row and no more, on connections that are kept; nothing twice after
//! a freeze; and no card data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_tests::database::Engine;
use cutover_tests::payer::{Answer, attempt, payment, persist};
use cutover_tests::wire::{Call, Fault, Plan, Point, Seen, Wire};
use cutover_tests::world::{Function, World};
use serde_json::{Value, json};

/// Long enough to see what overlaps, on a machine that is busy with other things too.
const DELAY: Duration = Duration::from_millis(250);

async fn pay(function: &Function, key: &str) -> Answer {
    let said = attempt(&function.sandbox, &payment(key)).await;
    let answer = Answer::read(&said.expect("an answer in time")).expect("an answer");
    assert_eq!(answer.status, 201, "{key}: {}", answer.body);
    answer
}

fn one(seen: &[Seen], call: Call) -> Seen {
    let mut of_call = seen.iter().filter(|seen| seen.call == call);
    match (of_call.next(), of_call.next()) {
        (Some(seen), None) => *seen,
        _ => panic!("not one {call:?}: {seen:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_payment_is_three_hops_on_kept_connections() {
    for engine in Engine::ALL {
        let world = World::start(engine).await;
        let function = world.function("blue", &Arc::default()).await;
        pay(&function, "cold").await;
        pay(&function, "warm").await;
        let (wire, connections) = (&function.wire, function.wire.connections());
        wire.delay(DELAY);
        for round in 0..3 {
            wire.take_seen();
            pay(&function, &format!("counted-{round}")).await;
            let seen = wire.take_seen();
            assert_eq!(seen.len(), 4, "nothing else: {seen:?}");
            let [claim, insert, object, complete] =
                [Call::Claim, Call::Insert, Call::Object, Call::Complete]
                    .map(|call| one(&seen, call));
            assert!(claim.ended <= insert.began && claim.ended <= object.began);
            assert!(
                insert.began < object.ended && object.began < insert.ended,
                "side by side: {seen:?}"
            );
            assert!(insert.ended <= complete.began && object.ended <= complete.began);
        }
        assert_eq!(wire.connections(), connections, "connections are kept");
        println!(
            "{}: 3 hops, {connections} connections in all",
            engine.name()
        );
        world.stop().await;
    }
}

/// While a sandbox is frozen both sides may have gone: the next payment finds out without trouble.
#[tokio::test(flavor = "multi_thread")]
async fn a_thawed_sandbox_pays_at_once_and_once() {
    for engine in Engine::ALL {
        let world = World::start(engine).await;
        let function = world.function("blue", &Arc::default()).await;
        pay(&function, "before").await;
        for (round, both) in [(0, true), (1, false)] {
            function.sandbox.pause();
            if both {
                function.wire.hang_up();
            }
            tokio::task::block_in_place(|| world.database.end_sessions());
            tokio::time::sleep(Duration::from_millis(500)).await;
            function.wire.take_seen();
            function.sandbox.resume();
            let key = format!("thawed-{round}");
            let answer = pay(&function, &key).await;
            assert!(!answer.replayed);
            for call in [Call::Claim, Call::Insert, Call::Object, Call::Complete] {
                assert_eq!(function.wire.done(call), 1, "{call:?} once");
            }
            let rows = tokio::task::block_in_place(|| world.database.rows(&key));
            assert_eq!(rows, ["completed"]);
        }
        world.stop().await;
    }
}

const VISA: &str = "4242424242424242";
const AMEX: &str = "378282246310005";
/// A CVC that nothing else looks like: process ids, ports and durations, which the databases write down, have no leading
/// zero.
const AMEX_CVC: &str = "0917";

fn card(key: &str, number: &str, cvc: &str) -> Value {
    let mut event = payment(key);
    event["paymentMethod"]["number"] = json!(number);
    event["paymentMethod"]["cvc"] = json!(cvc);
    event
}

/// Events with a card in them, each wrong in another way.
fn refused() -> Vec<Value> {
    let changed = |name: &str, value: Value| {
        let mut event = card("refused", AMEX, AMEX_CVC);
        event[name] = value;
        event
    };
    let http = |body: String, content_type: &str| {
        json!({
            "httpMethod": "POST", "path": "/payment", "requestContext": {"stage": "live"},
            "headers": {"content-type": content_type, "idempotency-key": "http"}, "body": body,
        })
    };
    let text = format!("card {AMEX} code {AMEX_CVC}");
    let mut events = vec![
        changed("description", json!(text)),
        changed("userId", json!(AMEX)),
        changed("merchantId", json!("3782-822463-10005")),
        changed("transactionId", json!(AMEX)),
        changed("idempotencyKey", json!(VISA)),
        changed("metadata", json!({AMEX: AMEX_CVC, "note": AMEX})),
        changed(AMEX, json!(AMEX_CVC)),
        changed("currency", json!(AMEX)),
        changed("amount", json!(AMEX)),
        changed("paymentMethod", json!({"type": "token", "token": AMEX})),
        changed(
            "paymentMethod",
            json!({"type": "card", "number": 378_282_246_310_005_u64, "cvc": 917}),
        ),
        changed("paymentMethod", json!(AMEX)),
        card("refused", AMEX, "09170"),
        card("refused", &format!("{AMEX}0"), AMEX_CVC),
        json!({"Records": [{"body": text}]}),
        json!({"action": text}),
        json!(text),
        http(
            format!("{{\"number\":\"{AMEX}\",\"cvc\":\"{AMEX_CVC}\""),
            "application/json",
        ),
        http(text.clone(), "application/json"),
        http(text.clone(), "text/plain"),
        http(text.repeat(4000), "application/json"),
    ];
    let mut lookup = http(String::new(), "application/json");
    lookup["httpMethod"] = json!("GET");
    lookup["path"] = json!(format!("/payment/{AMEX}"));
    lookup["queryStringParameters"] = json!({"merchantId": VISA});
    events.push(lookup);
    events
}

/// Payments of both cards while calls fail, then replays by the other color.
async fn pay_through_faults(blue: &Function, green: &Function) -> usize {
    let mut count = 0;
    for call in [Call::Claim, Call::Insert, Call::Object, Call::Complete] {
        for (point, fault, always) in [
            (Point::After, Fault::Error, false),
            (Point::After, Fault::Error, true),
            (Point::Before, Fault::Lost, true),
        ] {
            blue.wire.arm(Plan {
                call,
                point,
                fault,
                always,
            });
            let event = match count % 2 {
                0 => card(&format!("fault-{count}"), "3782 822463 10005", AMEX_CVC),
                _ => card(&format!("fault-{count}"), VISA, "098"),
            };
            let said = attempt(&blue.sandbox, &event).await;
            Answer::read(&said.expect("an answer in time")).expect("an answer");
            assert!(blue.wire.has_fired());
            blue.wire.release();
            let mut other = event.clone();
            other["amount"] = json!(99);
            let said = attempt(&green.sandbox, &other).await;
            Answer::read(&said.expect("an answer in time")).expect("an answer");
            count += 1;
        }
    }
    count
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// What of a card is in a text, if anything is, with what stands around it.
fn card_data(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let digits: String = text.chars().filter(|c| !" -".contains(*c)).collect();
    for number in [VISA, AMEX] {
        if let Some(at) = digits.find(number) {
            return Some(around(&digits, at));
        }
    }
    let standalone = |&(at, wanted): &(usize, &str)| {
        let before = text[..at].chars().next_back();
        let after = text[at + wanted.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
            && !after.is_some_and(|c| c.is_ascii_alphanumeric())
    };
    // The name of the field may be said ("paymentMethod.cvc"), its content never.
    let found = text.match_indices(AMEX_CVC).find(standalone);
    let found = found.or_else(|| text.match_indices("\"098\"").next());
    let found = found.or_else(|| text.match_indices("\"cvc\":").next());
    found.map(|(at, _)| around(&text, at))
}

/// Some 40 characters on either side of a place.
fn around(text: &str, at: usize) -> String {
    let before: Vec<char> = text[..at].chars().rev().take(40).collect();
    let after = text[at..].chars().take(40);
    before.into_iter().rev().chain(after).collect()
}

#[test]
fn card_data_is_found_where_there_is_some() {
    for text in [
        "{\"n\":\"4242424242424242\"}",
        "4242 4242-4242 4242",
        "3782 822463 10005",
        "code 0917.",
        "{\"cvc\":\"1\"}",
        "x=\"098\"",
    ] {
        assert!(card_data(text.as_bytes()).is_some(), "{text}");
    }
    assert_eq!(
        card_data(b"last4 4242, paymentMethod.cvc, 12.0917, 0x09174, pid 917"),
        None
    );
}

/// Whatever is done with a card, and whatever fails meanwhile: its number and CVC are nowhere but in the event.
#[tokio::test(flavor = "multi_thread")]
async fn card_data_is_nowhere() {
    for engine in Engine::ALL {
        let world = World::start(engine).await;
        let (wire_blue, wire_green) = (Arc::<Wire>::default(), Arc::<Wire>::default());
        let blue = world.function("blue", &wire_blue).await;
        let green = world.function("green", &wire_green).await;
        let mut said = Vec::new();
        for (key, number, cvc) in [("visa", VISA, "098"), ("amex", AMEX, AMEX_CVC)] {
            for function in [&blue, &green] {
                let event = card(key, number, cvc);
                let answer = persist(&function.sandbox, &event, async |_| Ok(())).await;
                let answer = answer.expect("a final answer");
                assert_eq!(answer.status, 201);
                said.extend(answer.body.into_bytes());
            }
        }
        for event in refused() {
            let answer = attempt(&blue.sandbox, &event).await.expect("an answer");
            let status = answer
                .as_ref()
                .map_or(Value::Null, |a| a["statusCode"].clone());
            assert_ne!(status, 201, "{event}");
            said.extend(format!("{answer:?}").into_bytes());
        }
        let faults = pay_through_faults(&blue, &green).await;
        blue.sandbox.kill();

        let dump = tokio::task::block_in_place(|| world.database.sql("SELECT * FROM payments"));
        let sessions = format!("{:?}", world.sessions().await);
        let objects = format!("{:?}", world.objects().await);
        assert!(
            dump.lines().count() >= 2 && objects.contains("visa"),
            "there is something"
        );
        let mut places = vec![
            ("answers".to_owned(), said),
            ("the ledger".to_owned(), dump.into_bytes()),
            ("the sessions".to_owned(), sessions.into_bytes()),
            ("the objects' keys".to_owned(), objects.into_bytes()),
            ("all that blue sent".to_owned(), wire_blue.sent()),
            ("all that green sent".to_owned(), wire_green.sent()),
        ];
        for file in files(world.folder()) {
            let content = std::fs::read(&file).unwrap_or_default();
            places.push((file.display().to_string(), content));
        }
        let bytes: usize = places.iter().map(|(_, content)| content.len()).sum();
        for (place, content) in &places {
            assert_eq!(card_data(content), None, "{place}");
        }
        println!(
            "{}: {} places, {bytes} bytes, {faults} faults: no card data",
            engine.name(),
            places.len()
        );
        world.stop().await;
    }
}
