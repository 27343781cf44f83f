//! What is stored between two invocations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Environment, Evidence, MayWrite, Step, Tally, Verb, Versions, Weights};

/// Ids of past migrations that are remembered, so that a late duplicate of their start is no new start.
pub(super) const PAST_MAX: usize = 16;

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No migration was ever started.
    Idle,
    /// Started; the candidate has no traffic yet.
    Validating,
    /// The candidate has some of the traffic.
    Shifting,
    /// Held by an operator; guards are watched on.
    Paused,
    /// The candidate has all of the traffic, on probation.
    Baking,
    /// The candidate is the active environment.
    Completed,
    /// All traffic is on its way back to the previous environment.
    RollingBack,
    /// All traffic was seen on the previous environment.
    RolledBack,
    /// As rolled back, before the candidate had any traffic, because the validation failed.
    Failed,
}

impl Phase {
    /// Whether a migration is under way that may still be rolled back by a guard.
    #[must_use]
    pub const fn is_forward(self) -> bool {
        matches!(
            self,
            Self::Validating | Self::Shifting | Self::Paused | Self::Baking
        )
    }

    /// Whether a migration is under way, in either direction.
    #[must_use]
    pub const fn is_running(self) -> bool {
        self.is_forward() || matches!(self, Self::RollingBack)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Validating => "validating",
            Self::Shifting => "shifting",
            Self::Paused => "paused",
            Self::Baking => "baking",
            Self::Completed => "completed",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done about weights that the switch did not set. Candidate traffic above the plan is taken back with either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// The intended weights are written again.
    #[default]
    Repair,
    /// Nothing is done until an operator has looked.
    Hold,
}

/// A migration, running or the last that ran.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// Its id: a start with the same id is no new start.
    pub id: String,
    /// The environment that was active before it.
    pub from: Environment,
    /// The candidate.
    pub to: Environment,
    /// Growing shares, the last of them 100 %.
    pub steps: Vec<Step>,
    /// Index in `steps` of the share last verified at every router.
    pub step: Option<usize>,
    /// When that share was verified, in milliseconds since the epoch.
    pub step_at_ms: u64,
    /// When it was started, in milliseconds since the epoch.
    pub started_at_ms: u64,
    /// Seconds after the start at which an unfinished migration is rolled back.
    pub max_seconds: u64,
    /// What is done about weights that the switch did not set.
    pub on_drift: OnDrift,
    /// Who started it.
    pub operator: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The validation failed: the rollback ends in [`Phase::Failed`].
    pub refused_by_validation: bool,
    /// Payments that the candidate may spoil before a failure is detected.
    #[serde(default)]
    pub max_exposed_payments: Option<u64>,
    /// Seconds of full traffic that the candidate may spoil before a failure is detected.
    #[serde(default)]
    pub max_exposed_seconds: Option<u64>,
    /// What the previous environment did during the shares before the present one: what the candidate is compared with
    /// once the previous environment has no traffic of its own.
    #[serde(default)]
    pub baseline: Tally,
}

impl Migration {
    /// Index of the 100 % step.
    pub(super) fn last(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    /// The phase of a migration whose step `index` was verified.
    pub(super) fn phase_at(&self, index: Option<usize>) -> Phase {
        match index {
            None => Phase::Validating,
            Some(index) if index >= self.last() => Phase::Baking,
            Some(_) => Phase::Shifting,
        }
    }

    /// When the bake of the verified step is over, in milliseconds since the epoch.
    pub(super) fn baked_at_ms(&self) -> Option<u64> {
        let step = self.steps.get(self.step?)?;
        Some(
            self.step_at_ms
                .saturating_add(step.bake_seconds.saturating_mul(1000)),
        )
    }

    /// When an unfinished migration is rolled back, in milliseconds since the epoch.
    pub(super) fn ends_at_ms(&self) -> u64 {
        self.started_at_ms
            .saturating_add(self.max_seconds.saturating_mul(1000))
    }
}

/// Why the routers are written, and so what it means once they were read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// The first weights ever.
    Create,
    /// The share of the step with this index.
    Step(usize),
    /// The candidate becomes the active environment.
    Complete,
    /// All traffic to the previous environment.
    RollBack,
    /// The intended weights once more: something else had changed them.
    Repair,
}

/// A router change that was ordered and not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// What it is for.
    pub purpose: Purpose,
    /// The environment that the router's own default is to be.
    pub base: Environment,
    /// The generation that ordered exactly this first: a router that bears it or a later one has been written for this.
    pub since: u64,
    /// Change ids of writes that take effect later, by the router's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, String>,
}

