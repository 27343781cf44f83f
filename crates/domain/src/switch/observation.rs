//! What an invocation saw: its trigger, the routers, the guards.

use std::collections::BTreeMap;

use super::{Environment, OnDrift, Step, Versions, Weights};

/// Who gave a command, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct By {
    /// Who.
    pub operator: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A migration as asked for, its strategy reduced to steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Start {
    /// Its id.
    pub migration_id: String,
    /// The candidate.
    pub to: Environment,
    /// From [`super::Strategy::steps`].
    pub steps: Vec<Step>,
    /// Seconds after which it is rolled back if it has not ended.
    pub max_seconds: u64,
    /// What is done about drift.
    pub on_drift: OnDrift,
    /// Versions given with the start.
    pub versions: Versions,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Begin a migration.
    Start(Start),
    /// Hold.
    Pause,
    /// Go on.
    Resume,
    /// 100 % now, then the bake.
    Promote,
    /// 100 % on the previous environment.
    RollBack,
}

/// What CloudFormation asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResourceChange {
    /// Make the routers' entries.
    Create {
        /// Who makes them.
        owner: String,
        /// The environment that gets everything if nothing is known yet.
        initial: Environment,
        /// The versions that the stack knows.
        versions: Versions,
    },
    /// The stack changed.
    Update {
        /// Whose update it is.
        owner: String,
        /// Id of the migration that a change of the active environment becomes.
        migration_id: String,
        /// Only if the stack names another active environment than before.
        active: Option<Environment>,
        /// The versions that this update changes.
        versions: Versions,
        /// All versions that the stack names: they fill what is not known yet, and change nothing that is.
        declared: Versions,
    },
    /// Remove what this owner made.
    Delete {
        /// Whose deletion it is.
        owner: String,
    },
}

/// Why the function was invoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The schedule, or an operator's `tick`. The only trigger that moves traffic forward by itself.
    Tick,
    /// An alarm changed its state.
    Alarm {
        /// The alarm's name.
        name: String,
        /// What it changed to.
        state: AlarmState,
        /// When, in milliseconds since the epoch, if the event says.
        at_ms: Option<u64>,
    },
    /// An operator's command.
    Command(Command, By),
    /// CloudFormation.
    Resource(ResourceChange),
    /// The executor looks again at what it did, or at what another did meanwhile.
    Outcome,
}

/// What is known of a guard's alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlarmState {
    /// Healthy.
    Ok,
    /// Breaching.
    Alarm,
    /// Too little data to say.
    InsufficientData,
    /// There is no such alarm.
    Missing,
    /// It could not be asked for.
    Unreadable,
}

impl AlarmState {
    /// By CloudWatch's names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One guard, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuardReading {
    /// The alarm's name.
    pub name: String,
    /// Its state.
    pub state: AlarmState,
    /// Whether its actions are enabled. An alarm whose actions are off was silenced by someone: it guards nothing.
    pub actions_enabled: bool,
    /// What makes its evaluation unreliable (for example `PARTIAL_DATA`), if anything.
    pub doubt: Option<String>,
}

impl GuardReading {
    /// Whether this guard says that all is well, and can be believed.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.state == AlarmState::Ok && self.actions_enabled && self.doubt.is_none()
    }

    /// For people: `OK`, `OK, actions disabled`, `INSUFFICIENT_DATA`.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = self.state.as_str().to_owned();
        if !self.actions_enabled
            && !matches!(self.state, AlarmState::Missing | AlarmState::Unreadable)
        {
            text.push_str(", actions disabled");
        }
        if let Some(doubt) = &self.doubt {
            text.push_str(", ");
            text.push_str(doubt);
        }
        text
    }
}

/// What all guards of an environment say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Each is healthy, and there is at least one.
    Healthy,
    /// At least one is in ALARM.
    Alarming,
    /// None is in ALARM, but not all are healthy, or there is none.
    Unknown,
}

/// What a router's weights looked like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Traffic is split between the two environments.
    Split(Weights),
    /// Some traffic goes to neither environment.
    Foreign(String),
    /// There is nothing there yet.
    Absent,
    /// It could not be read.
    Unreadable(String),
}

/// One router, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouterReading {
    /// The router's name.
    pub router: String,
    /// Its weights.
    pub seen: Seen,
    /// What the next write must name to be accepted, where the service has such a thing.
    pub revision: Option<String>,
    /// Generation that its last write bore.
    pub marker: Option<u64>,
    /// The environment that is the router's own default, where it has one.
    pub base: Option<Environment>,
    /// Whether it tells the environments apart by version.
    pub takes_versions: bool,
}

/// What the validation of the candidate said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Validation {
    /// No validator is configured: the guards and the routers' readings decide alone.
    NotConfigured,
    /// It was not asked yet.
    NotAsked,
    /// The candidate may have traffic.
    Passed,
    /// The candidate may not have traffic.
    Failed(String),
    /// It could not say.
    Unknown(String),
}

/// All that an invocation saw.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Observation {
    /// Why the function was invoked.
    pub trigger: Trigger,
    /// Every router, in the configured order.
    pub routers: Vec<RouterReading>,
    /// The guards of each environment.
    pub guards: BTreeMap<Environment, Vec<GuardReading>>,
    /// The validation of the candidate.
    pub validation: Validation,
}

impl Observation {
    /// The guards of one environment.
    #[must_use]
    pub fn guards_of(&self, environment: Environment) -> &[GuardReading] {
        self.guards.get(&environment).map_or(&[], Vec::as_slice)
    }

    /// The guards of one environment, taken together. No guard at all is not healthy.
    #[must_use]
    pub fn health(&self, environment: Environment) -> Health {
        let guards = self.guards_of(environment);
        if guards.iter().any(|guard| guard.state == AlarmState::Alarm) {
            Health::Alarming
        } else if !guards.is_empty() && guards.iter().all(GuardReading::is_healthy) {
            Health::Healthy
        } else {
            Health::Unknown
        }
    }
}
