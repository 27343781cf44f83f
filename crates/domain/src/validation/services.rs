//! What takes traffic, and what watches it: targets, functions, alarms.

use super::check::Judgement;
use super::facts::{FunctionFacts, Targets};
use super::text::listed;
use crate::switch::{AlarmState, GuardReading};

/// What a target group must have.
pub const TARGETS_EXPECTED: &str = "targets, all of them healthy";
/// What a function must be.
pub const FUNCTION_EXPECTED: &str = "Active, its last update Successful";
/// What an alarm must be.
pub const ALARM_EXPECTED: &str = "there, with its actions enabled";

/// Names that are shown of many.
const SHOWN_MAX: usize = 5;

/// The targets of a group. Those that are draining left it already.
#[must_use]
pub fn targets(targets: &Targets) -> Judgement {
    let staying: Vec<&(String, String)> = targets
        .states
        .iter()
        .filter(|(state, _)| state != "draining")
        .collect();
    let healthy = staying
        .iter()
        .filter(|(state, _)| state == "healthy")
        .count();
    let others: Vec<String> = staying
        .iter()
        .filter(|(state, _)| state != "healthy")
        .map(|(state, reason)| format!("{state} ({reason})"))
        .collect();
    let group = targets.arn.rsplit(':').next().unwrap_or(&targets.arn);
    let mut observed = format!("{group}: {healthy} of {} targets healthy", staying.len());
    if !others.is_empty() {
        observed = format!("{observed}, others {}", listed(&others, SHOWN_MAX));
    }
    if staying.is_empty() {
        return Judgement::fail(observed, TARGETS_EXPECTED, "register targets");
    }
    if others.is_empty() {
        return Judgement::pass(observed, TARGETS_EXPECTED);
    }
    // `unavailable` is the state where no health check looks: nothing is known of the target.
    if staying
        .iter()
        .all(|(state, _)| matches!(state.as_str(), "healthy" | "unavailable"))
    {
        return Judgement::unknown(
            observed,
            TARGETS_EXPECTED,
            "turn the group's health checks on",
        );
    }
    Judgement::fail(
        observed,
        TARGETS_EXPECTED,
        "look at why the health checks fail, and wait until all targets are healthy",
    )
}

/// Whether a function is on its way to another state: a version that was published a moment ago is `Pending` for seconds.
#[must_use]
pub fn is_settling(function: &FunctionFacts) -> bool {
    function.state.as_deref() == Some("Pending")
        || function.last_update.as_deref() == Some("InProgress")
}

/// A function.
#[must_use]
pub fn function(function: &FunctionFacts) -> Judgement {
    let state = function.state.as_deref().unwrap_or("in no state");
    let update = function.last_update.as_deref().unwrap_or("not told");
    let mut observed = format!(
        "function {} is {state}, its last update {update}",
        function.name
    );
    if let Some(reason) = &function.reason {
        observed = format!("{observed} ({reason})");
    }
    if state == "Active" && update == "Successful" {
        Judgement::pass(observed, FUNCTION_EXPECTED)
    } else {
        Judgement::fail(
            observed,
            FUNCTION_EXPECTED,
            "wait for the update, or deploy the function again",
        )
    }
}

/// The guards, in the order in which they were asked for.
#[must_use]
pub fn alarms(readings: &[GuardReading]) -> Judgement {
    let parts: Vec<Judgement> = readings.iter().map(alarm).collect();
    Judgement::all(&parts)
}

