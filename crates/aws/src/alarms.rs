//! CloudWatch alarms as guards, read by DescribeAlarms.
//!
//! Events come only on a transition, so an alarm that is already in ALARM is silent: it must be polled.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{
    AlarmType, CompositeAlarm, MetricAlarm, MetricDataQuery, MetricStat, StateValue,
};
use cutover_domain::switch::{AlarmState, GuardReading};
use cutover_ports::switch::AlarmReader;

use crate::composite_rule::members;
use crate::failure::failure;

/// Names that one DescribeAlarms call takes.
const NAMES_MAX: usize = 100;

/// Alarms of one page.
const RECORDS_MAX: i32 = 100;

/// Pages of one answer.
const PAGES_MAX: usize = 10;

/// Reads alarms of the account and region.
#[derive(Debug, Clone)]
pub struct CloudWatchAlarms {
    client: Client,
}

impl CloudWatchAlarms {
    /// A reader on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    async fn describe(&self, names: &[String]) -> Vec<GuardReading> {
        match self.found(names).await {
            Ok(mut found) => names
                .iter()
                .map(|name| found.remove(name).unwrap_or_else(|| missing(name)))
                .collect(),
            Err(why) => names.iter().map(|name| unreadable(name, &why)).collect(),
        }
    }

    /// Every alarm of those names that there is.
    async fn found(&self, names: &[String]) -> Result<BTreeMap<String, GuardReading>, String> {
        let (mut found, rules) = self.pages(names).await?;
        let members: BTreeSet<&String> = rules.values().flatten().collect();
        if members.is_empty() {
            return Ok(found);
        }
        let members: Vec<String> = members.into_iter().cloned().collect();
        let mut of_members = BTreeMap::new();
        for names in members.chunks(NAMES_MAX) {
            // What is not learnt of a member leaves the composite alarm's time unknown, not its state.
            if let Ok((some, _)) = self.pages(names).await {
                of_members.extend(some);
            }
        }
        for (name, members) in rules {
            let seconds = members.iter().map(|member| {
                let member = of_members.get(member)?;
                member.detection_seconds
            });
            if let Some(reading) = found.get_mut(&name) {
                reading.detection_seconds = seconds.min_by_key(slowness).flatten();
            }
        }
        Ok(found)
    }

    /// Every alarm of those names that there is, and the members of those that are composite.
    async fn pages(&self, names: &[String]) -> Result<Found, String> {
        let (mut found, mut rules) = Found::default();
        let mut token = None;
        for _page in 0..PAGES_MAX {
            let page = self
                .client
                .describe_alarms()
                .set_alarm_names(Some(names.to_vec()))
                // Without this, composite alarms are left out.
                .alarm_types(AlarmType::MetricAlarm)
                .alarm_types(AlarmType::CompositeAlarm)
                .max_records(RECORDS_MAX)
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| failure(error).to_string())?;
            let metric = page.metric_alarms().iter().map(of_metric);
            let composite = page.composite_alarms().iter().map(of_composite);
            found.extend(
                metric
                    .chain(composite)
                    .map(|reading| (reading.name.clone(), reading)),
            );
            rules.extend(page.composite_alarms().iter().filter_map(|alarm| {
                let members = members(alarm.alarm_rule()?)?;
                Some((alarm.alarm_name()?.to_owned(), members))
            }));
            token = page.next_token;
            if token.is_none() {
                return Ok((found, rules));
            }
        }
        Err(format!("more than {PAGES_MAX} pages of alarms"))
    }
}

/// Readings by name, and names of members by the name of their composite alarm.
type Found = (
    BTreeMap<String, GuardReading>,
    BTreeMap<String, Vec<String>>,
);

/// Orders times from the slowest to the fastest; one that is not known is slower than any.
fn slowness(seconds: &Option<u64>) -> Reverse<u64> {
    Reverse(seconds.unwrap_or(u64::MAX))
}

#[async_trait]
impl AlarmReader for CloudWatchAlarms {
    async fn read(&self, names: &[String]) -> Vec<GuardReading> {
        let mut readings = Vec::with_capacity(names.len());
        for names in names.chunks(NAMES_MAX) {
            readings.extend(self.describe(names).await);
        }
        readings
    }
}

fn of_metric(alarm: &MetricAlarm) -> GuardReading {
    GuardReading {
        doubt: alarm.evaluation_state().map(|s| s.as_str().to_owned()),
        detection_seconds: detection_seconds(alarm),
        ..reading(
            alarm.alarm_name(),
            alarm.state_value(),
            alarm.actions_enabled(),
        )
    }
}

