//! A client that wants a payment made: it sends the same request with the same key until it has a final answer.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sandbox::{Said, Sandbox};

/// What an invocation may take.
pub const INVOCATION: Duration = Duration::from_secs(4);
/// How much longer than that a client waits before it gives an attempt up.
const GRACE: Duration = Duration::from_millis(300);
/// A client that is told nothing tries again after this.
const RETRY: Duration = Duration::from_millis(200);
/// After that long a payment counts as lost.
const PATIENCE: Duration = Duration::from_secs(45);

/// An answer, as far as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON, as text.
    pub body: String,
    /// Of a problem.
    pub code: Option<String>,
    /// Of a problem.
    pub effect: Option<String>,
    /// Whether it was recorded before.
    pub replayed: bool,
    retryable: bool,
    retry_after: Option<Duration>,
}

impl Answer {
    /// Reads what a function said to a direct invocation; what is no answer at all is an error.
    ///
    /// # Errors
    /// What was said.
    pub fn read(said: &Said) -> Result<Self, String> {
        let Ok(said) = said else {
            return Err(format!("a function error: {said:?}"));
        };
        let status = said["statusCode"].as_u64().unwrap_or_default();
        let text = said["body"].as_str().unwrap_or_default();
        let body: Value = serde_json::from_str(text).map_err(|_| said.to_string())?;
        let field = |name: &str| body[name].as_str().map(str::to_owned);
        let retry_after = said["headers"]["retry-after"].as_str();
        Ok(Self {
            status: u16::try_from(status).map_err(|_| said.to_string())?,
            body: text.to_owned(),
            code: field("code"),
            effect: field("effect"),
            replayed: said["headers"]["idempotency-replayed"] == "true",
            retryable: body["retryable"] == true,
            retry_after: retry_after
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
        })
    }

    /// Whether the client is told that nothing happened.
    #[must_use]
    pub fn says_none(&self) -> bool {
        self.effect.as_deref() == Some("none")
    }

    /// Whether sending the same request again is of no use.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !self.retryable
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(effect) = &self.effect {
            write!(f, " {effect}")?;
        }
        Ok(())
    }
}

/// The payment that the tests make: a direct invocation under a key of its own.
#[must_use]
pub fn payment(key: &str) -> Value {
    json!({
        "action": "payment", "idempotencyKey": key, "transactionId": format!("t-{key}"), "userId": "user-1",
        "amount": 1250, "currency": "EUR", "merchantId": "shop",
        "paymentMethod": {
            "type": "card", "number": "4242424242424242", "expiryMonth": 12, "expiryYear": 2049, "cvc": "987",
        },
    })
}

/// One attempt, as the client sees it: nothing if the function is late or dies.
pub async fn attempt(sandbox: &Sandbox, event: &Value) -> Option<Said> {
    let mut pending = sandbox.begin(event, INVOCATION).await;
    pending.wait(INVOCATION + GRACE).await
}

/// Tries until there is a final answer. Every answer is handed to `seen` first; what that says ends it.
///
/// # Errors
/// What was no answer, or what `seen` said, or that there was no final answer in time.
pub async fn persist(
    sandbox: &Sandbox,
    event: &Value,
    mut seen: impl AsyncFnMut(&Answer) -> Result<(), String>,
) -> Result<Answer, String> {
    let began = Instant::now();
    let mut last = "no answer at all".to_owned();
    while began.elapsed() < PATIENCE {
        let mut wait = RETRY;
        if let Some(said) = attempt(sandbox, event).await {
            let answer = Answer::read(&said)?;
            seen(&answer).await?;
            if answer.is_final() {
                return Ok(answer);
            }
            wait = answer.retry_after.unwrap_or(RETRY);
            last = answer.to_string();
        }
        tokio::time::sleep(wait).await;
    }
    Err(format!("no final answer, the last was {last}"))
}
