//! The function's variables (contract: environment-switcher).

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_aws::counts::CountSources;
use cutover_domain::switch::{Environment, Versions};
use cutover_lambda::Vars;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config_routers::{self, RouterConfig};
use crate::config_sources::{self, Replication, TAKES_METRICS, TAKES_REPLICATION};

const TAKES_ALARMS: &str = "a JSON object with the names of each environment's alarms: {\"blue\":[names],\"green\":[names]}";

/// Longest name of an alarm (CloudWatch's own limit).
const ALARM_NAME_MAX: usize = 255;

/// Guards of one environment.
const ALARMS_MAX: usize = 50;

/// The variables, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `ENVIRONMENT`.
    pub environment: String,
    /// `STATE_TABLE`.
    pub state_table: String,
    /// `ROUTERS`.
    pub routers: Vec<RouterConfig>,
    /// `ALARMS`.
    pub guards: BTreeMap<Environment, Vec<String>>,
    /// `TOPIC_ARN`.
    pub topic_arn: Option<String>,
    /// `VALIDATOR_FUNCTION`.
    pub validator_function: Option<String>,
    /// `VALIDATOR_PROPERTIES`.
    pub validator_properties: Value,
    /// The ledgers' secrets, blue's and green's, by ARN, if `VALIDATOR_PROPERTIES` names them for a `VALIDATOR_FUNCTION`:
    /// without them nothing can set the fence.
    pub ledger_secrets: Option<(String, String)>,
    /// `METRICS`.
    pub metrics: Option<CountSources>,
    /// `REPLICATION`.
    pub replication: Option<Replication>,
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
        let routers = vars.required("ROUTERS", config_routers::TAKES, config_routers::routers);
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
        let metrics = vars.optional("METRICS", TAKES_METRICS, config_sources::metrics);
        let replication = vars.optional(
            "REPLICATION",
            TAKES_REPLICATION,
            config_sources::replication,
        );
        let ledger_secrets = match &validator_function {
            Some(_) => ledger_secrets(vars, validator_properties.as_ref()),
            None => None,
        };
        Some(Self {
            environment: environment?,
            state_table: state_table?,
            routers: routers?,
            guards: guards?,
            topic_arn,
            validator_function,
            validator_properties: validator_properties
                .unwrap_or_else(|| Value::Object(Map::default())),
            ledger_secrets,
            metrics,
            replication,
            status_parameter,
            tick: Duration::from_secs(tick_seconds.unwrap_or(60)),
            allow_http_response_url: allow_http.unwrap_or(false),
        })
    }

    /// Versions that `ROUTERS` fixes.
    #[must_use]
    pub fn versions(&self) -> Versions {
        config_routers::versions(&self.routers)
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

/// Both secrets, or neither: with one alone the fence would stand in one ledger only.
fn ledger_secrets(vars: &Vars, properties: Option<&Value>) -> Option<(String, String)> {
    const VARIABLE: &str = "VALIDATOR_PROPERTIES";
    const TAKES: &str = "both BlueSecretArn and GreenSecretArn, or neither";
    let secret = |name| properties.and_then(|properties| properties.get(name));
    let text = |value: &Value| value.as_str().and_then(|arn| text(arn).ok());
    match (secret("BlueSecretArn"), secret("GreenSecretArn")) {
        (None, None) => None,
        (blue, green) => {
            let secrets = blue.and_then(text).zip(green.and_then(text));
            if secrets.is_none() {
                vars.mistake(
                    VARIABLE,
                    "names a ledger's secret wrongly, or one alone",
                    TAKES,
                );
            }
            secrets
        }
    }
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
        assert_eq!(config.versions(), Versions::default());
        assert_eq!(config.routers.len(), 1);
        assert_eq!((config.metrics, config.replication), (None, None));
        assert_eq!(config.ledger_secrets, None);
        assert_eq!(config.guards[&Environment::Green], ["errors-green"]);
        assert!(!config.allow_http_response_url);
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
            ("ROUTERS", "[]", "0 routers"),
            ("METRICS", "{}", "blue is missing"),
            ("REPLICATION", "{}", "tasks takes"),
            ("ALARMS", "[]", "ALARMS"),
            ("ALARMS", r#"{"red":[]}"#, "red"),
            ("ALARMS", r#"{"green":[""]}"#, "green"),
            ("TOPIC_ARN", "topic", "TOPIC_ARN"),
            ("TICK_SECONDS", "soon", "TICK_SECONDS"),
            ("VALIDATOR_PROPERTIES", "[]", "JSON object"),
            ("ALLOW_HTTP_RESPONSE_URL", "yes", "true nor false"),
        ] {
            let told = read(&[(variable, value)]).unwrap_err();
            assert!(
                told.contains(variable) && told.contains(because),
                "{variable}={value}: {told}"
            );
        }
    }

    #[test]
    fn the_fence_needs_both_secrets() {
        let arn =
            |color| format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{color}");
        let with = |properties: &str| {
            read(&[
                ("VALIDATOR_FUNCTION", "validator"),
                ("VALIDATOR_PROPERTIES", properties),
            ])
        };
        let (blue, green) = (arn("blue"), arn("green"));
        let both = format!(r#"{{"BlueSecretArn":"{blue}","GreenSecretArn":"{green}"}}"#);
        assert_eq!(
            with(&both).unwrap().ledger_secrets,
            Some((blue.clone(), green))
        );
        assert_eq!(with("{}").unwrap().ledger_secrets, None);
        for wrong in [
            format!(r#"{{"BlueSecretArn":"{blue}"}}"#),
            format!(r#"{{"BlueSecretArn":"{blue}","GreenSecretArn":"hunter2 "}}"#),
            format!(r#"{{"BlueSecretArn":"{blue}","GreenSecretArn":7}}"#),
        ] {
            let told = with(&wrong).unwrap_err();
            assert!(
                told.contains("both BlueSecretArn and GreenSecretArn"),
                "{told}"
            );
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
