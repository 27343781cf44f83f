//! Secrets Manager: the current version of a secret.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use cutover_ports::payment::{Applied, CallError, SecretText, Secrets};

use crate::call;

/// The secrets of an account.
#[derive(Clone)]
pub struct SecretsManager {
    client: Client,
}

impl SecretsManager {
    /// The secrets that the process may read.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

impl Secrets for SecretsManager {
    async fn get(&self, id: &str) -> Result<SecretText, CallError> {
        let reading = self.client.get_secret_value().secret_id(id).send();
        let answer = Box::pin(reading)
            .await
            .map_err(|error| call::error("get secret", &error))?;
        answer
            .secret_string
            .map(SecretText::new)
            .ok_or_else(|| CallError {
                operation: "get secret",
                applied: Applied::No,
                source: "the secret is binary; it must be text".into(),
            })
    }
}
