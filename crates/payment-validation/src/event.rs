//! The events that the function takes, from the wire to one shape.
//!
//! Only what is needed is read: an event of API Gateway has a hundred fields that change nothing here.

use std::collections::BTreeMap;

use cutover_domain::payment::text::holds_card_number;
use cutover_domain::payment::{Code, Finding, Json, Problem};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
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
    /// The body's bytes, wiped when dropped; `None` if it is no text, or says that it is Base64 and is not.
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
    /// What came beside it, or why that cannot be read.
    pub arguments: Result<Arguments, Problem>,
    /// Bytes of what came beside the action.
    pub bytes: usize,
}

/// What comes with the action of a direct invocation.
pub struct Arguments {
    /// The idempotency key given beside it.
    pub idempotency_key: Option<String>,
    /// The caller given beside it: whoever may invoke the function is trusted.
    pub caller: Option<String>,
    /// What remains of the event: the payment.
    pub body: Json,
}

/// An event of no shape that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown event: {0}. This function takes {SHAPES}")]
pub struct UnknownEvent(pub &'static str);

/// Just enough to tell the shapes apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peek<'a> {
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    http_method: Option<IgnoredAny>,
    #[serde(borrow)]
    request_context: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
}

impl Peek<'_> {
    /// A scheduled event. Members of these names in another shape's event may be of any type.
    fn is_tick(&self) -> bool {
        let is = |member: Option<&RawValue>, wanted: &str| {
            member
                .and_then(|member| serde_json::from_str::<String>(member.get()).ok())
                .is_some_and(|text| text == wanted)
        };
        is(self.source, "aws.events") && is(self.detail_type, "Scheduled Event")
    }
}

#[derive(Default, Deserialize)]
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
        let peek: Peek<'_> = serde_json::from_str(event)
            .map_err(|_| UnknownEvent("it is no object, or has a field of an event twice"))?;
        let context: PeekContext = peek
            .request_context
            .and_then(|context| serde_json::from_str(context.get()).ok())
            .unwrap_or_default();
        if let Some(action) = peek.action {
            DirectCall::read(event, action).map(Self::Direct)
        } else if context.http.is_some() {
            http(event, WireV2::into_request)
        } else if context.elb.is_some() {
            http(event, |wire: WireV1<'_>| wire.into_request(true))
        } else if peek.http_method.is_some() {
            http(event, |wire: WireV1<'_>| wire.into_request(false))
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
        .map_err(|_| UnknownEvent("a field of the HTTP request is missing or has the wrong type"))
}

impl DirectCall {
    fn read(event: &str, action: &RawValue) -> Result<Self, UnknownEvent> {
        const BESIDE: usize = r#"{"action":,}"#.len();
        let bytes = event.len().saturating_sub(action.get().len() + BESIDE);
        let action = serde_json::from_str(action.get())
            .map_err(|_| UnknownEvent("its action is no string"))?;
        Ok(Self {
            action,
            arguments: Arguments::read(event),
            bytes,
        })
    }
}

impl Arguments {
    fn read(event: &str) -> Result<Self, Problem> {
        let mut members = match Json::parse(event.as_bytes()).map_err(Problem::unreadable)? {
            Json::Object(members) => members,
            // It has an action, so it is an object.
            _ => Vec::new(),
        };
        let _action = take(&mut members, "action");
        let idempotency_key = match take(&mut members, "idempotencyKey") {
            None | Some(Json::Null) => None,
            Some(Json::Text(text)) => Some(text.to_string()),
            Some(_) => {
                let finding = finding("idempotencyKey", "wrong_type", "must be a string");
                return Err(Problem {
                    findings: vec![finding],
                    ..Problem::new(
                        Code::IdempotencyKeyInvalid,
                        "idempotencyKey must be a string.",
                    )
                });
            }
        };
        Ok(Self {
            idempotency_key,
            caller: caller(take(&mut members, "caller"))?,
            body: unwrapped(members),
        })
    }
}

/// The caller, who becomes a part of what is stored: text, and no card number. An empty one is none, as over HTTP.
fn caller(value: Option<Json>) -> Result<Option<String>, Problem> {
    let refused = |code, message: &str| {
        Err(Problem::invalid(
            vec![finding("caller", code, message)],
            true,
        ))
    };
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) if text.is_empty() => Ok(None),
        Some(Json::Text(text)) if holds_card_number(&text) => {
            refused("card_number_in_text", "must not hold a card number")
        }
        Some(Json::Text(text)) => Ok(Some(text.to_string())),
        Some(_) => refused("wrong_type", "must be a string"),
    }
}

