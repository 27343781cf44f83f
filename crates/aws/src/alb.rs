//! An Application Load Balancer as a router: the weights of the two target groups in a rule of the stack's, in a listener's
//! default action, or in a rule that the switch makes and removes itself.
//!
//! The service has no conditional write. So a write reads the actions again, compares what they do with what the order was
//! decided upon, and is read back afterwards; the executor looks at the stored generation before. What still slips through
//! is drift, which the next trigger takes back. Targets are never deregistered: that drains, it does not steer.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_elasticloadbalancingv2::types::{Action, Rule};
use cutover_domain::switch::{
    Capacity, CapacityReading, Environment, Order, RouterReading, Seen, Versions,
};
use cutover_ports::switch::{Router, RouterError, Source};

use crate::alb_actions::{Groups, base, names_both, ordered, seen};
use crate::alb_health::capacity;
pub use crate::alb_rule::OwnRule;
use crate::alb_rule::{blank, is_tagged, tags};
use crate::failure::failure;

/// Seconds until a load balancer's nodes all follow a change. AWS names no figure; changes are seen within seconds.
const EFFECT_SECONDS: u64 = 5;

/// Pages of a listener's rules, of which it has 100 by default.
const PAGES_MAX: usize = 10;

/// Rules of a page.
const PAGE: i32 = 100;

/// What finds or makes nothing says so by these codes.
const NO_LISTENER: &str = "ListenerNotFound";
const NO_RULE: &str = "RuleNotFound";
const PRIORITY_TAKEN: &str = "PriorityInUse";

/// Whose actions split the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlbEntry {
    /// A rule, by ARN; not a listener's default rule.
    Rule(String),
    /// A listener's default action, by the listener's ARN.
    Listener(String),
    /// A rule that the switch makes on a listener.
    Own(OwnRule),
}

impl AlbEntry {
    fn name(&self) -> String {
        let (arn, of) = match self {
            Self::Rule(arn) | Self::Listener(arn) => (arn, String::new()),
            Self::Own(rule) => (&rule.listener, format!("/priority-{}", rule.priority)),
        };
        // arn:aws:elasticloadbalancing:region:account:listener-rule/app/pay/50dc/f2f7/9683
        let place = arn.splitn(6, ':').last().unwrap_or_default();
        format!("alb:{place}{of}")
    }
}

/// A rule, or a listener's default action.
#[derive(Debug, Clone)]
pub struct Alb {
    client: Client,
    entry: AlbEntry,
    groups: Groups,
    environment: String,
    name: String,
}

/// A rule or listener, as it was found.
struct Place {
    arn: String,
    actions: Vec<Action>,
    /// What the switch's own rule asks of a request, where that is not what it should.
    other_conditions: Option<String>,
}

