//! The health of a target group's targets as the capacity of an environment.

use aws_sdk_elasticloadbalancingv2::types::{
    TargetHealth, TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};
use cutover_domain::switch::Capacity;

/// What the health of a group's targets says. One healthy target is enough for `Ready`: how many the load needs is for the
/// target group's own alarms to say.
pub(crate) fn capacity(targets: &[TargetHealthDescription]) -> (Capacity, String) {
    let health: Vec<&TargetHealth> = targets.iter().filter_map(|t| t.target_health()).collect();
    let healthy = health
        .iter()
        .filter(|health| health.state() == Some(&TargetHealthStateEnum::Healthy))
        .count();
    let all = targets.len();
    if healthy > 0 {
        return (
            Capacity::Ready,
            format!("{healthy} of {all} targets healthy"),
        );
    }
    let every = |reason: &TargetHealthReasonEnum| {
        !health.is_empty() && health.iter().all(|health| health.reason() == Some(reason))
    };
    if every(&TargetHealthReasonEnum::HealthCheckDisabled) {
        // The way of a group whose target is a function.
        let why = "the target group has no health check";
        return (Capacity::NotApplicable, why.to_owned());
    }
    if every(&TargetHealthReasonEnum::NotInUse) {
        // A group at weight 0 is in use; one that no action names is not, and nobody checks its targets.
        let why =
            "no action of a load balancer names the target group, so its targets are not checked";
        return (Capacity::Unknown, why.to_owned());
    }
    let mut reasons: Vec<&str> = health
        .iter()
        .map(|health| match (health.reason(), health.state()) {
            (Some(reason), _) => reason.as_str(),
            (None, Some(state)) => state.as_str(),
            (None, None) => "unknown",
        })
        .collect();
    reasons.sort_unstable();
    reasons.dedup();
    let reasons = reasons.join(", ");
    (
        Capacity::Short,
        format!("0 of {all} targets healthy: {reasons}"),
    )
}
