//! What a caller is told when a payment is not made: problem documents (RFC 9457) with stable codes.

use serde::Serialize;

use super::finding::{Finding, Findings};
use super::json::JsonError;

/// Whether a payment happened. A caller that was told `none` may safely pay again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing happened, and nothing of this attempt will.
    None,
    /// It is in the ledger; only its completion could not be confirmed.
    Committed,
    /// It may or may not be in the ledger: ask again with the same key.
    Unknown,
}

impl Effect {
    /// `none`, `committed` or `unknown`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Committed => "committed",
            Self::Unknown => "unknown",
        }
    }
}

/// The stable codes of problem documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The body is no JSON.
    MalformedJson,
    /// Neither an idempotency key nor a transaction id.
    IdempotencyKeyMissing,
    /// The idempotency key breaks its rules, or there are two.
    IdempotencyKeyInvalid,
    /// The body breaks rules: see the findings.
    ValidationFailed,
    /// The body is over the limit.
    BodyTooLarge,
    /// The body is said to be something else than JSON.
    UnsupportedMediaType,
    /// No such route.
    NotFound,
    /// The caller has no payment with that id.
    PaymentNotFound,
    /// The route has other methods.
    MethodNotAllowed,
    /// An attempt with this key still runs.
    PaymentInProgress,
    /// The key belongs to another request.
    IdempotencyKeyReused,
    /// The transaction id was used under another key.
    TransactionExists,
    /// The payment was given up for good.
    PaymentVoided,
    /// Too little time was left to begin.
    OutOfTime,
    /// This color may not write any more.
    ColorFenced,
    /// The session table did not answer as it should.
    SessionStoreUnavailable,
    /// The ledger did not answer as it should.
    LedgerUnavailable,
    /// The log bucket did not answer as it should.
    TransactionLogUnavailable,
    /// Secrets could not be read.
    SecretUnavailable,
    /// Recorded, but the session could not be told so.
    CompletionUnconfirmed,
    /// A defect of ours.
    Internal,
}

impl Code {
    /// Every code, for documents that list them.
    pub const ALL: [Self; 21] = [
        Self::MalformedJson,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyInvalid,
        Self::ValidationFailed,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::NotFound,
        Self::PaymentNotFound,
        Self::MethodNotAllowed,
        Self::PaymentInProgress,
        Self::IdempotencyKeyReused,
        Self::TransactionExists,
        Self::PaymentVoided,
        Self::OutOfTime,
        Self::ColorFenced,
        Self::SessionStoreUnavailable,
        Self::LedgerUnavailable,
        Self::TransactionLogUnavailable,
        Self::SecretUnavailable,
        Self::CompletionUnconfirmed,
        Self::Internal,
    ];

    /// Code, HTTP status, title.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::MalformedJson => ("malformed_json", 400, "The body is not JSON"),
            Self::IdempotencyKeyMissing => (
                "idempotency_key_missing",
                400,
                "An idempotency key or a transaction id is needed",
            ),
            Self::IdempotencyKeyInvalid => (
                "idempotency_key_invalid",
                400,
                "The idempotency key is not valid",
            ),
            Self::ValidationFailed => ("validation_failed", 422, "The request breaks rules"),
            Self::BodyTooLarge => ("body_too_large", 413, "The body is too large"),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                415,
                "The body must be application/json",
            ),
            Self::NotFound => ("not_found", 404, "There is nothing here"),
            Self::PaymentNotFound => ("payment_not_found", 404, "There is no such payment"),
            Self::MethodNotAllowed => ("method_not_allowed", 405, "The method is not allowed here"),
            Self::PaymentInProgress => (
                "payment_in_progress",
                409,
                "An attempt with this key is still running",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                422,
                "The key belongs to another request",
            ),
            Self::TransactionExists => (
                "transaction_exists",
                409,
                "The transaction id was used under another key",
            ),
            Self::PaymentVoided => ("payment_voided", 409, "The payment was voided"),
            Self::OutOfTime => ("out_of_time", 503, "Too little time was left"),
            Self::ColorFenced => (
                "color_fenced",
                503,
                "This environment no longer takes payments",
            ),
            Self::SessionStoreUnavailable => (
                "session_store_unavailable",
                503,
                "The session store is not available",
            ),
            Self::LedgerUnavailable => ("ledger_unavailable", 503, "The ledger is not available"),
            Self::TransactionLogUnavailable => (
                "transaction_log_unavailable",
                503,
                "The transaction log is not available",
            ),
            Self::SecretUnavailable => ("secret_unavailable", 503, "Credentials are not available"),
            Self::CompletionUnconfirmed => (
                "completion_unconfirmed",
                503,
                "The payment is recorded, its completion is not confirmed",
            ),
            Self::Internal => ("internal", 500, "An unexpected error"),
        }
    }

    /// The code as callers see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// The title: the same for every problem of this code.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// What a problem of this code may say of its effect.
    #[must_use]
    pub fn effects(self) -> &'static [Effect] {
        match self {
            Self::PaymentNotFound
            | Self::TransactionExists
            | Self::ColorFenced
            | Self::SessionStoreUnavailable
            | Self::LedgerUnavailable
            | Self::OutOfTime
            | Self::SecretUnavailable => &[Effect::None, Effect::Unknown],
            Self::PaymentInProgress | Self::Internal => &[Effect::Unknown],
            Self::TransactionLogUnavailable | Self::CompletionUnconfirmed => &[Effect::Committed],
            _ => &[Effect::None],
        }
    }

    /// Whether the same request may be answered otherwise later.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self.status(), 503 | 500) || self == Self::PaymentInProgress
    }
}

