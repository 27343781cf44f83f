//! A Lambda alias as a router: the split between two published versions of one function.
//!
//! The alias's description bears the generation that wrote it, so that each write changes the alias, and with it the
//! `RevisionId` that a slower, older writer still names: that writer is refused with `PreconditionFailed`.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::get_alias::GetAliasOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{AliasRoutingConfiguration, State, StateReasonCode};
use cutover_domain::switch::{
    Capacity, CapacityReading, Environment, Order, RouterReading, Seen, Versions, Weights,
};
use cutover_ports::switch::{Router, RouterError};

use crate::failure::failure;

/// What the description starts with; the generation follows.
const MARK: &str = "cutover generation ";

/// How far a weight may be from a whole percent: rounding of the service's own scale of 0.0 to 1.0.
const TOLERANCE: f64 = 1e-6;

/// The alias is asked at each invocation of the function: a change is in effect at once, but for what is under way.
const EFFECT_SECONDS: u64 = 1;

/// What wakes a version: the action of payment-validation that touches nothing.
const HEALTH: &str = r#"{"action":"health"}"#;

/// Longest part of an answer that is shown.
const SHOWN_MAX: usize = 200;

/// An alias of a function.
#[derive(Debug, Clone)]
pub struct LambdaAlias {
    client: Client,
    function: String,
    alias: String,
    name: String,
}

impl LambdaAlias {
    /// The alias `alias` of the function `function` (a name or an ARN).
    #[must_use]
    pub fn new(sdk: &SdkConfig, function: String, alias: String) -> Self {
        let name = format!("lambda-alias:{function}:{alias}");
        Self {
            client: Client::new(sdk),
            function,
            alias,
            name,
        }
    }

    fn failed(
        &self,
        operation: &'static str,
        source: cutover_ports::switch::Source,
    ) -> RouterError {
        RouterError::Failed {
            router: self.name.clone(),
            operation,
            source,
        }
    }

    fn reading(&self, seen: Seen) -> RouterReading {
        RouterReading {
            router: self.name.clone(),
            seen,
            revision: None,
            marker: None,
            base: None,
            takes_versions: true,
            pending: None,
            needs_change: false,
        }
    }

    fn version<'a>(
        &self,
        versions: &'a Versions,
        environment: Environment,
    ) -> Result<&'a str, RouterError> {
        versions
            .of(environment)
            .ok_or_else(|| RouterError::VersionUnknown {
                router: self.name.clone(),
                environment: environment.as_str(),
            })
    }
}

#[async_trait]
impl Router for LambdaAlias {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_versions(&self) -> bool {
        true
    }

    fn effect_seconds(&self) -> u64 {
        EFFECT_SECONDS
    }

