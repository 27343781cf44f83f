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
