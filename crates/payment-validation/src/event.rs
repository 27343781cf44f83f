//! The events that the function takes, from the wire to one shape.
//!
//! Only what is needed is read: an event of API Gateway has a hundred fields that change nothing here.

use std::collections::BTreeMap;

use cutover_domain::payment::Json;
use cutover_domain::payment::json::JsonError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::event_http::{WireV1, WireV2};

/// The shapes that are taken, for the error on any other.
pub const SHAPES: &str = "an API Gateway REST (proxy, payload 1.0) request, an API Gateway HTTP or function URL request \
     (payload 2.0), an Application Load Balancer request, a scheduled event of EventBridge, or a direct invocation \
     {\"action\":\"payment\"|\"validate\"|\"lookup\"|\"health\"|\"test-dynamodb-access\"|\"test-s3-access\"|\
     \"test-secrets-access\", ...}";

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
    /// EventBridge's schedule: time to sweep.
    Tick,
}

/// A request over HTTP, however it came.
pub struct HttpRequest {
    /// How it came.
    pub transport: Transport,
    /// Upper case.
    pub method: String,
    /// Without stage and query.
    pub path: String,
    /// Parameters of the query, by name; of several values the last.
    pub query: BTreeMap<String, String>,
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
    // Any type, so that a member of this name in another shape's event does no harm.
    source: Option<Any>,
    #[serde(rename = "detail-type")]
    detail_type: Option<Any>,
}

/// Text, or something else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Any {
    Text(String),
    Other(IgnoredAny),
}

impl Peek {
    fn is_tick(&self) -> bool {
        let is = |member: &Option<Any>, wanted: &str| matches!(member, Some(Any::Text(text)) if text == wanted);
        is(&self.source, "aws.events") && is(&self.detail_type, "Scheduled Event")
    }
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
        } else if peek.is_tick() {
            Ok(Self::Tick)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in any::<String>()) {
            let _read = Event::read(&text);
        }

        #[test]
        fn any_event_like_text_is_read_without_harm(
            text in r#"\{("(action|body|headers|path|httpMethod|requestContext|version|rawPath|payment)":("x"|null|7|\{("elb|http|sub":\{\})?\}|\[\]),?){0,6}\}"#,
        ) {
            let _read = Event::read(&text);
        }
    }

    #[test]
    fn headers_are_found_whatever_their_case_and_form() {
        let event = r#"{"httpMethod":"post","path":"/payment","requestContext":{},
            "headers":{"IDEMPOTENCY-KEY":"one","X":null},
            "multiValueHeaders":{"Idempotency-Key":["one","two"],"Y":null}}"#;
        let Ok(Event::Http(request)) = Event::read(event) else {
            panic!("a request");
        };
        assert_eq!(request.header("idempotency-key"), ["one", "two"]);
        assert_eq!(request.header("x"), [""; 0]);
        assert_eq!(request.method, "POST");
        assert_eq!(request.caller, None);
    }

    #[test]
    fn an_unauthenticated_caller_is_none() {
        for authorizer in [
            r#"{"principalId":null}"#,
            r#"{"principalId":""}"#,
            r#"{"principalId":7}"#,
            r#"{"claims":{}}"#,
            "null",
        ] {
            let event = format!(
                r#"{{"httpMethod":"POST","path":"/payment","requestContext":{{"authorizer":{authorizer}}}}}"#
            );
            match Event::read(&event) {
                Ok(Event::Http(request)) => assert_eq!(request.caller, None, "{authorizer}"),
                _ => panic!("{authorizer}"),
            }
        }
    }

    #[test]
    fn the_stage_is_no_part_of_the_path() {
        let path = |stage: &str, raw: &str| {
            let event = format!(
                r#"{{"version":"2.0","rawPath":"{raw}","requestContext":{{"stage":"{stage}","http":{{"method":"GET"}}}}}}"#
            );
            match Event::read(&event) {
                Ok(Event::Http(request)) => request.path,
                _ => panic!("a request"),
            }
        };
        assert_eq!(path("$default", "/health"), "/health");
        assert_eq!(path("live", "/live/health"), "/health");
        assert_eq!(path("live", "/lively/health"), "/lively/health");
        assert_eq!(path("live", "/health"), "/health");
    }
}
