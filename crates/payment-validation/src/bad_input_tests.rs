//! Bad input, by name. Each case of a body goes over all six ways in which an event may come, and must be told the same.

use cutover_domain::payment::text::holds_card_number;

use super::*;

const BODY: &str = r#"{"transactionId":"order-1","userId":"user-1","amount":1250,"currency":"EUR","merchantId":"shop-7","description":"Two tickets","metadata":{"basket":"b-9"},"paymentMethod":{"type":"card","number":"4242424242424242","expiryMonth":12,"expiryYear":2099,"cvc":"737","holderName":"A. Cardholder"}}"#;

const WAYS: [&str; 6] = ["rest", "http", "url", "alb", "alb-multi", "direct"];

/// An event of that way. `headers` are given as they are spelled.
fn made(way: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let single: BTreeMap<_, _> = headers.iter().copied().collect();
    let multi: BTreeMap<_, _> = headers.iter().map(|&(n, v)| (n, [v])).collect();
    match way {
        "rest" => {
            json!({"httpMethod": method, "path": path, "headers": single, "multiValueHeaders": multi,
            "requestContext": {"stage": "live"}, "body": body, "isBase64Encoded": false})
        }
        "http" => json!({"version": "2.0", "rawPath": format!("/live{path}"), "headers": single,
            "requestContext": {"stage": "live", "http": {"method": method}}, "body": body, "isBase64Encoded": false}),
        "url" => {
            use base64::Engine as _;
            let body = base64::engine::general_purpose::STANDARD.encode(body);
            json!({"version": "2.0", "rawPath": path, "headers": single,
                "requestContext": {"stage": "$default", "http": {"method": method}}, "body": body, "isBase64Encoded": true})
        }
        "alb" => {
            json!({"httpMethod": method, "path": path, "headers": single, "requestContext": {"elb": {}},
            "body": body, "isBase64Encoded": false})
        }
        _ => {
            json!({"httpMethod": method, "path": path, "multiValueHeaders": multi, "requestContext": {"elb": {}},
            "body": body, "isBase64Encoded": false})
        }
    }
}

