//! The answer: at most 4096 bytes of JSON.

use cutover_lambda::Deadline;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::delivery::{self, DeliveryError, ResponseUrl};
use crate::event::Request;

/// Bytes that CloudFormation takes as an answer.
pub const BODY_BYTES_MAX: usize = 4096;

/// What a cut Reason ends with.
const CUT: &str = " [cut]";

/// What the handler found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done; the attributes for `Fn::GetAtt`.
    Success(Map<String, Value>),
    /// Not done, and why.
    Failed(String),
}

impl Verdict {
    /// `SUCCESS` or `FAILED`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Success(_) => "SUCCESS",
            Self::Failed(_) => "FAILED",
        }
    }
}

/// The right to answer one event, once: answering uses it up.
#[derive(Debug)]
pub(crate) struct Responder {
    url: ResponseUrl,
}

impl Responder {
    pub(crate) fn new(url: ResponseUrl) -> Self {
        Self { url }
    }

    /// Delivers the answer.
    pub(crate) async fn answer(
        self,
        request: &Request,
        verdict: &Verdict,
        deadline: Deadline,
    ) -> Result<(), DeliveryError> {
        delivery::put(&self.url, body(request, verdict), deadline).await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    physical_resource_id: &'a str,
    stack_id: &'a str,
    request_id: &'a str,
    logical_resource_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Map<String, Value>>,
}

/// The answer's bytes. A Reason that is too long is cut between two characters; attributes that are too many are a
/// failure, for half of them would be a lie.
fn body(request: &Request, verdict: &Verdict) -> Vec<u8> {
    let id = request.answered_id();
    let write = |status, reason: &str, data| {
        let body = Body {
            status,
            reason,
            physical_resource_id: &id,
            stack_id: &request.stack_id,
            request_id: &request.request_id,
            logical_resource_id: &request.logical_resource_id,
            data,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    };
    match verdict {
        Verdict::Success(data) => {
            let bytes = write("SUCCESS", "", Some(data));
            if bytes.len() <= BODY_BYTES_MAX {
                return bytes;
            }
            write("FAILED", "the attributes are longer than 4096 bytes", None)
        }
        Verdict::Failed(reason) => {
            let reason = if reason.is_empty() {
                "no reason was given"
            } else {
                reason
            };
            let whole = write("FAILED", reason, None);
            if whole.len() <= BODY_BYTES_MAX {
                return whole;
            }
            let frame = write("FAILED", CUT, None).len();
            let mut short = cut(reason, BODY_BYTES_MAX.saturating_sub(frame));
            short.push_str(CUT);
            write("FAILED", &short, None)
        }
    }
}

/// As many whole characters as fit into `bytes` of JSON text, escapes counted.
fn cut(text: &str, bytes: usize) -> String {
    let mut used = 0_usize;
    text.chars()
        .take_while(|c| {
            used = used.saturating_add(json_bytes(*c));
            used <= bytes
        })
        .collect()
}

/// Bytes that a character takes inside a JSON string, as serde_json writes it.
fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if u32::from(c) < 0x20 => 6,
        c => c.len_utf8(),
    }
}