/// Why a payment was not made, or not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem it is.
    pub code: Code,
    /// A sentence on this occurrence, fit for the caller.
    pub detail: String,
    /// What is wrong with the body.
    pub findings: Vec<Finding>,
    /// Whether the payment happened.
    pub effect: Effect,
    /// Seconds after which asking again makes sense; whole, above zero.
    pub retry_after_seconds: Option<u64>,
    /// The methods that the route has, for 405.
    pub allow: Option<&'static str>,
}

impl Problem {
    /// Seconds told to a caller when a dependency failed.
    const RETRY_SECONDS: u64 = 1;

    /// A problem before which nothing happened.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            findings: Vec::new(),
            effect: Effect::None,
            retry_after_seconds: (code.status() == 503).then_some(Self::RETRY_SECONDS),
            allow: None,
        }
    }

    /// The same problem with another effect.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// A request that breaks rules. Without a key and a transaction id it is a bad request, whatever else is wrong.
    #[must_use]
    pub fn invalid(findings: Vec<Finding>, has_key: bool) -> Self {
        let (code, detail) = if has_key {
            (
                Code::ValidationFailed,
                "See errors for every field that breaks a rule.",
            )
        } else {
            (
                Code::IdempotencyKeyMissing,
                "Give the header Idempotency-Key or the field transactionId.",
            )
        };
        Self {
            findings,
            ..Self::new(code, detail)
        }
    }

    /// A body that could not be read: 400 if it is no JSON, 422 if it is JSON beyond the bounds.
    #[must_use]
    pub fn unreadable(error: JsonError) -> Self {
        let (code, finding) = match error {
            JsonError::Syntax { .. } => (Code::MalformedJson, None),
            JsonError::TooDeep => (Code::ValidationFailed, Some("too_deep")),
            JsonError::TooMany => (Code::ValidationFailed, Some("too_many")),
        };
        let mut findings = Findings::default();
        if let Some(finding) = finding {
            findings.add("", finding, error.to_string());
        }
        Self {
            findings: findings.into_vec(),
            ..Self::new(code, format!("The body cannot be read: {error}."))
        }
    }

    /// The document, as `application/problem+json`.
    #[must_use]
    pub fn document(&self, request_id: &str) -> Document<'_> {
        Document {
            kind: format!("urn:cutover:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code.as_str(),
            errors: &self.findings,
            effect: self.effect,
            retryable: self.code.retryable(),
            request_id: request_id.to_owned(),
        }
    }
}

/// The body of an error.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    errors: &'a [Finding],
    effect: Effect,
    retryable: bool,
    request_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_has_every_member() {
        let problem = Problem::new(Code::ColorFenced, "blue is retired.");
        assert_eq!(
            serde_json::to_value(problem.document("r-1")).unwrap(),
            json!({
                "type": "urn:cutover:problem:color_fenced", "title": "This environment no longer takes payments",
                "status": 503, "detail": "blue is retired.", "code": "color_fenced", "errors": [], "effect": "none",
                "retryable": true, "requestId": "r-1",
            })
        );
    }

    /// `docs/payment-errors.md` has a row for each code: code, status, effect, retryable, and what it means.
    #[test]
    fn the_table_of_codes_is_complete() {
        let table: Vec<Vec<String>> = include_str!("../../../../docs/payment-errors.md")
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| {
                line.split('|')
                    .map(|cell| cell.trim().replace('`', ""))
                    .collect()
            })
            .collect();
        let told: Vec<&[String]> = table.iter().map(|row| &row[1..5]).collect();
        let expected: Vec<[String; 4]> = Code::ALL
            .iter()
            .map(|code| {
                let effects: Vec<&str> = code.effects().iter().map(|e| e.as_str()).collect();
                let retryable = if code.retryable() { "yes" } else { "no" };
                [
                    code.as_str().to_owned(),
                    code.status().to_string(),
                    effects.join(", "),
                    retryable.to_owned(),
                ]
            })
            .collect();
        assert_eq!(told, expected);
        assert!(table.iter().all(|row| row[5].len() > 10));
    }

    #[test]
    fn codes_are_unique_and_only_a_defect_is_500() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.status() == 500, code == Code::Internal);
            assert_eq!(
                Problem::new(code, "").retry_after_seconds.is_some(),
                code.status() == 503
            );
        }
    }
}
