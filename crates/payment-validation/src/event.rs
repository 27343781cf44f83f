//! The events that the function takes, from the wire to one shape.
//!
//! Only what is needed is read: an event of API Gateway has a hundred fields that change nothing here.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cutover_domain::payment::Json;
use cutover_domain::payment::json::JsonError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

/// The shapes that are taken, for the error on any other.
pub const SHAPES: &str = "an API Gateway REST (proxy, payload 1.0) request, an API Gateway HTTP or function URL request \
     (payload 2.0), an Application Load Balancer request, or a direct invocation {\"action\":\"payment\"|\"validate\", ...}";

/// How an event came, which says how the answer must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// API Gateway REST API, Lambda proxy.
    RestV1,
    /// API Gateway HTTP API and function URL.
    HttpV2,
    /// Load balancer.
    Alb,
    /// Load balancer whose target group has multi-value headers on.
    AlbMultiValue,
    /// Invoked without HTTP.
    Direct,
}

impl Transport {
    /// The name in the log line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RestV1 => "rest",
            Self::HttpV2 => "http",
            Self::Alb => "alb",
            Self::AlbMultiValue => "alb_multi_value",
            Self::Direct => "direct",
        }
    }
}

/// An event that is taken.
pub enum Event {
    /// A request over HTTP.
    Http(HttpRequest),
    /// A direct invocation.
    Direct(DirectCall),
}

/// A request over HTTP, however it came.
pub struct HttpRequest {
    /// How it came.
    pub transport: Transport,
    /// Upper case.
    pub method: String,
    /// Without stage and query.
    pub path: String,
    /// Values by name in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body's bytes, wiped when dropped; `None` if it says that it is Base64 and is not.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// Who was authenticated.
    pub caller: Option<String>,
}

impl HttpRequest {
    /// The values of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> &[String] {
        self.headers.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A direct invocation.
pub struct DirectCall {
    /// What is asked for.
    pub action: String,
    /// The idempotency key given beside it.
    pub idempotency_key: Option<String>,
    /// The caller given beside it: whoever may invoke the function is trusted.
    pub caller: Option<String>,
    /// What remains of the event: the payment.
    pub body: Json,
    /// Bytes of the whole event.
    pub bytes: usize,
}

/// An event of no shape that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown event: {0}. This function takes {SHAPES}")]
pub struct UnknownEvent(pub &'static str);

/// Just enough to tell the shapes apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peek {
    action: Option<IgnoredAny>,
    http_method: Option<IgnoredAny>,
    request_context: Option<PeekContext>,
}

#[derive(Deserialize)]
struct PeekContext {
    elb: Option<IgnoredAny>,
    http: Option<IgnoredAny>,
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// [`UnknownEvent`], with the shapes that are taken.
    pub fn read(event: &str) -> Result<Self, UnknownEvent> {
        let peek: Peek = serde_json::from_str(event)
            .map_err(|_| UnknownEvent("it is no object, or its requestContext is none"))?;
        let context = peek.request_context.as_ref();
        if peek.action.is_some() {
            DirectCall::read(event).map(Self::Direct)
        } else if context.is_some_and(|context| context.http.is_some()) {
            http(event, WireV2::into_request)
        } else if context.is_some_and(|context| context.elb.is_some()) {
            http(event, |wire: WireV1| wire.into_request(true))
        } else if peek.http_method.is_some() && context.is_some() {
            http(event, |wire: WireV1| wire.into_request(false))
        } else {
            Err(UnknownEvent(
                "it has neither an action nor the fields of an HTTP request",
            ))
        }
    }
}

fn http<'a, W: Deserialize<'a>>(
    event: &'a str,
    read: impl FnOnce(W) -> HttpRequest,
) -> Result<Event, UnknownEvent> {
    serde_json::from_str(event)
        .map(|wire| Event::Http(read(wire)))
        .map_err(|_| UnknownEvent("a field of the HTTP request has the wrong type"))
}

impl DirectCall {
    fn read(event: &str) -> Result<Self, UnknownEvent> {
        let json = Json::parse(event.as_bytes()).map_err(|error| match error {
            JsonError::Syntax { .. } => UnknownEvent("it is no JSON"),
            JsonError::TooDeep | JsonError::TooMany => UnknownEvent("it is too deep or too long"),
        })?;
        let Json::Object(mut members) = json else {
            return Err(UnknownEvent("it is no object"));
        };
        let action = take_text(&mut members, "action")?;
        let idempotency_key = take_text(&mut members, "idempotencyKey")?;
        let caller = take_text(&mut members, "caller")?;
        Ok(Self {
            action: action.ok_or(UnknownEvent("its action is null"))?,
            idempotency_key,
            caller,
            body: unwrapped(members),
            bytes: event.len(),
        })
    }
}

/// The payment stands beside `action`, or is one member named `payment` or `body`.
fn unwrapped(mut members: Vec<(String, Json)>) -> Json {
    let is_wrapped = matches!(
        members.as_slice(),
        [(name, Json::Object(_))] if name == "payment" || name == "body"
    );
    match members.pop() {
        Some((_, inner)) if is_wrapped => inner,
        Some(last) => {
            members.push(last);
            Json::Object(members)
        }
        None => Json::Object(members),
    }
}

fn take_text(
    members: &mut Vec<(String, Json)>,
    name: &str,
) -> Result<Option<String>, UnknownEvent> {
    let Some(at) = members.iter().position(|(n, _)| n == name) else {
        return Ok(None);
    };
    match members.remove(at).1 {
        Json::Null => Ok(None),
        Json::Text(text) => Ok(Some(text.to_string())),
        _ => Err(UnknownEvent(
            "action, idempotencyKey and caller must be strings",
        )),
    }
}

type SingleHeaders = BTreeMap<String, Option<String>>;
type MultiHeaders = BTreeMap<String, Option<Vec<String>>>;

/// REST proxy and load balancer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireV1 {
    http_method: String,
    path: String,
    headers: Option<SingleHeaders>,
    multi_value_headers: Option<MultiHeaders>,
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
    fn into_request(self, from_load_balancer: bool) -> HttpRequest {
        let transport = match (from_load_balancer, self.multi_value_headers.is_some()) {
            (true, true) => Transport::AlbMultiValue,
            (true, false) => Transport::Alb,
            (false, _) => Transport::RestV1,
        };
        HttpRequest {
            transport,
            method: self.http_method.to_ascii_uppercase(),
            path: self.path,
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
struct WireV2 {
    raw_path: String,
    headers: Option<SingleHeaders>,
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
    fn into_request(self) -> HttpRequest {
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
fn headers(
    single: Option<SingleHeaders>,
    multi: Option<MultiHeaders>,
) -> BTreeMap<String, Vec<String>> {
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

fn body(text: Option<String>, is_base64: Option<bool>) -> Option<Zeroizing<Vec<u8>>> {
    let text = Zeroizing::new(text.unwrap_or_default().into_bytes());
    if is_base64.unwrap_or_default() {
        STANDARD.decode(text.as_slice()).ok().map(Zeroizing::new)
    } else {
        Some(text)
    }
}
