//! What the function takes, from the wire to the domain.

use cutover_custom_resource::looks_like_custom_resource;
use cutover_domain::parity::FenceOrder;
use cutover_lambda::run::InvocationError;
use serde::Deserialize;
use serde_json::{Map, Value};

const SHAPES: &str = "it takes a CloudFormation event of Custom::PreMigrationValidation or Custom::DatabaseSchema, \
     {\"action\":\"validate\",\"properties\":{...}}, or {\"action\":\"fence\",\"properties\":{\"BlueSecretArn\",\
     \"GreenSecretArn\"},\"epoch\":n,\"mayWrite\":{\"blue\":bool,\"green\":bool}}";

/// An event, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// CloudFormation; it is read by the protocol.
    Resource,
    /// An operator or the switch asks.
    Validate(Map<String, Value>),
    /// The switch sets the fence.
    Fence(FenceCommand),
}

/// An order to the fence of both ledgers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceCommand {
    /// Blue's database secret.
    pub blue_secret: String,
    /// Green's database secret.
    pub green_secret: String,
    /// What is to stand.
    pub order: FenceOrder,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fence {
    #[serde(rename = "action")]
    _action: String,
    properties: FenceProperties,
    epoch: i64,
    may_write: MayWrite,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FenceProperties {
    blue_secret_arn: String,
    green_secret_arn: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MayWrite {
    blue: bool,
    green: bool,
}

fn unknown(problem: &str) -> InvocationError {
    InvocationError {
        kind: "UnknownEvent",
        message: format!("{problem}: {SHAPES}"),
    }
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// If it is of no known shape.
    pub fn read(event: &str) -> Result<Self, InvocationError> {
        let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(event) else {
            return Err(unknown("the event is no JSON object"));
        };
        if looks_like_custom_resource(event) {
            return Ok(Self::Resource);
        }
        match fields.get("action").and_then(Value::as_str) {
            Some("validate") => {
                let surplus = fields
                    .keys()
                    .find(|key| !["action", "properties"].contains(&key.as_str()));
                if let Some(surplus) = surplus {
                    return Err(unknown(&format!("a validate command has no {surplus:.64}")));
                }
                match fields.remove("properties") {
                    None | Some(Value::Null) => Ok(Self::Validate(Map::new())),
                    Some(Value::Object(properties)) => Ok(Self::Validate(properties)),
                    Some(_) => Err(unknown("properties is no JSON object")),
                }
            }
            Some("fence") => fence(event),
            Some(other) => Err(unknown(&format!("the action {other:.64} is unknown"))),
            None => Err(unknown("the event is of no known shape")),
        }
    }
}

fn fence(event: &str) -> Result<Event, InvocationError> {
    let fence: Fence = serde_json::from_str(event)
        .map_err(|error| unknown(&format!("the fence command is refused ({error})")))?;
    if fence.epoch < 0 {
        return Err(unknown("epoch is negative"));
    }
    let FenceProperties {
        blue_secret_arn,
        green_secret_arn,
    } = fence.properties;
    if blue_secret_arn.is_empty() || green_secret_arn.is_empty() {
        return Err(unknown("BlueSecretArn or GreenSecretArn is empty"));
    }
    Ok(Event::Fence(FenceCommand {
        blue_secret: blue_secret_arn,
        green_secret: green_secret_arn,
        order: FenceOrder {
            epoch: fence.epoch,
            blue: fence.may_write.blue,
            green: fence.may_write.green,
        },
    }))
}

/// What a CloudFormation event that was handed on by an earlier invocation adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Continuation {
    /// When the first invocation began, in milliseconds since the epoch.
    pub began_ms: u64,
    /// How many invocations came before.
    pub number: u32,
}

/// The member of the event that holds a [`Continuation`].
const CONTINUATION: &str = "CutoverContinuation";

impl Continuation {
    /// What an event says, if it was handed on.
    #[must_use]
    pub fn of(event: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Marked {
            #[serde(rename = "CutoverContinuation")]
            continuation: Option<Continuation>,
        }
        serde_json::from_str::<Marked>(event).ok()?.continuation
    }

    /// The event with this in it.
    #[must_use]
    pub fn mark(self, event: &str) -> Option<String> {
        let mut fields: Map<String, Value> = serde_json::from_str(event).ok()?;
        let mark = serde_json::json!({"beganMs": self.began_ms, "number": self.number});
        fields.insert(CONTINUATION.to_owned(), mark);
        Some(Value::Object(fields).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continued_event_is_the_same_and_says_since_when() {
        let event = r#"{"RequestType":"Create","ResponseURL":"http://127.0.0.1/x"}"#;
        assert_eq!(Continuation::of(event), None);
        let mark = Continuation {
            began_ms: 1_800_000_000_000,
            number: 2,
        };
        let marked = mark.mark(event).unwrap();
        assert_eq!(Continuation::of(&marked), Some(mark));
        assert_eq!(Event::read(&marked).unwrap(), Event::Resource);
    }

    #[test]
    fn what_is_of_no_shape_is_told_what_is_taken() {
        for event in [
            "null",
            "[]",
            "7",
            "{}",
            r#"{"action":"fenc"}"#,
            r#"{"action":7}"#,
            r#"{"action":"validate","properties":[]}"#,
            r#"{"action":"validate","property":{}}"#,
            r#"{"action":"fence"}"#,
            r#"{"action":"fence","properties":{"BlueSecretArn":"b","GreenSecretArn":"g"},"epoch":-1,"mayWrite":{"blue":true,"green":true}}"#,
            r#"{"action":"fence","properties":{"BlueSecretArn":"b","GreenSecretArn":"g"},"epoch":1,"mayWrite":{"blue":true}}"#,
            r#"{"action":"fence","properties":{"BlueSecretArn":"b","GreenSecretArn":""},"epoch":1,"mayWrite":{"blue":true,"green":false}}"#,
            r#"{"action":"fence","properties":{"BlueSecretArn":"b","GreenSecretArn":"g","X":1},"epoch":1,"mayWrite":{"blue":true,"green":false}}"#,
        ] {
            let error = Event::read(event).unwrap_err();
            assert_eq!(error.kind, "UnknownEvent");
            for taken in [
                "Custom::PreMigrationValidation",
                "validate",
                "fence",
                "mayWrite",
            ] {
                assert!(error.message.contains(taken), "{event}: {error}");
            }
        }
    }
}
