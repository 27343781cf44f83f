//! AWS for tests: answers in a fixed order, and the requests that they were given to. Nothing leaves the process.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

/// What AWS answers once.
pub(crate) enum Answer {
    /// A status, headers, a body.
    Said(u16, Vec<(&'static str, &'static str)>, Vec<u8>),
    /// The connection breaks.
    Lost,
}

impl Answer {
    pub(crate) fn xml(status: u16, body: &str) -> Self {
        let headers = vec![("content-type", "text/xml")];
        Self::Said(status, headers, body.as_bytes().to_vec())
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json")];
        Self::Said(status, headers, body.to_string().into_bytes())
    }

    /// CloudWatch's own format. `{"$time": seconds}` is a timestamp.
    pub(crate) fn cbor(status: u16, body: &Value) -> Self {
        let mut bytes = Vec::new();
        encode(body, &mut bytes);
        let protocol = ("smithy-protocol", "rpc-v2-cbor");
        let headers = vec![("content-type", "application/cbor"), protocol];
        Self::Said(status, headers, bytes)
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        if let Self::Said(_, headers, _) = &mut self {
            headers.push((name, value));
        }
        self
    }
}

/// A request as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) body: Vec<u8>,
}

impl Sent {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The fields of a form, without the operation and its version, in the order sent.
    pub(crate) fn form(&self) -> Vec<String> {
        let text = self.text();
        let fields = text.split('&').map(decoded);
        fields
            .filter(|field| !field.starts_with("Action=") && !field.starts_with("Version="))
            .collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Replay(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: VecDeque<Answer>,
    sent: Vec<Sent>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.sent.fmt(f)
    }
}

impl Replay {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let replay = Self::default();
        replay.inner().answers.extend(answers);
        replay
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A configuration as the functions have it, but for the waits.
    pub(crate) async fn config(&self) -> SdkConfig {
        let connector = SharedHttpConnector::new(self.clone());
        let retries = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(Duration::from_millis(1))
            .with_max_backoff(Duration::from_millis(2));
        aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(retries)
            .endpoint_url("http://aws.invalid")
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "key", None, None, "test"))
            .load()
            .await
    }

    /// Every request so far, once every answer was fetched.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let inner = self.inner();
        assert!(inner.answers.is_empty(), "not every answer was fetched");
        inner.sent.clone()
    }
}

impl HttpConnector for Replay {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut inner = self.inner();
        let sent = Sent {
            method: request.method().to_owned(),
            uri: request
                .uri()
                .trim_start_matches("http://aws.invalid")
                .to_owned(),
            body: request.body().bytes().unwrap_or_default().to_vec(),
        };
        inner.sent.push(sent.clone());
        HttpConnectorFuture::ready(match inner.answers.pop_front() {
            Some(Answer::Said(status, headers, body)) => {
                let mut response =
                    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                for (name, value) in headers {
                    response.headers_mut().insert(name, value);
                }
                Ok(response)
            }
            Some(Answer::Lost) => Err(ConnectorError::io("connection reset".into())),
            None => panic!("nobody answers {sent:?}"),
        })
    }
}

/// RFC 8949, as much of it as the answers need.
fn encode(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(0xf6),
        Value::Bool(is) => bytes.push(if *is { 0xf5 } else { 0xf4 }),
        Value::Number(number) => {
            if let Some(whole) = number.as_u64() {
                head(0, whole, bytes);
            } else {
                bytes.push(0xfb);
                bytes.extend(number.as_f64().unwrap().to_be_bytes());
            }
        }
        Value::String(text) => {
            head(3, text.len().try_into().unwrap(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len().try_into().unwrap(), bytes);
            for item in items {
                encode(item, bytes);
            }
        }
        Value::Object(fields) => {
            if let Some(time) = fields.get("$time") {
                head(6, 1, bytes);
                return encode(time, bytes);
            }
            head(5, fields.len().try_into().unwrap(), bytes);
            for (name, value) in fields {
                encode(&Value::String(name.clone()), bytes);
                encode(value, bytes);
            }
        }
    }
}

fn head(major: u8, count: u64, bytes: &mut Vec<u8>) {
    /// The count follows in eight bytes.
    const EIGHT_BYTES: u8 = 0x1b;
    bytes.push((major << 5) | EIGHT_BYTES);
    bytes.extend(count.to_be_bytes());
}

/// Requests as the golden files of the tests have them.
pub(crate) fn transcript(sent: &[Sent]) -> String {
    let mut text = String::new();
    for one in sent {
        let _infallible = writeln!(text, "{} {}", one.method, one.uri);
        let body = if one.method == "POST" && one.uri == "/" {
            one.form().join("\n")
        } else {
            one.text().replace("><", ">\n<")
        };
        if !body.is_empty() {
            let _infallible = writeln!(text, "{body}");
        }
    }
    text
}
