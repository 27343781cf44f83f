//! What there is in each exploration. Features that do not meet each other are explored apart: their product would be
//! too large, and would show nothing more.

use cutover_domain::switch::OnDrift;

/// What a router can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Its writes are conditional on its revision, and bear their generation: a Lambda alias.
    Conditional,
    /// It is compared, then written; a write whose answer is lost may land at any time later: a load balancer's rule.
    Plain,
    /// As plain, but a write is conditional on the old values, and takes effect only later: Route 53's records.
    Delayed,
}

/// One exploration.
#[allow(clippy::struct_excessive_bools, reason = "features, present or not")]
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub name: &'static str,
    pub routers: &'static [Kind],
    /// The candidate's shares.
    pub shares: &'static [u8],
    /// Invocations at once.
    pub invocations: usize,
    /// Migrations, one after the other.
    pub migrations: u8,
    /// Operators pause, resume and promote.
    pub operators: bool,
    /// A validator, and an environment whose capacity may be short.
    pub validator: bool,
    /// The counts of both environments.
    pub counts: bool,
    /// A fence, which may fail, and replication, whose lag changes.
    pub fence: bool,
    /// Someone else changes weights.
    pub stranger: bool,
    /// CloudFormation updates the stack, and rolls updates back.
    pub stack: bool,
    pub on_drift: OnDrift,
}

impl Setup {
    /// After how many units of time an unfinished migration is rolled back: the bakes, and one more.
    pub fn units_max(&self) -> u64 {
        u64::try_from(self.shares.len()).unwrap() + 1
    }
}

const PLAIN: Setup = Setup {
    name: "",
    routers: &[Kind::Conditional],
    shares: &[50, 100],
    invocations: 2,
    migrations: 1,
    operators: false,
    validator: false,
    counts: false,
    fence: false,
    stranger: false,
    stack: false,
    on_drift: OnDrift::Repair,
};

/// Two operators and the schedule, one router, a second migration after the first.
pub const OPERATORS: Setup = Setup {
    name: "operators",
    migrations: 2,
    operators: true,
    ..PLAIN
};

pub const VALIDATOR: Setup = Setup {
    name: "validator and capacity",
    validator: true,
    operators: true,
    ..PLAIN
};

pub const COUNTS: Setup = Setup {
    name: "counts",
    counts: true,
    operators: true,
    ..PLAIN
};

/// One router that knows revisions and one that does not, each of which may be out of reach.
pub const ROUTERS: Setup = Setup {
    name: "two routers",
    routers: &[Kind::Conditional, Kind::Plain],
    shares: &[100],
    ..PLAIN
};

pub const DELAYED: Setup = Setup {
    name: "delayed router",
    routers: &[Kind::Delayed],
    shares: &[100],
    ..PLAIN
};

pub const FENCE: Setup = Setup {
    name: "fence and replication",
    fence: true,
    shares: &[100],
    ..PLAIN
};

/// What one migration left in the ledgers, met by the next.
pub const FENCE_AGAIN: Setup = Setup {
    name: "fence and replication, a second migration",
    migrations: 2,
    invocations: 1,
    ..FENCE
};

pub const STRANGER: Setup = Setup {
    name: "stranger",
    stranger: true,
    ..PLAIN
};

pub const STRANGER_HOLD: Setup = Setup {
    name: "stranger, drift is held",
    stranger: true,
    shares: &[100],
    on_drift: OnDrift::Hold,
    ..PLAIN
};

pub const STACK: Setup = Setup {
    name: "stack",
    stack: true,
    shares: &[100],
    ..PLAIN
};

/// Explored by `make soak` only.
pub const LARGE: &[Setup] = &[
    Setup {
        name: "large: two routers, two shares, operators",
        shares: &[50, 100],
        operators: true,
        ..ROUTERS
    },
    Setup {
        name: "large: delayed router, two shares, a second migration",
        shares: &[50, 100],
        migrations: 2,
        ..DELAYED
    },
    Setup {
        name: "large: all three kinds of routers",
        routers: &[Kind::Conditional, Kind::Plain, Kind::Delayed],
        ..ROUTERS
    },
    Setup {
        name: "large: fence, a second migration, two invocations",
        migrations: 2,
        ..FENCE
    },
    Setup {
        name: "large: stack and fence",
        stack: true,
        ..FENCE
    },
    Setup {
        name: "large: stack, two shares, operators",
        shares: &[50, 100],
        operators: true,
        ..STACK
    },
    Setup {
        name: "large: three invocations at once",
        invocations: 3,
        shares: &[100],
        ..PLAIN
    },
];
