//! `ROUTERS`: 1 to 4 routers, of one type or several.

mod alb;
mod api_gateway_canary;
mod lambda_alias;
mod route53;

use std::collections::BTreeSet;

use cutover_aws::alb::AlbEntry;
use cutover_aws::route53::Route53Entry;
use cutover_domain::switch::{Environment, Versions};
use serde_json::Value;

use crate::fields::{Fields, shown};

/// Routers that one switch has at most.
const ROUTERS_MAX: usize = 4;

/// What `ROUTERS` takes.
pub const TAKES: &str = "a JSON list of 1 to 4 routers: \
     {\"type\":\"alb\",\"ruleArn\"|\"listenerArn\",\"blueTargetGroupArn\",\"greenTargetGroupArn\",\
     \"rule\"?:{\"priority\",\"pathPatterns\"?,\"hostHeaders\"?}}, \
     {\"type\":\"lambda-alias\",\"functionName\",\"alias\",\"blueVersion\"?,\"greenVersion\"?}, \
     {\"type\":\"route53\",\"hostedZoneId\",\"recordName\",\"recordType\",\"blueSetIdentifier\",\
     \"greenSetIdentifier\",\"blueTarget\"?,\"greenTarget\"?}, \
     {\"type\":\"api-gateway-canary\",\"restApiId\",\"stageName\"}";

/// One router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterConfig {
    /// Target groups behind an Application Load Balancer.
    Alb {
        /// The rule, the listener, or the rule that the switch makes.
        entry: AlbEntry,
        /// Blue's target group, by ARN.
        blue: String,
        /// Green's target group, by ARN.
        green: String,
    },
    /// An alias of a function.
    LambdaAlias {
        /// Name or ARN of the function.
        function: String,
        /// Name of the alias.
        alias: String,
        /// The versions that the configuration fixes.
        versions: Versions,
    },
    /// Weighted records.
    Route53(Box<Route53Entry>),
    /// The canary of a REST API's stage.
    ApiGatewayCanary {
        /// The API's id.
        api: String,
        /// The stage's name.
        stage: String,
    },
}

impl RouterConfig {
    /// What names the router among those of the stack, as properties of `Custom::EnvironmentSwitch`.
    #[must_use]
    pub fn identifiers(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Alb { entry, blue, green } => {
                let entry = match entry {
                    AlbEntry::Rule(arn) => ("RuleArn", arn.as_str()),
                    AlbEntry::Listener(arn) => ("ListenerArn", arn.as_str()),
                    AlbEntry::Own(rule) => ("ListenerArn", rule.listener.as_str()),
                };
                vec![
                    entry,
                    ("BlueTargetGroupArn", blue),
                    ("GreenTargetGroupArn", green),
                ]
            }
            Self::LambdaAlias {
                function, alias, ..
            } => vec![("FunctionName", function), ("Alias", alias)],
            Self::Route53(entry) => vec![
                ("HostedZoneId", entry.hosted_zone_id.as_str()),
                ("RecordName", entry.record_name.as_str()),
                ("RecordType", entry.record_type.as_str()),
                ("BlueSetIdentifier", entry.blue_set_identifier.as_str()),
                ("GreenSetIdentifier", entry.green_set_identifier.as_str()),
            ],
            Self::ApiGatewayCanary { api, stage } => {
                vec![("RestApiId", api), ("StageName", stage)]
            }
        }
    }

    /// What two routers must not share: each would undo what the other does.
    fn key(&self) -> String {
        match self {
            Self::Alb { entry, .. } => match entry {
                AlbEntry::Rule(arn) | AlbEntry::Listener(arn) => arn.clone(),
                AlbEntry::Own(rule) => format!("{}#{}", rule.listener, rule.priority),
            },
            Self::LambdaAlias {
                function, alias, ..
            } => format!("{function}:{alias}"),
            Self::Route53(entry) => {
                let name = entry.record_name.trim_end_matches('.').to_ascii_lowercase();
                format!("{}/{name}/{}", entry.hosted_zone_id, entry.record_type)
            }
            Self::ApiGatewayCanary { api, stage } => format!("{api}/{stage}"),
        }
    }

    fn versions(&self) -> Option<&Versions> {
        match self {
            Self::LambdaAlias { versions, .. } => Some(versions),
            _ => None,
        }
    }
}

/// Reads the list.
///
/// # Errors
/// Every mistake, with the number of its entry (the first is 1) and its field.
pub fn routers(value: &str) -> Result<Vec<RouterConfig>, String> {
    let list: Vec<Value> =
        serde_json::from_str(value).map_err(|e| format!("is no JSON list: {e}"))?;
    if !(1..=ROUTERS_MAX).contains(&list.len()) {
        return Err(format!("has {} routers", list.len()));
    }
    let mut routers = Vec::with_capacity(list.len());
    let mut mistakes = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        match router(index + 1, value) {
            Ok(router) => routers.push(router),
            Err(why) => mistakes.push(why),
        }
    }
    if mistakes.is_empty() {
        mistakes.extend(conflicts(&routers));
    }
    if mistakes.is_empty() {
        Ok(routers)
    } else {
        Err(format!("is refused: {}", mistakes.join("; ")))
    }
}

/// The versions that `ROUTERS` fixes.
#[must_use]
pub fn versions(routers: &[RouterConfig]) -> Versions {
    let all = routers.iter().filter_map(RouterConfig::versions);
    all.fold(Versions::default(), |known, more| known.or(more))
}

/// What is wrong with entries that are right one by one.
fn conflicts(routers: &[RouterConfig]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, router) in routers.iter().enumerate() {
        if !seen.insert(router.key()) {
            mistakes.push(format!("entry {} names what another one names", index + 1));
        }
    }
    // A version is of the environment, not of the router.
    let known = versions(routers);
    for (index, versions) in routers.iter().map(RouterConfig::versions).enumerate() {
        let differs = |environment: Environment| {
            let own = versions.and_then(|versions| versions.of(environment));
            own.is_some() && own != known.of(environment)
        };
        if differs(Environment::Blue) || differs(Environment::Green) {
            mistakes.push(format!(
                "entry {} has other versions than one before",
                index + 1
            ));
        }
    }
    if known.blue.is_some() && known.blue == known.green {
        mistakes.push("blueVersion and greenVersion are the same version".to_owned());
    }
    mistakes
}

fn router(number: usize, value: Value) -> Result<RouterConfig, String> {
    let mut fields = Fields::of(format!("entry {number}"), value)?;
    let kind = match fields.any("type") {
        Some(Value::String(kind)) => kind,
        Some(_) => String::new(),
        None => return Err(format!("entry {number}: type is missing")),
    };
    fields.rename(format!("entry {number} ({})", shown(&kind)));
    let router = match kind.as_str() {
        "alb" => alb::router(&mut fields),
        "lambda-alias" => lambda_alias::router(&mut fields),
        "route53" => route53::router(&mut fields),
        "api-gateway-canary" => api_gateway_canary::router(&mut fields),
        _ => {
            return Err(format!(
                "entry {number}: unknown type {}; it takes alb, lambda-alias, route53 or api-gateway-canary",
                shown(&kind)
            ));
        }
    };
    fields.finish(router)
}

#[cfg(test)]
mod tests;
