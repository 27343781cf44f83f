//! What an invocation saw: its trigger, the routers, the guards.

use std::collections::BTreeMap;

use super::{
    AlarmState, CapacityReading, CountsReading, Environment, FenceSeen, GuardReading, Health,
    LagReading, OnDrift, RouterReading, Step, TripSeen, Validation, Versions,
};

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
    /// Payments that the candidate may spoil before a failure is detected: bounds each next share.
    pub max_exposed_payments: Option<u64>,
    /// Seconds of full traffic that the candidate may spoil before a failure is detected: bounds each next share.
    pub max_exposed_seconds: Option<u64>,
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
    /// Trip an alarm, and prove that its event arrives here.
    Drill {
        /// Which guard of the candidate; the first where none is named.
        alarm: Option<String>,
    },
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
        /// Digest of the properties.
        properties: String,
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
        /// Digest of the properties.
        properties: String,
        /// Digest of the properties before.
        before: String,
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

/// What the configuration lays down for every decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The longest replication lag with which a step is taken, in seconds.
    pub max_lag_seconds: u64,
    /// The time between two ticks, in seconds.
    pub tick_seconds: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_lag_seconds: 30,
            tick_seconds: 60,
        }
    }
}

/// All that an invocation saw.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Observation {
    /// Why the function was invoked.
    pub trigger: Trigger,
    /// What is configured.
    pub policy: Policy,
    /// Every router, in the configured order.
    pub routers: Vec<RouterReading>,
    /// Seconds that each router needs until all new traffic follows a write, by its name.
    pub effect_seconds: BTreeMap<String, u64>,
    /// Change ids that this invocation's writes were answered with, by the router's name.
    pub changes: BTreeMap<String, String>,
    /// Routers whose writes failed so often that this invocation gives them up, and why, by name.
    pub unwritable: BTreeMap<String, String>,
    /// The guards of each environment.
    pub guards: BTreeMap<Environment, Vec<GuardReading>>,
    /// The validation of the candidate.
    pub validation: Validation,
    /// Every replication task; empty where none is configured or none was asked for.
    pub replication: Vec<LagReading>,
    /// Whether replication is configured: if so, no reading is no good reading.
    pub has_replication: bool,
    /// The previous environment's capacity behind each router, after idle ones were woken; empty if it was not asked for.
    pub capacity: Vec<CapacityReading>,
    /// The counts of both environments; `None` where none are configured or none were asked for.
    pub counts: Option<CountsReading>,
    /// Whether counts are configured: if so, no counts are no good counts.
    pub has_counts: bool,
    /// The ledgers' fence, as this invocation found it.
    pub fence: FenceSeen,
    /// What came of tripping a drill's alarm.
    pub trip: TripSeen,
}

impl Observation {
    /// A trigger, with nothing configured and nothing seen.
    #[must_use]
    pub fn of(trigger: Trigger) -> Self {
        Self {
            trigger,
            policy: Policy::default(),
            routers: Vec::new(),
            effect_seconds: BTreeMap::new(),
            changes: BTreeMap::new(),
            unwritable: BTreeMap::new(),
            guards: BTreeMap::new(),
            validation: Validation::NotConfigured,
            replication: Vec::new(),
            has_replication: false,
            capacity: Vec::new(),
            counts: None,
            has_counts: false,
            fence: FenceSeen::NotConfigured,
            trip: TripSeen::NotTried,
        }
    }

    /// The guards of one environment.
    #[must_use]
    pub fn guards_of(&self, environment: Environment) -> &[GuardReading] {
        self.guards.get(&environment).map_or(&[], Vec::as_slice)
    }

    /// The guards of one environment, taken together. No guard at all is not healthy.
    #[must_use]
    pub fn health(&self, environment: Environment) -> Health {
        let guards = self.guards_of(environment);
        // An event counts, whatever the poll of the same moment says: one of the two is late.
        let is_told = |guard: &GuardReading| matches!(&self.trigger, Trigger::Alarm { name, state: AlarmState::Alarm, .. } if *name == guard.name);
        if guards
            .iter()
            .any(|guard| guard.state == AlarmState::Alarm || is_told(guard))
        {
            Health::Alarming
        } else if !guards.is_empty() && guards.iter().all(GuardReading::is_healthy) {
            Health::Healthy
        } else {
            Health::Unknown
        }
    }
}
