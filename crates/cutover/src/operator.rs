//! Operator commands: what a person types, as the switch takes it.

use clap::Args;
use cutover_aws::config::{self, CallLimits};
use cutover_aws::invoke::Invoker;
use serde_json::{Map, Value, json};

use crate::journal::Journal;

/// Where the switch is, and who asks.
#[derive(Debug, Args)]
pub struct Target {
    /// Name of the environment, for example prod-payment-ab12cd34.
    #[arg(long, env = "CUTOVER_ENVIRONMENT")]
    pub environment: String,
    /// Who gives the command; kept in the journal.
    #[arg(long, env = "USER")]
    pub operator: Option<String>,
    /// Why; kept in the journal.
    #[arg(long)]
    pub reason: Option<String>,
}

/// How a migration goes.
#[derive(Debug, Args)]
// The subcommand that it is flattened into has the same name, and so would the group have.
#[group(skip)]
pub struct Start {
    /// The environment that takes over.
    #[arg(long, value_parser = ["blue", "green"])]
    pub to: String,
    /// Percent that each step adds; all at once without it.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub step_percent: Option<u8>,
    /// Seconds between two steps.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub interval_seconds: u32,
    /// Seconds at 100 % before the migration is complete.
    #[arg(long, default_value_t = 900)]
    pub bake_seconds: u32,
    /// Seconds after which an unfinished migration is rolled back.
    #[arg(long)]
    pub max_seconds: Option<u32>,
    /// Id of the migration: the same id again changes nothing.
    #[arg(long)]
    pub migration_id: Option<String>,
    /// Payments that one step may newly expose before a failure is taken back.
    #[arg(long)]
    pub max_exposed_payments: Option<u32>,
    /// Seconds of the whole traffic that one step may newly expose before a failure is taken back.
    #[arg(long)]
    pub max_exposed_seconds: Option<u32>,
}

impl Start {
    /// The command without who and why.
    pub fn payload(&self, action: &str) -> Value {
        let strategy = match self.step_percent {
            None => json!({"type": "all-at-once"}),
            Some(percent) => json!({
                "type": "linear",
                "stepPercent": percent,
                "intervalSeconds": self.interval_seconds,
            }),
        };
        let mut payload = json!({
            "action": action,
            "to": self.to,
            "strategy": strategy,
            "bakeSeconds": self.bake_seconds,
        });
        if let Some(seconds) = self.max_seconds {
            payload["maxSeconds"] = json!(seconds);
        }
        if let Some(id) = &self.migration_id {
            payload["migrationId"] = json!(id);
        }
        for (name, value) in [
            ("maxExposedPayments", self.max_exposed_payments),
            ("maxExposedSeconds", self.max_exposed_seconds),
        ] {
            if let Some(value) = value {
                payload[name] = json!(value);
            }
        }
        payload
    }
}

/// Sends a command to the switch and prints its answer.
///
/// # Errors
/// The call failed, or the switch refused.
pub async fn command(target: &Target, payload: Value) -> Result<(), String> {
    let answer = ask(target, payload).await?;
    println!("{answer:#}");
    match answer.get("error") {
        None => Ok(()),
        Some(error) => Err(format!(
            "refused: {}",
            error["message"].as_str().unwrap_or("no reason given")
        )),
    }
}

/// Has the journal answered, checks its hash chain, and prints it as a table.
///
/// # Errors
/// The call failed, or the chain is broken: where, and by what.
pub async fn verify_journal(target: &Target, migration_id: Option<&str>) -> Result<(), String> {
    let mut payload = json!({"action": "history"});
    if let Some(id) = migration_id {
        payload["migrationId"] = json!(id);
    }
    let journal = Journal::read(&ask(target, payload).await?)?;
    print!("{}", journal.table());
    println!("{}", journal.verdict()?);
    Ok(())
}

/// The switch's answer.
async fn ask(target: &Target, payload: Value) -> Result<Value, String> {
    let mut payload = match payload {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in [("operator", &target.operator), ("reason", &target.reason)] {
        if let Some(value) = value {
            payload.insert(name.to_owned(), json!(value));
        }
    }
    let config = config::load_for_operator(CallLimits::default()).await;
    let function = format!("environment-switcher-{}", target.environment);
    Invoker::new(&config)
        .invoke(&function, &Value::Object(payload))
        .await
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_makes_it_linear() {
        let start = Start {
            to: "green".to_owned(),
            step_percent: Some(10),
            interval_seconds: 60,
            bake_seconds: 300,
            max_seconds: None,
            migration_id: Some("m-1".to_owned()),
            max_exposed_payments: Some(500),
            max_exposed_seconds: None,
        };
        assert_eq!(
            start.payload("start"),
            json!({"action": "start", "to": "green", "migrationId": "m-1", "bakeSeconds": 300,
                "maxExposedPayments": 500, "strategy": {"type": "linear", "stepPercent": 10, "intervalSeconds": 60}})
        );
    }
}