/// What the ledgers' fence is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FenceOrder {
    /// The generation that ordered it: a ledger refuses an older one.
    pub epoch: u64,
    /// Which environments may write.
    pub may_write: MayWrite,
    /// Whether every ledger confirmed it.
    pub stands: bool,
}

/// How a drill's alarm was seen first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrillBy {
    /// By its event: the path is proven.
    Event,
    /// By a poll: the alarm works, its event does not arrive.
    Poll,
}

/// The last drill of the alarm path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// The alarm that was tripped.
    pub alarm: String,
    /// When, in milliseconds since the epoch.
    pub started_at_ms: u64,
    /// When it was seen here, in milliseconds since the epoch.
    pub seen_at_ms: Option<u64>,
    /// How.
    pub by: Option<DrillBy>,
    /// What came of it, in words; `None` while it is awaited.
    pub outcome: Option<String>,
    /// Whether the alarm was read as restored.
    pub restored: bool,
}

/// What CloudFormation said last, so that the rollback of a stack update is told from a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackNote {
    /// Digest of the properties that were accepted last.
    pub now: String,
    /// Digest of the properties before them.
    pub before: Option<String>,
    /// The migration that the acceptance became, if it changed the active environment.
    pub moved: Option<String>,
}

/// The decision that led to the stored state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LastDecision {
    /// What was decided.
    pub action: Verb,
    /// Why.
    pub why: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// The whole memory of the switch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Grows by one with each write; each write is conditional on it. 0 was never stored.
    pub generation: u64,
    /// Where the migration stands.
    pub phase: Phase,
    /// The environment that serves production; changes on completion and when that is rolled back.
    pub active: Environment,
    /// The functions' published versions.
    pub versions: Versions,
    /// The running migration, else the last one.
    pub migration: Option<Migration>,
    /// The weights that the routers ought to have.
    pub intended: Weights,
    /// The order that was not yet verified, if there is one.
    pub intent: Option<Intent>,
    /// Whether the routers are the switch's to keep: from the first start or custom resource until its deletion.
    pub managed: bool,
    /// The custom resource that made the routers' entries and so may remove them.
    pub owner: Option<String>,
    /// Ids of earlier migrations, the latest last.
    pub past: Vec<String>,
    /// Hash of the last journal entry.
    pub journal_head: String,
    /// The decision that led here.
    pub last: Option<LastDecision>,
    /// What the ledgers' fence is to be; `None` until a migration first orders one.
    #[serde(default)]
    pub fence: Option<FenceOrder>,
    /// The last drill.
    #[serde(default)]
    pub drill: Option<Drill>,
    /// Guards whose event arrived in their last drill.
    #[serde(default)]
    pub proved: BTreeSet<String>,
    /// What CloudFormation said last.
    #[serde(default)]
    pub stack: Option<StackNote>,
}

impl State {
    /// A switch that has decided nothing yet.
    #[must_use]
    pub fn new(active: Environment, versions: Versions) -> Self {
        Self {
            generation: 0,
            phase: Phase::Idle,
            active,
            versions,
            migration: None,
            intended: Weights::all(active),
            intent: None,
            managed: false,
            owner: None,
            past: Vec::new(),
            journal_head: super::FIRST_HASH.to_owned(),
            last: None,
            fence: None,
            drill: None,
            proved: BTreeSet::new(),
            stack: None,
        }
    }

    /// The environment whose traffic is watched: the migration's candidate, else the one that is not active.
    #[must_use]
    pub fn candidate(&self) -> Environment {
        self.migration
            .as_ref()
            .map_or(self.active.other(), |migration| migration.to)
    }

    /// When the next step is due, in milliseconds since the epoch, if that hangs on the time alone.
    #[must_use]
    pub fn due_at_ms(&self) -> Option<u64> {
        match (self.phase, &self.migration) {
            (Phase::Shifting | Phase::Baking, Some(migration)) if self.intent.is_none() => {
                migration.baked_at_ms()
            }
            _ => None,
        }
    }

    /// Whether this migration was already started, now or before.
    #[must_use]
    pub(super) fn knows(&self, id: &str) -> bool {
        self.migration.as_ref().is_some_and(|m| m.id == id) || self.past.iter().any(|p| p == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was_stored_before_these_fields_is_read_as_it_was() {
        let state = State::new(Environment::Blue, Versions::default());
        let mut stored = serde_json::to_value(&state).unwrap();
        for field in ["fence", "drill", "proved", "stack"] {
            assert!(stored.as_object_mut().unwrap().remove(field).is_some());
        }
        assert_eq!(serde_json::from_value::<State>(stored).unwrap(), state);
    }
}
