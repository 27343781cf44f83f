//! The function's variables (contract: environment-switcher).

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_domain::switch::{Environment, Versions};
use cutover_lambda::Vars;
use serde::Deserialize;
use serde_json::{Map, Value};

const TAKES_ROUTERS: &str = "a JSON list with one router of the form {\"type\":\"lambda-alias\",\
     \"functionName\",\"alias\",\"blueVersion\"?,\"greenVersion\"?}";
const TAKES_ALARMS: &str = "a JSON object with the names of each environment's alarms: {\"blue\":[names],\"green\":[names]}";

/// Longest name of an alarm (CloudWatch's own limit).
const ALARM_NAME_MAX: usize = 255;

/// Guards of one environment.
const ALARMS_MAX: usize = 50;

/// An alias of a function.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LambdaAliasConfig {
    /// Name or ARN of the function.
    pub function_name: String,
    /// Name of the alias.
    pub alias: String,
    /// The version that is blue, if the configuration fixes it.
    pub blue_version: Option<String>,
    /// The version that is green, if the configuration fixes it.
    pub green_version: Option<String>,
}

/// The variables, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `ENVIRONMENT`.
    pub environment: String,
    /// `STATE_TABLE`.
    pub state_table: String,
    /// `ROUTERS`.
    pub router: LambdaAliasConfig,
    /// `ALARMS`.
    pub guards: BTreeMap<Environment, Vec<String>>,
    /// `TOPIC_ARN`.
    pub topic_arn: Option<String>,
    /// `VALIDATOR_FUNCTION`.
    pub validator_function: Option<String>,
    /// `VALIDATOR_PROPERTIES`.
    pub validator_properties: Value,
    /// `STATUS_PARAMETER`.
    pub status_parameter: Option<String>,
    /// `TICK_SECONDS`.
    pub tick: Duration,
    /// `ALLOW_HTTP_RESPONSE_URL`.
    pub allow_http_response_url: bool,
}

impl Config {
    /// Reads all variables; what is wrong with them is kept in `vars`.
    pub fn read(vars: &Vars) -> Option<Self> {
        let environment = vars.required("ENVIRONMENT", "1 to 64 of A-Z a-z 0-9 _ . -", name);
        let state_table = vars.required("STATE_TABLE", "the name of a DynamoDB table", text);
        let router = vars.required("ROUTERS", TAKES_ROUTERS, routers);
        let guards = vars.required("ALARMS", TAKES_ALARMS, alarms);
        let topic_arn = vars.optional("TOPIC_ARN", "the ARN of an SNS topic", topic_arn);
        let validator_function =
            vars.optional("VALIDATOR_FUNCTION", "the name or ARN of a function", text);
        let validator_properties = vars.optional("VALIDATOR_PROPERTIES", "a JSON object", object);
        let status_parameter =
            vars.optional("STATUS_PARAMETER", "the name of an SSM parameter", text);
        let tick_seconds = vars.optional(
            "TICK_SECONDS",
            "a whole number from 1 to 3600",
            tick_seconds,
        );
        let allow_http = vars.optional("ALLOW_HTTP_RESPONSE_URL", "true or false", boolean);
        for (variable, takes) in [
            (
                "METRICS",
                "nothing yet: a verdict by counts is not supported by this version",
            ),
            (
                "REPLICATION",
                "nothing yet: a replication guard is not supported by this version",
            ),
        ] {
            let refused = |_: &str| Err::<(), _>("would be a guard that is ignored");
            let _none = vars.optional(variable, takes, refused);
        }
        Some(Self {
            environment: environment?,
            state_table: state_table?,
            router: router?,
            guards: guards?,
            topic_arn,
            validator_function,
            validator_properties: validator_properties
                .unwrap_or_else(|| Value::Object(Map::default())),
            status_parameter,
            tick: Duration::from_secs(tick_seconds.unwrap_or(60)),
            allow_http_response_url: allow_http.unwrap_or(false),
        })
    }

    /// Versions that `ROUTERS` fixes.
    #[must_use]
    pub fn versions(&self) -> Versions {
        Versions {
            blue: self.router.blue_version.clone(),
            green: self.router.green_version.clone(),
        }
    }
}

fn text(value: &str) -> Result<String, &'static str> {
    if value.len() > 2048 || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("is no name");
    }
    Ok(value.to_owned())
}

fn name(value: &str) -> Result<String, &'static str> {
    let is_name = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !is_name || value.len() > 64 {
        return Err("is no name");
    }
    Ok(value.to_owned())
}

fn topic_arn(value: &str) -> Result<String, &'static str> {
    if !value.starts_with("arn:") || value.split(':').nth(2) != Some("sns") {
        return Err("is no ARN of a topic");
    }
    text(value)
}

fn object(value: &str) -> Result<Value, String> {
    match serde_json::from_str::<Value>(value) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err("is no JSON object".to_owned()),
        Err(error) => Err(format!("is no JSON: {error}")),
    }
}

fn tick_seconds(value: &str) -> Result<u64, &'static str> {
    value
        .parse()
        .ok()
        .filter(|seconds| (1..=3600).contains(seconds))
        .ok_or("is out of range")
}