/// How long it needs is how long its members need, which are read apart. Of a composite member that is not looked into.
fn of_composite(alarm: &CompositeAlarm) -> GuardReading {
    let by = alarm.actions_suppressed_by();
    GuardReading {
        doubt: by.map(|by| format!("actions suppressed by {}", by.as_str())),
        ..reading(
            alarm.alarm_name(),
            alarm.state_value(),
            alarm.actions_enabled(),
        )
    }
}

/// Seconds of breaching data until a metric alarm goes to ALARM at the latest: its period, or the longest one in its
/// expression, times its evaluation periods.
fn detection_seconds(alarm: &MetricAlarm) -> Option<u64> {
    let of_query = |query: &MetricDataQuery| {
        let of_stat = query.metric_stat().and_then(MetricStat::period);
        of_stat.into_iter().chain(query.period()).max()
    };
    let of_queries = alarm.metrics().iter().filter_map(of_query);
    let period = alarm.period().into_iter().chain(of_queries).max()?;
    let periods = u64::try_from(alarm.evaluation_periods()?).ok()?;
    u64::try_from(period).ok()?.checked_mul(periods)
}

/// What CloudWatch leaves out counts against the guard.
fn reading(
    name: Option<&str>,
    state: Option<&StateValue>,
    actions_enabled: Option<bool>,
) -> GuardReading {
    GuardReading {
        state: match state {
            Some(StateValue::Ok) => AlarmState::Ok,
            Some(StateValue::Alarm) => AlarmState::Alarm,
            Some(StateValue::InsufficientData) => AlarmState::InsufficientData,
            _ => AlarmState::Unreadable,
        },
        actions_enabled: actions_enabled == Some(true),
        ..missing(name.unwrap_or_default())
    }
}

fn missing(name: &str) -> GuardReading {
    GuardReading {
        name: name.to_owned(),
        state: AlarmState::Missing,
        actions_enabled: false,
        doubt: None,
        detection_seconds: None,
    }
}

