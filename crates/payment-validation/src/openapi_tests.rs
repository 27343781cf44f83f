//! `infra/openapi/payment.yaml` says what the code does, and nothing else.

use cutover_domain::payment::Brand;
use cutover_domain::payment::money::AMOUNT_MAX;
use cutover_domain::payment::scope::KEY_CHARS_MAX;

use super::*;

fn api() -> Value {
    serde_yaml_ng::from_str(include_str!("../../../infra/openapi/payment.yaml")).unwrap()
}

/// What `$ref` points to, if `value` is one.
fn resolved<'a>(api: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(to) => api
            .pointer(to.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{to}")),
        None => value,
    }
}

/// Every `$ref` of the document.
fn refs(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(
                members
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            members.values().for_each(|value| refs(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| refs(value, found)),
        _ => {}
    }
}

fn names(value: &Value) -> BTreeSet<&str> {
    match value {
        Value::Object(members) => members.keys().map(String::as_str).collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

/// Codes found in a body, with their fields; empty for a good one.
async fn found(body: &Value) -> Vec<(String, String)> {
    let event = json!({"httpMethod": "POST", "path": "/payment/validate", "requestContext": {}, "body": body.to_string()});
    let answer = send(&world(), &event.to_string()).await.unwrap();
    let told = super::body(&answer);
    let part = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    told["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|finding| (part(finding, "field"), part(finding, "code")))
        .collect()
}

#[test]
fn every_reference_leads_somewhere() {
    let api = api();
    let mut found = Vec::new();
    refs(&api, &mut found);
    assert!(found.len() > 30);
    for to in found {
        assert!(api.pointer(to.trim_start_matches('#')).is_some(), "{to}");
    }
}

#[test]
fn its_routes_are_those_of_the_code() {
    let api = api();
    let mut documented = BTreeSet::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            documented.insert((path.clone(), method.to_uppercase()));
        }
    }
    let coded: BTreeSet<_> = route::ROUTES
        .iter()
        .map(|(path, method, _)| ((*path).to_owned(), (*method).to_owned()))
        .collect();
    assert_eq!(documented, coded);
    for (path, method, route) in route::ROUTES {
        let path = path.replace("{transactionId}", "t-1");
        assert_eq!(route::of(method, &path), Ok(route));
        let refused = route::of("PATCH", &path).unwrap_err();
        assert_eq!(
            (refused.code, refused.allow),
            (Code::MethodNotAllowed, Some(method))
        );
    }
}

#[test]
fn its_codes_are_those_of_the_code() {
    let api = api();
    let problem = &api["components"]["schemas"]["Problem"];
    let told: BTreeMap<String, u16> =
        serde_json::from_value(problem["properties"]["code"]["x-status-by-code"].clone()).unwrap();
    let coded: BTreeMap<String, u16> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status()))
        .collect();
    assert_eq!(told, coded);
    let document = serde_json::to_value(Problem::new(Code::Internal, "").document("r")).unwrap();
    assert_eq!(names(&problem["required"]), names(&document));
    assert_eq!(names(&problem["properties"]), names(&document));
    let statuses = names(&api["paths"]["/payment"]["post"]["responses"]);
    for code in [
        Code::MalformedJson,
        Code::PaymentVoided,
        Code::ValidationFailed,
        Code::ColorFenced,
    ] {
        assert!(statuses.contains(code.status().to_string().as_str()));
    }
}

