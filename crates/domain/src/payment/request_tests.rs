use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({
        "transactionId": "order-1", "userId": "user-1", "amount": 1250, "currency": "EUR",
        "paymentMethod": {
            "type": "card", "number": "4242 4242 4242 4242", "expiryMonth": 12, "expiryYear": 2030, "cvc": "123",
        },
    })
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn read_text(text: &str) -> Result<Request, Vec<Finding>> {
    let Ok(json) = Json::parse(text.as_bytes()) else {
        panic!("{text} is no JSON");
    };
    let limits = BTreeMap::from([("USD", 5_000_000)]);
    Request::read(&json, &Rules { limits }, now())
}

fn findings(body: &Value) -> Vec<(String, &'static str)> {
    match read_text(&body.to_string()) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.into_iter().map(|f| (f.field, f.code)).collect(),
    }
}

/// What is found if `pointer` is set to `value`.
fn with(pointer: &str, value: Value) -> Vec<(String, &'static str)> {
    let mut body = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    findings(&body)
}

fn without(pointer: &str) -> Vec<(String, &'static str)> {
    let mut body = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(name);
    findings(&body)
}

fn fingerprint(text: &str) -> String {
    let key: HashKey = "11".repeat(32).parse().unwrap_or_else(|_| panic!("a key"));
    match read_text(text) {
        Ok(request) => request.seal(&key).1.to_string(),
        Err(findings) => panic!("{findings:?}"),
    }
}

#[test]
fn a_good_request_has_no_findings() {
    assert_eq!(findings(&good()), []);
    assert_eq!(with("/merchantId", json!("shop_1")), []);
    assert_eq!(with("/description", json!("für Öl")), []);
    assert_eq!(with("/metadata", json!({"order": "7"})), []);
    assert_eq!(
        with("/paymentMethod", json!({"type": "token", "token": "tok_1"})),
        []
    );
    assert_eq!(
        with("/paymentMethod/holderName", json!("A. Cardholder")),
        []
    );
}

#[test]
fn each_field_has_its_rules() {
    let long = |n: usize| json!("x".repeat(n));
    for (pointer, value, code) in [
        ("/transactionId", json!(""), "too_short"),
        ("/transactionId", long(65), "too_long"),
        ("/transactionId", json!("a b"), "bad_characters"),
        ("/transactionId", json!("a#b"), "bad_characters"),
        ("/transactionId", json!(7), "wrong_type"),
        ("/transactionId", json!(null), "wrong_type"),
        (
            "/transactionId",
            json!("4242424242424242"),
            "card_number_in_text",
        ),
        ("/userId", json!(""), "too_short"),
        ("/userId", long(129), "too_long"),
        ("/userId", json!("a\nb"), "bad_characters"),
        ("/userId", json!("a\u{202e}b"), "bad_characters"),
        ("/amount", json!("1250"), "amount_not_integer"),
        ("/amount", json!(12.5), "amount_not_integer"),
        ("/amount", json!(null), "amount_not_integer"),
        ("/amount", json!(0), "amount_not_positive"),
        ("/amount", json!(-1), "amount_not_positive"),
        (
            "/amount",
            json!(9_007_199_254_740_992_i64),
            "amount_too_large",
        ),
        ("/currency", json!("eur"), "currency_unknown"),
        ("/currency", json!("XXX"), "currency_unknown"),
        ("/currency", json!(978), "wrong_type"),
        ("/merchantId", json!("a/b"), "bad_characters"),
        ("/description", long(257), "too_long"),
        (
            "/description",
            json!("4242 4242 4242 4242"),
            "card_number_in_text",
        ),
        ("/metadata", json!([]), "wrong_type"),
        ("/paymentMethod", json!("card"), "wrong_type"),
    ] {
        assert_eq!(
            with(pointer, value.clone()),
            [(pointer[1..].to_owned(), code)],
            "{pointer} {value}"
        );
    }
}

#[test]
fn each_card_field_has_its_rules() {
    for (name, value, code) in [
        ("type", json!("cash"), "payment_method_unknown"),
        ("number", json!("4242424242424243"), "card_number_luhn"),
        ("number", json!(4_242_424_242_424_242_i64), "wrong_type"),
        (
            "number",
            json!("9999999999999995"),
            "card_brand_unsupported",
        ),
        ("expiryMonth", json!(13), "out_of_range"),
        ("expiryMonth", json!("12"), "wrong_type"),
        ("expiryYear", json!(26), "out_of_range"),
        ("expiryYear", json!(2025), "card_expired"),
        ("cvc", json!("1234"), "card_cvc"),
        ("cvc", json!(123), "wrong_type"),
        (
            "holderName",
            json!("4111111111111111"),
            "card_number_in_text",
        ),
    ] {
        let expected = [(format!("paymentMethod.{name}"), code)];
        assert_eq!(
            with(&format!("/paymentMethod/{name}"), value.clone()),
            expected,
            "{name} {value}"
        );
    }
}

#[test]
fn what_is_required_must_be_there() {
    for pointer in [
        "/transactionId",
        "/userId",
        "/amount",
        "/currency",
        "/paymentMethod",
        "/paymentMethod/type",
        "/paymentMethod/number",
        "/paymentMethod/expiryMonth",
        "/paymentMethod/expiryYear",
        "/paymentMethod/cvc",
    ] {
        assert_eq!(
            without(pointer),
            [(pointer[1..].replace('/', "."), "required")]
        );
    }
}

