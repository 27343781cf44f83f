//! An Application Load Balancer as a router: the weights of the two target groups in a rule, or in a listener's default
//! action.
//!
//! The service has no conditional write. So a write reads the actions again, compares what they do with what the order was
//! decided upon, and is read back afterwards; the executor looks at the stored generation before. What still slips through
//! is drift, which the next trigger takes back. Targets are never deregistered: that drains, it does not steer.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, TargetHealth, TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};
use cutover_domain::switch::{
    Capacity, CapacityReading, Environment, Order, RouterReading, Seen, Versions,
};
use cutover_ports::switch::{Router, RouterError, Source};

use crate::alb_actions::{Groups, base, ordered, seen};
use crate::failure::failure;

/// Seconds until a load balancer's nodes all follow a change. AWS names no figure; changes are seen within seconds.
const EFFECT_SECONDS: u64 = 5;

/// Whose actions split the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlbEntry {
    /// A rule, by ARN; not a listener's default rule.
    Rule(String),
    /// A listener's default action, by the listener's ARN.
    Listener(String),
}

impl AlbEntry {
    fn arn(&self) -> &str {
        match self {
            Self::Rule(arn) | Self::Listener(arn) => arn,
        }
    }
}

/// A rule, or a listener's default action.
#[derive(Debug, Clone)]
pub struct Alb {
    client: Client,
    entry: AlbEntry,
    groups: Groups,
    name: String,
}

impl Alb {
    /// A router on `entry`; each environment is a target group, by ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, entry: AlbEntry, blue: String, green: String) -> Self {
        // arn:aws:elasticloadbalancing:region:account:listener-rule/app/pay/50dc/f2f7/9683
        let place = entry.arn().splitn(6, ':').last().unwrap_or_default();
        let name = format!("alb:{place}");
        Self {
            client: Client::new(sdk),
            entry,
            groups: Groups { blue, green },
            name,
        }
    }

    fn failed(&self, operation: &'static str, source: Source) -> RouterError {
        RouterError::Failed {
            router: self.name.clone(),
            operation,
            source,
        }
    }

    /// The actions; none if there is no such rule or listener.
    async fn actions(&self) -> Result<Option<Vec<Action>>, (&'static str, Source)> {
        match &self.entry {
            AlbEntry::Rule(arn) => {
                let answer = self.client.describe_rules().rule_arns(arn).send().await;
                let rules = found("DescribeRules", answer, "RuleNotFound")?;
                Ok(rules
                    .and_then(|found| found.rules?.into_iter().next())
                    .map(|rule| rule.actions.unwrap_or_default()))
            }
            AlbEntry::Listener(arn) => {
                let call = self.client.describe_listeners().listener_arns(arn);
                let listeners = found("DescribeListeners", call.send().await, "ListenerNotFound")?;
                Ok(listeners
                    .and_then(|found| found.listeners?.into_iter().next())
                    .map(|listener| listener.default_actions.unwrap_or_default()))
            }
        }
    }

    async fn modify(&self, actions: Vec<Action>) -> Result<(), RouterError> {
        match &self.entry {
            AlbEntry::Rule(arn) => {
                let call = self.client.modify_rule().rule_arn(arn);
                let answer = call.set_actions(Some(actions)).send().await;
                answer.map_err(|e| self.failed("ModifyRule", failure(e)))?;
            }
            AlbEntry::Listener(arn) => {
                let call = self.client.modify_listener().listener_arn(arn);
                let answer = call.set_default_actions(Some(actions)).send().await;
                answer.map_err(|e| self.failed("ModifyListener", failure(e)))?;
            }
        }
        Ok(())
    }
}

/// An answer, or none where the service says that there is no such thing.
fn found<T, E, R>(
    operation: &'static str,
    answer: Result<T, SdkError<E, R>>,
    missing: &str,
) -> Result<Option<T>, (&'static str, Source)>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.as_service_error().and_then(E::code) {
            Some(code) if code == missing => Ok(None),
            _ => Err((operation, failure(error))),
        },
    }
}

