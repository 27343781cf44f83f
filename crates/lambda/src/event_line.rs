//! The one JSON line that an event leaves on stdout.
//!
//! The line carries its metrics too, in CloudWatch's Embedded Metric Format: an `_aws` object that names the members of
//! the same line that are metrics. One event is so one line, and a metric can always be traced to what it counts.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::clock;

/// The CloudWatch namespace of every metric.
pub const NAMESPACE: &str = "Cutover";

/// Metric values that one Embedded Metric Format document may hold (CloudWatch's own limit is 100 metrics).
const METRICS_MAX: usize = 100;

/// Seconds: the resolution at which CloudWatch keeps the metrics, so that alarms may have periods of 10 s.
const STORAGE_RESOLUTION: u8 = 1;

/// The unit of a metric, by CloudWatch's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things counted.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// Hundredths.
    Percent,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Percent => "Percent",
        }
    }
}

/// A log line in the making: fields for people, metrics for alarms.
///
/// Only `Environment`, `Color` and `Function` become dimensions: an id as a dimension would make a metric per payment.
#[derive(Debug, Clone)]
pub struct EventLine {
    fields: Map<String, Value>,
    dimensions: Vec<&'static str>,
    metrics: Vec<Value>,
}

impl EventLine {
    /// A line for an event of `function` in `environment`; `color` where the function has one.
    #[must_use]
    pub fn new(function: &str, environment: &str, color: Option<&str>) -> Self {
        let mut line = Self {
            fields: Map::new(),
            dimensions: vec!["Environment"],
            metrics: Vec::new(),
        };
        line.set("Environment", environment);
        if let Some(color) = color {
            line.dimensions.push("Color");
            line.set("Color", color);
            line.set("color", color);
        }
        line.dimensions.push("Function");
        line.set("Function", function);
        line
    }

    /// Sets a field. Never a card number, a password, a secret string or a whole event.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a metric, or sets one that is there already. Beyond [`METRICS_MAX`] metrics the value stays a plain field.
    pub fn metric(&mut self, name: &str, value: impl Into<Value>, unit: Unit) -> &mut Self {
        let is_known = self.metrics.iter().any(|metric| metric["Name"] == name);
        if !is_known && self.metrics.len() < METRICS_MAX {
            self.metrics.push(json!({
                "Name": name,
                "Unit": unit.as_str(),
                "StorageResolution": STORAGE_RESOLUTION,
            }));
        }
        self.set(name, value)
    }

    /// Adds `more` to a metric that counts: one line may tell of several things of a kind.
    pub fn count(&mut self, name: &str, more: u64) -> &mut Self {
        let so_far = self.fields.get(name).and_then(Value::as_u64).unwrap_or(0);
        self.metric(name, so_far.saturating_add(more), Unit::Count)
    }

    /// Adds a value to a list: one line may tell of several things of a kind.
    pub fn push(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        let list = self.fields.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(value.into());
        }
        self
    }

    /// The line as JSON, its metrics stamped with `now_ms` (milliseconds since the epoch).
    #[must_use]
    pub fn to_json(&self, now_ms: u64) -> Value {
        let mut fields = self.fields.clone();
        if !self.metrics.is_empty() {
            fields.insert(
                "_aws".to_owned(),
                json!({
                    "Timestamp": now_ms,
                    "CloudWatchMetrics": [{
                        "Namespace": NAMESPACE,
                        "Dimensions": [self.dimensions],
                        "Metrics": self.metrics,
                    }],
                }),
            );
        }
        Value::Object(fields)
    }

    /// Writes the line to stdout, in one write.
    pub fn emit(&self) {
        emit(&self.to_json(clock::now_ms()));
    }
}

/// Writes one JSON line to stdout. A closed stdout is no reason to fail a payment: the error is dropped on purpose.
pub fn emit(line: &Value) {
    let mut bytes = line.to_string().into_bytes();
    bytes.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    let _closed = stdout.write_all(&bytes).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_members_of_the_same_line() {
        let mut line = EventLine::new("payment-validation", "dev-payment-ab12cd34", Some("blue"));
        line.set("requestId", "r-1")
            .metric("Payments", 1, Unit::Count);
        let json = line.to_json(1_700_000_000_000);
        let directive = &json["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(json["_aws"]["Timestamp"], 1_700_000_000_000_u64);
        assert_eq!(directive["Namespace"], "Cutover");
        assert_eq!(
            directive["Dimensions"],
            json!([["Environment", "Color", "Function"]])
        );
        assert_eq!(directive["Metrics"][0]["Name"], "Payments");
        assert_eq!(json["Payments"], 1);
        assert_eq!(json["Color"], "blue");
        assert_eq!(json["requestId"], "r-1");
    }

    #[test]
    fn a_metric_is_named_once_and_counts_add_up() {
        let mut line = EventLine::new("environment-switcher", "dev-payment-ab12cd34", None);
        line.count("Rollbacks", 1)
            .count("Rollbacks", 0)
            .count("Rollbacks", 2)
            .metric("CandidateWeight", 5, Unit::Percent)
            .metric("CandidateWeight", 0, Unit::Percent);
        let json = line.to_json(0);
        assert_eq!(
            (&json["Rollbacks"], &json["CandidateWeight"]),
            (&json!(3), &json!(0))
        );
        let metrics = json["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array();
        assert_eq!(metrics.map(Vec::len), Some(2));
    }

    #[test]
    fn a_line_without_metrics_is_no_metric_document() {
        let line = EventLine::new("environment-switcher", "dev-payment-ab12cd34", None);
        assert_eq!(line.to_json(0).get("_aws"), None);
    }

    #[test]
    fn no_document_holds_more_metrics_than_cloudwatch_takes() {
        let mut line = EventLine::new("f", "e", None);
        for i in 0..150 {
            line.metric(&format!("M{i}"), i, Unit::Count);
        }
        let json = line.to_json(0);
        let metrics = json["_aws"]["CloudWatchMetrics"][0]["Metrics"]
            .as_array()
            .map(Vec::len);
        assert_eq!(metrics, Some(100));
        assert_eq!(json["M149"], 149);
    }
}
