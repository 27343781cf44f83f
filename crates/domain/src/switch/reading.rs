//! What was read of the world: guards, routers, replication, capacity, counts, the validation and the fence.

use serde::{Deserialize, Serialize};

use super::{Environment, Weights};

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
    /// Seconds of breaching data until it goes to ALARM: its period times its evaluation periods; of a composite alarm,
    /// those of its slowest member. `None` if that is not known.
    pub detection_seconds: Option<u64>,
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
    /// Why a written change is not in effect yet (for example `Route 53 change C123 is PENDING`), if it is not.
    pub pending: Option<String>,
    /// Whether its writes take effect only later, so that an order is in effect only once the change id of that order's
    /// own write is known and says so.
    pub needs_change: bool,
}

/// Between which environments something is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// What blue writes is copied to green.
    BlueToGreen,
    /// What green writes is copied to blue.
    GreenToBlue,
}

impl Direction {
    /// The direction in which the writes of `environment` are copied.
    #[must_use]
    pub const fn of(environment: Environment) -> Self {
        match environment {
            Environment::Blue => Self::BlueToGreen,
            Environment::Green => Self::GreenToBlue,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BlueToGreen => "blue-to-green",
            Self::GreenToBlue => "green-to-blue",
        }
    }
}

/// How far a copy is behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lag {
    /// By so many seconds.
    Seconds(u64),
    /// Nothing is copied, and why.
    Stopped(String),
    /// That could not be learnt, and why.
    Unknown(String),
}

/// One replication task, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LagReading {
    /// The task's name.
    pub task: String,
    /// Its direction.
    pub direction: Direction,
    /// Its lag.
    pub lag: Lag,
}

/// Whether an environment could take all of the traffic behind a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capacity {
    /// It could.
    Ready,
    /// It sleeps and can be woken.
    Idle,
    /// It is known to have too little.
    Short,
    /// That could not be learnt.
    Unknown,
    /// There is nothing to run out of behind this router.
    NotApplicable,
}

impl Capacity {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Idle => "idle",
            Self::Short => "short",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// The capacity of one environment behind one router.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CapacityReading {
    /// The router's name.
    pub router: String,
    /// Whose capacity.
    pub environment: Environment,
    /// What it is.
    pub state: Capacity,
    /// For people: `2 of 3 targets are healthy`, `version 7 is Inactive`.
    pub detail: String,
}

/// Requests, and those of them that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tally {
    /// All.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            failures: self.failures.saturating_add(other.failures),
        }
    }
}

/// What both environments did since the candidate's present share was verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CountsReading {
    /// Sums of complete minutes.
    Counts {
        /// The previous environment's.
        baseline: Tally,
        /// The candidate's.
        candidate: Tally,
        /// Duplicate payments and ledger mismatches: one is a failure too many. `None` where nothing counts them.
        money: Option<u64>,
        /// Length of the time that was summed, in seconds.
        window_seconds: u64,
    },
    /// They could not be had, and why.
    Missing(String),
}

/// Which environments the ledgers take payments from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MayWrite {
    /// Whether blue may write.
    pub blue: bool,
    /// Whether green may write.
    pub green: bool,
}

impl MayWrite {
    /// Both may.
    pub const BOTH: Self = Self {
        blue: true,
        green: true,
    };

    /// One may, the other is retired.
    #[must_use]
    pub const fn only(environment: Environment) -> Self {
        match environment {
            Environment::Blue => Self {
                blue: true,
                green: false,
            },
            Environment::Green => Self {
                blue: false,
                green: true,
            },
        }
    }

    /// Whether one environment may.
    #[must_use]
    pub const fn of(self, environment: Environment) -> bool {
        match environment {
            Environment::Blue => self.blue,
            Environment::Green => self.green,
        }
    }
}

impl std::fmt::Display for MayWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.blue, self.green) {
            (true, true) => "blue and green may write",
            (true, false) => "only blue may write",
            (false, true) => "only green may write",
            (false, false) => "nobody may write",
        })
    }
}

/// What is known of the ledgers' fence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FenceSeen {
    /// Nothing is configured that could set it.
    NotConfigured,
    /// It was not asked for yet.
    NotAsked,
    /// What stands now in every ledger.
    Stands {
        /// The epoch that it was set with.
        epoch: u64,
        /// Whether blue may write.
        blue: bool,
        /// Whether green may write.
        green: bool,
    },
    /// It is not known to stand in every ledger, and why.
    Failed(String),
}

/// What came of setting an alarm to ALARM for a drill.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TripSeen {
    /// That was not tried in this invocation.
    NotTried,
    /// It was accepted.
    Tripped,
    /// It was not, and why.
    Failed(String),
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
