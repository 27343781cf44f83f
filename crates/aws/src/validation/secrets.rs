//! Secrets by Secrets Manager.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use cutover_domain::validation::facts::SecretFacts;
use cutover_ports::payment::SecretText;
use cutover_ports::validation::{LookError, SecretVault};

use super::look::{look, odd};

const DESCRIBE: &str = "secretsmanager:DescribeSecret";
const READ: &str = "secretsmanager:GetSecretValue";

/// The secrets that the process may see.
#[derive(Debug, Clone)]
pub struct VaultOfSecrets {
    client: Client,
}

impl VaultOfSecrets {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

#[async_trait]
impl SecretVault for VaultOfSecrets {
    async fn describe(&self, id: &str) -> Result<SecretFacts, LookError> {
        let secret = self
            .client
            .describe_secret()
            .secret_id(id)
            .send()
            .await
            .map_err(look(DESCRIBE))?;
        Ok(SecretFacts {
            id: id.to_owned(),
            rotation: secret.rotation_enabled,
            deleted: secret.deleted_date.is_some(),
            is_object: false,
        })
    }

    async fn read(&self, id: &str) -> Result<SecretText, LookError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(id)
            .send()
            .await
            .map_err(look(READ))?;
        answer
            .secret_string
            .map(SecretText::new)
            .ok_or_else(|| odd(READ, "the secret is binary; it must be text"))
    }
}
