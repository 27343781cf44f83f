//! The canary of a REST API's stage as a router.
//!
//! The stage variable `color` (`blue` or `green`) says which environment the stage itself is, and the canary's override of
//! it which one the canary is; the API's integrations take the function's alias or name from it. While a migration runs the
//! candidate is the canary. On completion the stage's own variables, and its deployment, become the canary's, and the
//! canary is gone. A rollback removes the canary. One UpdateStage does all of an order, so there is no state in between.
//!
//! The service has no conditional write: see [`crate::alb`] for what takes its place.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_apigateway::Client;
use aws_sdk_apigateway::error::ProvideErrorMetadata as _;
use aws_sdk_apigateway::types::{CanarySettings, Op, PatchOperation};
use cutover_domain::switch::{Environment, Order, RouterReading, Seen, Versions, Weights};
use cutover_ports::switch::{Router, RouterError, Source};

use crate::failure::failure;

/// The stage variable that says which environment it is.
const COLOR: &str = "color";

/// Seconds until all of the API's front ends follow a change of the stage. AWS names no figure; it is seen within seconds.
const EFFECT_SECONDS: u64 = 5;

/// How far a percentage may be from a whole one: rounding of a decimal.
const TOLERANCE: f64 = 1e-6;

/// A stage.
#[derive(Debug, Clone)]
pub struct ApiGatewayCanary {
    client: Client,
    api: String,
    stage: String,
    name: String,
}

