//! What the function takes, from the wire to the domain.

use cutover_custom_resource::looks_like_custom_resource;
use cutover_domain::switch::{AlarmState, By, Start, Trigger};
use cutover_lambda::run::InvocationError;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::command;

/// SNS records that one event may hold.
const RECORDS_MAX: usize = 100;

const SHAPES: &str = "it takes an EventBridge scheduled event, a \"CloudWatch Alarm State Change\" event, an alarm's \
     Lambda action, SNS records with alarm messages, a CloudFormation Custom::EnvironmentSwitch event, or a command \
     {\"action\":\"start\"|\"plan\"|\"status\"|\"history\"|\"pause\"|\"resume\"|\"promote\"|\"rollback\"|\"tick\"|\"drill\"}";

/// An event, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something that may move the switch.
    Trigger(Trigger),
    /// Several alarm messages in one event.
    Alarms(Vec<Trigger>),
    /// How would this start go?
    Plan(Start, By),
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
            return Ok(command::read(event, &fields, request_id));
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
