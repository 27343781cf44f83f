//! Functions by Lambda: what one is, and this one once more.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use cutover_domain::validation::facts::FunctionFacts;
use cutover_ports::validation::{Again, Functions, LookError};

use super::look::look;

/// The functions of the account and region.
#[derive(Debug, Clone)]
pub struct LambdaFunctions {
    client: Client,
}

impl LambdaFunctions {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

#[async_trait]
impl Functions for LambdaFunctions {
    async fn function(&self, name: &str) -> Result<FunctionFacts, LookError> {
        let function = self
            .client
            .get_function_configuration()
            .function_name(name)
            .send()
            .await
            .map_err(look("lambda:GetFunctionConfiguration"))?;
        let update = function.last_update_status().map(|s| s.as_str().to_owned());
        let reason = function.state_reason.or(function.last_update_status_reason);
        Ok(FunctionFacts {
            name: name.to_owned(),
            state: function.state.map(|state| state.as_str().to_owned()),
            last_update: update,
            reason: reason.filter(|reason| !reason.is_empty()),
        })
    }
}

/// This function, by name and version.
#[derive(Debug, Clone)]
pub struct OwnFunction {
    client: Client,
    name: String,
    version: String,
}

impl OwnFunction {
    /// The function `name` in `version` (`$LATEST` or a number).
    #[must_use]
    pub fn new(sdk: &SdkConfig, name: String, version: String) -> Self {
        Self {
            client: Client::new(sdk),
            name,
            version,
        }
    }
}

#[async_trait]
impl Again for OwnFunction {
    async fn invoke(&self, event: String) -> Result<(), LookError> {
        let qualifier = Some(self.version.clone()).filter(|version| version != "$LATEST");
        self.client
            .invoke()
            .function_name(&self.name)
            .set_qualifier(qualifier)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(event))
            .send()
            .await
            .map(drop)
            .map_err(look("lambda:InvokeFunction"))
    }
}
