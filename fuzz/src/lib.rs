//! What every input must keep: `README.md` lists it.

use std::collections::BTreeMap;

use cutover_domain::payment::card::{CardNumber, Cvc, DIGITS_MAX, DIGITS_MIN};
use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::money::{self, AMOUNT_MAX, Money};
use cutover_domain::payment::text::holds_card_number;
use cutover_domain::payment::{
    Effect, HashKey, IdempotencyKey, Json, Order, Problem, Rules, Timestamp,
};
use serde_json::Value;

#[path = "../../crates/payment-validation/src/event.rs"]
pub mod event;
#[path = "../../crates/payment-validation/src/event_http.rs"]
mod event_http;
#[path = "../../crates/payment-validation/src/percent.rs"]
mod percent;

use self::event as decoder;

/// 2026-11-20T12:00:00Z, so that an input means the same on every day.
const NOW_MS: u64 = 1_795_176_000_000;
/// Largest amount in USD, as an operator might set it.
const LIMIT_USD: i64 = 5_000_000;

/// The event decoder.
pub fn event(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match decoder::Event::read(text) {
        Ok(decoder::Event::Http(request)) => {
            let lower = |name: &String| !name.bytes().any(|b| b.is_ascii_uppercase());
            assert!(request.headers.keys().all(lower));
            assert!(request.caller.as_deref() != Some(""));
        }
        Ok(decoder::Event::Direct(call)) => {
            assert!(call.bytes <= text.len());
            if let Ok(arguments) = call.arguments {
                assert!(arguments.caller.as_deref() != Some(""));
            }
        }
        // A scheduled event: nothing of it is read further.
        Ok(decoder::Event::Tick) => {}
        Err(error) => assert!(error.to_string().contains(decoder::SHAPES)),
    }
}

/// The body parser.
pub fn body(data: &[u8]) {
    let read = read_order(data);
    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        if let Err(problem) = read {
            assert_clean(&problem, &Value::Null);
        }
        return;
    };
    match read {
        Ok(order) => {
            let amount = order.request.money().minor_units();
            assert!((1..=AMOUNT_MAX).contains(&amount));
            let usd = order.request.money().currency().code() == "USD";
            assert!(!usd || amount <= LIMIT_USD);
            assert!(value["amount"].is_u64());
            let print = fingerprint(order);
            let again = read_order(value.to_string().as_bytes());
            assert!(again.is_ok_and(|again| fingerprint(again) == print));
        }
        Err(problem) => {
            assert_clean(&problem, &value);
            assert_indifferent_to_cvc(&value);
        }
    }
}

fn read_order(data: &[u8]) -> Result<Order, Problem> {
    let rules = Rules {
        limits: BTreeMap::from([("USD", LIMIT_USD)]),
    };
    let json = Json::parse(data).map_err(Problem::unreadable)?;
    Order::read(&json, None, None, &rules, Timestamp::from_ms(NOW_MS))
}

fn fingerprint(order: Order) -> String {
    let key: HashKey = "42".repeat(32).parse().expect("64 hex digits");
    order.request.seal(&key).1.to_string()
}

fn document(problem: &Problem) -> String {
    serde_json::to_string(&problem.document("request-1")).expect("text and numbers")
}

/// A refused request had no effect, says why if it breaks rules, and is not answered with its card number.
fn assert_clean(problem: &Problem, body: &Value) {
    assert_eq!(problem.effect, Effect::None);
    assert!(problem.code.status() != 422 || !problem.findings.is_empty());
    let told = document(problem);
    if let Some(number) = body["paymentMethod"]["number"].as_str()
        && number.len() >= DIGITS_MIN
        && number.chars().any(|c| c.is_ascii_digit())
    {
        assert!(!told.contains(number));
    }
    assert!(!holds_card_number(&told), "{told}");
}

/// The same request with another security code of the same length gets the same answer.
fn assert_indifferent_to_cvc(body: &Value) {
    let Some(cvc) = body["paymentMethod"]["cvc"].as_str() else {
        return;
    };
    let other: String = cvc
        .chars()
        .map(|c| c.to_digit(10).map_or(c, |d| char::from(b'9' - d as u8)))
        .collect();
    let told = |body: &Value| {
        read_order(body.to_string().as_bytes())
            .err()
            .map(|problem| document(&problem))
    };
    let mut changed = body.clone();
    changed["paymentMethod"]["cvc"] = Value::String(other);
    assert_eq!(told(body), told(&changed));
}

/// Card numbers, security codes, currencies, idempotency keys and amounts.
pub fn money_card(data: &[u8]) {
    if let Some((bytes, text)) = data.split_first_chunk::<8>() {
        amount(i64::from_le_bytes(*bytes), text);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let found = holds_card_number(text);
    match CardNumber::parse(text) {
        Ok(number) => {
            let digits: String = number.digits().iter().map(|d| char::from(b'0' + d)).collect();
            assert!((DIGITS_MIN..=DIGITS_MAX).contains(&digits.len()));
            assert!(found, "a card number is one in text too");
            assert!(CardNumber::parse(&digits).is_ok_and(|n| n.digits() == number.digits()));
            assert_eq!(number.summary().last4, digits[digits.len() - 4..]);
        }
        Err(error) => assert!(text.len() < DIGITS_MIN || !error.to_string().contains(text)),
    }
    if let Some(cvc) = Cvc::parse(text, None) {
        assert!(matches!(cvc.digits(), 3 | 4) && cvc.digits() == text.len());
    }
    if let Ok(key) = IdempotencyKey::parse(text) {
        let bare = key.as_str();
        assert!((1..=255).contains(&bare.len()) && bare.bytes().all(|b| (b' '..=b'~').contains(&b)));
        let quoted = format!("\"{}\"", bare.replace('\\', "\\\\").replace('"', "\\\""));
        assert_eq!(IdempotencyKey::parse(&quoted), Ok(key));
    }
}

fn amount(minor_units: i64, code: &[u8]) {
    let code = code.get(..3).and_then(|code| std::str::from_utf8(code).ok());
    let Some(currency) = Currency::find(code.unwrap_or_default()).or(Currency::find("EUR")) else {
        return;
    };
    let Some(money) = Money::new(minor_units, currency) else {
        assert!(!(1..=AMOUNT_MAX).contains(&minor_units));
        return;
    };
    let decimal = money.decimal();
    assert_eq!(decimal, money::decimal(minor_units, currency.exponent()));
    assert_eq!(decimal.replace('.', "").parse(), Ok(minor_units));
    let fraction = decimal.split_once('.').map_or("", |(_, fraction)| fraction);
    assert_eq!(fraction.len(), usize::from(currency.exponent()));
}