    async fn read(&self, versions: &Versions, _change: Option<&str>) -> RouterReading {
        let answer = self
            .client
            .get_alias()
            .function_name(&self.function)
            .name(&self.alias)
            .send()
            .await;
        match answer {
            Ok(alias) => RouterReading {
                seen: split(&alias, versions),
                revision: alias.revision_id().map(ToOwned::to_owned),
                marker: alias.description().and_then(marker),
                base: alias
                    .function_version()
                    .and_then(|version| versions.environment(version)),
                ..self.reading(Seen::Absent)
            },
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_lambda::operation::get_alias::GetAliasError::is_resource_not_found_exception) =>
            {
                self.reading(Seen::Absent)
            }
            Err(error) => self.reading(Seen::Unreadable(failure(error).to_string())),
        }
    }

    async fn write(
        &self,
        order: &Order,
        seen: &RouterReading,
    ) -> Result<Option<String>, RouterError> {
        let other = order.base.other();
        let mut additional = HashMap::new();
        if order.weights.of(other) > 0 {
            additional.insert(
                self.version(&order.versions, other)?.to_owned(),
                f64::from(order.weights.of(other)) / 100.0,
            );
        }
        // Named even when empty: a routing that is left out of UpdateAlias stays as it was.
        let routing = AliasRoutingConfiguration::builder()
            .set_additional_version_weights(Some(additional))
            .build();
        let version = self.version(&order.versions, order.base)?;
        let description = format!("{MARK}{}", order.generation);
        if matches!(seen.seen, Seen::Absent) {
            self.create(version, description, routing).await?;
            return Ok(None);
        }
        let Some(revision) = &seen.revision else {
            return Err(self.failed("UpdateAlias", "the alias has no RevisionId".into()));
        };
        let answer = self
            .client
            .update_alias()
            .function_name(&self.function)
            .name(&self.alias)
            .function_version(version)
            .description(description)
            .routing_config(routing)
            .revision_id(revision)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(None),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_lambda::operation::update_alias::UpdateAliasError::is_precondition_failed_exception) =>
            {
                Err(RouterError::Changed {
                    router: self.name.clone(),
                })
            }
            Err(error) => Err(self.failed("UpdateAlias", failure(error))),
        }
    }

    async fn remove(&self) -> Result<(), RouterError> {
        let answer = self
            .client
            .delete_alias()
            .function_name(&self.function)
            .name(&self.alias)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            // DeleteAlias models no ResourceNotFound error of its own; the code says it.
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(self.failed("DeleteAlias", failure(error))),
        }
    }

    async fn capacity(&self, environment: Environment, versions: &Versions) -> CapacityReading {
        let (state, detail) = match versions.of(environment) {
            Some(version) => self.state(version).await,
            None => (Capacity::Unknown, "its version is not known".to_owned()),
        };
        CapacityReading {
            router: self.name.clone(),
            environment,
            state,
            detail,
        }
    }

    async fn warm(&self, environment: Environment, versions: &Versions) -> Result<(), RouterError> {
        let answer = self
            .client
            .invoke()
            .function_name(&self.function)
            .qualifier(self.version(versions, environment)?)
            .payload(Blob::new(HEALTH))
            .send()
            .await;
        match answer {
            Ok(answer) if answer.function_error().is_none() => Ok(()),
            Ok(answer) => {
                let said = answer.payload().map(AsRef::as_ref).unwrap_or_default();
                let said: String = String::from_utf8_lossy(said)
                    .chars()
                    .take(SHOWN_MAX)
                    .collect();
                Err(self.failed("Invoke", format!("function error: {said}").into()))
            }
            // The invocation that wakes an idle version is refused itself, and so is any while it is Pending.
            Err(error)
                if error.as_service_error().is_some_and(|refused| {
                    refused.is_resource_not_ready_exception()
                        || refused.is_resource_conflict_exception()
                }) =>
            {
                Ok(())
            }
            Err(error) => Err(self.failed("Invoke", failure(error))),
        }
    }
}

impl LambdaAlias {
    /// Whether a version could be invoked now, in Lambda's own words.
    async fn state(&self, version: &str) -> (Capacity, String) {
        let answer = self
            .client
            .get_function_configuration()
            .function_name(&self.function)
            .qualifier(version)
            .send()
            .await;
        let configuration = match answer {
            Ok(configuration) => configuration,
            Err(error) if is_not_found(&error) => {
                let why = format!("there is no version {version}");
                return (Capacity::Short, why);
            }
            Err(error) => {
                let why = format!("GetFunctionConfiguration: {}", failure(error));
                return (Capacity::Unknown, why);
            }
        };
        let Some(state) = configuration.state() else {
            return (Capacity::Unknown, format!("version {version} has no state"));
        };
        let reason = configuration
            .state_reason_code()
            .map(StateReasonCode::as_str);
        let detail = match reason {
            Some(reason) => format!("version {version} is {} ({reason})", state.as_str()),
            None => format!("version {version} is {}", state.as_str()),
        };
        (capacity(state), detail)
    }

    async fn create(
        &self,
        version: &str,
        description: String,
        routing: AliasRoutingConfiguration,
    ) -> Result<(), RouterError> {
        let answer = self
            .client
            .create_alias()
            .function_name(&self.function)
            .name(&self.alias)
            .function_version(version)
            .description(description)
            .routing_config(routing)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(aws_sdk_lambda::operation::create_alias::CreateAliasError::is_resource_conflict_exception) =>
            {
                Err(RouterError::Changed {
                    router: self.name.clone(),
                })
            }
            Err(error) => Err(self.failed("CreateAlias", failure(error))),
        }
    }
}