fn finding(field: &str, code: &'static str, message: &str) -> Finding {
    Finding {
        field: field.to_owned(),
        code,
        message: message.to_owned(),
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

fn take(members: &mut Vec<(String, Json)>, name: &str) -> Option<Json> {
    let at = members.iter().position(|(n, _)| n == name)?;
    Some(members.remove(at).1)
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
            "headers":{"IDEMPOTENCY-KEY":"one","X":null,"Single":"s","Number":7},
            "multiValueHeaders":{"Idempotency-Key":["one","two"],"Y":null}}"#;
        let Ok(Event::Http(request)) = Event::read(event) else {
            panic!("a request");
        };
        assert_eq!(request.header("idempotency-key"), ["one", "two"]);
        assert_eq!(request.header("x"), [""; 0]);
        assert_eq!(request.header("single"), ["s"]);
        assert_eq!(request.header("number"), ["7"]);
        assert_eq!(request.method, "POST");
        assert_eq!(request.caller, None);
    }

    #[test]
    fn an_unauthenticated_caller_is_none() {
        for authorizer in [
            r#"{"principalId":null}"#,
            r#"{"principalId":""}"#,
            r#"{"principalId":true}"#,
            r#"{"claims":{}}"#,
            r#"{"claims":"x","jwt":7}"#,
            r#""x""#,
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
    fn a_caller_is_found_wherever_an_authorizer_puts_it() {
        for (transport, context) in [
            ("rest", r#""authorizer":{"claims":{"sub":"alice"}}"#),
            ("rest", r#""authorizer":{"principalId":"alice"}"#),
            ("rest", r#""authorizer":{"sub":"alice","claims":"x"}"#),
            ("rest", r#""authorizer":{"principalId":"","sub":"alice"}"#),
            ("rest", r#""identity":{"userArn":"alice"}"#),
            ("http", r#""authorizer":{"jwt":{"claims":{"sub":"alice"}}}"#),
            ("http", r#""authorizer":{"iam":{"userArn":"alice"}}"#),
            ("http", r#""authorizer":{"lambda":{"principalId":"alice"}}"#),
            (
                "http",
                r#""authorizer":{"lambda":{"sub":"alice"},"iam":null}"#,
            ),
        ] {
            let context = match transport {
                "http" => format!(r#"{{"http":{{"method":"GET"}},{context}}}"#),
                _ => format!("{{{context}}}"),
            };
            let event = format!(
                r#"{{"httpMethod":"GET","path":"/","rawPath":"/","requestContext":{context}}}"#
            );
            match Event::read(&event) {
                Ok(Event::Http(request)) => {
                    assert_eq!(request.caller.as_deref(), Some("alice"), "{event}");
                }
                _ => panic!("{event}"),
            }
        }
    }

    #[test]
    fn a_load_balancer_s_parameters_are_decoded() {
        let event = r#"{"httpMethod":"GET","path":"/payment/a%2Db","requestContext":{"elb":{}},"headers":{},
            "multiValueHeaders":{},"queryStringParameters":{"merchant%49d":"shop%2D7+8%"}}"#;
        let Ok(Event::Http(request)) = Event::read(event) else {
            panic!("a request");
        };
        assert_eq!(request.query["merchantId"], "shop-7 8%");
        assert_eq!(request.transport, Transport::Alb);
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