fn unreadable(name: &str, why: &str) -> GuardReading {
    GuardReading {
        state: AlarmState::Unreadable,
        doubt: Some(why.to_owned()),
        ..missing(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::replay::{Answer, Replay};

    fn alarm(name: &str, state: &str) -> Value {
        json!({
            "AlarmName": name, "StateValue": state, "ActionsEnabled": true,
            "MetricName": "Errors", "Period": 60, "EvaluationPeriods": 3, "DatapointsToAlarm": 1,
        })
    }

    async fn read(names: &[&str], answers: Vec<Answer>) -> Vec<GuardReading> {
        let replay = Replay::new(answers);
        let alarms = CloudWatchAlarms::new(&replay.config().await);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let readings = alarms.read(&names).await;
        let _every_answer_was_fetched = replay.sent();
        readings
    }

    fn page(metric: &[Value], composite: &[Value], token: Option<&str>) -> Answer {
        let mut page = json!({"MetricAlarms": metric, "CompositeAlarms": composite});
        if let Some(token) = token {
            page["NextToken"] = json!(token);
        }
        Answer::cbor(200, &page)
    }

    #[tokio::test]
    async fn every_name_gets_a_reading_in_its_order() {
        let first = page(&[alarm("b", "ALARM")], &[], Some("more"));
        let composite = json!({"AlarmName": "a", "StateValue": "OK", "ActionsEnabled": true});
        let second = page(&[alarm("d", "INSUFFICIENT_DATA")], &[composite], None);
        let readings = read(&["a", "b", "c", "d"], vec![first, second]).await;
        let told: Vec<(&str, AlarmState, Option<u64>)> = readings
            .iter()
            .map(|r| (r.name.as_str(), r.state, r.detection_seconds))
            .collect();
        assert_eq!(
            told,
            [
                ("a", AlarmState::Ok, None),
                ("b", AlarmState::Alarm, Some(180)),
                ("c", AlarmState::Missing, None),
                ("d", AlarmState::InsufficientData, Some(180)),
            ]
        );
        assert!(readings[0].is_healthy() && !readings[3].is_healthy());
    }

    #[tokio::test]
    async fn whatever_makes_an_alarm_unreliable_is_a_doubt() {
        for (field, value, told) in [
            ("EvaluationState", json!("PARTIAL_DATA"), "OK, PARTIAL_DATA"),
            (
                "EvaluationState",
                json!("EVALUATION_ERROR"),
                "OK, EVALUATION_ERROR",
            ),
            (
                "EvaluationState",
                json!("SOMETHING_NEW"),
                "OK, SOMETHING_NEW",
            ),
            ("ActionsEnabled", json!(false), "OK, actions disabled"),
            ("StateValue", json!("SOMETHING_NEW"), "unreadable"),
        ] {
            let mut alarm = alarm("a", "OK");
            alarm[field] = value;
            let readings = read(&["a"], vec![page(&[alarm], &[], None)]).await;
            assert!(!readings[0].is_healthy(), "{readings:?}");
            assert_eq!(readings[0].describe(), told);
        }
        let suppressed = json!({
            "AlarmName": "a", "StateValue": "OK", "ActionsEnabled": true, "ActionsSuppressedBy": "Alarm",
        });
        let readings = read(&["a"], vec![page(&[], &[suppressed], None)]).await;
        assert_eq!(readings[0].describe(), "OK, actions suppressed by Alarm");
    }

    #[tokio::test]
    async fn the_slowest_metric_of_an_expression_counts() {
        let stat =
            |period: i32| json!({"Metric": {"MetricName": "m"}, "Period": period, "Stat": "Sum"});
        let expression = json!({
            "AlarmName": "a", "StateValue": "OK", "ActionsEnabled": true, "EvaluationPeriods": 2,
            "Metrics": [
                {"Id": "e", "Expression": "m1/m2"},
                {"Id": "m1", "MetricStat": stat(60)},
                {"Id": "m2", "MetricStat": stat(300)},
            ],
        });
        let readings = read(&["a"], vec![page(&[expression], &[], None)]).await;
        assert_eq!(readings[0].detection_seconds, Some(600));
        let query = json!({"AlarmName": "a", "StateValue": "OK", "ActionsEnabled": true});
        let readings = read(&["a"], vec![page(&[query], &[], None)]).await;
        assert_eq!(readings[0].detection_seconds, None);
    }

    #[tokio::test]
    async fn a_composite_alarm_is_as_slow_as_its_slowest_member() {
        let composite = |rule: &str| json!({"AlarmName": "a", "StateValue": "OK", "ActionsEnabled": true, "AlarmRule": rule});
        let mut slow = alarm("slow", "OK");
        slow["EvaluationPeriods"] = json!(5);
        let members = || page(&[alarm("fast", "OK"), slow.clone()], &[], None);
        for (rule, answers, seconds) in [
            ("ALARM(fast) OR ALARM(\"slow\")", vec![members()], Some(300)),
            ("ALARM(fast)", vec![members()], Some(180)),
            ("ALARM(fast) OR ALARM(gone)", vec![members()], None),
            (
                "ALARM(fast) OR ALARM(b)",
                vec![page(&[alarm("fast", "OK")], &[composite("ALARM(x)")], None)],
                None,
            ),
            ("AT_LEAST(1, ALARM, (fast))", vec![], None),
            (
                "ALARM(fast)",
                vec![Answer::Lost, Answer::Lost, Answer::Lost],
                None,
            ),
        ] {
            let mut all = vec![page(&[], &[composite(rule)], None)];
            all.extend(answers);
            let readings = read(&["a"], all).await;
            assert_eq!(readings[0].detection_seconds, seconds, "{rule}");
            assert!(readings[0].is_healthy(), "{rule}");
        }
    }

    #[tokio::test]
    async fn a_call_that_failed_makes_every_guard_unreadable() {
        let throttled = || {
            let body = json!({"__type": "ThrottlingException", "message": "Rate exceeded"});
            Answer::cbor(400, &body)
        };
        let readings = read(&["a", "b"], vec![throttled(), throttled(), throttled()]).await;
        for reading in &readings {
            assert_eq!(reading.state, AlarmState::Unreadable);
            assert!(reading.describe().contains("throttled"), "{reading:?}");
        }
        let recovered = vec![throttled(), page(&[alarm("a", "OK")], &[], None)];
        assert!(read(&["a"], recovered).await[0].is_healthy());
        let endless = (0..PAGES_MAX).map(|_| page(&[], &[], Some("more")));
        let readings = read(&["a"], endless.collect()).await;
        assert!(readings[0].describe().contains("pages"), "{readings:?}");
    }
}
