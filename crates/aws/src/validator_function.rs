//! The validation of the candidate by a function: `{"action":"validate"}` must answer `status: "pass"`.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use cutover_domain::switch::Validation;
use cutover_ports::switch::Validator;
use serde_json::{Value, json};

use crate::failure::failure;

/// A function that validates.
#[derive(Debug, Clone)]
pub struct ValidatorFunction {
    client: Client,
    function: String,
    properties: Value,
}

impl ValidatorFunction {
    /// The function `function` (a name or an ARN), asked with `properties` (a JSON object).
    #[must_use]
    pub fn new(sdk: &SdkConfig, function: String, properties: Value) -> Self {
        Self {
            client: Client::new(sdk),
            function,
            properties,
        }
    }
}

#[async_trait]
impl Validator for ValidatorFunction {
    async fn validate(&self) -> Validation {
        let event = json!({"action": "validate", "properties": self.properties});
        let answer = self
            .client
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(event.to_string()))
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Validation::Unknown(failure(error).to_string()),
        };
        if let Some(error) = answer.function_error() {
            return Validation::Unknown(format!("function error {error}"));
        }
        let payload = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        verdict(payload)
    }
}

/// Anything but a clear `pass` or `fail` is unknown, and unknown never passes.
fn verdict(payload: &[u8]) -> Validation {
    let Ok(report) = serde_json::from_slice::<Value>(payload) else {
        return Validation::Unknown("the answer is no JSON".to_owned());
    };
    match report.get("status").and_then(Value::as_str) {
        Some("pass") => Validation::Passed,
        Some("fail") => Validation::Failed(failing(&report)),
        other => Validation::Unknown(format!("status {}", other.unwrap_or("none"))),
    }
}

fn failing(report: &Value) -> String {
    let checks = report.get("checks").and_then(Value::as_array);
    let names: Vec<&str> = checks
        .into_iter()
        .flatten()
        .filter(|check| check.get("status").and_then(Value::as_str) == Some("fail"))
        .filter_map(|check| check.get("name").and_then(Value::as_str))
        .collect();
    if names.is_empty() {
        "no check is named".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_pass_passes() {
        assert_eq!(verdict(br#"{"status":"pass"}"#), Validation::Passed);
        let failed = br#"{"status":"fail","checks":[{"name":"backup","status":"fail"},{"name":"keys","status":"pass"}]}"#;
        assert_eq!(verdict(failed), Validation::Failed("backup".to_owned()));
        for unclear in [
            "",
            "null",
            "{}",
            r#"{"status":"unknown"}"#,
            r#"{"status":true}"#,
        ] {
            assert!(
                matches!(verdict(unclear.as_bytes()), Validation::Unknown(_)),
                "{unclear}"
            );
        }
    }
}
