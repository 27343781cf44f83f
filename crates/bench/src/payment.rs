//! The payment that is sent: an API Gateway event of 2 kB, and its answer.

use serde_json::Value;

const EVENT: &str = include_str!("../../../events/payment-validation/rest-payment.json");
/// The transaction id that the file has.
const TRANSACTION_ID: &str = "order-1001";

/// The event with another transaction id, without white space between its parts, as API Gateway sends it.
///
/// # Panics
/// If the project's sample event is no JSON.
#[must_use]
pub fn event(transaction_id: &str) -> String {
    let event: Value = serde_json::from_str(EVENT).expect("a sample event");
    event.to_string().replace(TRANSACTION_ID, transaction_id)
}

/// The HTTP status of an answer to API Gateway.
#[must_use]
pub fn status(answer: &[u8]) -> Option<u16> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer["statusCode"].as_u64()?.try_into().ok()
}