fn boolean(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

/// Router types of the contract that this version does not know.
const LATER: [&str; 3] = ["alb", "route53", "api-gateway-canary"];

fn routers(value: &str) -> Result<LambdaAliasConfig, String> {
    let list: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(value).map_err(|e| format!("is no JSON list of objects: {e}"))?;
    let mut list = list.into_iter();
    let (Some(mut fields), None) = (list.next(), list.next()) else {
        return Err("does not name exactly one router".to_owned());
    };
    match fields.remove("type").as_ref().and_then(Value::as_str) {
        Some("lambda-alias") => {}
        Some(later) if LATER.contains(&later) => {
            return Err(format!(
                "has a router of type {later}, which this version does not support"
            ));
        }
        Some(other) => return Err(format!("has a router of unknown type {other:.40}")),
        None => return Err("has a router without a type".to_owned()),
    }
    let router: LambdaAliasConfig =
        serde_json::from_value(Value::Object(fields)).map_err(|e| format!("is refused: {e}"))?;
    text(&router.function_name).map_err(|e| format!("has a functionName that {e}"))?;
    name(&router.alias).map_err(|e| format!("has an alias that {e}"))?;
    if router.function_name.is_empty() || router.alias.is_empty() {
        return Err("has an empty functionName or alias".to_owned());
    }
    let mut versions = Vec::new();
    for version in [&router.blue_version, &router.green_version]
        .into_iter()
        .flatten()
    {
        crate::event::version(version)?;
        versions.push(version);
    }
    if matches!(versions.as_slice(), [blue, green] if blue == green) {
        return Err("has the same version for both environments".to_owned());
    }
    Ok(router)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alarms {
    #[serde(default)]
    blue: Vec<String>,
    #[serde(default)]
    green: Vec<String>,
}

fn alarms(value: &str) -> Result<BTreeMap<Environment, Vec<String>>, String> {
    let alarms: Alarms =
        serde_json::from_value(object(value)?).map_err(|e| format!("is refused: {e}"))?;
    for (environment, names) in [("blue", &alarms.blue), ("green", &alarms.green)] {
        if names.len() > ALARMS_MAX {
            return Err(format!(
                "has more than {ALARMS_MAX} alarms of {environment}"
            ));
        }
        if names
            .iter()
            .any(|n| n.is_empty() || n.len() > ALARM_NAME_MAX)
        {
            return Err(format!(
                "has an alarm of {environment} whose name is empty or too long"
            ));
        }
    }
    Ok(BTreeMap::from([
        (Environment::Blue, alarms.blue),
        (Environment::Green, alarms.green),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTERS: &str = r#"[{"type":"lambda-alias","functionName":"pay","alias":"live"}]"#;
    const ALARMS: &str = r#"{"blue":["errors-blue"],"green":["errors-green"]}"#;

    fn read(changes: &[(&str, &str)]) -> Result<Config, String> {
        let base = [
            ("ENVIRONMENT", "dev-payment-ab12cd34"),
            ("STATE_TABLE", "state"),
            ("ROUTERS", ROUTERS),
            ("ALARMS", ALARMS),
        ];
        let vars: Vars = base.iter().chain(changes).copied().collect();
        let config = Config::read(&vars);
        vars.finish().map_err(|errors| errors.to_string())?;
        config.ok_or_else(|| "no configuration and no mistake".to_owned())
    }

    #[test]
    fn a_minimal_configuration_is_enough() {
        let config = read(&[]).unwrap();
        assert_eq!(config.tick, Duration::from_mins(1));
        assert_eq!(config.router.alias, "live");
        assert_eq!(config.guards[&Environment::Green], ["errors-green"]);
        assert!(!config.allow_http_response_url);
        assert_eq!(config.versions(), Versions::default());
    }

    #[test]
    fn every_mistake_is_named_with_what_is_taken() {
        let nothing = Vars::from_iter([("TICK_SECONDS", "0"), ("METRICS", "{}")]);
        assert_eq!(Config::read(&nothing), None);
        let told = nothing.finish().unwrap_err().to_string();
        for variable in [
            "ENVIRONMENT",
            "STATE_TABLE",
            "ROUTERS",
            "ALARMS",
            "TICK_SECONDS",
            "METRICS",
        ] {
            assert!(told.contains(variable), "{variable} in {told}");
        }
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (variable, value, because) in [
            ("ROUTERS", "", "is missing"),
            ("ROUTERS", "{}", "JSON list"),
            ("ROUTERS", "[]", "exactly one"),
            ("ROUTERS", r#"[{"type":"alb"}]"#, "type alb"),
            ("ROUTERS", r#"[{"type":"dns"}]"#, "unknown type dns"),
            (
                "ROUTERS",
                r#"[{"functionName":"f","alias":"a"}]"#,
                "without a type",
            ),
            (
                "ROUTERS",
                r#"[{"type":"lambda-alias","functionName":"f"}]"#,
                "alias",
            ),
            (
                "ROUTERS",
                r#"[{"type":"lambda-alias","functionName":"f","alias":"a","weight":1}]"#,
                "weight",
            ),
            (
                "ROUTERS",
                r#"[{"type":"lambda-alias","functionName":"f","alias":"a","blueVersion":"$LATEST"}]"#,
                "version",
            ),
            (
                "ROUTERS",
                r#"[{"type":"lambda-alias","functionName":"f","alias":"a","blueVersion":"1","greenVersion":"1"}]"#,
                "same version",
            ),
            ("ALARMS", "[]", "ALARMS"),
            ("ALARMS", r#"{"red":[]}"#, "red"),
            ("ALARMS", r#"{"green":[""]}"#, "green"),
            ("TOPIC_ARN", "topic", "TOPIC_ARN"),
            ("TICK_SECONDS", "soon", "TICK_SECONDS"),
            ("VALIDATOR_PROPERTIES", "[]", "JSON object"),
            ("ALLOW_HTTP_RESPONSE_URL", "yes", "true nor false"),
            ("REPLICATION", "{}", "replication guard"),
        ] {
            let told = read(&[(variable, value)]).unwrap_err();
            assert!(
                told.contains(variable) && told.contains(because),
                "{variable}={value}: {told}"
            );
        }
    }
}
