//! What the function takes, from the wire to the domain.

use cutover_custom_resource::looks_like_custom_resource;
use cutover_domain::switch::{
    AlarmState, By, Command, Environment, OnDrift, Start, Step, Strategy, Trigger, Versions,
};
use cutover_lambda::run::InvocationError;
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds at 100 % where a start does not say.
pub const BAKE_SECONDS: u64 = 300;

/// Seconds that a migration may take beyond its steps where a start does not say.
const HOLD_SECONDS: u64 = 3600;

/// The longest migration, in seconds: thirty days.
const MAX_SECONDS_MAX: u64 = 30 * 24 * 3600;

/// Longest operator or reason, in characters.
const TEXT_MAX: usize = 256;

/// SNS records that one event may hold.
const RECORDS_MAX: usize = 100;

const SHAPES: &str = "it takes an EventBridge scheduled event, a \"CloudWatch Alarm State Change\" event, an alarm's \
     Lambda action, SNS records with alarm messages, a CloudFormation Custom::EnvironmentSwitch event, or a command \
     {\"action\":\"start\"|\"plan\"|\"status\"|\"history\"|\"pause\"|\"resume\"|\"promote\"|\"rollback\"|\"tick\"}";

/// An event, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something that may move the switch.
    Trigger(Trigger),
    /// Several alarm messages in one event.
    Alarms(Vec<Trigger>),
    /// Where does it stand?
    Status,
    /// What happened?
    History {
        /// Of this migration only.
        migration_id: Option<String>,
    },
    /// CloudFormation.
    Resource,
    /// A command that can't be carried out as it is.
    Refused {
        /// A stable name.
        code: &'static str,
        /// What is wrong and what is taken.
        message: String,
    },
}

impl Event {
    /// Reads an event. `request_id` names a migration whose start gives it no id: the same for a repeated delivery.
    ///
    /// # Errors
    /// If it is of no known shape.
    pub fn read(event: &str, request_id: &str) -> Result<Self, InvocationError> {
        let unknown = || InvocationError {
            kind: "UnknownEvent",
            message: format!("the event is of no known shape: {SHAPES}"),
        };
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(event) else {
            return Err(unknown());
        };
        if looks_like_custom_resource(event) {
            return Ok(Self::Resource);
        }
        if fields.contains_key("action") {
            return Ok(command(event, &fields, request_id));
        }
        if let Some(records) = fields.get("Records") {
            return sns(records).ok_or_else(unknown);
        }
        let source = fields.get("source").and_then(Value::as_str);
        let detail_type = fields.get("detail-type").and_then(Value::as_str);
        let alarm = match (source, detail_type) {
            (Some("aws.events" | "aws.scheduler"), Some("Scheduled Event")) => {
                return Ok(Self::Trigger(Trigger::Tick));
            }
            (Some("aws.cloudwatch"), Some("CloudWatch Alarm State Change")) => fields.get("detail"),
            (Some("aws.cloudwatch"), None) => fields.get("alarmData"),
            _ => None,
        };
        alarm
            .and_then(alarm_detail)
            .map(Self::Trigger)
            .ok_or_else(unknown)
    }
}

// ---- alarms

/// `detail` of EventBridge's event and `alarmData` of the alarm's own action are the same in what matters here.
fn alarm_detail(detail: &Value) -> Option<Trigger> {
    let state = detail.get("state")?;
    Some(Trigger::Alarm {
        name: detail.get("alarmName")?.as_str()?.to_owned(),
        state: alarm_state(state.get("value")?.as_str()?)?,
        at_ms: state
            .get("timestamp")
            .and_then(Value::as_str)
            .and_then(at_ms),
    })
}