#[tokio::test]
async fn its_limits_of_text_are_those_of_the_parser() {
    let api = api();
    let schemas = &api["components"]["schemas"];
    let good = &api["components"]["examples"]["CardPayment"]["value"];
    let token = &api["components"]["examples"]["TokenPayment"]["value"];
    let text = |n: u64| json!("x".repeat(usize::try_from(n).unwrap()));
    let mut checked = 0;
    for (schema, within, good) in [
        ("PaymentRequest", "", good),
        ("CardMethod", "paymentMethod", good),
        ("TokenMethod", "paymentMethod", token),
    ] {
        for (name, rule) in schemas[schema]["properties"].as_object().unwrap() {
            let rule = resolved(&api, rule);
            let Some(max) = rule["maxLength"].as_u64() else {
                continue;
            };
            let field = [within, name].join(".").trim_start_matches('.').to_owned();
            let min = rule["minLength"].as_u64().unwrap_or_default();
            let mut lengths = vec![(min, None), (max, None), (max + 1, Some("too_long"))];
            lengths.extend(min.checked_sub(1).map(|length| (length, Some("too_short"))));
            for (length, code) in lengths {
                let mut changed = good.clone();
                let pointer = format!("/{within}").trim_end_matches('/').to_owned();
                changed.pointer_mut(&pointer).unwrap()[name] = text(length);
                let expected: Vec<_> = code
                    .map(|c| (field.clone(), c.to_owned()))
                    .into_iter()
                    .collect();
                assert_eq!(
                    found(&changed).await,
                    expected,
                    "{field}, {length} characters"
                );
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
    let metadata = &schemas["PaymentRequest"]["properties"]["metadata"];
    let name_max = metadata["propertyNames"]["maxLength"].as_u64().unwrap();
    let value_max = metadata["additionalProperties"]["maxLength"]
        .as_u64()
        .unwrap();
    let pairs_max = metadata["maxProperties"].as_u64().unwrap();
    for (pairs, name, value, code) in [
        (pairs_max, 0, 0, None),
        (pairs_max + 1, 0, 0, Some("too_many")),
        (1, name_max, value_max, None),
        (1, name_max + 1, value_max, Some("too_long")),
        (1, name_max, value_max + 1, Some("too_long")),
    ] {
        let mut changed = good.clone();
        let name = |i| {
            format!(
                "{i}{}",
                "n".repeat(usize::try_from(name).unwrap().saturating_sub(1))
            )
        };
        let members = (0..pairs).map(|i| (name(i), text(value)));
        changed["metadata"] = Value::Object(members.collect());
        let codes: Vec<String> = found(&changed)
            .await
            .into_iter()
            .map(|(_, code)| code)
            .collect();
        assert_eq!(
            codes,
            code.map(str::to_owned).into_iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn its_limits_of_numbers_and_keys_are_the_domain_s() {
    let api = api();
    let schemas = &api["components"]["schemas"];
    let amount = &schemas["PaymentRequest"]["properties"]["amount"];
    assert_eq!(
        (&amount["minimum"], &amount["maximum"]),
        (&json!(1), &json!(AMOUNT_MAX))
    );
    let key = &api["components"]["parameters"]["IdempotencyKey"]["schema"];
    assert_eq!(
        (&key["minLength"], &key["maxLength"]),
        (&json!(1), &json!(KEY_CHARS_MAX))
    );
    let number = &schemas["CardMethod"]["properties"]["number"]["pattern"];
    let (min, max) = (
        cutover_domain::payment::card::DIGITS_MIN,
        cutover_domain::payment::card::DIGITS_MAX,
    );
    assert_eq!(
        *number,
        format!("^[0-9]([ -]?[0-9]){{{},{}}}$", min - 1, max - 1)
    );
    assert_eq!(schemas["Id"]["pattern"], "^[A-Za-z0-9_.-]+$");
    for byte in 0..=127_u8 {
        let c = char::from(byte);
        let taken = c.is_ascii_alphanumeric() || "_.-".contains(c);
        assert_eq!(cutover_domain::payment::text::is_id(c), taken, "{c:?}");
    }
    for brand in names(&schemas["Brand"]["enum"]) {
        assert!(Brand::named(brand).is_some(), "{brand}");
    }
}

#[tokio::test]
async fn required_and_known_fields_are_the_parser_s() {
    let api = api();
    let schemas = &api["components"]["schemas"];
    let good = &api["components"]["examples"]["CardPayment"]["value"];
    assert_eq!(names(good), names(&schemas["PaymentRequest"]["properties"]));
    assert_eq!(
        names(&good["paymentMethod"]),
        names(&schemas["CardMethod"]["properties"])
    );
    for (schema, within) in [("PaymentRequest", ""), ("CardMethod", "/paymentMethod")] {
        let required = names(&schemas[schema]["required"]);
        for name in names(&schemas[schema]["properties"]) {
            let mut changed = good.clone();
            changed
                .pointer_mut(within)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            let codes: Vec<String> = found(&changed)
                .await
                .into_iter()
                .map(|(_, code)| code)
                .collect();
            let expected: &[&str] = if required.contains(name) {
                &["required"]
            } else {
                &[]
            };
            assert_eq!(codes, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn its_examples_are_answered_as_they_say() {
    let api = api();
    let body_examples =
        &api["components"]["requestBodies"]["Payment"]["content"]["application/json"]["examples"];
    for (name, example) in body_examples.as_object().unwrap() {
        let payment = &resolved(&api, example)["value"];
        assert_eq!(found(payment).await, [], "{name}");
        let event = json!({"httpMethod": "POST", "path": "/payment", "requestContext": {}, "body": payment.to_string()});
        let answer = send(&world(), &event.to_string()).await.unwrap();
        let mut told = super::body(&answer);
        assert_eq!(answer["statusCode"], 201, "{name}");
        let schema = &api["components"]["schemas"]["Receipt"];
        assert!(
            names(&told).is_superset(&names(&schema["required"])),
            "{name}"
        );
        assert!(
            names(&told).is_subset(&names(&schema["properties"])),
            "{name}"
        );
        if name == "card" {
            let example = &api["components"]["examples"]["Receipt"]["value"];
            told["createdAt"] = example["createdAt"].clone();
            assert_eq!(told, *example);
        }
    }
    let mut refused = api["components"]["examples"]["CardPayment"]["value"].clone();
    refused["amount"] = json!(0);
    let event = json!({"httpMethod": "POST", "path": "/payment", "requestContext": {}, "body": refused.to_string()});
    let told = super::body(&send(&world(), &event.to_string()).await.unwrap());
    assert_eq!(told, api["components"]["examples"]["Refused"]["value"]);
    let health = json!({"httpMethod": "GET", "path": "/health", "requestContext": {}});
    let told = super::body(&send(&world(), &health.to_string()).await.unwrap());
    let schema = api
        .pointer("/paths/~1health/get/responses/200/content/application~1json/schema")
        .unwrap();
    assert_eq!(names(&told), names(&schema["required"]));
}
