//! `METRICS` and `REPLICATION`: what counts requests and failures, and what copies between the ledgers.

use std::collections::{BTreeMap, BTreeSet};

use cutover_aws::counts::{CountSources, MetricSource, TallySource};
use cutover_aws::replication::ReplicationSource;
use cutover_domain::switch::Direction;
use serde_json::Value;

use crate::fields::{Fields, is_arn};

/// What `METRICS` takes.
pub const TAKES_METRICS: &str = "a JSON object {\"blue\":{\"requests\":m,\"failures\":m},\"green\":{...},\"money\"?:[m]} \
     with m = {\"namespace\",\"name\",\"dimensions\"?,\"stat\"}";

/// What `REPLICATION` takes.
pub const TAKES_REPLICATION: &str = "a JSON object {\"tasks\":[{\"arn\",\"direction\":\"blue-to-green\"|\"green-to-blue\"}],\
     \"maxLagSeconds\"?}";

/// Dimensions of a metric (CloudWatch's own limit).
const DIMENSIONS_MAX: usize = 30;

/// Metrics of money.
const MONEY_MAX: usize = 10;

/// Replication tasks.
const TASKS_MAX: usize = 10;

/// Lag with which a step is taken where `REPLICATION` does not say, in seconds.
const MAX_LAG_SECONDS: u64 = 30;

/// `REPLICATION`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// The tasks.
    pub tasks: Vec<ReplicationSource>,
    /// The longest lag with which a step is taken, in seconds.
    pub max_lag_seconds: u64,
}

/// Reads `METRICS`.
///
/// # Errors
/// Every mistake, with its field.
pub fn metrics(value: &str) -> Result<CountSources, String> {
    let mut fields = Fields::of("it", parsed(value)?)?;
    let mut tally = |color| {
        let value = fields.required(color)?;
        fields.absorb(self::tally(color, value))
    };
    let (blue, green) = (tally("blue"), tally("green"));
    let money = match fields.any("money") {
        None => Vec::new(),
        Some(Value::Array(list)) if list.len() <= MONEY_MAX => list
            .into_iter()
            .enumerate()
            .filter_map(|(index, value)| {
                let place = format!("money, entry {}", index + 1);
                fields.absorb(metric(&place, value))
            })
            .collect(),
        Some(_) => {
            fields.mistake("money takes a list of at most 10 metrics");
            Vec::new()
        }
    };
    let sources = blue
        .zip(green)
        .map(|(blue, green)| CountSources { blue, green, money });
    fields
        .finish(sources)
        .map_err(|why| format!("is refused: {why}"))
}

fn tally(color: &str, value: Value) -> Result<TallySource, String> {
    let mut fields = Fields::of(color, value)?;
    let mut of = |name| {
        let value = fields.required(name)?;
        fields.absorb(metric(&format!("{color}.{name}"), value))
    };
    let (requests, failures) = (of("requests"), of("failures"));
    if requests.is_some() && requests == failures {
        fields.mistake("requests and failures are the same metric");
    }
    let tally = requests
        .zip(failures)
        .map(|(requests, failures)| TallySource { requests, failures });
    fields.finish(tally)
}

fn metric(place: &str, value: Value) -> Result<MetricSource, String> {
    const TEXT: &str = "1 to 255 printable ASCII characters";
    let fits = |text: &str| (1..=255).contains(&text.len()) && text.chars().all(is_printable);
    let mut fields = Fields::of(place, value)?;
    let namespace = fields.text("namespace", TEXT, fits);
    let name = fields.text("name", TEXT, fits);
    // Only these two of CloudWatch's statistics are counts.
    let stat = fields.text("stat", "Sum or SampleCount", |text| {
        matches!(text, "Sum" | "SampleCount")
    });
    let dimensions = match fields.any("dimensions") {
        None => BTreeMap::new(),
        Some(value) => {
            let read: Result<BTreeMap<String, String>, _> = serde_json::from_value(value);
            let read = read.ok().filter(|dimensions| {
                dimensions.len() <= DIMENSIONS_MAX
                    && dimensions
                        .iter()
                        .all(|(name, value)| fits(name) && fits(value))
            });
            if read.is_none() {
                fields.mistake("dimensions takes an object of at most 30 texts");
            }
            read.unwrap_or_default()
        }
    };
    let made = match (namespace, name, stat) {
        (Some(namespace), Some(name), Some(stat)) => Some(MetricSource {
            namespace,
            name,
            dimensions,
            stat,
        }),
        _ => None,
    };
    fields.finish(made)
}

/// Reads `REPLICATION`.
///
/// # Errors
/// Every mistake, with its field.
pub fn replication(value: &str) -> Result<Replication, String> {
    let mut fields = Fields::of("it", parsed(value)?)?;
    let max_lag_seconds = fields
        .number("maxLagSeconds", 1..=3600)
        .unwrap_or(MAX_LAG_SECONDS);
    let tasks: Vec<ReplicationSource> = match fields.any("tasks") {
        Some(Value::Array(list)) if (1..=TASKS_MAX).contains(&list.len()) => list
            .into_iter()
            .enumerate()
            .filter_map(|(index, value)| fields.absorb(task(index + 1, value)))
            .collect(),
        _ => {
            fields.mistake("tasks takes a list of 1 to 10 tasks");
            Vec::new()
        }
    };
    let arns: BTreeSet<&str> = tasks.iter().map(|task| task.arn.as_str()).collect();
    if arns.len() < tasks.len() {
        fields.mistake("tasks names one twice");
    }
    let replication = Replication {
        tasks,
        max_lag_seconds,
    };
    fields
        .finish(Some(replication))
        .map_err(|why| format!("is refused: {why}"))
}

