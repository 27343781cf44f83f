//! Secrets and parameters, read by an operator's tools.

use aws_config::SdkConfig;

use crate::call_error::CallError;

/// Reads secrets and parameters.
#[derive(Debug, Clone)]
pub struct Settings {
    secrets: aws_sdk_secretsmanager::Client,
    parameters: aws_sdk_ssm::Client,
}

impl Settings {
    /// Settings of the account and region that `config` names.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            secrets: aws_sdk_secretsmanager::Client::new(config),
            parameters: aws_sdk_ssm::Client::new(config),
        }
    }

    /// The current value of a secret.
    ///
    /// # Errors
    /// The call failed, or the secret holds no text.
    pub async fn secret(&self, id: &str) -> Result<String, CallError> {
        const OPERATION: &str = "secretsmanager:GetSecretValue";
        let answer = self.secrets.get_secret_value().secret_id(id).send().await;
        answer
            .map_err(CallError::of(OPERATION))?
            .secret_string
            .ok_or_else(|| CallError::new(OPERATION, format!("{id} holds no text")))
    }

    /// Begins a rotation of a secret that has a rotation function. It goes on by itself.
    ///
    /// # Errors
    /// The call failed: the secret has no function, or an earlier rotation is not complete.
    pub async fn rotate(&self, id: &str) -> Result<(), CallError> {
        let answer = self.secrets.rotate_secret().secret_id(id).send().await;
        answer
            .map(|_| ())
            .map_err(CallError::of("secretsmanager:RotateSecret"))
    }

    /// The value of a parameter.
    ///
    /// # Errors
    /// The call failed, or the parameter has no value.
    pub async fn parameter(&self, name: &str) -> Result<String, CallError> {
        const OPERATION: &str = "ssm:GetParameter";
        let answer = self.parameters.get_parameter().name(name).send().await;
        answer
            .map_err(CallError::of(OPERATION))?
            .parameter
            .and_then(|parameter| parameter.value)
            .ok_or_else(|| CallError::new(OPERATION, format!("{name} has no value")))
    }
}
