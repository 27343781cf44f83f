//! What the switch needs of the world: routers, guards, its memory, and those who are told.

#[cfg(feature = "fakes")]
pub mod fakes;

use async_trait::async_trait;
use cutover_domain::switch::{
    Capacity, CapacityReading, CountsReading, Entry, Environment, FenceSeen, GuardReading,
    LagReading, MayWrite, Order, RouterReading, State, Validation, Versions,
};

/// What an adapter says of a failure that the caller can't tell apart any further.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A router that was not changed, or of which that is not known.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// It was changed by another since it was read: nothing was done.
    #[error("router {router} was changed since it was read")]
    Changed {
        /// Its name.
        router: String,
    },
    /// The order names no version for an environment that it gives traffic to.
    #[error("router {router}: the version of {environment} is not known")]
    VersionUnknown {
        /// Its name.
        router: String,
        /// Which one.
        environment: &'static str,
    },
    /// The service refused or did not answer.
    #[error("{operation} at router {router} failed")]
    Failed {
        /// Its name.
        router: String,
        /// The call.
        operation: &'static str,
        /// What the service said.
        #[source]
        source: Source,
    },
}

/// One thing that splits traffic between the two environments.
#[async_trait]
pub trait Router: Send + Sync {
    /// Its name: stable, unique among the switch's routers.
    fn name(&self) -> &str;

    /// Whether it tells the environments apart by version.
    fn takes_versions(&self) -> bool;

    /// Seconds from an accepted write until all new traffic follows it.
    fn effect_seconds(&self) -> u64;

    /// How it splits traffic now. A failure is an answer too: [`cutover_domain::switch::Seen::Unreadable`].
    ///
    /// `change` is what the last write's answer said must be waited for: the reading is pending until that is in effect.
    async fn read(&self, versions: &Versions, change: Option<&str>) -> RouterReading;

    /// Carries an order out, provided that the router has not been changed since `seen` was read.
    ///
    /// # Errors
    /// If it was not carried out, or that is not known.
    /// Answers the id of the change if it takes effect only later: [`Router::read`] is to be asked with it.
    async fn write(
        &self,
        order: &Order,
        seen: &RouterReading,
    ) -> Result<Option<String>, RouterError>;

    /// Removes what the first order made. What is not there is removed.
    async fn remove(&self) -> Result<(), RouterError>;

    /// Whether this environment could take all of the traffic behind this router now.
    async fn capacity(&self, environment: Environment, _versions: &Versions) -> CapacityReading {
        CapacityReading {
            router: self.name().to_owned(),
            environment,
            state: Capacity::NotApplicable,
            detail: "nothing to run out of".to_owned(),
        }
    }

    /// Wakes an idle environment; one that is not idle stays as it is.
    async fn warm(
        &self,
        _environment: Environment,
        _versions: &Versions,
    ) -> Result<(), RouterError> {
        Ok(())
    }
}

/// Reads alarms.
#[async_trait]
pub trait AlarmReader: Send + Sync {
    /// A reading per name, in the order of the names. What can't be read is said so in its reading.
    async fn read(&self, names: &[String]) -> Vec<GuardReading>;
}

/// Asks whether the candidate may have traffic.
#[async_trait]
pub trait Validator: Send + Sync {
    /// Its verdict. A failure to ask is [`Validation::Unknown`].
    async fn validate(&self) -> Validation;
}

/// Reads how far the ledgers' copies are behind.
#[async_trait]
pub trait ReplicationReader: Send + Sync {
    /// A reading per configured task. What can't be read is said so in its reading.
    async fn read(&self) -> Vec<LagReading>;
}

/// Reads what the environments did.
#[async_trait]
pub trait CountReader: Send + Sync {
    /// Sums of the complete minutes between two times, in milliseconds since the epoch. A sum that is not known to be
    /// complete is [`CountsReading::Missing`].
    async fn read(
        &self,
        baseline: Environment,
        candidate: Environment,
        since_ms: u64,
        until_ms: u64,
    ) -> CountsReading;
}

/// Says to the ledgers which environments may write.
#[async_trait]
pub trait Fence: Send + Sync {
    /// Sets it in every ledger; repeated, it changes nothing. What stands then, or why that is not known.
    async fn set(&self, epoch: u64, may_write: MayWrite) -> FenceSeen;
}

/// An alarm that was not set, or of which that is not known.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of alarm {alarm} failed")]
pub struct AlarmTestError {
    /// The call.
    pub operation: &'static str,
    /// The alarm's name.
    pub alarm: String,
    /// What the service said.
    #[source]
    pub source: Source,
}

/// Sets an alarm's state by hand, for a drill.
#[async_trait]
pub trait AlarmTester: Send + Sync {
    /// Sets it to ALARM, for this reason.
    async fn trip(&self, name: &str, reason: &str) -> Result<(), AlarmTestError>;

    /// Sets it back to OK.
    async fn restore(&self, name: &str) -> Result<(), AlarmTestError>;
}

/// The memory failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct StoreError {
    /// The call.
    pub operation: &'static str,
    /// What the service said.
    #[source]
    pub source: Source,
}

/// A state that was not stored, or of which that is not known.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another stored a newer one meanwhile.
    #[error("another invocation stored a newer state")]
    Conflict,
    /// The service refused or did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The memory of the switch.
#[async_trait]
pub trait SwitchStateStore: Send + Sync {
    /// The newest state, if one was ever stored. A consistent read.
    async fn load(&self) -> Result<Option<State>, StoreError>;

    /// Stores a state and its journal entry, both or neither, provided that `expected` is the stored generation
    /// (0: that nothing is stored).
    async fn commit(&self, expected: u64, next: &State, entry: &Entry) -> Result<(), CommitError>;

    /// The newest journal entries, the oldest first; those of one migration if it is named.
    async fn history(
        &self,
        migration_id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;
}

/// Someone was not told.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct NotifyError {
    /// The call.
    pub operation: &'static str,
    /// What the service said.
    #[source]
    pub source: Source,
}

/// Tells someone of transitions.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Tells them of `entries`, the oldest first. `status` is the answer to a status command after them, as JSON text.
    async fn notify(&self, entries: &[Entry], status: &str) -> Result<(), NotifyError>;
}