/// What matters of a stage.
#[derive(Debug, Clone, PartialEq, Default)]
struct Stage {
    deployment: Option<String>,
    color: Option<String>,
    canary: Option<Canary>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct Canary {
    percent: f64,
    deployment: Option<String>,
    overrides: BTreeMap<String, String>,
}

impl ApiGatewayCanary {
    /// The stage `stage` of the REST API `api` (its id).
    #[must_use]
    pub fn new(sdk: &SdkConfig, api: String, stage: String) -> Self {
        let name = format!("api-gateway-canary:{api}:{stage}");
        Self {
            client: Client::new(sdk),
            api,
            stage,
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

    /// The stage; none if there is none.
    async fn stage(&self) -> Result<Option<Stage>, Source> {
        let call = self.client.get_stage().rest_api_id(&self.api);
        match call.stage_name(&self.stage).send().await {
            Ok(stage) => Ok(Some(Stage {
                color: stage
                    .variables()
                    .and_then(|variables| variables.get(COLOR).cloned()),
                canary: stage.canary_settings().map(Canary::of),
                deployment: stage.deployment_id,
            })),
            Err(error) => match error.as_service_error().and_then(|e| e.code()) {
                Some("NotFoundException") => Ok(None),
                _ => Err(failure(error)),
            },
        }
    }

    async fn update(&self, operations: Vec<PatchOperation>) -> Result<(), RouterError> {
        if operations.is_empty() {
            return Ok(());
        }
        self.client
            .update_stage()
            .rest_api_id(&self.api)
            .stage_name(&self.stage)
            .set_patch_operations(Some(operations))
            .send()
            .await
            .map_err(|e| self.failed("UpdateStage", failure(e)))?;
        Ok(())
    }
}

impl Canary {
    fn of(settings: &CanarySettings) -> Self {
        let overrides = settings.stage_variable_overrides().into_iter().flatten();
        Self {
            percent: settings.percent_traffic(),
            deployment: settings.deployment_id().map(ToOwned::to_owned),
            overrides: overrides.map(|(n, v)| (n.clone(), v.clone())).collect(),
        }
    }

    fn color(&self) -> Option<Environment> {
        self.overrides.get(COLOR).and_then(|color| named(color))
    }
}

fn named(color: &str) -> Option<Environment> {
    [Environment::Blue, Environment::Green]
        .into_iter()
        .find(|environment| environment.as_str() == color)
}

impl Stage {
    fn base(&self) -> Option<Environment> {
        self.color.as_deref().and_then(named)
    }

    /// What the stage does with the traffic.
    fn seen(&self) -> Seen {
        let Some(color) = &self.color else {
            return Seen::Absent;
        };
        let Some(base) = named(color) else {
            return Seen::Foreign(format!("the stage variable {COLOR} is {color:.40}"));
        };
        let Some(canary) = self.canary.as_ref().filter(|canary| canary.percent != 0.0) else {
            return Seen::Split(Weights::all(base));
        };
        let percent = canary.percent;
        match (canary.color(), whole(percent)) {
            (Some(color), Some(percent)) if color != base => {
                Seen::Split(Weights::share(color, percent))
            }
            (_, None) => Seen::Foreign(format!("the canary has {percent} %, no whole percent")),
            (color, _) => {
                let color = color.map_or("not named", Environment::as_str);
                Seen::Foreign(format!(
                    "the canary has {percent} %, and its environment is {color}"
                ))
            }
        }
    }

    /// What makes the stage what the order says.
    fn patch(&self, order: &Order) -> Vec<PatchOperation> {
        let candidate = order.base.other();
        let percent = order.weights.of(candidate);
        let mut operations = Vec::new();
        if self.base() != Some(order.base) {
            self.adopt(order.base, &mut operations);
        }
        if percent > 0 {
            operations.extend([
                replace("/canarySettings/percentTraffic", &format!("{percent}.0")),
                replace(
                    &format!("/canarySettings/stageVariableOverrides/{COLOR}"),
                    candidate.as_str(),
                ),
                replace("/canarySettings/useStageCache", "false"),
            ]);
        } else if self.canary.is_some() {
            operations.push(remove_canary());
        }
        operations
    }

    /// The stage itself becomes `base`: as the canary was, if the canary was it.
    fn adopt(&self, base: Environment, operations: &mut Vec<PatchOperation>) {
        let canary = self.canary.iter().find(|c| c.color() == Some(base));
        if let Some(canary) = canary {
            let others = canary.overrides.iter().filter(|(name, _)| *name != COLOR);
            operations.extend(others.map(|(n, v)| replace(&format!("/variables/{n}"), v)));
            let deployment = canary.deployment.as_deref();
            if let Some(deployment) = deployment.filter(|id| self.deployment.as_deref() != Some(id))
            {
                operations.push(replace("/deploymentId", deployment));
            }
        }
        operations.push(replace(&format!("/variables/{COLOR}"), base.as_str()));
    }
}

/// The whole percent that a percentage is.
fn whole(percentage: f64) -> Option<u8> {
    (0..=100_u8).find(|percent| (f64::from(*percent) - percentage).abs() < TOLERANCE)
}

fn replace(path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder()
        .op(Op::Replace)
        .path(path)
        .value(value)
        .build()
}

fn remove_canary() -> PatchOperation {
    PatchOperation::builder()
        .op(Op::Remove)
        .path("/canarySettings")
        .build()
}

#[async_trait]
impl Router for ApiGatewayCanary {
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
        let (seen, base) = match self.stage().await {
            Ok(Some(stage)) => (stage.seen(), stage.base()),
            Ok(None) => (Seen::Absent, None),
            Err(source) => (Seen::Unreadable(format!("GetStage: {source}")), None),
        };
        RouterReading {
            router: self.name.clone(),
            seen,
            revision: None,
            marker: None,
            base,
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
        let stage = self.stage().await.map_err(|e| self.failed("GetStage", e))?;
        let Some(stage) = stage else {
            let why = "there is no such stage: the stack declares it, the switch only sets its canary and its color";
            return Err(self.failed("GetStage", why.into()));
        };
        if (stage.seen(), stage.base()) != (expected.seen.clone(), expected.base) {
            return Err(RouterError::Changed {
                router: self.name.clone(),
            });
        }
        self.update(stage.patch(order)).await?;
        Ok(None)
    }

    /// Removes the canary; the stage itself is the stack's.
    async fn remove(&self) -> Result<(), RouterError> {
        let stage = self.stage().await.map_err(|e| self.failed("GetStage", e))?;
        if stage.is_some_and(|stage| stage.canary.is_some()) {
            self.update(vec![remove_canary()]).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(base: Environment, weights: Weights) -> Order {
        Order {
            generation: 7,
            base,
            weights,
            versions: Versions::default(),
            routers: Vec::new(),
        }
    }

    fn stage(color: &str, canary: Option<(f64, Option<&str>)>) -> Stage {
        Stage {
            deployment: Some("d1".to_owned()),
            color: Some(color.to_owned()),
            canary: canary.map(|(percent, color)| Canary {
                percent,
                deployment: Some("d2".to_owned()),
                overrides: color
                    .map(|color| (COLOR.to_owned(), color.to_owned()))
                    .into_iter()
                    .collect(),
            }),
        }
    }

    /// The stage after a patch, as the documentation has the operations.
    fn patched(stage: &Stage, operations: &[PatchOperation]) -> Stage {
        let mut stage = stage.clone();
        for operation in operations {
            let value = operation.value().unwrap_or_default().to_owned();
            let is_removal = operation.op() == Some(&Op::Remove);
            match operation.path().unwrap() {
                "/canarySettings" if is_removal => stage.canary = None,
                "/variables/color" => stage.color = Some(value),
                "/deploymentId" => stage.deployment = Some(value),
                "/canarySettings/percentTraffic" => {
                    stage.canary.get_or_insert_default().percent = value.parse().unwrap();
                }
                "/canarySettings/stageVariableOverrides/color" => {
                    let canary = stage.canary.get_or_insert_default();
                    canary.overrides.insert(COLOR.to_owned(), value);
                }
                "/canarySettings/useStageCache" => {}
                other => panic!("{other}"),
            }
        }
        stage
    }

    #[test]
    fn the_color_of_stage_and_canary_says_who_gets_what() {
        let split = |percent| Seen::Split(Weights::share(Environment::Green, percent));
        for (stage, seen) in [
            (stage("blue", None), split(0)),
            (stage("green", None), split(100)),
            (stage("blue", Some((10.0, Some("green")))), split(10)),
            (stage("green", Some((25.0, Some("blue")))), split(75)),
            (stage("blue", Some((100.0, Some("green")))), split(100)),
            (stage("blue", Some((0.0, None))), split(0)),
            (Stage::default(), Seen::Absent),
        ] {
            assert_eq!(stage.seen(), seen, "{stage:?}");
        }
        for foreign in [
            stage("red", None),
            stage("blue", Some((10.5, Some("green")))),
            stage("blue", Some((10.0, Some("blue")))),
            stage("blue", Some((10.0, Some("red")))),
            stage("blue", Some((10.0, None))),
            stage("blue", Some((f64::NAN, Some("green")))),
        ] {
            assert!(matches!(foreign.seen(), Seen::Foreign(_)), "{foreign:?}");
        }
    }

    #[test]
    fn completion_takes_the_canary_over_and_rollback_takes_it_away() {
        let shifting = stage("blue", Some((100.0, Some("green"))));
        let complete = order(Environment::Green, Weights::all(Environment::Green));
        let done = patched(&shifting, &shifting.patch(&complete));
        assert_eq!(
            (done.deployment.as_deref(), done.color.as_deref()),
            (Some("d2"), Some("green"))
        );
        assert_eq!(done.canary, None);
        let back = order(Environment::Blue, Weights::all(Environment::Blue));
        let rolled_back = patched(&shifting, &shifting.patch(&back));
        assert_eq!(rolled_back, stage("blue", None));
        assert_eq!(
            rolled_back.patch(&back),
            [],
            "what is right already is left alone"
        );
    }

    proptest! {
        #[test]
        fn whatever_was_there_the_order_is_what_reads_back(
            color in prop::sample::select(vec!["", "red", "blue", "green"]),
            canary in prop::option::of((0..=100_u8, prop::sample::select(vec![None, Some("blue"), Some("green")]))),
            percent in 0..=100_u8,
            base in prop::sample::select(vec![Environment::Blue, Environment::Green]),
        ) {
            let mut was = stage(color, canary.map(|(percent, color)| (f64::from(percent), color)));
            if color.is_empty() {
                was.color = None;
            }
            let wanted = order(base, Weights::share(base.other(), percent));
            let now = patched(&was, &was.patch(&wanted));
            prop_assert_eq!(now.seen(), Seen::Split(wanted.weights));
            prop_assert_eq!(now.base(), Some(base));
            prop_assert_eq!(now.canary.is_some(), percent > 0);
        }
    }
}
