//! Setting an alarm's state by hand, for a drill: it shows that the way from an alarm to the switch works.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::StateValue;
use cutover_ports::switch::{AlarmTestError, AlarmTester};

use crate::failure::failure;

/// Longest reason that CloudWatch takes, in characters.
const REASON_MAX: usize = 1023;

/// Alarms of the account and region.
#[derive(Debug, Clone)]
pub struct CloudWatchAlarmTester {
    client: Client,
}

impl CloudWatchAlarmTester {
    /// A tester on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    async fn set(&self, name: &str, state: StateValue, reason: &str) -> Result<(), AlarmTestError> {
        let reason: String = reason.chars().take(REASON_MAX).collect();
        self.client
            .set_alarm_state()
            .alarm_name(name)
            .state_value(state)
            .state_reason(reason)
            .send()
            .await
            .map_err(|error| AlarmTestError {
                operation: "SetAlarmState",
                alarm: name.to_owned(),
                source: failure(error),
            })?;
        Ok(())
    }
}

#[async_trait]
impl AlarmTester for CloudWatchAlarmTester {
    /// The next evaluation with data that are not breaching takes the alarm back by itself.
    async fn trip(&self, name: &str, reason: &str) -> Result<(), AlarmTestError> {
        self.set(name, StateValue::Alarm, reason).await
    }

    async fn restore(&self, name: &str) -> Result<(), AlarmTestError> {
        self.set(name, StateValue::Ok, "the drill is over").await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay::{Answer, Replay};

    #[tokio::test]
    async fn an_alarm_is_tripped_with_its_reason_and_restored() {
        let done = || Answer::cbor(200, &json!({}));
        let replay = Replay::new([done(), done()]);
        let tester = CloudWatchAlarmTester::new(&replay.config().await);
        tester
            .trip("errors-green", &"drill ".repeat(1000))
            .await
            .unwrap();
        tester.restore("errors-green").await.unwrap();
        let sent = replay.sent();
        let says = |index: usize, part: &str| sent[index].text().contains(part);
        assert!(says(0, "errors-green") && says(0, "ALARM") && says(0, "drill"));
        assert!(sent[0].body.len() < 1500, "the reason fits");
        assert!(says(1, "errors-green") && says(1, "OK"));
    }

    #[tokio::test]
    async fn a_refusal_names_the_alarm_and_says_why() {
        let missing =
            json!({"__type": "com.amazonaws.cloudwatch#ResourceNotFound", "message": "none"});
        let replay = Replay::new([Answer::cbor(404, &missing)]);
        let tester = CloudWatchAlarmTester::new(&replay.config().await);
        let error = tester.trip("errors-green", "drill").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "SetAlarmState of alarm errors-green failed"
        );
        assert!(
            error.source.to_string().contains("does not exist"),
            "{}",
            error.source
        );
    }
}
