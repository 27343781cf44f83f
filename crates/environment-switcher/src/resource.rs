//! `Custom::EnvironmentSwitch`: the stack makes and removes the routers' entries, and never owns a weight.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_custom_resource::{Request, RequestType, Verdict};
use cutover_domain::switch::{
    By, Command, Environment, Phase, ResourceChange, Trigger, Verb, Versions, digest,
};
use cutover_lambda::Deadline;
use serde_json::{Map, Value, json};

use crate::config_routers::RouterConfig;
use crate::event::{id_from, version};
use crate::executor::{Executor, Outcome, in_words};

/// Properties that the resource takes, all strings.
const PROPERTIES: [&str; 6] = [
    "ActiveEnvironment",
    "DeploymentId",
    "BlueVersion",
    "GreenVersion",
    "ServiceToken",
    "ServiceTimeout",
];

/// Properties that may repeat what `ROUTERS` says: so a stack that was built for another router is refused.
const IDENTIFIERS: [&str; 13] = [
    "FunctionName",
    "Alias",
    "RuleArn",
    "ListenerArn",
    "BlueTargetGroupArn",
    "GreenTargetGroupArn",
    "HostedZoneId",
    "RecordName",
    "RecordType",
    "BlueSetIdentifier",
    "GreenSetIdentifier",
    "RestApiId",
    "StageName",
];

/// Pause between two looks at a change that is not in effect yet.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the stack says.
struct Properties {
    active: Environment,
    versions: Versions,
    /// Of all properties but those that are CloudFormation's own.
    digest: String,
}

/// Handles one request of CloudFormation; what was stored on the way is left in `outcomes`.
pub async fn handle(
    executor: &Executor,
    routers: &[RouterConfig],
    request: &Request,
    deadline: Deadline,
    outcomes: &mut Vec<Outcome>,
) -> Verdict {
    let case = Case {
        executor,
        routers,
        request,
        deadline,
    };
    let answered = match request.request_type {
        Some(RequestType::Create) => case.create(outcomes).await,
        Some(RequestType::Update) => case.update(outcomes).await,
        Some(RequestType::Delete) => case.delete(outcomes).await,
        None => Err("the request type is unknown".to_owned()),
    };
    answered.map_or_else(Verdict::Failed, Verdict::Success)
}

struct Case<'a> {
    executor: &'a Executor,
    routers: &'a [RouterConfig],
    request: &'a Request,
    deadline: Deadline,
}

