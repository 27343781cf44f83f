//! The status of a payment: what the ledger has, else what the session says.

use cutover_domain::payment::inquiry::{self, Inquiry};
use cutover_domain::payment::session::State;
use cutover_domain::payment::{Code, Effect, Problem, Session};
use cutover_lambda::Deadline;
use cutover_ports::payment::{CallError, Found, Ledger, Secrets, SessionStore, TransactionLog};
use serde_json::json;

use crate::pay::{Failure, Payments, bounded};

impl<S, L, T, K> Payments<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    /// The body that tells the status of a payment: the receipt of a completed one.
    ///
    /// # Errors
    /// 404, or 503 if neither ledger nor session could say.
    pub async fn look_up(&self, inquiry: &Inquiry, deadline: Deadline) -> Result<String, Failure> {
        let left = deadline.remaining();
        let id = inquiry.session_id();
        let (row, session) = tokio::join!(
            bounded(
                left,
                "look up in ledger",
                self.ledger
                    .find(&inquiry.scope, &inquiry.transaction_id, left)
            ),
            bounded(left, "get session", self.sessions.get(&id)),
        );
        // A session whose key is this transaction id may be of another payment, with a transaction id of its own.
        let session = session.map(|session| {
            session.filter(|s| s.claim.payment.transaction_id == inquiry.transaction_id)
        });
        match (row, session) {
            (Ok(Some(Found::Completed(receipt))), _) => Ok(receipt.body()),
            (Ok(Some(Found::Voided)), _) => Ok(status(inquiry, "failed", Some("voided"))),
            (
                _,
                Ok(Some(Session {
                    state: State::Completed(response),
                    ..
                })),
            ) => Ok(response.body),
            (Ok(None), Ok(Some(session))) => Ok(match session.state {
                State::Voided => status(inquiry, "failed", Some("voided")),
                State::Released => status(inquiry, "failed", Some("released")),
                State::Processing { .. } | State::Completed(_) => {
                    status(inquiry, "processing", None)
                }
            }),
            (Ok(None), Ok(None)) => Err(inquiry::not_found().into()),
            (Err(error), _) => Err(unavailable(Code::LedgerUnavailable, error)),
            (_, Err(error)) => Err(unavailable(Code::SessionStoreUnavailable, error)),
        }
    }
}

fn status(inquiry: &Inquiry, status: &str, reason: Option<&str>) -> String {
    let id = inquiry.transaction_id.as_str();
    match reason {
        Some(reason) => json!({"transactionId": id, "status": status, "reason": reason}),
        None => json!({"transactionId": id, "status": status}),
    }
    .to_string()
}

fn unavailable(code: Code, cause: CallError) -> Failure {
    let problem = Problem::new(code, "The payment could not be looked up. Ask again.");
    Failure {
        problem: problem.effect(Effect::Unknown),
        cause: Some(Box::new(cause)),
    }
}