fn alarm(reading: &GuardReading) -> Judgement {
    let name = &reading.name;
    match reading.state {
        AlarmState::Missing => Judgement::fail(
            format!("alarm {name} does not exist"),
            ALARM_EXPECTED,
            "create the alarm, or correct AlarmNames",
        ),
        AlarmState::Unreadable => Judgement::unknown(
            format!(
                "alarm {name} could not be read: {}",
                reading.doubt.as_deref().unwrap_or("its state is not known")
            ),
            ALARM_EXPECTED,
            "allow cloudwatch:DescribeAlarms in the validator's role, or validate again",
        ),
        _ if !reading.actions_enabled => Judgement::fail(
            format!("the actions of alarm {name} are disabled"),
            ALARM_EXPECTED,
            "enable the alarm's actions: a disabled guard tells nobody",
        ),
        // Which state it is in is the switch's concern, at every step. Here it would keep a stack from mending what the alarm
        // tells of, and the candidate's alarms have no data before it takes traffic.
        AlarmState::Ok => Judgement::pass(format!("{name} is OK"), ALARM_EXPECTED),
        AlarmState::Alarm => Judgement::pass(format!("{name} is in ALARM"), ALARM_EXPECTED),
        AlarmState::InsufficientData => {
            Judgement::pass(format!("{name} has no data yet"), ALARM_EXPECTED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Status;

    #[test]
    fn every_target_that_stays_must_be_healthy() {
        let judged = |states: &[&str]| {
            targets(&Targets {
                arn: "arn:x:targetgroup/blue/1".to_owned(),
                states: states
                    .iter()
                    .map(|s| ((*s).to_owned(), "why".to_owned()))
                    .collect(),
            })
            .status
        };
        assert_eq!(judged(&["healthy", "healthy"]), Status::Pass);
        assert_eq!(judged(&["healthy", "draining"]), Status::Pass);
        assert_eq!(judged(&["draining"]), Status::Fail);
        assert_eq!(judged(&[]), Status::Fail);
        assert_eq!(judged(&["healthy", "unhealthy"]), Status::Fail);
        assert_eq!(judged(&["healthy", "initial"]), Status::Fail);
        assert_eq!(judged(&["unavailable"]), Status::Unknown);
        assert_eq!(judged(&["unavailable", "unhealthy"]), Status::Fail);
    }

    #[test]
    fn a_function_must_be_active_and_updated() {
        for (state, update, status) in [
            (Some("Active"), Some("Successful"), Status::Pass),
            (Some("Active"), Some("InProgress"), Status::Fail),
            (Some("Active"), None, Status::Fail),
            (Some("Inactive"), Some("Successful"), Status::Fail),
            (None, Some("Successful"), Status::Fail),
        ] {
            let judged = function(&FunctionFacts {
                name: "pay".to_owned(),
                state: state.map(str::to_owned),
                last_update: update.map(str::to_owned),
                reason: None,
            });
            assert_eq!(judged.status, status, "{state:?} {update:?}");
        }
    }

    #[test]
    fn only_a_function_on_its_way_is_worth_waiting_for() {
        for (state, update, settling) in [
            ("Pending", "InProgress", true),
            ("Active", "InProgress", true),
            ("Active", "Successful", false),
            ("Failed", "Failed", false),
            ("Inactive", "Successful", false),
        ] {
            let function = FunctionFacts {
                state: Some(state.to_owned()),
                last_update: Some(update.to_owned()),
                ..FunctionFacts::default()
            };
            assert_eq!(is_settling(&function), settling, "{state} {update}");
        }
        assert!(!is_settling(&FunctionFacts::default()));
    }

    #[test]
    fn an_alarm_must_be_there_and_able_to_act() {
        let reading = |state, actions_enabled| GuardReading {
            name: "errors".to_owned(),
            state,
            actions_enabled,
            doubt: None,
            detection_seconds: None,
        };
        for (state, enabled, status) in [
            (AlarmState::Ok, true, Status::Pass),
            (AlarmState::InsufficientData, true, Status::Pass),
            (AlarmState::Ok, false, Status::Fail),
            (AlarmState::Alarm, true, Status::Pass),
            (AlarmState::Alarm, false, Status::Fail),
            (AlarmState::Missing, false, Status::Fail),
            (AlarmState::Unreadable, true, Status::Unknown),
        ] {
            let both = [reading(AlarmState::Ok, true), reading(state, enabled)];
            assert_eq!(alarms(&both).status, status, "{state:?} {enabled}");
        }
        assert_eq!(alarms(&[]).status, Status::Unknown);
    }
}
