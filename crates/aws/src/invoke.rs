//! Invoking a function, as an operator does.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;

use crate::call_error::CallError;

/// Invokes functions by name and waits for their answer.
#[derive(Debug, Clone)]
pub struct Invoker {
    client: Client,
}

impl Invoker {
    /// Functions of the account and region that `config` names.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// The function's answer to `payload`.
    ///
    /// # Errors
    /// The call failed, the function ended with an error, or its answer is no JSON.
    pub async fn invoke(&self, function: &str, payload: &Value) -> Result<Value, CallError> {
        let answer = self
            .client
            .invoke()
            .function_name(function)
            .payload(Blob::new(payload.to_string()))
            .send()
            .await
            .map_err(CallError::of("lambda:Invoke"))?;
        let body = answer
            .payload
            .unwrap_or_else(|| Blob::new("null"))
            .into_inner();
        if let Some(kind) = answer.function_error {
            let said = String::from_utf8_lossy(&body);
            return Err(CallError::new(
                "lambda:Invoke",
                format!("{function} failed ({kind}): {said}"),
            ));
        }
        serde_json::from_slice(&body).map_err(|error| {
            CallError::new(
                "lambda:Invoke",
                format!("{function} answered no JSON: {error}"),
            )
        })
    }

    /// The weights that an alias has in truth: percent by version.
    ///
    /// # Errors
    /// The call failed.
    pub async fn alias_weights(
        &self,
        function: &str,
        alias: &str,
    ) -> Result<Vec<(String, f64)>, CallError> {
        let answer = self
            .client
            .get_alias()
            .function_name(function)
            .name(alias)
            .send()
            .await
            .map_err(CallError::of("lambda:GetAlias"))?;
        let additional = answer
            .routing_config
            .and_then(|routing| routing.additional_version_weights)
            .unwrap_or_default();
        let shifted: f64 = additional.values().sum();
        let mut weights: Vec<(String, f64)> = additional
            .into_iter()
            .map(|(version, weight)| (version, weight * 100.0))
            .collect();
        weights.push((
            answer.function_version.unwrap_or_default(),
            (1.0 - shifted) * 100.0,
        ));
        Ok(weights)
    }
}