impl Case<'_> {
    async fn create(&self, outcomes: &mut Vec<Outcome>) -> Result<Map<String, Value>, String> {
        let properties = self.properties()?;
        let change = ResourceChange::Create {
            owner: self.request.own_id(),
            initial: properties.active,
            versions: properties.versions,
            properties: properties.digest,
        };
        let outcome = self.run_to_effect(change, outcomes).await?;
        settled(outcome)
    }

    async fn update(&self, outcomes: &mut Vec<Outcome>) -> Result<Map<String, Value>, String> {
        let new = self.properties()?;
        // The old properties are what this function took before: if they can't be read, everything counts as new.
        let old = self
            .request
            .old_properties()
            .map_err(|e| in_words(&e))
            .and_then(|old| self.parse(&old))
            .ok();
        let changed =
            |new: Option<String>, old: Option<&str>| new.filter(|new| Some(new.as_str()) != old);
        let change = ResourceChange::Update {
            owner: self.request.own_id(),
            migration_id: migration_id(self.request),
            active: match &old {
                Some(old) if old.active == new.active => None,
                _ => Some(new.active),
            },
            declared: new.versions.clone(),
            properties: new.digest,
            before: old
                .as_ref()
                .map_or_else(String::new, |old| old.digest.clone()),
            versions: Versions {
                blue: changed(
                    new.versions.blue,
                    old.as_ref().and_then(|o| o.versions.of(Environment::Blue)),
                ),
                green: changed(
                    new.versions.green,
                    old.as_ref().and_then(|o| o.versions.of(Environment::Green)),
                ),
            },
        };
        let outcome = self.run_to_effect(change, outcomes).await?;
        let is_own_move = outcome.state.phase.is_running()
            && outcome
                .state
                .migration
                .as_ref()
                .is_some_and(|m| m.id == migration_id(self.request));
        if !is_own_move {
            return refused_or(outcome);
        }
        // The move was begun and not verified: it is taken back, so that the stack's answer stays true.
        let why = outcome.faults.join("; ");
        let back = self.roll_back("the stack update failed", outcomes).await?;
        Err(format!(
            "the change was not verified ({why}); now {}",
            back.state.phase
        ))
    }

    async fn delete(&self, outcomes: &mut Vec<Outcome>) -> Result<Map<String, Value>, String> {
        let owner = self.request.own_id();
        let delete = || {
            Trigger::Resource(ResourceChange::Delete {
                owner: owner.clone(),
            })
        };
        let is_refused = {
            let first = self.run(delete(), outcomes).await?;
            first.refusal.is_some() || first.decision.action == Verb::RollBack
        };
        if is_refused {
            self.roll_back("the stack is deleted", outcomes).await?;
            self.run(delete(), outcomes).await?;
        }
        match outcomes.last() {
            Some(last) if last.faults.is_empty() => refused_or(last),
            Some(last) => Err(last.faults.join("; ")),
            None => Ok(Map::new()),
        }
    }

    async fn roll_back<'o>(
        &self,
        reason: &str,
        outcomes: &'o mut Vec<Outcome>,
    ) -> Result<&'o Outcome, String> {
        let by = By {
            operator: Some("CloudFormation".to_owned()),
            reason: Some(reason.to_owned()),
        };
        self.run(Trigger::Command(Command::RollBack, by), outcomes)
            .await
    }

    /// Runs the change and looks again until it is in effect, which takes names up to a minute. It waits for half of the
    /// time at most: the other half is for taking back what did not come into effect.
    async fn run_to_effect<'o>(
        &self,
        change: ResourceChange,
        outcomes: &'o mut Vec<Outcome>,
    ) -> Result<&'o Outcome, String> {
        let reserve = self.deadline.remaining() / 2;
        self.run(Trigger::Resource(change), outcomes).await?;
        while outcomes.last().is_some_and(is_pending) && self.deadline.remaining() > reserve {
            tokio::time::sleep(LOOK_EVERY).await;
            self.run(Trigger::Outcome, outcomes).await?;
        }
        outcomes.last().ok_or_else(|| "no outcome".to_owned())
    }

    async fn run<'o>(
        &self,
        trigger: Trigger,
        outcomes: &'o mut Vec<Outcome>,
    ) -> Result<&'o Outcome, String> {
        // Half of what is left: the other half is for taking back what could not be verified.
        let deadline = Deadline::until(self.deadline.remaining() / 2);
        let outcome = self
            .executor
            .run(trigger, deadline)
            .await
            .map_err(|error| in_words(&error))?;
        outcomes.push(outcome);
        outcomes.last().ok_or_else(|| "no outcome".to_owned())
    }

    fn properties(&self) -> Result<Properties, String> {
        let properties = self.request.properties().map_err(|e| in_words(&e))?;
        self.parse(&properties)
    }

    fn parse(&self, properties: &Map<String, Value>) -> Result<Properties, String> {
        if let Some(unknown) = properties.keys().find(|key| {
            !PROPERTIES
                .iter()
                .chain(&IDENTIFIERS)
                .any(|taken| key == taken)
        }) {
            let taken = [&PROPERTIES[..], &IDENTIFIERS[..]].concat().join(", ");
            return Err(format!("unknown property {unknown:.64}: it takes {taken}"));
        }
        let text = |name: &'static str| match properties.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("{name} takes a string")),
        };
        let identifiers = || self.routers.iter().flat_map(RouterConfig::identifiers);
        for name in IDENTIFIERS {
            let Some(given) = text(name)? else { continue };
            if !identifiers().any(|(of, configured)| (of, configured) == (name, given)) {
                let configured = identifiers().filter(|(of, _)| *of == name);
                let configured: Vec<&str> = configured.map(|(_, configured)| configured).collect();
                return Err(format!(
                    "{name} is not the one in ROUTERS, {}",
                    if configured.is_empty() {
                        "which has none".to_owned()
                    } else {
                        configured.join(" or ")
                    }
                ));
            }
        }
        let active = match text("ActiveEnvironment")? {
            Some("blue") => Environment::Blue,
            Some("green") => Environment::Green,
            _ => return Err("ActiveEnvironment takes blue or green".to_owned()),
        };
        let version = |name| {
            text(name)?
                .map(version)
                .transpose()
                .map_err(|e| format!("{name}: {e}"))
        };
        let versions = Versions {
            blue: version("BlueVersion")?,
            green: version("GreenVersion")?,
        };
        let own: BTreeMap<&String, &Value> = properties
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "ServiceToken" | "ServiceTimeout"))
            .collect();
        Ok(Properties {
            active,
            versions,
            digest: digest(&json!(own).to_string()),
        })
    }
}

/// The same for a repeated delivery of the same request.
fn migration_id(request: &Request) -> String {
    id_from("cfn", &request.request_id)
}

fn refused_or(outcome: &Outcome) -> Result<Map<String, Value>, String> {
    match &outcome.refusal {
        Some(refusal) => Err(format!(
            "{}: {} (phase {}, {})",
            refusal.code, refusal.message, outcome.state.phase, outcome.state.intended
        )),
        None => Ok(attributes(outcome)),
    }
}

/// As [`refused_or`], once the routers were read back too.
fn settled(outcome: &Outcome) -> Result<Map<String, Value>, String> {
    if outcome.refusal.is_none() && outcome.state.intent.is_some() {
        let pending = outcome.routers.iter().filter_map(|r| r.pending.as_ref());
        let mut told = vec![outcome.decision.why.as_str()];
        told.extend(outcome.faults.iter().chain(pending).map(String::as_str));
        told.dedup();
        return Err(format!("not in effect: {}", told.join("; ")));
    }
    refused_or(outcome)
}

/// Whether all was written and only its effect is awaited.
fn is_pending(outcome: &Outcome) -> bool {
    outcome.refusal.is_none()
        && outcome.faults.is_empty()
        && outcome.state.intent.is_some()
        && outcome
            .routers
            .iter()
            .any(|router| router.pending.is_some())
}

fn attributes(outcome: &Outcome) -> Map<String, Value> {
    let state = &outcome.state;
    let status: Phase = state.phase;
    let attributes = json!({
        "ActiveEnvironment": state.active,
        "MigrationStatus": status,
        "BlueWeight": state.intended.of(Environment::Blue).to_string(),
        "GreenWeight": state.intended.of(Environment::Green).to_string(),
    });
    match attributes {
        Value::Object(attributes) => attributes,
        _ => Map::new(),
    }
}
