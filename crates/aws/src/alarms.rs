//! CloudWatch alarms as guards, read by DescribeAlarms.
//!
//! Events come only on a transition, so an alarm that is already in ALARM is silent: it must be polled.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::{AlarmType, StateValue};
use cutover_domain::switch::{AlarmState, GuardReading};
use cutover_ports::switch::AlarmReader;

use crate::failure::failure;

/// Names that one DescribeAlarms call takes.
const NAMES_MAX: usize = 100;

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
        let answer = self
            .client
            .describe_alarms()
            .set_alarm_names(Some(names.to_vec()))
            // Without this, composite alarms are left out.
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .max_records(100)
            .send()
            .await;
        let alarms = match answer {
            Ok(alarms) => alarms,
            Err(error) => {
                let why = failure(error).to_string();
                return names.iter().map(|name| unreadable(name, &why)).collect();
            }
        };
        let metric = alarms.metric_alarms().iter().map(|alarm| {
            let doubt = alarm.evaluation_state().map(|s| s.as_str().to_owned());
            reading(
                alarm.alarm_name(),
                alarm.state_value(),
                alarm.actions_enabled(),
                doubt,
            )
        });
        let composite = alarms.composite_alarms().iter().map(|alarm| {
            reading(
                alarm.alarm_name(),
                alarm.state_value(),
                alarm.actions_enabled(),
                None,
            )
        });
        let mut found: BTreeMap<String, GuardReading> = metric
            .chain(composite)
            .map(|reading| (reading.name.clone(), reading))
            .collect();
        names
            .iter()
            .map(|name| found.remove(name).unwrap_or_else(|| missing(name)))
            .collect()
    }
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

/// What CloudWatch leaves out counts against the guard.
fn reading(
    name: Option<&str>,
    state: Option<&StateValue>,
    actions_enabled: Option<bool>,
    doubt: Option<String>,
) -> GuardReading {
    GuardReading {
        name: name.unwrap_or_default().to_owned(),
        state: match state {
            Some(StateValue::Ok) => AlarmState::Ok,
            Some(StateValue::Alarm) => AlarmState::Alarm,
            Some(StateValue::InsufficientData) => AlarmState::InsufficientData,
            _ => AlarmState::Unreadable,
        },
        actions_enabled: actions_enabled == Some(true),
        doubt,
        detection_seconds: None,
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
