//! Targets by Elastic Load Balancing.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::Client;
use cutover_domain::validation::facts::Targets;
use cutover_ports::validation::{LookError, TargetGroups};

use super::look::look;

/// The target groups of the account and region.
#[derive(Debug, Clone)]
pub struct LoadBalancerTargets {
    client: Client,
}

impl LoadBalancerTargets {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

#[async_trait]
impl TargetGroups for LoadBalancerTargets {
    async fn targets(&self, arn: &str) -> Result<Targets, LookError> {
        let answer = self
            .client
            .describe_target_health()
            .target_group_arn(arn)
            .send()
            .await
            .map_err(look("elasticloadbalancing:DescribeTargetHealth"))?;
        let states = answer.target_health_descriptions().iter().map(|target| {
            let health = target.target_health();
            let state = health.and_then(|health| health.state()).map(|s| s.as_str());
            let reason = health
                .and_then(|health| health.reason())
                .map(|r| r.as_str());
            (
                state.unwrap_or("unknown").to_owned(),
                reason.unwrap_or("no reason given").to_owned(),
            )
        });
        Ok(Targets {
            arn: arn.to_owned(),
            states: states.collect(),
        })
    }
}