/// What the state of a version says of it. See "Lambda function states" in the service's documentation.
fn capacity(state: &State) -> Capacity {
    match state {
        State::Active => Capacity::Ready,
        State::Inactive => Capacity::Idle,
        State::Pending
        | State::Failed
        | State::ActiveNonInvocable
        | State::Deactivated
        | State::Deactivating
        | State::Deleting => Capacity::Short,
        _ => Capacity::Unknown,
    }
}

fn is_not_found<E>(error: &aws_sdk_lambda::error::SdkError<E>) -> bool
where
    E: aws_sdk_lambda::error::ProvideErrorMetadata,
{
    error
        .as_service_error()
        .and_then(aws_sdk_lambda::error::ProvideErrorMetadata::code)
        == Some("ResourceNotFoundException")
}

fn marker(description: &str) -> Option<u64> {
    description.strip_prefix(MARK)?.parse().ok()
}

/// Both ways in which everything can go to one version count: as the alias's own version with no routing, or as the
/// additional version with a weight of 1.0.
fn split(alias: &GetAliasOutput, versions: &Versions) -> Seen {
    let Some(version) = alias.function_version() else {
        return Seen::Foreign("no version".to_owned());
    };
    let additional = alias
        .routing_config()
        .and_then(AliasRoutingConfiguration::additional_version_weights);
    let mut weighted = additional.into_iter().flatten().filter(|(_, w)| **w > 0.0);
    let (first, second) = (weighted.next(), weighted.next());
    let base = versions.environment(version);
    match (base, first, second) {
        (Some(base), None, _) => Seen::Split(Weights::all(base)),
        (base, Some((other, weight)), None) => {
            let other_is = versions.environment(other);
            match (base, other_is, percent(*weight)) {
                (_, Some(other), Some(100)) => Seen::Split(Weights::all(other)),
                (Some(base), Some(other), Some(percent)) if base != other => {
                    Seen::Split(Weights::share(other, percent))
                }
                _ => Seen::Foreign(format!("version {version}, and {other} with {weight}")),
            }
        }
        _ => Seen::Foreign(format!("version {version}")),
    }
}

/// The whole percent that a weight of 0.0 to 1.0 is.
fn percent(weight: f64) -> Option<u8> {
    (0..=100_u8).find(|percent| (f64::from(*percent) / 100.0 - weight).abs() < TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(version: &str, additional: &[(&str, f64)]) -> GetAliasOutput {
        let mut routing = AliasRoutingConfiguration::builder();
        for (version, weight) in additional {
            routing = routing.additional_version_weights(*version, *weight);
        }
        GetAliasOutput::builder()
            .function_version(version)
            .routing_config(routing.build())
            .build()
    }

    fn versions() -> Versions {
        Versions {
            blue: Some("1".to_owned()),
            green: Some("2".to_owned()),
        }
    }

    fn green(percent: u8) -> Seen {
        Seen::Split(Weights::share(Environment::Green, percent))
    }

    #[test]
    fn every_representation_of_a_split_is_read() {
        for percent in 0..=100 {
            let weight = f64::from(percent) / 100.0;
            assert_eq!(
                split(&alias("1", &[("2", weight)]), &versions()),
                green(percent)
            );
        }
        assert_eq!(split(&alias("2", &[]), &versions()), green(100));
        assert_eq!(split(&alias("1", &[]), &versions()), green(0));
        assert_eq!(split(&alias("2", &[("1", 0.25)]), &versions()), green(75));
        assert_eq!(split(&alias("1", &[("9", 0.0)]), &versions()), green(0));
    }

    #[test]
    fn what_is_neither_environment_is_foreign() {
        for foreign in [
            alias("3", &[]),
            alias("$LATEST", &[]),
            alias("1", &[("3", 0.1)]),
            alias("3", &[("2", 0.1)]),
            alias("1", &[("2", 0.123)]),
            alias("1", &[("1", 0.5)]),
        ] {
            assert!(
                matches!(split(&foreign, &versions()), Seen::Foreign(_)),
                "{foreign:?}"
            );
        }
    }

    #[test]
    fn the_generation_is_read_from_the_description() {
        assert_eq!(marker("cutover generation 7"), Some(7));
        assert_eq!(marker("live traffic"), None);
        assert_eq!(marker("cutover generation x"), None);
    }
}
