//! CloudFormation stacks, for the operator's tools.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, Parameter, Stack, StackEvent, StackStatus};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;

use crate::call_error::CallError;

/// Pause between two looks at a running operation.
const POLL: Duration = Duration::from_millis(500);
/// Failed resources that an error tells of.
const FAILURES_SHOWN_MAX: usize = 8;

/// Deploys and deletes stacks.
#[derive(Debug, Clone)]
pub struct Stacks {
    client: Client,
}

impl Stacks {
    /// Stacks of the account and region that `config` names.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// Creates the stack, or updates it, from the template at `template_url`, waits for the end and answers its outputs.
    /// An update that changes nothing is a success.
    ///
    /// # Errors
    /// The call that failed, or every resource that did, with its reason.
    pub async fn deploy(
        &self,
        name: &str,
        template_url: &str,
        parameters: &BTreeMap<String, String>,
        patience: Duration,
    ) -> Result<BTreeMap<String, String>, CallError> {
        let parameters: Vec<Parameter> = parameters
            .iter()
            .map(|(key, value)| {
                Parameter::builder()
                    .parameter_key(key)
                    .parameter_value(value)
                    .build()
            })
            .collect();
        let unchanged = if self.find(name).await?.is_none() {
            self.client
                .create_stack()
                .stack_name(name)
                .template_url(template_url)
                .set_parameters(Some(parameters))
                .capabilities(Capability::CapabilityNamedIam)
                .send()
                .await
                .map_err(CallError::of("cloudformation:CreateStack"))?;
            false
        } else {
            let updated = self
                .client
                .update_stack()
                .stack_name(name)
                .template_url(template_url)
                .set_parameters(Some(parameters))
                .capabilities(Capability::CapabilityNamedIam)
                .send()
                .await;
            match updated {
                Ok(_) => false,
                Err(error) if error.message().is_some_and(|m| m.contains("No updates")) => true,
                Err(error) => return Err(CallError::of("cloudformation:UpdateStack")(error)),
            }
        };
        let stack = self.wait(name, patience).await?;
        let done = matches!(
            stack.stack_status(),
            Some(StackStatus::CreateComplete | StackStatus::UpdateComplete)
        );
        if done || unchanged {
            return Ok(outputs(&stack));
        }
        Err(CallError::new(
            "cloudformation",
            self.describe_failure(name, &stack).await,
        ))
    }

    /// Deletes the stack and waits until it is gone.
    ///
    /// # Errors
    /// The call that failed, or every resource that could not be deleted.
    pub async fn delete(&self, name: &str, patience: Duration) -> Result<(), CallError> {
        self.client
            .delete_stack()
            .stack_name(name)
            .send()
            .await
            .map_err(CallError::of("cloudformation:DeleteStack"))?;
        let started = Instant::now();
        loop {
            let Some(stack) = self.find(name).await? else {
                return Ok(());
            };
            match stack.stack_status() {
                Some(StackStatus::DeleteComplete) => return Ok(()),
                Some(StackStatus::DeleteFailed) => {
                    let why = self.describe_failure(name, &stack).await;
                    return Err(CallError::new("cloudformation", why));
                }
                _ if started.elapsed() > patience => {
                    return Err(CallError::new(
                        "cloudformation",
                        format!("{name} is still being deleted"),
                    ));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    async fn find(&self, name: &str) -> Result<Option<Stack>, CallError> {
        match self.client.describe_stacks().stack_name(name).send().await {
            Ok(found) => Ok(found.stacks.unwrap_or_default().into_iter().next()),
            Err(error)
                if error
                    .message()
                    .is_some_and(|m| m.contains("does not exist")) =>
            {
                Ok(None)
            }
            Err(error) => Err(CallError::of("cloudformation:DescribeStacks")(error)),
        }
    }

    async fn wait(&self, name: &str, patience: Duration) -> Result<Stack, CallError> {
        let started = Instant::now();
        loop {
            let Some(stack) = self.find(name).await? else {
                return Err(CallError::new("cloudformation", format!("{name} has gone")));
            };
            let running = stack
                .stack_status()
                .is_some_and(|status| status.as_str().ends_with("_IN_PROGRESS"));
            if !running {
                return Ok(stack);
            }
            if started.elapsed() > patience {
                return Err(CallError::new(
                    "cloudformation",
                    format!("{name} is still in progress"),
                ));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn describe_failure(&self, name: &str, stack: &Stack) -> String {
        let status = stack.stack_status().map_or("unknown", StackStatus::as_str);
        let events = self
            .client
            .describe_stack_events()
            .stack_name(name)
            .send()
            .await;
        let failures: Vec<String> = events
            .ok()
            .and_then(|answer| answer.stack_events)
            .unwrap_or_default()
            .iter()
            .filter(|event| {
                event
                    .resource_status()
                    .is_some_and(|s| s.as_str().ends_with("_FAILED"))
            })
            .take(FAILURES_SHOWN_MAX)
            .map(describe_event)
            .collect();
        format!("{name} is {status}: {}", failures.join("; "))
    }
}

fn describe_event(event: &StackEvent) -> String {
    format!(
        "{} ({}): {}",
        event.logical_resource_id().unwrap_or("?"),
        event.resource_type().unwrap_or("?"),
        event.resource_status_reason().unwrap_or("no reason given"),
    )
}

fn outputs(stack: &Stack) -> BTreeMap<String, String> {
    stack
        .outputs()
        .iter()
        .filter_map(|output| {
            Some((
                output.output_key()?.to_owned(),
                output.output_value()?.to_owned(),
            ))
        })
        .collect()
}
