//! Those who are told of a transition: an SNS topic, an SSM parameter.

use async_trait::async_trait;
use aws_config::SdkConfig;
use cutover_domain::switch::Entry;
use cutover_ports::switch::{Notifier, NotifyError, Source};

use crate::failure::failure;

/// Characters that SNS takes in a subject (100), less the ones that it might count otherwise.
const SUBJECT_MAX: usize = 99;

/// Bytes that a standard parameter holds.
const VALUE_BYTES_MAX: usize = 4096;

/// A topic that gets each journal entry as JSON.
#[derive(Debug, Clone)]
pub struct SnsTopic {
    client: aws_sdk_sns::Client,
    arn: String,
    environment: String,
}

impl SnsTopic {
    /// The topic `arn`; messages name `environment`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, arn: String, environment: String) -> Self {
        Self {
            client: aws_sdk_sns::Client::new(sdk),
            arn,
            environment,
        }
    }
}

#[async_trait]
impl Notifier for SnsTopic {
    async fn notify(&self, entries: &[Entry], status: &str) -> Result<(), NotifyError> {
        for entry in entries {
            self.publish(entry, status).await?;
        }
        Ok(())
    }
}

impl SnsTopic {
    async fn publish(&self, entry: &Entry, status: &str) -> Result<(), NotifyError> {
        let subject: String = format!("{}: {}", self.environment, entry.to)
            .chars()
            .take(SUBJECT_MAX)
            .collect();
        let message = serde_json::to_string(&serde_json::json!({
            "environment": self.environment,
            "entry": entry,
            "status": serde_json::from_str::<serde_json::Value>(status).ok(),
        }))
        .map_err(|e| refused("Publish", e.into()))?;
        self.client
            .publish()
            .topic_arn(&self.arn)
            .subject(subject)
            .message(message)
            .send()
            .await
            .map_err(|e| refused("Publish", failure(e)))?;
        Ok(())
    }
}

/// A parameter that holds the newest status: stack outputs are frozen at the last stack operation.
#[derive(Debug, Clone)]
pub struct SsmStatusParameter {
    client: aws_sdk_ssm::Client,
    name: String,
}

impl SsmStatusParameter {
    /// The parameter `name`, a plain string: the status holds no secret.
    #[must_use]
    pub fn new(sdk: &SdkConfig, name: String) -> Self {
        Self {
            client: aws_sdk_ssm::Client::new(sdk),
            name,
        }
    }
}

#[async_trait]
impl Notifier for SsmStatusParameter {
    async fn notify(&self, _entries: &[Entry], status: &str) -> Result<(), NotifyError> {
        self.client
            .put_parameter()
            .name(&self.name)
            .value(short(status))
            .r#type(aws_sdk_ssm::types::ParameterType::String)
            .overwrite(true)
            .send()
            .await
            .map_err(|e| refused("PutParameter", failure(e)))?;
        Ok(())
    }
}

/// A status that fits: without its evidence, which the journal has in full, where that is too long.
fn short(status: &str) -> String {
    if status.len() <= VALUE_BYTES_MAX {
        return status.to_owned();
    }
    let mut short: serde_json::Value = serde_json::from_str(status).unwrap_or_default();
    if let Some(decision) = short.get_mut("decision").and_then(|d| d.as_object_mut()) {
        decision.remove("evidence");
    }
    short.to_string()
}

fn refused(operation: &'static str, source: Source) -> NotifyError {
    NotifyError { operation, source }
}
