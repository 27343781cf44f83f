//! Whether a step may run, from the secret's staging labels.

use std::collections::BTreeMap;

/// The label of the version that everyone reads.
pub const CURRENT: &str = "AWSCURRENT";
/// The label of the version that a rotation makes.
pub const PENDING: &str = "AWSPENDING";
/// The label of the version that was current before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// The names of all steps, for whoever sends another.
pub const STEPS: &str = "createSecret, setSecret, testSecret or finishSecret";

/// A step of a rotation, in the order in which Secrets Manager asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Stores the new credentials under the label AWSPENDING.
    Create,
    /// Has the database take them.
    Set,
    /// Logs in with them.
    Test,
    /// Makes them current.
    Finish,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];

    /// Reads a step's name, as AWS writes it or in snake case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "createSecret" | "create_secret" => Some(Self::Create),
            "setSecret" | "set_secret" => Some(Self::Set),
            "testSecret" | "test_secret" => Some(Self::Test),
            "finishSecret" | "finish_secret" => Some(Self::Finish),
            _ => None,
        }
    }

    /// As AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }
}

/// What DescribeSecret says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Whether rotation is on; nothing if the service does not say.
    pub rotation_enabled: Option<bool>,
    /// Labels by version id. Versions without labels are not among them.
    pub labels: BTreeMap<String, Vec<String>>,
}

impl Versions {
    /// The version that has a label.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(_, labels)| labels.iter().any(|has| has == label))
            .map(|(id, _)| id.as_str())
    }

    fn has(&self, version: &str, label: &str) -> bool {
        self.labels
            .get(version)
            .is_some_and(|labels| labels.iter().any(|has| has == label))
    }
}

/// What a step finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The rotation is over: nothing is left to do.
    AlreadyCurrent,
    /// The version is the pending one: the step runs.
    Pending,
}

/// Why a step does not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Rotation is off, or was cancelled.
    #[error("rotation of the secret is not enabled")]
    NotEnabled,
    /// The token names no version.
    #[error(
        "the secret has no version with the id that ClientRequestToken names, or it has no staging label"
    )]
    NoSuchVersion,
    /// The token names a version of another rotation.
    #[error("the version that ClientRequestToken names is neither AWSPENDING nor AWSCURRENT")]
    NotPending,
}

/// The checks that AWS asks of every step, in its order.
///
/// # Errors
/// [`Refusal`].
pub fn admit(versions: &Versions, token: &str) -> Result<Admission, Refusal> {
    if versions.rotation_enabled == Some(false) {
        return Err(Refusal::NotEnabled);
    }
    if !versions.labels.contains_key(token) {
        return Err(Refusal::NoSuchVersion);
    }
    if versions.has(token, CURRENT) {
        return Ok(Admission::AlreadyCurrent);
    }
    if versions.has(token, PENDING) {
        return Ok(Admission::Pending);
    }
    Err(Refusal::NotPending)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(enabled: Option<bool>, labels: &[(&str, &[&str])]) -> Versions {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Versions {
            rotation_enabled: enabled,
            labels: labels
                .iter()
                .map(|(id, names)| ((*id).to_owned(), owned(names)))
                .collect(),
        }
    }

    #[test]
    fn a_pending_version_is_worked_on_and_a_current_one_is_done() {
        let both = versions(Some(true), &[("old", &[CURRENT]), ("new", &[PENDING])]);
        assert_eq!(admit(&both, "new"), Ok(Admission::Pending));
        assert_eq!(admit(&both, "old"), Ok(Admission::AlreadyCurrent));
        // AWSPENDING may stay on the version that became current.
        let done = versions(None, &[("new", &[CURRENT, PENDING])]);
        assert_eq!(admit(&done, "new"), Ok(Admission::AlreadyCurrent));
    }

    #[test]
    fn other_tokens_and_a_rotation_that_is_off_are_refused() {
        let both = versions(
            Some(true),
            &[
                ("old", &[CURRENT]),
                ("older", &[PREVIOUS]),
                ("new", &[PENDING]),
            ],
        );
        assert_eq!(admit(&both, "older"), Err(Refusal::NotPending));
        assert_eq!(admit(&both, "none"), Err(Refusal::NoSuchVersion));
        let off = versions(Some(false), &[("new", &[PENDING])]);
        assert_eq!(admit(&off, "new"), Err(Refusal::NotEnabled));
    }

    #[test]
    fn steps_are_known_by_either_spelling() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.as_str()), Some(step));
            let snake = step.as_str().replace("Secret", "_secret");
            assert_eq!(Step::named(&snake), Some(step));
            assert!(STEPS.contains(step.as_str()));
        }
        assert_eq!(Step::named("CreateSecret"), None);
    }
}
