//! HTTP requests as API Gateway, function URLs and load balancers put them on the wire.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::event::{HttpRequest, Transport};
use crate::percent;

type Single = BTreeMap<String, Value>;
type Multi = BTreeMap<String, Option<Vec<Value>>>;

/// REST proxy and load balancer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireV1<'a> {
    http_method: String,
    path: String,
    headers: Option<Single>,
    multi_value_headers: Option<Multi>,
    query_string_parameters: Option<Single>,
    multi_value_query_string_parameters: Option<Multi>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    is_base64_encoded: Option<bool>,
    request_context: Option<Value>,
}

impl WireV1<'_> {
    pub(crate) fn into_request(self, from_load_balancer: bool) -> HttpRequest {
        let query = query(
            self.query_string_parameters,
            self.multi_value_query_string_parameters,
        );
        HttpRequest {
            transport: match (from_load_balancer, &self.headers, &self.multi_value_headers) {
                (false, ..) => Transport::RestV1,
                // Both forms are never sent at once.
                (true, Some(_), Some(multi)) if multi.is_empty() => Transport::Alb,
                (true, _, Some(_)) => Transport::AlbMultiValue,
                (true, _, None) => Transport::Alb,
            },
            method: self.http_method.to_ascii_uppercase(),
            path: self.path,
            // API Gateway decodes the query; a load balancer hands it on as it came.
            query: if from_load_balancer {
                decoded(query)
            } else {
                query
            },
            headers: headers(self.headers, self.multi_value_headers),
            body: body(self.body, self.is_base64_encoded),
            caller: self.request_context.as_ref().and_then(caller),
        }
    }
}

/// HTTP API and function URL.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireV2<'a> {
    raw_path: Option<String>,
    headers: Option<Single>,
    query_string_parameters: Option<Single>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    is_base64_encoded: Option<bool>,
    request_context: ContextV2,
}

#[derive(Deserialize)]
struct ContextV2 {
    http: HttpV2,
    stage: Option<String>,
    authorizer: Option<Value>,
}

#[derive(Deserialize)]
struct HttpV2 {
    method: String,
    path: Option<String>,
}

impl WireV2<'_> {
    pub(crate) fn into_request(self) -> HttpRequest {
        let context = self.request_context;
        let raw_path = self.raw_path.or(context.http.path).unwrap_or_default();
        // The path begins with the stage, unless it is the default one.
        let path = context
            .stage
            .filter(|stage| stage != "$default")
            .and_then(|stage| {
                let rest = raw_path.strip_prefix('/')?.strip_prefix(stage.as_str())?;
                rest.starts_with('/').then(|| rest.to_owned())
            })
            .unwrap_or(raw_path);
        HttpRequest {
            transport: Transport::HttpV2,
            method: context.http.method.to_ascii_uppercase(),
            path,
            query: query(self.query_string_parameters, None),
            headers: headers(self.headers, None),
            body: body(self.body, self.is_base64_encoded),
            caller: context.authorizer.as_ref().and_then(authorized),
        }
    }
}

/// Who was authenticated, by a request context of payload 1.0.
fn caller(context: &Value) -> Option<String> {
    let authorizer = context.get("authorizer");
    first_name(authorizer, &["/claims/sub", "/jwt/claims/sub"])
        .or_else(|| first_name(Some(context), &["/identity/userArn"]))
        .or_else(|| authorized(authorizer?))
}

/// Who was authenticated, by an authorizer of either payload: the `sub` of a JWT, the ARN of an IAM identity, or what a
/// Lambda authorizer of our own says.
fn authorized(authorizer: &Value) -> Option<String> {
    const PLACES: [&str; 7] = [
        "/jwt/claims/sub",
        "/claims/sub",
        "/iam/userArn",
        "/lambda/principalId",
        "/lambda/sub",
        "/principalId",
        "/sub",
    ];
    first_name(Some(authorizer), &PLACES)
}

/// A caller without a name is no authenticated caller.
fn first_name(within: Option<&Value>, places: &[&str]) -> Option<String> {
    let within = within?;
    places
        .iter()
        .filter_map(|place| text(within.pointer(place)?))
        .find(|name| !name.is_empty())
}

/// Text, or a number as text: an authorizer's own context may hold anything, and a header in a hand-made event too.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// All values by lower-case name. Of a header in both forms the multi-value one is complete.
fn headers(single: Option<Single>, multi: Option<Multi>) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, values) in multi.into_iter().flatten() {
        let values = values.unwrap_or_default();
        headers
            .entry(name.to_ascii_lowercase())
            .or_default()
            .extend(values.iter().filter_map(text));
    }
    let mut singles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in single.into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        if headers.get(&name).is_none_or(Vec::is_empty) {
            singles.entry(name).or_default().extend(text(&value));
        }
    }
    headers.extend(singles);
    headers
}

/// The last value of each parameter.
fn query(single: Option<Single>, multi: Option<Multi>) -> BTreeMap<String, String> {
    let mut query = BTreeMap::new();
    for (name, value) in single.into_iter().flatten() {
        query.extend(text(&value).map(|value| (name, value)));
    }
    for (name, values) in multi.into_iter().flatten() {
        let last = values.and_then(|values| text(values.last()?));
        query.extend(last.map(|value| (name, value)));
    }
    query
}

fn decoded(query: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let decode = |text: String| percent::decode(&text.replace('+', " "));
    query
        .into_iter()
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn body(raw: Option<&RawValue>, is_base64: Option<bool>) -> Option<Zeroizing<Vec<u8>>> {
    let text: String = raw
        .map_or(Ok(String::new()), |raw| serde_json::from_str(raw.get()))
        .ok()?;
    let text = Zeroizing::new(text.into_bytes());
    if is_base64.unwrap_or_default() {
        STANDARD.decode(text.as_slice()).ok().map(Zeroizing::new)
    } else {
        Some(text)
    }
}
