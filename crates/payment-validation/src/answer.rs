//! An answer, and how each kind of invocation is given it.

use std::collections::BTreeMap;

use cutover_domain::payment::{Color, Problem};
use serde_json::{Map, Value, json};

use crate::event::Transport;

/// What the caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<&'static str, String>,
    /// JSON.
    pub body: String,
}

impl Answer {
    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: String) -> Self {
        Self {
            status,
            headers: BTreeMap::from([("content-type", "application/json".to_owned())]),
            body,
        }
    }

    /// A problem document.
    #[must_use]
    pub fn problem(problem: &Problem, request_id: &str) -> Self {
        // A struct of text and numbers always serializes.
        let body = serde_json::to_string(&problem.document(request_id)).unwrap_or_default();
        let mut answer = Self::json(problem.code.status(), body)
            .with("content-type", "application/problem+json");
        if let Some(seconds) = problem.retry_after_seconds {
            answer = answer.with("retry-after", seconds.to_string());
        }
        if let Some(allow) = problem.allow {
            answer = answer.with("allow", allow);
        }
        answer
    }

    /// The answer with a header more, or another one.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// The answer as `transport` takes it, with the headers that every answer of `color` has.
    #[must_use]
    pub fn into_wire(self, transport: Transport, color: Color) -> Value {
        let answer = self
            .with("x-cutover-color", color.as_str())
            .with("cache-control", "no-store");
        let mut wire = Map::new();
        wire.insert("statusCode".to_owned(), json!(answer.status));
        if transport == Transport::AlbMultiValue {
            let headers: BTreeMap<_, _> = answer
                .headers
                .iter()
                .map(|(name, value)| (name, [value]))
                .collect();
            wire.insert("multiValueHeaders".to_owned(), json!(headers));
        } else {
            wire.insert("headers".to_owned(), json!(answer.headers));
        }
        wire.insert("body".to_owned(), Value::String(answer.body));
        if transport != Transport::Direct {
            wire.insert("isBase64Encoded".to_owned(), Value::Bool(false));
        }
        Value::Object(wire)
    }
}