#[test]
fn unknown_and_duplicate_fields_are_refused_everywhere() {
    assert_eq!(
        with("/note", json!(1)),
        [("note".to_owned(), "unknown_field")]
    );
    assert_eq!(
        with("/paymentMethod/pin", json!("1")),
        [("paymentMethod.pin".to_owned(), "unknown_field")]
    );
    let doubled = good()
        .to_string()
        .replacen("\"amount\":1250", "\"amount\":1250,\"amount\":1", 1);
    let found = read_text(&doubled).err().unwrap();
    assert_eq!(
        (found[0].field.as_str(), found[0].code),
        ("amount", "duplicate_field")
    );
    let doubled =
        good()
            .to_string()
            .replacen("\"cvc\":\"123\"", "\"cvc\":\"123\",\"cvc\":\"123\"", 1);
    let found = read_text(&doubled).err().unwrap();
    assert_eq!(
        (found[0].field.as_str(), found[0].code),
        ("paymentMethod.cvc", "duplicate_field")
    );
}

#[test]
fn every_finding_is_reported() {
    let found = findings(
        &json!({"amount": "1", "currency": "euro", "paymentMethod": {"type": "card"}, "x": 1}),
    );
    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "x",
            "transactionId",
            "userId",
            "amount",
            "currency",
            "paymentMethod.number",
            "paymentMethod.expiryMonth",
            "paymentMethod.expiryYear",
            "paymentMethod.cvc",
        ]
    );
    assert_eq!(findings(&json!([])), [(String::new(), "wrong_type")]);
}

#[test]
fn limits_are_by_currency() {
    let mut body = good();
    body["amount"] = json!(5_000_001);
    assert_eq!(findings(&body), []);
    body["currency"] = json!("USD");
    assert_eq!(
        findings(&body),
        [("amount".to_owned(), "amount_over_limit")]
    );
}

#[test]
fn metadata_is_bounded() {
    let pairs = |n: usize| {
        (0..n)
            .map(|i| (format!("k{i:02}"), json!("v")))
            .collect::<serde_json::Map<_, _>>()
    };
    assert_eq!(with("/metadata", Value::Object(pairs(20))), []);
    assert_eq!(
        with("/metadata", Value::Object(pairs(21))),
        [("metadata".to_owned(), "too_many")]
    );
    assert_eq!(
        with("/metadata", json!({"a": 1})),
        [("metadata.a".to_owned(), "wrong_type")]
    );
    let hidden = with("/metadata", json!({"4242424242424242": "v"}));
    assert_eq!(
        hidden,
        [("metadata.(hidden)".to_owned(), "card_number_in_text")]
    );
}

#[test]
fn no_finding_repeats_a_card_number() {
    let mut body = good();
    body["paymentMethod"]["number"] = json!("4242424242424243");
    body["description"] = json!("4242424242424242");
    body["4242424242424242"] = json!(1);
    let findings = read_text(&body.to_string()).err().unwrap();
    assert!(
        !serde_json::to_string(&findings)
            .unwrap()
            .contains("42424242")
    );
}

#[test]
fn the_fingerprint_ignores_spelling_and_the_security_code() {
    let original = fingerprint(&good().to_string());
    let mut spelled = good();
    spelled["paymentMethod"]["number"] = json!("4242-4242-4242-4242");
    spelled["paymentMethod"]["cvc"] = json!("999");
    assert_eq!(
        fingerprint(&serde_json::to_string_pretty(&spelled).unwrap()),
        original
    );
}

#[test]
fn the_fingerprint_differs_for_every_field() {
    let mut seen = vec![fingerprint(&good().to_string())];
    for (pointer, value) in [
        ("/transactionId", json!("order-2")),
        ("/userId", json!("user-2")),
        ("/amount", json!(1251)),
        ("/currency", json!("USD")),
        ("/merchantId", json!("shop")),
        ("/description", json!("")),
        ("/description", json!("x")),
        ("/metadata", json!({"a": "b"})),
        ("/metadata", json!({"a": "", "b": ""})),
        ("/paymentMethod", json!({"type": "token", "token": "t"})),
        ("/paymentMethod/number", json!("4111111111111111")),
        ("/paymentMethod/expiryMonth", json!(11)),
        ("/paymentMethod/expiryYear", json!(2031)),
        ("/paymentMethod/holderName", json!("A")),
    ] {
        let mut body = good();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        let print = fingerprint(&body.to_string());
        assert!(!seen.contains(&print), "{pointer}");
        seen.push(print);
    }
}

proptest! {
    #[test]
    fn members_in_any_order_are_the_same_payment(order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let body = good();
        let members: Vec<String> = body
            .as_object().unwrap().iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        let shuffled: Vec<&str> = order.iter().map(|&i| members[i].as_str()).collect();
        let text = format!("{{{}}}", shuffled.join(","));
        prop_assert_eq!(fingerprint(&text), fingerprint(&body.to_string()));
    }

    #[test]
    fn any_json_is_judged_without_harm(text in r#"\{("(amount|userId|metadata|paymentMethod)":("x"|1|\{\}|null),?){0,4}\}"#) {
        if let Ok(json) = Json::parse(text.as_bytes()) {
            prop_assert!(Request::read(&json, &Rules::default(), now()).is_err());
        }
    }
}