fn sns(records: &Value) -> Option<Event> {
    let records = records.as_array()?;
    if records.is_empty() || records.len() > RECORDS_MAX {
        return None;
    }
    records
        .iter()
        .map(|record| {
            let message = record.get("Sns")?.get("Message")?.as_str()?;
            let alarm: Value = serde_json::from_str(message).ok()?;
            Some(Trigger::Alarm {
                name: alarm.get("AlarmName")?.as_str()?.to_owned(),
                state: alarm_state(alarm.get("NewStateValue")?.as_str()?)?,
                at_ms: alarm
                    .get("StateChangeTime")
                    .and_then(Value::as_str)
                    .and_then(at_ms),
            })
        })
        .collect::<Option<Vec<_>>>()
        .map(Event::Alarms)
}

fn alarm_state(value: &str) -> Option<AlarmState> {
    match value {
        "OK" => Some(AlarmState::Ok),
        "ALARM" => Some(AlarmState::Alarm),
        "INSUFFICIENT_DATA" => Some(AlarmState::InsufficientData),
        _ => None,
    }
}

/// CloudWatch writes offsets without a colon: `2026-11-20T11:17:18.000+0000`.
fn at_ms(text: &str) -> Option<u64> {
    let text = match text.strip_suffix("+0000") {
        Some(start) => format!("{start}Z"),
        None => text.to_owned(),
    };
    let at = OffsetDateTime::parse(&text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

// ---- commands

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum Wire {
    Start(Box<WireStart>),
    Plan(Box<WireStart>),
    Status(WireBy),
    History(WireHistory),
    Pause(WireBy),
    Resume(WireBy),
    Promote(WireBy),
    Rollback(WireBy),
    Tick(WireBy),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireBy {
    operator: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireHistory {
    migration_id: Option<String>,
    operator: Option<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireStart {
    to: Environment,
    migration_id: Option<String>,
    strategy: WireStrategy,
    bake_seconds: Option<u64>,
    max_seconds: Option<u64>,
    operator: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    versions: WireVersions,
    #[serde(default)]
    on_drift: OnDrift,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireVersions {
    blue: Option<String>,
    green: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
enum WireStrategy {
    AllAtOnce {},
    #[serde(rename_all = "camelCase")]
    Canary {
        percent: u8,
        bake_seconds: u64,
    },
    #[serde(rename_all = "camelCase")]
    Linear {
        step_percent: u8,
        interval_seconds: u64,
    },
    Steps {
        steps: Vec<Step>,
    },
}

impl From<WireStrategy> for Strategy {
    fn from(strategy: WireStrategy) -> Self {
        match strategy {
            WireStrategy::AllAtOnce {} => Self::AllAtOnce,
            WireStrategy::Canary {
                percent,
                bake_seconds,
            } => Self::Canary(Step {
                percent,
                bake_seconds,
            }),
            WireStrategy::Linear {
                step_percent,
                interval_seconds,
            } => Self::Linear {
                step_percent,
                interval_seconds,
            },
            WireStrategy::Steps { steps } => Self::Steps(steps),
        }
    }
}

fn command(event: &str, fields: &serde_json::Map<String, Value>, request_id: &str) -> Event {
    let action = fields
        .get("action")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let known = [
        "start", "plan", "status", "history", "pause", "resume", "promote", "rollback", "tick",
    ];
    if !known.contains(&action) {
        let message = format!("unknown action: it takes {}", known.join(", "));
        return refused("unknown_command", message);
    }
    match serde_json::from_str::<Wire>(event) {
        Ok(wire) => understood(wire, request_id)
            .unwrap_or_else(|problem| refused("invalid_command", problem)),
        Err(problem) => refused("invalid_command", format!("{action}: {problem}")),
    }
}

fn refused(code: &'static str, message: String) -> Event {
    Event::Refused { code, message }
}

fn understood(wire: Wire, request_id: &str) -> Result<Event, String> {
    let ordered = |command, by: WireBy| Ok(Event::Trigger(Trigger::Command(command, checked(by)?)));
    match wire {
        Wire::Start(wire) => {
            let (start, by) = start(*wire, request_id)?;
            ordered(Command::Start(start), by)
        }
        Wire::Plan(wire) => {
            let _checked = start(*wire, request_id)?;
            Ok(refused(
                "not_supported",
                "plan is not supported by this version: start checks the guards, and status shows \
                 where it stands"
                    .to_owned(),
            ))
        }
        Wire::Status(by) => checked(by).map(|_| Event::Status),
        Wire::History(wire) => {
            checked(WireBy {
                operator: wire.operator,
                reason: wire.reason,
            })?;
            let migration_id = wire.migration_id.map(migration_id).transpose()?;
            Ok(Event::History { migration_id })
        }
        Wire::Pause(by) => ordered(Command::Pause, by),
        Wire::Resume(by) => ordered(Command::Resume, by),
        Wire::Promote(by) => ordered(Command::Promote, by),
        Wire::Rollback(by) => ordered(Command::RollBack, by),
        Wire::Tick(by) => checked(by).map(|_| Event::Trigger(Trigger::Tick)),
    }
}

fn checked(by: WireBy) -> Result<By, String> {
    for (field, text) in [("operator", &by.operator), ("reason", &by.reason)] {
        let is_bad = text.as_ref().is_some_and(|text| {
            text.is_empty() || text.chars().count() > TEXT_MAX || text.chars().any(char::is_control)
        });
        if is_bad {
            return Err(format!(
                "{field} takes 1 to {TEXT_MAX} printable characters"
            ));
        }
    }
    Ok(By {
        operator: by.operator,
        reason: by.reason,
    })
}

fn start(wire: WireStart, request_id: &str) -> Result<(Start, WireBy), String> {
    let bake_seconds = wire.bake_seconds.unwrap_or(BAKE_SECONDS);
    let steps = Strategy::from(wire.strategy)
        .steps(bake_seconds)
        .map_err(|problem| problem.to_string())?;
    let planned: u64 = steps
        .iter()
        .fold(0, |sum, step| sum.saturating_add(step.bake_seconds));
    let max_seconds = wire
        .max_seconds
        .unwrap_or_else(|| planned.saturating_add(HOLD_SECONDS).min(MAX_SECONDS_MAX));
    if !(1..=MAX_SECONDS_MAX).contains(&max_seconds) {
        return Err(format!("maxSeconds takes 1 to {MAX_SECONDS_MAX}"));
    }
    let WireVersions { blue, green } = wire.versions;
    let start = Start {
        migration_id: match wire.migration_id {
            Some(id) => migration_id(id)?,
            None => id_from("m", request_id),
        },
        to: wire.to,
        steps,
        max_seconds,
        on_drift: wire.on_drift,
        versions: Versions {
            blue: blue.as_deref().map(version).transpose()?,
            green: green.as_deref().map(version).transpose()?,
        },
        max_exposed_payments: None,
        max_exposed_seconds: None,
    };
    let by = WireBy {
        operator: wire.operator,
        reason: wire.reason,
    };
    Ok((start, by))
}

/// An id that follows from a request's id, so that a repeated delivery of the request names the same migration.
#[must_use]
pub fn id_from(prefix: &str, request_id: &str) -> String {
    let id: String = request_id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(48)
        .collect();
    format!("{prefix}-{id}")
}

fn migration_id(id: String) -> Result<String, String> {
    let is_id = (1..=64).contains(&id.len())
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if is_id {
        Ok(id)
    } else {
        Err("migrationId takes 1 to 64 of A-Z a-z 0-9 _ . -".to_owned())
    }
}

/// A published version: its number, or the ARN that ends in it. `$LATEST` is none: it changes under the traffic.
///
/// # Errors
/// What it takes.
pub fn version(text: &str) -> Result<String, String> {
    let number = text.rsplit(':').next().unwrap_or_default();
    let is_arn = text.starts_with("arn:") || number == text;
    let is_number = number.chars().all(|c| c.is_ascii_digit())
        && (1..=18).contains(&number.len())
        && !number.starts_with('0');
    if is_arn && is_number {
        Ok(number.to_owned())
    } else {
        Err("a version takes the number of a published version, or its ARN".to_owned())
    }
}