/// Why it is not known what is in the entry's place.
enum Trouble {
    /// There is a rule that is not the switch's, and why it is not.
    NotOwn(String),
    /// A call failed.
    Failed(&'static str, Source),
}

impl Trouble {
    fn parts(self) -> (&'static str, Source) {
        match self {
            Self::NotOwn(why) => ("DescribeRules", why.into()),
            Self::Failed(operation, source) => (operation, source),
        }
    }
}

impl Alb {
    /// A router on `entry`; each environment is a target group, by ARN. `environment` is the switch's, which a rule that
    /// it makes is tagged with.
    #[must_use]
    pub fn new(
        sdk: &SdkConfig,
        entry: AlbEntry,
        blue: String,
        green: String,
        environment: &str,
    ) -> Self {
        let name = entry.name();
        Self {
            client: Client::new(sdk),
            entry,
            groups: Groups { blue, green },
            environment: environment.to_owned(),
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

    fn changed(&self) -> RouterError {
        RouterError::Changed {
            router: self.name.clone(),
        }
    }

    /// What is in the entry's place; none if there is no such rule or listener.
    async fn find(&self) -> Result<Option<Place>, Trouble> {
        let place = |arn: &str, actions: Option<Vec<Action>>| Place {
            arn: arn.to_owned(),
            actions: actions.unwrap_or_default(),
            other_conditions: None,
        };
        match &self.entry {
            AlbEntry::Rule(arn) => {
                let answer = self.client.describe_rules().rule_arns(arn).send().await;
                let rules = found("DescribeRules", answer, NO_RULE)?;
                Ok(rules
                    .and_then(|found| found.rules?.into_iter().next())
                    .map(|rule| place(arn, rule.actions)))
            }
            AlbEntry::Listener(arn) => {
                let call = self.client.describe_listeners().listener_arns(arn);
                let listeners = found("DescribeListeners", call.send().await, NO_LISTENER)?;
                Ok(listeners
                    .and_then(|found| found.listeners?.into_iter().next())
                    .map(|listener| place(arn, listener.default_actions)))
            }
            AlbEntry::Own(rule) => self.find_own(rule).await,
        }
    }

    async fn find_own(&self, own: &OwnRule) -> Result<Option<Place>, Trouble> {
        let mut marker = None;
        for _page in 0..PAGES_MAX {
            let call = self.client.describe_rules().listener_arn(&own.listener);
            let answer = call.page_size(PAGE).set_marker(marker).send().await;
            let Some(page) = found("DescribeRules", answer, NO_LISTENER)? else {
                return Ok(None);
            };
            let mut rules = page.rules.unwrap_or_default().into_iter();
            if let Some(rule) = rules.find(|rule| own.is_at(rule)) {
                return self.known(own, rule).await.map(Some);
            }
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(None);
            }
        }
        let why = format!("more than {PAGES_MAX} pages of rules of one listener");
        Err(Trouble::Failed("DescribeRules", why.into()))
    }

    /// The rule of the right priority, if it is the switch's: by its conditions and target groups, else by its tags.
    async fn known(&self, own: &OwnRule, rule: Rule) -> Result<Place, Trouble> {
        let other_conditions = own.other_conditions(&rule);
        let arn = rule.rule_arn.unwrap_or_default();
        let actions = rule.actions.unwrap_or_default();
        let forwards = names_both(&actions, &self.groups);
        if (other_conditions.is_some() || !forwards) && !self.is_tagged(&arn).await? {
            let why = match &other_conditions {
                Some(other) => format!("it is for {other}"),
                None => "it does not forward to both target groups".to_owned(),
            };
            return Err(Trouble::NotOwn(format!(
                "the rule of priority {} is not this switch's: {why}; name another priority, or remove that rule",
                own.priority
            )));
        }
        Ok(Place {
            arn,
            actions,
            other_conditions,
        })
    }

    async fn is_tagged(&self, arn: &str) -> Result<bool, Trouble> {
        let answer = self.client.describe_tags().resource_arns(arn).send().await;
        let described = found("DescribeTags", answer, NO_RULE)?;
        let described = described.and_then(|found| found.tag_descriptions);
        Ok(described
            .unwrap_or_default()
            .iter()
            .any(|one| is_tagged(one.tags(), &self.environment)))
    }

    fn seen(&self, place: &Place) -> Seen {
        match &place.other_conditions {
            Some(other) => Seen::Foreign(format!("the rule is for {other}")),
            None => seen(&place.actions, &self.groups),
        }
    }

    async fn modify(&self, place: &Place, actions: Vec<Action>) -> Result<(), RouterError> {
        if let AlbEntry::Listener(arn) = &self.entry {
            let call = self.client.modify_listener().listener_arn(arn);
            let answer = call.set_default_actions(Some(actions)).send().await;
            answer.map_err(|e| self.failed("ModifyListener", failure(e)))?;
            return Ok(());
        }
        // Conditions that are left out stay.
        let conditions = match (&self.entry, &place.other_conditions) {
            (AlbEntry::Own(rule), Some(_)) => Some(rule.conditions()),
            _ => None,
        };
        let call = self.client.modify_rule().rule_arn(&place.arn);
        let call = call.set_conditions(conditions).set_actions(Some(actions));
        let answer = call.send().await;
        answer.map_err(|e| self.failed("ModifyRule", failure(e)))?;
        Ok(())
    }

    /// Makes the switch's own rule. Where another invocation was faster, or the answer to an earlier attempt was lost, the
    /// priority is taken, and the next look finds the rule.
    async fn create(&self, own: &OwnRule, order: &Order) -> Result<(), RouterError> {
        let answer = self
            .client
            .create_rule()
            .listener_arn(&own.listener)
            .priority(i32::from(own.priority))
            .set_conditions(Some(own.conditions()))
            .set_actions(Some(ordered(&[blank()], &self.groups, order)))
            .set_tags(Some(tags(&self.environment)))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is(&error, PRIORITY_TAKEN) => Err(self.changed()),
            Err(error) => Err(self.failed("CreateRule", failure(error))),
        }
    }
}

fn is<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, code: &str) -> bool {
    error.as_service_error().and_then(E::code) == Some(code)
}

/// An answer, or none where the service says that there is no such thing.
fn found<T, E, R>(
    operation: &'static str,
    answer: Result<T, SdkError<E, R>>,
    missing: &str,
) -> Result<Option<T>, Trouble>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if is(&error, missing) => Ok(None),
        Err(error) => Err(Trouble::Failed(operation, failure(error))),
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
        let seen = match self.find().await {
            Ok(Some(place)) => self.seen(&place),
            Ok(None) => Seen::Absent,
            Err(trouble) => {
                let (operation, source) = trouble.parts();
                Seen::Unreadable(format!("{operation}: {source}"))
            }
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
        let place = self.find().await.map_err(|trouble| {
            let (operation, source) = trouble.parts();
            self.failed(operation, source)
        })?;
        let Some(place) = place else {
            return match &self.entry {
                AlbEntry::Own(rule) if expected.seen == Seen::Absent => {
                    self.create(rule, order).await.map(|()| None)
                }
                AlbEntry::Own(_) => Err(self.changed()),
                AlbEntry::Rule(_) | AlbEntry::Listener(_) => {
                    let why = "it does not exist: the stack declares it, the switch only sets its forward";
                    Err(self.failed("Describe", why.into()))
                }
            };
        };
        if self.seen(&place) != expected.seen {
            return Err(self.changed());
        }
        let actions = ordered(&place.actions, &self.groups, order);
        self.modify(&place, actions).await?;
        Ok(None)
    }

    /// Removes the switch's own rule. One of the stack's is left as it is: the stack removes it, and until then it must go on
    /// forwarding.
    async fn remove(&self) -> Result<(), RouterError> {
        if !matches!(self.entry, AlbEntry::Own(_)) {
            return Ok(());
        }
        let place = match self.find().await {
            Ok(Some(place)) => place,
            Ok(None) | Err(Trouble::NotOwn(_)) => return Ok(()),
            Err(Trouble::Failed(operation, source)) => return Err(self.failed(operation, source)),
        };
        let call = self.client.delete_rule().rule_arn(place.arn);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, NO_RULE) => Ok(()),
            Err(error) => Err(self.failed("DeleteRule", failure(error))),
        }
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
