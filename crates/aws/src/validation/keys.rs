//! Keys by KMS.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::KeyManagerType;
use cutover_domain::validation::facts::Key;
use cutover_ports::validation::{Keys, LookError};

use super::look::{look, missing};

const DESCRIBE: &str = "kms:DescribeKey";

/// The keys that the process may see.
#[derive(Debug, Clone)]
pub struct KmsKeys {
    client: Client,
}

impl KmsKeys {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

#[async_trait]
impl Keys for KmsKeys {
    async fn key(&self, id: &str) -> Result<Key, LookError> {
        let answer = self
            .client
            .describe_key()
            .key_id(id)
            .send()
            .await
            .map_err(look(DESCRIBE))?;
        let key = answer.key_metadata.ok_or_else(|| missing(DESCRIBE))?;
        Ok(Key {
            id: id.to_owned(),
            state: key.key_state().map(|state| state.as_str().to_owned()),
            customer_managed: key.key_manager().map(|by| *by == KeyManagerType::Customer),
        })
    }
}
