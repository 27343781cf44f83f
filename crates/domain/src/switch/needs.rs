//! What a decision will want to know beside the routers and the guards: it is read only then.

use super::{Command, Phase, State, Trigger};

/// How far back the previous environment's counts go that the candidate's first share is compared with, in ms: an hour.
const BASELINE_MS: u64 = 3_600_000;

/// What is to be read for the next decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The replication's lag.
    pub replication: bool,
    /// The counts since this time, in milliseconds since the epoch.
    pub counts_since_ms: Option<u64>,
}

impl State {
    /// What the decision on `trigger` will want to know.
    #[must_use]
    pub fn needs(&self, trigger: &Trigger, now_ms: u64) -> Needs {
        let (is_tick, is_promotion, is_rollback) = match trigger {
            Trigger::Tick => (true, false, false),
            Trigger::Command(Command::Promote, _) => (false, true, false),
            Trigger::Command(Command::RollBack, _) => (false, false, true),
            Trigger::Resource(_) => {
                return Needs {
                    replication: true,
                    counts_since_ms: None,
                };
            }
            _ => return Needs::default(),
        };
        let forward = self.migration.as_ref().filter(|_| self.phase.is_forward());
        let Some(migration) = forward else {
            return Needs {
                replication: is_rollback && self.phase == Phase::Completed,
                counts_since_ms: None,
            };
        };
        let is_due = migration.baked_at_ms().is_none_or(|at_ms| at_ms <= now_ms);
        let since_ms = match migration.step {
            Some(_) => migration.step_at_ms,
            None => now_ms.saturating_sub(BASELINE_MS),
        };
        Needs {
            replication: is_promotion || (is_tick && is_due),
            counts_since_ms: (is_tick || is_promotion).then_some(since_ms),
        }
    }
}
