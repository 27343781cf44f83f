//! A request together with whose it is and under which key: all that a payment needs.

use super::finding::{Finding, Findings};
use super::json::Json;
use super::problem::{Code, Problem};
use super::request::{Request, Rules};
use super::scope::{IdempotencyKey, KeyError, Scope};
use super::timestamp::Timestamp;

/// Where findings on the header are shown.
const HEADER: &str = "Idempotency-Key";

/// A request that keeps every rule, its scope and its key.
pub struct Order {
    /// The request.
    pub request: Request,
    /// Whose payment it is.
    pub scope: Scope,
    /// The key: the one given, else the transaction id.
    pub key: IdempotencyKey,
}

impl Order {
    /// Reads a body, with the idempotency key and the authenticated caller that came with it.
    ///
    /// # Errors
    /// One problem with every finding, on the key and on the body.
    pub fn read(
        body: &Json,
        key: Option<&str>,
        caller: Option<&str>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let key = key.map(IdempotencyKey::parse).transpose();
        let request = Request::read(body, rules, now);
        match (key, request) {
            (Ok(key), Ok(request)) => Self::of(request, key, caller),
            (Ok(key), Err(findings)) => {
                let has_key = key.is_some() || body.member("transactionId").is_some();
                Err(Problem::invalid(findings, has_key))
            }
            (Err(error), request) => {
                let mut findings = key_finding(error);
                findings.extend(request.err().unwrap_or_default());
                Err(Problem {
                    findings,
                    ..Problem::new(Code::IdempotencyKeyInvalid, format!("{HEADER} {error}."))
                })
            }
        }
    }

    fn of(
        request: Request,
        key: Option<IdempotencyKey>,
        caller: Option<&str>,
    ) -> Result<Self, Problem> {
        let key = match key {
            Some(key) => key,
            None => IdempotencyKey::parse(request.transaction_id())
                .map_err(|error| Problem::new(Code::IdempotencyKeyInvalid, error.to_string()))?,
        };
        Ok(Self {
            scope: Scope::new(caller, request.merchant_id()),
            key,
            request,
        })
    }
}

fn key_finding(error: KeyError) -> Vec<Finding> {
    let mut findings = Findings::default();
    let code = match error {
        KeyError::Format => "idempotency_key_format",
        KeyError::CardNumber => "card_number_in_text",
    };
    findings.add(HEADER, code, error.to_string());
    findings.into_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"transactionId":"t-1","userId":"u","amount":1,"currency":"EUR","merchantId":"shop",
        "paymentMethod":{"type":"token","token":"tok"}}"#;

    fn read(body: &str, key: Option<&str>, caller: Option<&str>) -> Result<Order, Problem> {
        let Ok(json) = Json::parse(body.as_bytes()) else {
            panic!("JSON");
        };
        Order::read(&json, key, caller, &Rules::default(), Timestamp::from_ms(0))
    }

    fn problem(body: &str, key: Option<&str>) -> (Code, Vec<&'static str>) {
        match read(body, key, None) {
            Ok(_) => panic!("a problem"),
            Err(problem) => (
                problem.code,
                problem.findings.iter().map(|f| f.code).collect(),
            ),
        }
    }

    #[test]
    fn the_key_is_the_header_else_the_transaction_id() {
        let key = |key| read(BODY, key, None).map(|o| o.key.as_str().to_owned());
        assert_eq!(key(Some("\"k 1\"")), Ok("k 1".to_owned()));
        assert_eq!(key(None), Ok("t-1".to_owned()));
    }

    #[test]
    fn the_scope_is_the_caller_else_the_merchant_else_public() {
        let scope = |body: &str, caller| read(body, None, caller).map(|o| o.scope.to_string());
        assert_eq!(scope(BODY, Some("alice")), Ok("u:alice".to_owned()));
        assert_eq!(scope(BODY, None), Ok("m:shop".to_owned()));
        let without = BODY.replace("\"merchantId\":\"shop\",", "");
        assert_eq!(scope(&without, None), Ok("public".to_owned()));
    }

    #[test]
    fn neither_key_nor_transaction_id_is_a_bad_request() {
        let body = BODY.replace("\"transactionId\":\"t-1\",", "");
        assert_eq!(
            problem(&body, None),
            (Code::IdempotencyKeyMissing, vec!["required"])
        );
        assert_eq!(
            problem(&body, Some("k")),
            (Code::ValidationFailed, vec!["required"])
        );
        assert_eq!(problem("{}", None).0, Code::IdempotencyKeyMissing);
    }

    #[test]
    fn a_bad_key_is_told_together_with_a_bad_body() {
        let body = BODY.replace("\"amount\":1", "\"amount\":0");
        let expected = (
            Code::IdempotencyKeyInvalid,
            vec!["idempotency_key_format", "amount_not_positive"],
        );
        assert_eq!(problem(&body, Some("")), expected);
    }
}