#[async_trait]
impl Router for Alb {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_versions(&self) -> bool {
        false
    }

    fn effect_seconds(&self) -> u64 {
        EFFECT_SECONDS
    }

    async fn read(&self, _versions: &Versions, _change: Option<&str>) -> RouterReading {
        let seen = match self.actions().await {
            Ok(Some(actions)) => seen(&actions, &self.groups),
            Ok(None) => Seen::Absent,
            Err((operation, source)) => Seen::Unreadable(format!("{operation}: {source}")),
        };
        RouterReading {
            router: self.name.clone(),
            base: base(&seen),
            seen,
            revision: None,
            marker: None,
            takes_versions: false,
            pending: None,
            needs_change: false,
        }
    }

    async fn write(
        &self,
        order: &Order,
        expected: &RouterReading,
    ) -> Result<Option<String>, RouterError> {
        let actions = self.actions().await;
        let actions = actions.map_err(|(operation, source)| self.failed(operation, source))?;
        let Some(actions) = actions else {
            let why = "it does not exist: the stack declares it, the switch only sets its forward";
            return Err(self.failed("Describe", why.into()));
        };
        if seen(&actions, &self.groups) != expected.seen {
            return Err(RouterError::Changed {
                router: self.name.clone(),
            });
        }
        self.modify(ordered(&actions, &self.groups, order)).await?;
        Ok(None)
    }

    /// Leaves the rule as it is: the stack declares it and removes it, and until then it must go on forwarding.
    async fn remove(&self) -> Result<(), RouterError> {
        Ok(())
    }

    async fn capacity(&self, environment: Environment, _versions: &Versions) -> CapacityReading {
        let group = self.groups.of(environment);
        let call = self.client.describe_target_health().target_group_arn(group);
        let (state, detail) = match call.send().await {
            Ok(health) => capacity(health.target_health_descriptions()),
            Err(error) => (
                Capacity::Unknown,
                format!("DescribeTargetHealth: {}", failure(error)),
            ),
        };
        CapacityReading {
            router: self.name.clone(),
            environment,
            state,
            detail,
        }
    }
}

/// What the health of a group's targets says. One healthy target is enough for `Ready`: how many the load needs is for the
/// target group's own alarms to say.
fn capacity(targets: &[TargetHealthDescription]) -> (Capacity, String) {
    let health: Vec<&TargetHealth> = targets.iter().filter_map(|t| t.target_health()).collect();
    let healthy = health
        .iter()
        .filter(|health| health.state() == Some(&TargetHealthStateEnum::Healthy))
        .count();
    let all = targets.len();
    if healthy > 0 {
        return (
            Capacity::Ready,
            format!("{healthy} of {all} targets healthy"),
        );
    }
    let every = |reason: &TargetHealthReasonEnum| {
        !health.is_empty() && health.iter().all(|health| health.reason() == Some(reason))
    };
    if every(&TargetHealthReasonEnum::HealthCheckDisabled) {
        // The way of a group whose target is a function.
        let why = "the target group has no health check";
        return (Capacity::NotApplicable, why.to_owned());
    }
    if every(&TargetHealthReasonEnum::NotInUse) {
        // A group at weight 0 is in use; one that no action names is not, and nobody checks its targets.
        let why =
            "no action of a load balancer names the target group, so its targets are not checked";
        return (Capacity::Unknown, why.to_owned());
    }
    let mut reasons: Vec<&str> = health
        .iter()
        .map(|health| match (health.reason(), health.state()) {
            (Some(reason), _) => reason.as_str(),
            (None, Some(state)) => state.as_str(),
            (None, None) => "unknown",
        })
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    let reasons = reasons.join(", ");
    (
        Capacity::Short,
        format!("0 of {all} targets healthy: {reasons}"),
    )
}