/// A payment over that way, as the event's text: a direct one is no JSON string in JSON, so `body` is kept as it is spelled.
fn payment(way: &str, body: &str) -> String {
    match way {
        "direct" => format!(r#"{{"action":"payment",{}"#, &body[1..]),
        _ => made(
            way,
            "POST",
            "/payment",
            &[("Content-Type", "application/json")],
            body,
        )
        .to_string(),
    }
}

/// Sends an event that must be refused, checks the form of the answer and that nothing secret is in it or in the log line,
/// and sums it up: status, code, and `field:code` of each finding.
async fn refused(name: &str, event: &str) -> String {
    let world = world();
    let raw = RawValue::from_string(event.to_owned()).unwrap();
    let (line, answered) = world.answer(&raw, &invocation()).await;
    let line = line.to_json(0).to_string();
    let answer = answered.unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = answer["body"].as_str().unwrap();
    for told in [text, &line] {
        assert!(!holds_card_number(told), "{name}: {told}");
        assert!(
            !told.contains("42424242") && !told.contains("Cardholder"),
            "{name}: {told}"
        );
    }
    assert!(!text.contains("737"), "{name}: {text}");
    let multi = &answer["multiValueHeaders"]["content-type"][0];
    let single = &answer["headers"]["content-type"];
    let content_type = if single.is_null() { multi } else { single };
    assert_eq!(content_type, "application/problem+json", "{name}");
    let body = body(&answer);
    let members: Vec<&str> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let all = [
        "code",
        "detail",
        "effect",
        "errors",
        "requestId",
        "retryable",
        "status",
        "title",
        "type",
    ];
    assert_eq!(members, all, "{name}");
    assert_eq!(
        (&body["effect"], &body["retryable"]),
        (&json!("none"), &json!(false)),
        "{name}"
    );
    assert_eq!(body["status"], answer["statusCode"], "{name}");
    assert_eq!(body["requestId"], "r-1", "{name}");
    let code = body["code"].as_str().unwrap();
    assert_eq!(
        body["type"],
        format!("urn:cutover:problem:{code}"),
        "{name}"
    );
    assert!(world.payments.sessions.items.borrow().is_empty(), "{name}");
    assert!(world.payments.ledger.rows.borrow().is_empty(), "{name}");
    let mut told = format!("{} {code}", answer["statusCode"]);
    for finding in body["errors"].as_array().unwrap() {
        let part = |name: &str| finding[name].as_str().unwrap();
        assert!(!part("message").is_empty(), "{name}");
        told = format!("{told} {}:{}", part("field"), part("code"));
    }
    told
}

/// What is put for what in the good body, and what is found. `N*c` stands for N times c.
#[rustfmt::skip]
const BODIES: [(&str, &str, &str, &str); 96] = [
    ("amount as text", ":1250", r#":"1250""#, "amount:amount_not_integer"),
    ("amount with a fraction", ":1250", ":1250.0", "amount:amount_not_integer"),
    ("amount with an exponent", ":1250", ":1e3", "amount:amount_not_integer"),
    ("amount no float holds", ":1250", ":1e400", "amount:amount_not_integer"),
    ("amount of 400 digits", ":1250", ":400*9", "amount:amount_not_integer"),
    ("amount beyond 64 bits", ":1250", ":18446744073709551616", "amount:amount_not_integer"),
    ("amount of all 64 bits", ":1250", ":18446744073709551615", "amount:amount_too_large"),
    ("amount no double keeps", ":1250", ":9007199254740992", "amount:amount_too_large"),
    ("amount minus zero", ":1250", ":-0", "amount:amount_not_integer"),
    ("amount zero", ":1250", ":0", "amount:amount_not_positive"),
    ("amount below zero", ":1250", ":-1", "amount:amount_not_positive"),
    ("amount null", ":1250", ":null", "amount:amount_not_integer"),
    ("amount true", ":1250", ":true", "amount:amount_not_integer"),
    ("amount in an array", ":1250", ":[1250]", "amount:amount_not_integer"),
    ("amount in an object", ":1250", r#":{"value":1250}"#, "amount:amount_not_integer"),
    ("amount absent", r#""amount":1250,"#, "", "amount:required"),
    ("amount twice", ":1250", r#":1250,"amount":1"#, "amount:duplicate_field"),
    ("amount twice, once escaped", ":1250", r#":1250,"\u0061mount":1"#, "amount:duplicate_field"),
    ("currency in lower case", "EUR", "eur", "currency:currency_unknown"),
    ("currency of nothing", "EUR", "XXX", "currency:currency_unknown"),
    ("currency of tests", "EUR", "XTS", "currency:currency_unknown"),
    ("currency gold", "EUR", "XAU", "currency:currency_unknown"),
    ("currency unit of account", "EUR", "XDR", "currency:currency_unknown"),
    ("currency fund", "EUR", "USN", "currency:currency_unknown"),
    ("currency gone with the euro", "EUR", "BGN", "currency:currency_unknown"),
    ("currency replaced", "EUR", "ANG", "currency:currency_unknown"),
    ("currency by number", r#""EUR""#, "978", "currency:wrong_type"),
    ("currency empty", "EUR", "", "currency:currency_unknown"),
    ("currency with a blank", "EUR", "EUR ", "currency:currency_unknown"),
    ("currency a card number", "EUR", "4242424242424242", "currency:currency_unknown"),
    ("transaction id empty", "order-1", "", "transactionId:too_short"),
    ("transaction id too long", "order-1", "65*x", "transactionId:too_long"),
    ("transaction id with a blank", "order-1", "a b", "transactionId:bad_characters"),
    ("transaction id with a slash", "order-1", "../a", "transactionId:bad_characters"),
    ("transaction id with a number sign", "order-1", "a#b", "transactionId:bad_characters"),
    ("transaction id not ASCII", "order-1", "ä", "transactionId:bad_characters"),
    ("transaction id with a NUL", "order-1", r"a\u0000", "transactionId:bad_characters"),
    ("transaction id a card number", "order-1", "4242-4242-4242-4242", "transactionId:card_number_in_text"),
    ("transaction id a number", r#""order-1""#, "7", "transactionId:wrong_type"),
    ("transaction id null", r#""order-1""#, "null", "transactionId:wrong_type"),
    ("user id empty", "user-1", "", "userId:too_short"),
    ("user id too long", "user-1", "129*x", "userId:too_long"),
    ("user id with a line break", "user-1", r"a\nb", "userId:bad_characters"),
    ("user id with a bidi control", "user-1", r"a\u202eb", "userId:bad_characters"),
    ("user id a card number", "user-1", "4242 4242 4242 4242", "userId:card_number_in_text"),
    ("user id absent", r#""userId":"user-1","#, "", "userId:required"),
    ("merchant id empty", "shop-7", "", "merchantId:too_short"),
    ("merchant id with a slash", "shop-7", "a/b", "merchantId:bad_characters"),
    ("merchant id null", r#""shop-7""#, "null", "merchantId:wrong_type"),
    ("description too long", "Two tickets", "257*x", "description:too_long"),
    ("description with a NUL", "Two tickets", r"a\u0000b", "description:bad_characters"),
    ("description with an isolate", "Two tickets", r"a\u2066b", "description:bad_characters"),
    ("description with DEL", "Two tickets", r"a\u007fb", "description:bad_characters"),
    ("description with a card number", "Two tickets", "card 4242-4242-4242-4242", "description:card_number_in_text"),
    ("description with a spaced card number", "Two tickets", "4242 - 4242 - 4242 - 4242", "description:card_number_in_text"),
    ("description with full-width digits", "Two tickets", "４２４２４２４２４２４２４２４２", "description:card_number_in_text"),
    ("description a list", r#""Two tickets""#, "[]", "description:wrong_type"),
    ("metadata a list", r#"{"basket":"b-9"}"#, "[]", "metadata:wrong_type"),
    ("metadata value a number", r#""b-9""#, "9", "metadata.basket:wrong_type"),
    ("metadata value an object", r#""b-9""#, r#"{"a":{}}"#, "metadata.basket:wrong_type"),
    ("metadata value a card number", "b-9", "4242424242424242", "metadata.basket:card_number_in_text"),
    ("metadata value too long", "b-9", "513*x", "metadata.basket:too_long"),
    ("metadata name empty", "basket", "", "metadata.:too_short"),
    ("metadata name a card number", "basket", "4242 4242 4242 4242", "metadata.(hidden):card_number_in_text"),
    ("metadata name twice", r#""basket":"#, r#""\u0062asket":"x","basket":"#, "metadata.basket:duplicate_field"),
    ("payment method text", r#"{"type":"card","number":"4242424242424242","expiryMonth":12,"expiryYear":2099,"cvc":"737","holderName":"A. Cardholder"}"#, r#""card""#, "paymentMethod:wrong_type"),
    ("payment method without type", r#""type":"card","#, "", "paymentMethod.type:required"),
    ("payment method unknown", r#""type":"card""#, r#""type":"cash""#, "paymentMethod.type:payment_method_unknown"),
    ("payment method type a number", r#""type":"card""#, r#""type":1"#, "paymentMethod.type:payment_method_unknown"),
    ("card number with a wrong digit", r#":"4242424242424242"#, r#":"4242424242424241"#, "paymentMethod.number:card_number_luhn"),
    ("card number of no brand", r#":"4242424242424242"#, r#":"9999999999999995"#, "paymentMethod.number:card_brand_unsupported"),
    ("card number of Maestro", r#":"4242424242424242"#, r#":"6759649826438453"#, "paymentMethod.number:card_brand_unsupported"),
    ("card number a digit short", r#":"4242424242424242"#, r#":"424242424242424"#, "paymentMethod.number:card_number_brand_length"),
    ("card number far too short", r#":"4242424242424242"#, r#":"42424242"#, "paymentMethod.number:card_number_length"),
    ("card number too long", r#":"4242424242424242"#, r#":"42424242424242424242"#, "paymentMethod.number:card_number_length"),
    ("card number all zero", r#":"4242424242424242"#, r#":"0000000000000000"#, "paymentMethod.number:card_number_all_zero"),
    ("card number with two blanks", r#":"4242424242424242"#, r#":"4242  424242424242"#, "paymentMethod.number:card_number_format"),
    ("card number in full-width digits", r#":"4242424242424242"#, r#":"４２４２４２４２４２４２４２４２"#, "paymentMethod.number:card_number_format"),
    ("card number as a number", r#":"4242424242424242""#, ":4242424242424242", "paymentMethod.number:wrong_type"),
    ("security code short", "737", "73", "paymentMethod.cvc:card_cvc"),
    ("security code long for Visa", "737", "7370", "paymentMethod.cvc:card_cvc"),
    ("security code short for Amex", r#":"4242424242424242"#, r#":"378282246310005"#, "paymentMethod.cvc:card_cvc"),
    ("security code as a number", r#""737""#, "737", "paymentMethod.cvc:wrong_type"),
    ("security code absent", r#""cvc":"737","#, "", "paymentMethod.cvc:required"),
    ("expiry month zero", ":12,", ":0,", "paymentMethod.expiryMonth:out_of_range"),
    ("expiry month 13", ":12,", ":13,", "paymentMethod.expiryMonth:out_of_range"),
    ("expiry month as text", ":12,", r#":"12","#, "paymentMethod.expiryMonth:wrong_type"),
    ("expiry month with a fraction", ":12,", ":12.0,", "paymentMethod.expiryMonth:wrong_type"),
    ("expiry year of two digits", ":2099", ":99", "paymentMethod.expiryYear:out_of_range"),
    ("expiry year of five digits", ":2099", ":20999", "paymentMethod.expiryYear:out_of_range"),
    ("expiry past", ":2099", ":2020", "paymentMethod.expiryYear:card_expired"),
    ("expiry long past", ":2099", ":1950", "paymentMethod.expiryYear:card_expired"),
    ("holder's name a card number", "A. Cardholder", "4242424242424242", "paymentMethod.holderName:card_number_in_text"),
    ("unknown field", r#""amount""#, r#""note":1,"amount""#, "note:unknown_field"),
    ("unknown field that is a card number", r#""amount""#, r#""4242424242424242":1,"amount""#, "(hidden):unknown_field"),
    ("unknown field of the card", r#""cvc""#, r#""pin":"1","cvc""#, "paymentMethod.pin:unknown_field"),
];

/// `a257*xb` is a, 257 times x, b.
fn expanded(text: &str) -> String {
    let Some((before, after)) = text.split_once('*') else {
        return text.to_owned();
    };
    let (prefix, count) =
        before.split_at(before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count());
    let (repeated, rest) = after.split_at(1);
    [prefix, &repeated.repeat(count.parse().unwrap()), rest].concat()
}

#[tokio::test]
async fn a_bad_body_is_told_the_same_over_every_way() {
    for (name, from, to, finding) in BODIES {
        assert_eq!(BODY.matches(from).count(), 1, "{name}");
        let bad = BODY.replacen(from, &expanded(to), 1);
        for way in WAYS {
            let told = refused(name, &payment(way, &bad)).await;
            // A transaction id that is there is a key, whatever is wrong with it.
            assert_eq!(
                told,
                format!("422 validation_failed {finding}"),
                "{name} over {way}"
            );
        }
    }
}

#[tokio::test]
async fn bodies_beyond_the_bounds_are_told_the_same_over_every_way() {
    let metadata = |n: usize| {
        (0..n)
            .map(|i| format!(r#""k{i}":"v""#))
            .collect::<Vec<_>>()
            .join(",")
    };
    for (name, body, expected) in [
        (
            "21 pairs",
            BODY.replace(r#""basket":"b-9""#, &metadata(21)),
            "422 validation_failed metadata:too_many",
        ),
        (
            "2,000 keys",
            BODY.replace(r#""basket":"b-9""#, &metadata(2_100)),
            "422 validation_failed :too_many",
        ),
        (
            "deep metadata",
            BODY.replace(r#""b-9""#, &format!("{}{}", "[".repeat(40), "]".repeat(40))),
            "422 validation_failed :too_deep",
        ),
        (
            "too large",
            BODY.replace("Two tickets", &"x".repeat(70_000)),
            "413 body_too_large",
        ),
        (
            "no key at all",
            BODY.replace(r#""transactionId":"order-1","#, ""),
            "400 idempotency_key_missing transactionId:required",
        ),
        (
            "a lone surrogate",
            BODY.replace("Two tickets", r"a\ud800b"),
            "400 malformed_json",
        ),
        (
            "a reversed pair",
            BODY.replace("Two tickets", r"a\ude00\ud83d"),
            "400 malformed_json",
        ),
    ] {
        for way in WAYS {
            assert_eq!(
                refused(name, &payment(way, &body)).await,
                expected,
                "{name} over {way}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_malformed_over_http() {
    for (name, body) in [
        ("empty", ""),
        ("blank", " "),
        ("a byte order mark", "\u{feff}{}"),
        ("garbage behind", &format!("{BODY}x")),
        ("two documents", &format!("{BODY}{BODY}")),
        ("cut off", &BODY[..100]),
        ("a comment", "{/* none */}"),
        ("single quotes", "{'a':1}"),
        ("a comma too many", r#"{"amount":1,}"#),
        ("not a number", r#"{"amount":NaN}"#),
        ("a leading zero", r#"{"amount":01}"#),
        ("a form", "amount=1250&currency=EUR"),
        ("a raw control character", "{\"userId\":\"a\u{1}b\"}"),
    ] {
        for way in &WAYS[..5] {
            assert_eq!(
                refused(name, &payment(way, body)).await,
                "400 malformed_json",
                "{name} over {way}"
            );
        }
    }
    let mut event = made("url", "POST", "/payment", &[], "");
    for (name, body) in [
        ("no UTF-8", json!("InP/In0=")),
        ("no Base64", json!("%")),
        ("no text", json!({"a": 1})),
    ] {
        event["body"] = body;
        assert_eq!(
            refused(name, &event.to_string()).await,
            "400 malformed_json",
            "{name}"
        );
    }
}

#[tokio::test]
async fn bad_headers_are_told_the_same_over_every_way() {
    const BAD_KEY: &str = "400 idempotency_key_invalid Idempotency-Key:idempotency_key_format";
    let long = "k".repeat(256);
    for (name, header, value, expected) in [
        (
            "text",
            "content-TYPE",
            "text/plain",
            "415 unsupported_media_type",
        ),
        (
            "a form",
            "Content-Type",
            "application/x-www-form-urlencoded",
            "415 unsupported_media_type",
        ),
        (
            "JSON in Latin-1",
            "Content-Type",
            "application/json; charset=iso-8859-1",
            "415 unsupported_media_type",
        ),
        ("an empty key", "Idempotency-Key", "", BAD_KEY),
        ("an empty quoted key", "idempotency-key", "\"\"", BAD_KEY),
        ("a long key", "IDEMPOTENCY-KEY", &long, BAD_KEY),
        ("a key not ASCII", "Idempotency-Key", "ä", BAD_KEY),
        ("an open quote", "Idempotency-Key", "\"k", BAD_KEY),
        ("a wrong escape", "Idempotency-Key", "\"k\\n\"", BAD_KEY),
        (
            "a key that is a card number",
            "Idempotency-Key",
            "4242424242424242",
            "400 idempotency_key_invalid Idempotency-Key:card_number_in_text",
        ),
    ] {
        for way in &WAYS[..5] {
            let event = made(way, "POST", "/payment", &[(header, value)], BODY);
            assert_eq!(
                refused(name, &event.to_string()).await,
                expected,
                "{name} over {way}"
            );
        }
    }
}

#[tokio::test]
async fn wrong_routes_are_told_the_same_over_every_way() {
    for (method, path, expected, allow) in [
        ("GET", "/payment", "405 method_not_allowed", Some("POST")),
        ("PUT", "/payment", "405 method_not_allowed", Some("POST")),
        (
            "GET",
            "/payment/validate",
            "405 method_not_allowed",
            Some("POST"),
        ),
        (
            "DELETE",
            "/payment/order-1",
            "405 method_not_allowed",
            Some("GET"),
        ),
        ("POST", "/health", "405 method_not_allowed", Some("GET")),
        ("POST", "/", "404 not_found", None),
        ("POST", "/payments", "404 not_found", None),
        ("POST", "/test-s3-access", "404 not_found", None),
        ("GET", "/payment/a/b", "404 not_found", None),
        (
            "GET",
            "/payment/4242424242424242",
            "404 payment_not_found",
            None,
        ),
        ("GET", "/payment/a%20b", "404 payment_not_found", None),
    ] {
        for way in &WAYS[..5] {
            let event = made(way, method, path, &[], "").to_string();
            assert_eq!(
                refused(path, &event).await,
                expected,
                "{method} {path} over {way}"
            );
            let answer = send(&world(), &event).await.unwrap();
            let told = [
                &answer["headers"]["allow"],
                &answer["multiValueHeaders"]["allow"][0],
            ];
            assert_eq!(
                told.into_iter().find_map(Value::as_str),
                allow,
                "{method} {path} over {way}"
            );
        }
    }
}

#[tokio::test]
async fn bad_direct_invocations_are_answered_like_http() {
    for (event, expected) in [
        (r#"{"action":"refund"}"#, "404 not_found"),
        (r#"{"action":""}"#, "404 not_found"),
        (
            r#"{"action":"payment"}"#,
            "400 idempotency_key_missing transactionId:required userId:required amount:required currency:required paymentMethod:required",
        ),
        (
            r#"{"action":"validate"}"#,
            "422 validation_failed transactionId:required userId:required amount:required currency:required paymentMethod:required",
        ),
        (
            r#"{"action":"payment","idempotencyKey":7}"#,
            "400 idempotency_key_invalid idempotencyKey:wrong_type",
        ),
        (
            r#"{"action":"payment","caller":7}"#,
            "422 validation_failed caller:wrong_type",
        ),
        (
            r#"{"action":"payment","caller":"4242424242424242"}"#,
            "422 validation_failed caller:card_number_in_text",
        ),
        (
            r#"{"action":"lookup"}"#,
            "422 validation_failed transactionId:required",
        ),
        (
            r#"{"action":"lookup","transactionId":"t","x":"\ud800"}"#,
            "400 malformed_json",
        ),
    ] {
        assert_eq!(refused(event, event).await, expected, "{event}");
    }
}

#[tokio::test]
async fn the_good_body_is_good_over_every_way() {
    for way in WAYS {
        let answer = send(&world(), &payment(way, BODY)).await.unwrap();
        assert_eq!(answer["statusCode"], 201, "{way}");
    }
}
