//! A question after a payment: by its transaction id, within the asker's scope.

use super::fields::{self, Fields};
use super::finding::Findings;
use super::json::Json;
use super::problem::{Code, Effect, Problem};
use super::request_reader::{MERCHANT_ID, TRANSACTION_ID};
use super::scope::{IdempotencyKey, Scope, SessionId};

/// Which payment is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// Whose payment.
    pub scope: Scope,
    /// Its id.
    pub transaction_id: String,
}

impl Inquiry {
    /// From the parts of a request: the path's last segment, the query's `merchantId`, the authenticated caller.
    ///
    /// # Errors
    /// 404 for an id that no payment can have; 422 for a merchant's.
    pub fn new(
        transaction_id: &str,
        merchant_id: Option<&str>,
        caller: Option<&str>,
    ) -> Result<Self, Problem> {
        let mut none = Findings::default();
        if !fields::keeps_rule("", transaction_id, TRANSACTION_ID, &mut none) {
            return Err(not_found().effect(Effect::None));
        }
        let mut findings = Findings::default();
        if let Some(merchant_id) = merchant_id {
            fields::keeps_rule("merchantId", merchant_id, MERCHANT_ID, &mut findings);
        }
        if !findings.is_empty() {
            return Err(Problem::invalid(findings.into_vec(), true));
        }
        Ok(Self {
            scope: Scope::new(caller, merchant_id),
            transaction_id: transaction_id.to_owned(),
        })
    }

    /// From a direct invocation's members.
    ///
    /// # Errors
    /// 422 with every finding.
    pub fn read(body: &Json, caller: Option<&str>) -> Result<Self, Problem> {
        let mut findings = Findings::default();
        let fields = Fields::open("", body, &["transactionId", "merchantId"], &mut findings);
        let transaction_id = fields.required_text("transactionId", TRANSACTION_ID, &mut findings);
        let merchant_id = fields.optional_text("merchantId", MERCHANT_ID, &mut findings);
        match transaction_id {
            Some(transaction_id) if findings.is_empty() => {
                Self::new(transaction_id, merchant_id, caller)
            }
            _ => Err(Problem::invalid(findings.into_vec(), true)),
        }
    }

    /// The session of that payment, if its key was the transaction id.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        let key = IdempotencyKey::from_stored(self.transaction_id.clone());
        SessionId::new(&self.scope, &key)
    }
}

/// The asker has no such payment. One may be on its way under another key, so this promises nothing of its effect.
#[must_use]
pub fn not_found() -> Problem {
    Problem::new(
        Code::PaymentNotFound,
        "There is no payment with this transactionId in your scope.",
    )
    .effect(Effect::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_the_caller_s_before_the_merchant_s() {
        let scope = |merchant, caller| {
            Inquiry::new("t-1", merchant, caller).map(|inquiry| inquiry.scope.to_string())
        };
        assert_eq!(scope(Some("shop"), Some("alice")), Ok("u:alice".to_owned()));
        assert_eq!(scope(Some("shop"), None), Ok("m:shop".to_owned()));
        assert_eq!(scope(None, None), Ok("public".to_owned()));
    }

    #[test]
    fn what_no_payment_can_have_is_refused() {
        let code = |id: &str, merchant| {
            Inquiry::new(id, merchant, None)
                .map(|_| ())
                .map_err(|problem| problem.code)
        };
        assert_eq!(code("a b", None), Err(Code::PaymentNotFound));
        assert_eq!(code("", None), Err(Code::PaymentNotFound));
        assert_eq!(code("t-1", Some("a#b")), Err(Code::ValidationFailed));
        assert_eq!(code("t-1", Some("shop")), Ok(()));
    }
}
