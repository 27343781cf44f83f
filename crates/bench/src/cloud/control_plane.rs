//! What the switch looks at and turns: an alias of a function with two versions, and alarms that are all well.

use std::cell::RefCell;

use serde_json::{Value, json};

use super::{Answer, cbor};
use crate::http::Request;

/// The alarms that there are.
pub const ALARMS: [&str; 4] = [
    "errors-blue",
    "latency-blue",
    "errors-green",
    "latency-green",
];
/// The function whose alias it is.
pub const FUNCTION: &str = "payment-validation";
/// The alias.
pub const ALIAS: &str = "live";

/// Lambda: one alias, by whose revision it is changed.
#[derive(Debug)]
pub struct Alias(RefCell<Value>);

impl Default for Alias {
    fn default() -> Self {
        Self(RefCell::new(json!({
            "AliasArn": format!("arn:aws:lambda:eu-central-1:123456789012:function:{FUNCTION}:{ALIAS}"),
            "Name": ALIAS,
            "FunctionVersion": "1",
            "Description": "",
            "RoutingConfig": {"AdditionalVersionWeights": {}},
            "RevisionId": "0",
        })))
    }
}

impl Alias {
    /// How much the alias gives to the version that it is not named for, in percent.
    #[must_use]
    pub fn share(&self) -> f64 {
        let alias = self.0.borrow();
        let weights = alias["RoutingConfig"]["AdditionalVersionWeights"].as_object();
        let weights = weights.into_iter().flat_map(|weights| weights.values());
        weights.filter_map(Value::as_f64).sum::<f64>() * 100.0
    }

    /// All to the first version again.
    pub fn clear(&self) {
        self.0.replace(Self::default().0.into_inner());
    }

    pub(super) fn answer(&self, request: &Request) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        let asked = path.rsplit('/').next().unwrap_or_default();
        match (request.method.as_str(), asked) {
            ("GET", ALIAS) => Answer::json(200, &self.0.borrow()),
            ("PUT", ALIAS) => self.update(request),
            ("GET", "configuration") => {
                Answer::json(200, &json!({"FunctionName": FUNCTION, "State": "Active"}))
            }
            ("POST", "invocations") => Answer::json(200, &json!({"status": "ok"})),
            _ => Answer::error("ResourceNotFoundException", "there is no such thing"),
        }
    }

    fn update(&self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut alias = self.0.borrow_mut();
        if body["RevisionId"] != alias["RevisionId"] {
            let mut refused = Answer::error("PreconditionFailedException", "it was changed");
            refused.status = 412;
            return refused;
        }
        for member in ["FunctionVersion", "Description", "RoutingConfig"] {
            if let Some(value) = body.get(member) {
                alias[member] = value.clone();
            }
        }
        let revision = alias["RevisionId"]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok());
        alias["RevisionId"] = json!((revision.unwrap_or_default() + 1).to_string());
        Answer::json(200, &alias)
    }
}

/// CloudWatch: every alarm is OK.
pub(super) fn alarms(request: &Request) -> Answer {
    if !request.path.ends_with("/operation/DescribeAlarms") {
        return Answer::error("InvalidAction", "only DescribeAlarms is answered");
    }
    let alarm = |name: &str| {
        json!({
            "AlarmName": name, "StateValue": "OK", "ActionsEnabled": true, "MetricName": "Failures",
            "Period": 60, "EvaluationPeriods": 1, "DatapointsToAlarm": 1,
        })
    };
    let all: Vec<Value> = ALARMS.into_iter().map(alarm).collect();
    Answer {
        status: 200,
        content_type: "application/cbor",
        body: cbor::encode(&json!({"MetricAlarms": all, "CompositeAlarms": []})),
    }
}