fn task(number: usize, value: Value) -> Result<ReplicationSource, String> {
    let mut fields = Fields::of(format!("tasks, entry {number}"), value)?;
    let arn = fields.text("arn", "the ARN of a replication task of AWS DMS", |text| {
        is_arn(text, "dms", "task:")
    });
    let direction = |text: &str| match text {
        "blue-to-green" => Some(Direction::BlueToGreen),
        "green-to-blue" => Some(Direction::GreenToBlue),
        _ => None,
    };
    let named = fields.text("direction", "blue-to-green or green-to-blue", |text| {
        direction(text).is_some()
    });
    let direction = named.and_then(|named| direction(&named));
    let source = arn
        .zip(direction)
        .map(|(arn, direction)| ReplicationSource { arn, direction });
    fields.finish(source)
}

fn parsed(value: &str) -> Result<Value, String> {
    serde_json::from_str(value).map_err(|error| format!("is no JSON: {error}"))
}

fn is_printable(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn m(name: &str) -> Value {
        json!({"namespace": "Cutover", "name": name, "dimensions": {"Color": "blue"}, "stat": "Sum"})
    }

    fn all() -> Value {
        let tally = json!({"requests": m("Payments"), "failures": m("Failures")});
        json!({"blue": tally, "green": tally, "money": [m("Duplicates")]})
    }

    fn refused(value: &Value) -> String {
        metrics(&value.to_string()).unwrap_err()
    }

    #[test]
    fn metrics_are_read_or_refused_field_by_field() {
        let sources = metrics(&all().to_string()).unwrap();
        assert_eq!(sources.green.failures.name, "Failures");
        assert_eq!(sources.blue.requests.dimensions["Color"], "blue");
        assert_eq!(sources.money.len(), 1);
        let mut bare = all();
        bare.as_object_mut().unwrap().remove("money");
        assert!(metrics(&bare.to_string()).unwrap().money.is_empty());
        for (pointer, value, told) in [
            ("/green", Value::Null, "green is missing"),
            ("/green", json!(7), "green is no JSON object"),
            ("/green/failures", Value::Null, "green: failures is missing"),
            (
                "/green/failures",
                m("Payments"),
                "green: requests and failures are the same metric",
            ),
            (
                "/blue/requests/stat",
                json!("Average"),
                "blue.requests: stat takes Sum or SampleCount",
            ),
            (
                "/blue/requests/name",
                json!(""),
                "blue.requests: name takes 1 to 255",
            ),
            (
                "/blue/requests/dimensions",
                json!(["Color"]),
                "blue.requests: dimensions takes",
            ),
            ("/money", json!({}), "money takes a list"),
            (
                "/money/0",
                json!({}),
                "money, entry 1: namespace is missing",
            ),
        ] {
            let mut wrong = all();
            *wrong.pointer_mut(pointer).unwrap() = value;
            let why = refused(&wrong);
            assert!(why.contains(told), "{pointer}: {why}");
        }
        let mut unknown = all();
        unknown["red"] = json!({});
        assert!(refused(&unknown).contains("unknown field red; it takes blue, green, money"));
        assert!(metrics("{").unwrap_err().contains("no JSON"));
        let two = json!({"blue": {"requests": m("a")}, "green": {"failures": m("b")}});
        let why = refused(&two);
        assert!(
            why.contains("blue: failures") && why.contains("green: requests"),
            "{why}"
        );
    }

    #[test]
    fn replication_is_read_or_refused_field_by_field() {
        let arn = "arn:aws:dms:eu-central-1:123456789012:task:THERE";
        let task = json!({"arn": arn, "direction": "blue-to-green"});
        let read = replication(&json!({"tasks": [task]}).to_string()).unwrap();
        assert_eq!(read.max_lag_seconds, MAX_LAG_SECONDS);
        assert_eq!(read.tasks[0].direction, Direction::BlueToGreen);
        for (value, told) in [
            (json!({}), "tasks takes a list"),
            (json!({"tasks": []}), "tasks takes a list"),
            (json!({"tasks": [task, task]}), "tasks names one twice"),
            (
                json!({"tasks": [task], "maxLagSeconds": 0}),
                "maxLagSeconds takes",
            ),
            (
                json!({"tasks": [task], "maxLagSeconds": "30"}),
                "maxLagSeconds takes",
            ),
            (json!({"tasks": [task], "lag": 1}), "unknown field lag"),
            (
                json!({"tasks": [{"arn": arn, "direction": "up"}]}),
                "entry 1: direction takes",
            ),
            (
                json!({"tasks": [{"arn": "THERE", "direction": "blue-to-green"}]}),
                "entry 1: arn takes",
            ),
            (json!([]), "no JSON object"),
        ] {
            let why = replication(&value.to_string()).unwrap_err();
            assert!(why.contains(told), "{value}: {why}");
        }
    }
}
