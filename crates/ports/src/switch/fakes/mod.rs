//! A world in memory: routers of every kind, alarms, a state store and the rest, with failures on request.
//!
//! `calls_left` ends an invocation between two calls: the next call and all later ones never return.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cutover_domain::switch::{
    AlarmState, Capacity, CountsReading, Entry, Environment, GuardReading, LagReading, MayWrite,
    State, Validation, Weights,
};

use super::{
    AlarmReader, CommitError, Notifier, NotifyError, StoreError, SwitchStateStore, Validator,
};

mod checks;
mod routers;

pub use routers::{FakeRouter, Kind, OtherRoute, ROUTER, Route};

/// What is in the world.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a failure that a test may ask for"
)]
#[derive(Debug, Default)]
pub struct Inner {
    /// The router's entry, if there is one.
    pub route: Option<Route>,
    /// The alarms that exist.
    pub alarms: BTreeMap<String, (AlarmState, bool)>,
    /// Whether alarms can be read.
    pub alarms_down: bool,
    /// Whether the router can be read.
    pub router_down: bool,
    /// How many readings of the router's entry still say that it is not in effect.
    pub pending_reads: u32,
    /// Whether the state can be loaded and stored.
    pub store_down: bool,
    /// Whether notifications fail.
    pub notifications_down: bool,
    /// What the validator says.
    pub validation: Option<Validation>,
    /// The stored state.
    pub state: Option<State>,
    /// The journal.
    pub journal: Vec<Entry>,
    /// What was published: generations.
    pub published: Vec<u64>,
    /// Every call, by name, in order.
    pub calls: Vec<String>,
    /// Calls that may still return before the process dies; `None` is no limit.
    pub calls_left: Option<usize>,
    /// Writes that fail with a changed revision, as if another writer had been faster.
    pub races: u32,
    /// The entries of the routers beside the first, by name.
    pub others: BTreeMap<String, OtherRoute>,
    /// What the replication reads as.
    pub replication: Vec<LagReading>,
    /// What the counts read as; `None` reads as missing.
    pub counts: Option<CountsReading>,
    /// The fence that stands, with its epoch.
    pub fence: Option<(u64, MayWrite)>,
    /// Whether the fence can't be set.
    pub fence_down: bool,
    /// What capacity an environment has behind the first router; `Ready` where nothing is said.
    pub capacity: BTreeMap<Environment, Capacity>,
    /// Whether an idle environment stays idle when it is woken.
    pub sleeps_on: bool,
    /// Whether alarms can't be set by hand.
    pub tester_down: bool,
    /// Commits right after which another invocation stores a newer state.
    pub overtakes: u32,
}

/// All fakes in one: clones share the same world.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Mutex<Inner>>);

impl World {
    /// A look at, or a hand in, the world.
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Someone else changes the router's weights.
    pub fn tamper(&self, weights: Weights) {
        if let Some(route) = &mut self.inner().route {
            route.weights = weights;
            route.revision += 1;
        }
    }

    /// Sets an alarm, its actions enabled.
    pub fn alarm(&self, name: &str, state: AlarmState) {
        self.inner().alarms.insert(name.to_owned(), (state, true));
    }

    /// A router beside the first, with everything on blue.
    #[must_use]
    pub fn other(&self, name: &str, kind: Kind) -> FakeRouter {
        let route = OtherRoute::all(Environment::Blue);
        self.inner().others.insert(name.to_owned(), route);
        FakeRouter::new(self.clone(), name, kind)
    }

    /// Notes a call; never returns once the process is dead.
    async fn call(&self, name: &str) {
        let is_dead = {
            let mut inner = self.inner();
            let is_dead = inner.calls_left == Some(0);
            if !is_dead {
                inner.calls_left = inner.calls_left.map(|left| left - 1);
                inner.calls.push(name.to_owned());
            }
            is_dead
        };
        if is_dead {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl AlarmReader for World {
    async fn read(&self, names: &[String]) -> Vec<GuardReading> {
        self.call("alarms.read").await;
        let inner = self.inner();
        names
            .iter()
            .map(|name| {
                let (state, actions_enabled) = match inner.alarms.get(name) {
                    _ if inner.alarms_down => (AlarmState::Unreadable, false),
                    Some(alarm) => *alarm,
                    None => (AlarmState::Missing, false),
                };
                GuardReading {
                    name: name.clone(),
                    state,
                    actions_enabled,
                    doubt: None,
                    detection_seconds: Some(60),
                }
            })
            .collect()
    }
}

#[async_trait]
impl Validator for World {
    async fn validate(&self) -> Validation {
        self.call("validator.validate").await;
        let answer = self.inner().validation.clone();
        answer.unwrap_or(Validation::Passed)
    }
}

#[async_trait]
impl SwitchStateStore for World {
    async fn load(&self) -> Result<Option<State>, StoreError> {
        self.call("store.load").await;
        let inner = self.inner();
        if inner.store_down {
            return Err(down("load"));
        }
        Ok(inner.state.clone())
    }

    async fn commit(&self, expected: u64, next: &State, entry: &Entry) -> Result<(), CommitError> {
        self.call("store.commit").await;
        let mut inner = self.inner();
        if inner.store_down {
            return Err(down("commit").into());
        }
        if inner.state.as_ref().map_or(0, |state| state.generation) != expected {
            return Err(CommitError::Conflict);
        }
        let mut stored = next.clone();
        if inner.overtakes > 0 {
            inner.overtakes -= 1;
            stored.generation += 1;
        }
        inner.state = Some(stored);
        inner.journal.push(entry.clone());
        Ok(())
    }

    async fn history(
        &self,
        migration_id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.call("store.history").await;
        let inner = self.inner();
        let entries: Vec<Entry> = inner
            .journal
            .iter()
            .filter(|entry| migration_id.is_none() || entry.migration_id.as_deref() == migration_id)
            .cloned()
            .collect();
        let surplus = entries.len().saturating_sub(limit);
        Ok(entries.into_iter().skip(surplus).collect())
    }
}

#[async_trait]
impl Notifier for World {
    async fn notify(&self, entries: &[Entry], _status: &str) -> Result<(), NotifyError> {
        self.call("notifier.notify").await;
        let mut inner = self.inner();
        if inner.notifications_down {
            return Err(NotifyError {
                operation: "notify",
                source: "down".into(),
            });
        }
        inner
            .published
            .extend(entries.iter().map(|entry| entry.generation));
        Ok(())
    }
}

fn down(operation: &'static str) -> StoreError {
    StoreError {
        operation,
        source: "down".into(),
    }
}
