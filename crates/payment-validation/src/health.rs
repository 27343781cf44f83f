//! Whether every dependency answers: asked all at once, each for a bounded time, kept for a few seconds, nothing written.

use std::cell::RefCell;
use std::time::Duration;

use cutover_domain::payment::SessionId;
use cutover_lambda::{Deadline, clock};
use cutover_ports::payment::{CallError, Ledger, Readiness, Secrets, SessionStore, TransactionLog};
use serde_json::json;

use crate::pay::{Payments, bounded};

/// How long one dependency is waited for.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an answer stands, in milliseconds: whoever polls must not become a load.
const KEPT_MS: u64 = 5_000;
/// A session that is never there: no caller's scope has this name.
const NO_SESSION: &str = "self-test#health";

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    name: &'static str,
    ok: bool,
    detail: &'static str,
}

/// What the dependencies said, and when.
#[derive(Debug, Clone)]
pub struct Health {
    checks: [Check; 4],
    at_ms: u64,
}

impl Health {
    /// Whether all of them answered as they should.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// The body of the answer. It holds neither names of resources nor what a failed call said.
    #[must_use]
    pub fn body(&self) -> String {
        let checks = self
            .checks
            .iter()
            .map(|check| json!({"name": check.name, "ok": check.ok, "detail": check.detail}));
        json!({
            "status": if self.is_ok() { "ok" } else { "failing" },
            "checks": checks.collect::<Vec<_>>(),
        })
        .to_string()
    }
}

/// The last answer.
#[derive(Debug, Default)]
pub struct LastHealth(RefCell<Option<Health>>);

impl LastHealth {
    /// The last answer, while it stands.
    #[must_use]
    pub fn get(&self, now_ms: u64) -> Option<Health> {
        let last = self.0.borrow();
        last.as_ref()
            .filter(|health| {
                now_ms
                    .checked_sub(health.at_ms)
                    .is_some_and(|age| age < KEPT_MS)
            })
            .cloned()
    }

    /// Keeps an answer.
    pub fn keep(&self, health: Health) {
        *self.0.borrow_mut() = Some(health);
    }
}

impl<S, L, T, K> Payments<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    /// Asks every dependency. Of the calls that failed one is told for the log.
    pub async fn health(
        &self,
        db_secret: &str,
        deadline: Deadline,
    ) -> (Health, Option<Box<CallError>>) {
        let limit = CHECK_TIMEOUT.min(deadline.remaining());
        let no_session = SessionId::from_stored(NO_SESSION.to_owned());
        let (table, bucket, ledger, secret) = tokio::join!(
            bounded(limit, "get session", self.sessions.get(&no_session)),
            bounded(limit, "list log objects", self.log.reach()),
            bounded(
                limit,
                "read the ledger's fence",
                self.ledger.readiness(self.color, limit)
            ),
            bounded(limit, "get secret", self.read_secrets(db_secret)),
        );
        let mut cause = None;
        let checks = [
            told("session-table", table.map(|_| None), &mut cause),
            told("log-bucket", bucket.map(|()| None), &mut cause),
            told("ledger", ledger.map(refusal), &mut cause),
            told("secret", secret.map(|()| None), &mut cause),
        ];
        let at_ms = clock::now_ms();
        (Health { checks, at_ms }, cause)
    }
}

/// Why a ledger that answers is not writable.
fn refusal(readiness: Readiness) -> Option<&'static str> {
    match readiness {
        Readiness::Writable => None,
        Readiness::Fenced => Some("this color may not write"),
        Readiness::ReadOnly => Some("the server is read-only"),
    }
}

fn told(
    name: &'static str,
    asked: Result<Option<&'static str>, CallError>,
    cause: &mut Option<Box<CallError>>,
) -> Check {
    let (ok, detail) = match asked {
        Ok(None) => (true, "answers"),
        Ok(Some(refusal)) => (false, refusal),
        Err(error) => {
            *cause = Some(Box::new(error));
            (false, "does not answer as it should")
        }
    };
    Check { name, ok, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_for_a_few_seconds_and_never_for_a_future() {
        let last = LastHealth::default();
        assert!(last.get(0).is_none());
        let checks = ["session-table", "log-bucket", "ledger", "secret"]
            .map(|name| told(name, Ok(None), &mut None));
        last.keep(Health {
            checks,
            at_ms: 10_000,
        });
        for (now_ms, stands) in [
            (9_999, false),
            (10_000, true),
            (14_999, true),
            (15_000, false),
        ] {
            assert_eq!(last.get(now_ms).is_some(), stands, "{now_ms}");
        }
    }
}
