//! What was decided, and what is to be done.

use serde::{Deserialize, Serialize};

use super::{Environment, FenceOrder, LastDecision, State, Versions, Weights};

/// What a decision does, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Nothing is due.
    None,
    /// A step is due later.
    Wait,
    /// Something stands in the way of the next step.
    Hold,
    /// The validator is asked.
    Validate,
    /// A migration begins.
    Start,
    /// The candidate gets a larger share.
    Shift,
    /// The candidate gets everything, ahead of the plan.
    Promote,
    /// The candidate becomes the active environment.
    Complete,
    /// All traffic goes back.
    RollBack,
    /// A change was read back from every router.
    Verify,
    /// Weights that the switch did not set are put right.
    Repair,
    /// A change was accepted, and takes effect later.
    Await,
    /// The ledgers confirmed which environments may write.
    Fence,
    /// The alarm path is proven.
    Drill,
    /// An operator holds the migration.
    Pause,
    /// An operator lets it go on.
    Resume,
    /// New versions were noted.
    Record,
    /// The routers' entries are made.
    Create,
    /// The routers' entries are removed.
    Remove,
    /// The command was not accepted.
    Refuse,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// What was looked at, for example `alarm errors-green`.
    pub name: String,
    /// What was seen there.
    pub observed: String,
}

/// Why a command was not accepted. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// A stable name, for example `migration_running`.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// What the routers are to become.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    /// The generation that ordered it: written into the router where it can hold it.
    pub generation: u64,
    /// The environment that is to be the router's own default.
    pub base: Environment,
    /// The weights.
    pub weights: Weights,
    /// The versions that the environments are.
    pub versions: Versions,
    /// The routers to be written, by name.
    pub routers: Vec<String>,
}

/// What the executor must do, after the next state was stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ask the validator, then decide again with its answer.
    Validate,
    /// Write the order's routers, under the revision that was read for this decision, and read them back.
    Write(Order),
    /// Read whether this environment could take all traffic, behind every router; wake what is idle, and read that again.
    Warm(Environment),
    /// Set the ledgers' fence.
    Fence(FenceOrder),
    /// Set this alarm to ALARM.
    Trip(String),
    /// Set this alarm back to OK.
    Restore(String),
    /// Remove the routers' entries.
    Remove,
}

/// The outcome of [`super::step()`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The state to store before anything is done; of the same generation if there is nothing to store.
    pub next: State,
    /// What to do.
    pub actions: Vec<Action>,
    /// In one word.
    pub verb: Verb,
    /// For people.
    pub why: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// Set if a command was not accepted.
    pub refusal: Option<Refusal>,
}

impl Decision {
    /// Whether there is something to store.
    #[must_use]
    pub fn changes(&self, state: &State) -> bool {
        self.next.generation != state.generation
    }

    /// What is remembered of it.
    #[must_use]
    pub fn summary(&self) -> LastDecision {
        LastDecision {
            action: self.verb,
            why: self.why.clone(),
            evidence: self.evidence.clone(),
        }
    }
}
