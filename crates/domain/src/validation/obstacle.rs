//! What it means that something could not be looked at.

use super::check::Judgement;

/// What stood in the way of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The function's role may not look, or the key's policy keeps it from reading.
    Denied,
    /// Too many calls: the service asks to come again later.
    Throttled,
    /// There is no such thing.
    Missing,
    /// The service did not answer in time.
    Late,
    /// There was no connection to the service.
    Unreachable,
    /// The service refused, or answered what can't be understood.
    Refused,
}

impl Obstacle {
    /// What a check makes of it. Only a thing that is not there is a failure: of the rest nothing is known.
    ///
    /// `operation` is the call by its IAM name (`rds:DescribeDBClusters`), `thing` what it was about, `said` what the
    /// service said.
    #[must_use]
    pub fn judged(self, operation: &str, thing: &str, said: &str, expected: &str) -> Judgement {
        match self {
            Self::Missing => Judgement::fail(
                format!("{thing} does not exist"),
                expected,
                format!("create {thing}, or correct the name in the properties"),
            ),
            Self::Denied => Judgement::unknown(
                format!("access denied at {operation} for {thing}: {said}"),
                expected,
                format!(
                    "allow {operation} on {thing} in the validator's role and in the key's policy"
                ),
            ),
            Self::Throttled => Judgement::unknown(
                format!("throttled at {operation} for {thing}: {said}"),
                expected,
                "validate again in a minute; if it goes on, ask for a higher quota".to_owned(),
            ),
            Self::Late => Judgement::unknown(
                format!("no answer in time from {operation} for {thing}"),
                expected,
                "validate again; if it goes on, look at the service's health and at the network's route to it",
            ),
            Self::Unreachable => Judgement::unknown(
                format!("no connection for {operation} of {thing}: {said}"),
                expected,
                "look at the security groups, the routes and the service's VPC endpoint",
            ),
            Self::Refused => Judgement::unknown(
                format!("{operation} for {thing} failed: {said}"),
                expected,
                "look at what the service said",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::Status;

    #[test]
    fn denied_and_throttled_are_told_apart_and_neither_passes() {
        let judged = |obstacle: Obstacle| {
            obstacle.judged("dynamodb:DescribeTable", "table sessions", "no", "ACTIVE")
        };
        let denied = judged(Obstacle::Denied);
        let throttled = judged(Obstacle::Throttled);
        assert!(denied.observed.starts_with("access denied"));
        assert!(denied.advice.contains("dynamodb:DescribeTable"));
        assert!(throttled.observed.starts_with("throttled"));
        for obstacle in [
            Obstacle::Denied,
            Obstacle::Throttled,
            Obstacle::Late,
            Obstacle::Unreachable,
            Obstacle::Refused,
        ] {
            assert_eq!(judged(obstacle).status, Status::Unknown);
        }
        assert_eq!(judged(Obstacle::Missing).status, Status::Fail);
    }
}
