//! The checks by name, and what one can end with.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text;

/// Longest text of a finding, in characters: of a report, and of what a checkpoint holds.
const TEXT_CHARS_MAX: usize = 2000;

/// A check of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Blue's database cluster by itself.
    BlueCluster,
    /// Green's database cluster by itself.
    GreenCluster,
    /// Whether the two can replicate into each other.
    ClusterCompatibility,
    /// The shared session table.
    SessionTable,
    /// The bucket of the transaction log.
    TransactionBucket,
    /// Blue's database secret.
    BlueSecret,
    /// Green's database secret.
    GreenSecret,
    /// A login to blue's database with its secret.
    BlueLogin,
    /// A login to green's database with its secret.
    GreenLogin,
    /// Replication between the databases.
    Replication,
    /// Both databases have the same tables.
    SchemaParity,
    /// The tables have the same rows.
    DataParity,
    /// Sessions, ledgers and log objects tell the same payments.
    Reconciliation,
    /// Targets behind the load balancer.
    TargetHealth,
    /// Functions that are to take traffic.
    Functions,
    /// The guards of the migration.
    Alarms,
    /// A recovery point to go back to.
    Backup,
    /// Keys that everything is encrypted with.
    Keys,
}

impl Check {
    /// Every check, in the order of the report.
    pub const ALL: [Self; 18] = [
        Self::BlueCluster,
        Self::GreenCluster,
        Self::ClusterCompatibility,
        Self::SessionTable,
        Self::TransactionBucket,
        Self::BlueSecret,
        Self::GreenSecret,
        Self::BlueLogin,
        Self::GreenLogin,
        Self::Replication,
        Self::SchemaParity,
        Self::DataParity,
        Self::Reconciliation,
        Self::TargetHealth,
        Self::Functions,
        Self::Alarms,
        Self::Backup,
        Self::Keys,
    ];

    /// Its name in the report and in the property `Checks`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BlueCluster => "blue-cluster",
            Self::GreenCluster => "green-cluster",
            Self::ClusterCompatibility => "cluster-compatibility",
            Self::SessionTable => "session-table",
            Self::TransactionBucket => "transaction-bucket",
            Self::BlueSecret => "blue-secret",
            Self::GreenSecret => "green-secret",
            Self::BlueLogin => "blue-login",
            Self::GreenLogin => "green-login",
            Self::Replication => "replication",
            Self::SchemaParity => "schema-parity",
            Self::DataParity => "data-parity",
            Self::Reconciliation => "reconciliation",
            Self::TargetHealth => "target-health",
            Self::Functions => "functions",
            Self::Alarms => "alarms",
            Self::Backup => "backup",
            Self::Keys => "keys",
        }
    }

    /// The check of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|check| check.name() == name)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a check, or a validation, ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was looked at and is as it must be.
    Pass,
    /// It was looked at and is not.
    Fail,
    /// It could not be looked at. This never passes where the validation is enforced.
    Unknown,
    /// It was not asked for.
    Skipped,
}

impl Status {
    /// The name in the report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is made of what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What it ends with.
    pub status: Status,
    /// What was seen.
    pub observed: String,
    /// What there should be.
    pub expected: String,
    /// What to do; empty where it passed.
    pub advice: String,
}

impl Judgement {
    /// It is as it must be.
    #[must_use]
    pub fn pass(observed: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(Status::Pass, observed, expected, "")
    }

    /// It is not as it must be.
    #[must_use]
    pub fn fail(
        observed: impl Into<String>,
        expected: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Status::Fail, observed, expected, advice)
    }

    /// It could not be looked at.
    #[must_use]
    pub fn unknown(
        observed: impl Into<String>,
        expected: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Status::Unknown, observed, expected, advice)
    }

    /// It was not asked for, and why.
    #[must_use]
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::new(Status::Skipped, why, "", "")
    }

    fn new(
        status: Status,
        observed: impl Into<String>,
        expected: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let short = |text: String| text::shortened(&text::plain(&text), TEXT_CHARS_MAX);
        Self {
            status,
            observed: short(observed.into()),
            expected: short(expected.into()),
            advice: short(advice.into()),
        }
    }

    /// Several parts of one check: the worst of their statuses, and what each saw.
    #[must_use]
    pub fn all(parts: Vec<Self>) -> Self {
        let status = worst(parts.iter().map(|part| part.status));
        let joined = |of: fn(&Self) -> &str, only_bad: bool| {
            let mut texts: Vec<&str> = Vec::new();
            for part in &parts {
                let text = of(part);
                let wanted = !only_bad || part.status != Status::Pass;
                if wanted && !text.is_empty() && !texts.contains(&text) {
                    texts.push(text);
                }
            }
            texts.join("; ")
        };
        // What is wrong comes first: a long text is cut at its end.
        let is_good = status == Status::Pass;
        Self::new(
            status,
            joined(|part| &part.observed, !is_good),
            joined(|part| &part.expected, !is_good),
            joined(|part| &part.advice, true),
        )
    }

    /// As the finding of a check that took `ms` milliseconds.
    #[must_use]
    pub fn of(self, check: Check, ms: u64) -> Finding {
        Finding {
            name: check,
            status: self.status,
            observed: self.observed,
            expected: self.expected,
            advice: self.advice,
            ms,
        }
    }
}

/// The worst of several: one failure fails the whole, one blind spot makes it unknown, and nothing at all is unknown.
pub(crate) fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    let mut whole = None;
    for status in statuses {
        whole = match (whole, status) {
            (Some(Status::Fail), _) | (_, Status::Fail) => Some(Status::Fail),
            (Some(Status::Unknown), _) | (_, Status::Unknown) => Some(Status::Unknown),
            (Some(Status::Pass), _) | (_, Status::Pass) => Some(Status::Pass),
            (whole, Status::Skipped) => whole,
        };
    }
    whole.unwrap_or(Status::Unknown)
}

/// What a check ended with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which check.
    pub name: Check,
    /// What it ended with.
    pub status: Status,
    /// What was seen.
    pub observed: String,
    /// What there should be.
    pub expected: String,
    /// What to do; empty where it passed.
    pub advice: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_the_report_and_in_the_property() {
        for check in Check::ALL {
            assert_eq!(Check::named(check.name()), Some(check));
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(text, format!("\"{}\"", check.name()));
        }
        assert_eq!(Check::named("Backup"), None);
    }

    #[test]
    fn the_worst_status_is_the_whole() {
        use Status::{Fail, Pass, Skipped, Unknown};
        for (parts, whole) in [
            (vec![Pass, Skipped, Pass], Pass),
            (vec![Pass, Unknown, Pass], Unknown),
            (vec![Unknown, Fail, Pass], Fail),
            (vec![Fail, Unknown], Fail),
            (vec![Skipped, Skipped], Unknown),
            (vec![], Unknown),
        ] {
            assert_eq!(worst(parts.clone()), whole, "{parts:?}");
        }
    }

    #[test]
    fn of_several_parts_the_bad_ones_are_told() {
        let whole = Judgement::all(vec![
            Judgement::pass("a is fine", "fine"),
            Judgement::fail("b is broken", "fine", "mend b"),
            Judgement::unknown("c is hidden", "seen", "show c"),
        ]);
        assert_eq!(whole.status, Status::Fail);
        assert_eq!(whole.observed, "b is broken; c is hidden");
        assert_eq!(whole.advice, "mend b; show c");
    }
}
