//! HTTP requests as API Gateway, function URLs and load balancers put them on the wire.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::event::{HttpRequest, Transport};

type Single = BTreeMap<String, Option<String>>;
type Multi = BTreeMap<String, Option<Vec<String>>>;

/// REST proxy and load balancer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireV1 {
    http_method: String,
    path: String,
    headers: Option<Single>,
    multi_value_headers: Option<Multi>,
    query_string_parameters: Option<Single>,
    multi_value_query_string_parameters: Option<Multi>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    request_context: Option<ContextV1>,
}

#[derive(Default, Deserialize)]
struct ContextV1 {
    authorizer: Option<AuthorizerV1>,
    identity: Option<IdentityV1>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerV1 {
    principal_id: Option<serde_json::Value>,
    sub: Option<serde_json::Value>,
    claims: Option<Claims>,
}

#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IdentityV1 {
    user_arn: Option<String>,
}

impl WireV1 {
    pub(crate) fn into_request(self, from_load_balancer: bool) -> HttpRequest {
        let transport = match (from_load_balancer, self.multi_value_headers.is_some()) {
            (true, true) => Transport::AlbMultiValue,
            (true, false) => Transport::Alb,
            (false, _) => Transport::RestV1,
        };
        HttpRequest {
            transport,
            method: self.http_method.to_ascii_uppercase(),
            path: self.path,
            query: query(
                self.query_string_parameters,
                self.multi_value_query_string_parameters,
            ),
            headers: headers(self.headers, self.multi_value_headers),
            body: body(self.body, self.is_base64_encoded),
            caller: self.request_context.and_then(ContextV1::caller),
        }
    }
}

impl ContextV1 {
    fn caller(self) -> Option<String> {
        let arn = self.identity.and_then(|identity| identity.user_arn);
        let Some(authorizer) = self.authorizer else {
            return filled(arn);
        };
        filled(authorizer.claims.and_then(|claims| claims.sub))
            .or_else(|| filled(arn))
            .or_else(|| text(authorizer.principal_id))
            .or_else(|| text(authorizer.sub))
    }
}

/// HTTP API and function URL.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireV2 {
    raw_path: String,
    headers: Option<Single>,
    query_string_parameters: Option<Single>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
    request_context: ContextV2,
}

#[derive(Deserialize)]
struct ContextV2 {
    http: HttpV2,
    stage: Option<String>,
    authorizer: Option<AuthorizerV2>,
}

#[derive(Deserialize)]
struct HttpV2 {
    method: String,
}

#[derive(Deserialize)]
struct AuthorizerV2 {
    jwt: Option<Jwt>,
    iam: Option<Iam>,
    lambda: Option<LambdaAuthorizer>,
}

#[derive(Deserialize)]
struct Jwt {
    claims: Option<Claims>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    user_arn: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LambdaAuthorizer {
    principal_id: Option<serde_json::Value>,
    sub: Option<serde_json::Value>,
}

impl WireV2 {
    pub(crate) fn into_request(self) -> HttpRequest {
        let context = self.request_context;
        // The path begins with the stage, unless it is the default one.
        let path = context
            .stage
            .filter(|stage| stage != "$default")
            .and_then(|stage| {
                let rest = self
                    .raw_path
                    .strip_prefix('/')?
                    .strip_prefix(stage.as_str())?;
                rest.starts_with('/').then(|| rest.to_owned())
            })
            .unwrap_or(self.raw_path);
        HttpRequest {
            transport: Transport::HttpV2,
            method: context.http.method.to_ascii_uppercase(),
            path,
            query: query(self.query_string_parameters, None),
            headers: headers(self.headers, None),
            body: body(self.body, self.is_base64_encoded),
            caller: context.authorizer.and_then(AuthorizerV2::caller),
        }
    }
}

impl AuthorizerV2 {
    fn caller(self) -> Option<String> {
        let jwt = self
            .jwt
            .and_then(|jwt| jwt.claims)
            .and_then(|claims| claims.sub);
        filled(jwt)
            .or_else(|| filled(self.iam.and_then(|iam| iam.user_arn)))
            .or_else(|| {
                let lambda = self.lambda?;
                text(lambda.principal_id).or_else(|| text(lambda.sub))
            })
    }
}

/// A caller without a name is no authenticated caller.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// An authorizer's own context may hold anything; only text names a caller.
fn text(value: Option<serde_json::Value>) -> Option<String> {
    match value {
        Some(serde_json::Value::String(text)) => filled(Some(text)),
        _ => None,
    }
}

/// All values by lower-case name. Where both forms are given the multi-value one is complete.
fn headers(single: Option<Single>, multi: Option<Multi>) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let multi = multi.filter(|multi| !multi.is_empty());
    let single = if multi.is_some() { None } else { single };
    for (name, values) in multi.into_iter().flatten() {
        let values = values.unwrap_or_default();
        headers
            .entry(name.to_ascii_lowercase())
            .or_default()
            .extend(values);
    }
    for (name, value) in single.into_iter().flatten() {
        headers
            .entry(name.to_ascii_lowercase())
            .or_default()
            .extend(value);
    }
    headers
}

/// The last value of each parameter.
fn query(single: Option<Single>, multi: Option<Multi>) -> BTreeMap<String, String> {
    let mut query = BTreeMap::new();
    for (name, value) in single.into_iter().flatten() {
        query.extend(value.map(|value| (name, value)));
    }
    for (name, values) in multi.into_iter().flatten() {
        let last = values.and_then(|mut values| values.pop());
        query.extend(last.map(|value| (name, value)));
    }
    query
}

fn body(text: Option<String>, is_base64: Option<bool>) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text.unwrap_or_default().into_bytes());
    if is_base64.unwrap_or_default() {
        STANDARD.decode(text.as_slice()).ok().map(Zeroizing::new)
    } else {
        Some(text)
    }
}
