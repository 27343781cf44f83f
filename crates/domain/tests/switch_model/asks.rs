//! Who may arrive, and what an invocation sees.

use std::collections::BTreeMap;

use cutover_domain::switch::{
    AlarmState, By, Capacity, CapacityReading, Command, CountsReading, Direction, Environment,
    FenceSeen, GuardReading, Lag, LagReading, Observation, ResourceChange, RouterReading, Seen,
    Start, Step, Tally, Trigger, Versions, Weights,
};

use crate::setups::{Kind, Setup};
use crate::world::{BAKE_UNITS, Invocation, Route, World};

const GUARD: &str = "errors";

/// What an operator, the schedule, an alarm or CloudFormation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    Tick,
    Alarm,
    Start(Environment, u8),
    RollBack,
    Pause,
    Resume,
    Promote,
    /// The stack's properties become those that name this environment; each update has an id.
    Update(Environment, u8),
    Outcome,
}

impl Ask {
    pub fn trigger(self, setup: &Setup) -> Trigger {
        let command = |command| Trigger::Command(command, By::default());
        match self {
            Self::Tick => Trigger::Tick,
            Self::Outcome => Trigger::Outcome,
            Self::Alarm => Trigger::Alarm {
                name: GUARD.to_owned(),
                state: AlarmState::Alarm,
                at_ms: None,
            },
            Self::Start(to, id) => command(Command::Start(start(setup, to, id))),
            Self::RollBack => command(Command::RollBack),
            Self::Pause => command(Command::Pause),
            Self::Resume => command(Command::Resume),
            Self::Promote => command(Command::Promote),
            Self::Update(active, id) => Trigger::Resource(ResourceChange::Update {
                owner: "stack".to_owned(),
                migration_id: format!("update-{id}"),
                active: Some(active),
                versions: Versions::default(),
                declared: Versions::default(),
                properties: active.to_string(),
                before: active.other().to_string(),
            }),
        }
    }

    /// As the executor has it: a tick that lost a race does not step a second time.
    pub fn after_conflict(self) -> Self {
        match self {
            Self::Tick => Self::Outcome,
            other => other,
        }
    }
}

fn start(setup: &Setup, to: Environment, id: u8) -> Start {
    let step = |percent: &u8| Step {
        percent: *percent,
        bake_seconds: BAKE_UNITS,
    };
    Start {
        migration_id: format!("{to}-{id}"),
        to,
        steps: setup.shares.iter().map(step).collect(),
        max_seconds: setup.units_max(),
        on_drift: setup.on_drift,
        versions: Versions::default(),
        max_exposed_payments: None,
        max_exposed_seconds: None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Pass,
    Fail,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counts {
    Good,
    Bad,
    Few,
    Missing,
}

/// What an invocation is asked, and what the world shows to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guise {
    pub ask: Ask,
    pub alarm: AlarmState,
    /// The validator's answer, if it is asked.
    pub verdict: Verdict,
    pub counts: Counts,
    /// Whether the previous environment could take everything back.
    pub has_capacity: bool,
    /// Whether the replication is within its limit.
    pub is_near: bool,
    /// A router that is out of reach.
    pub down: Option<usize>,
}

impl Guise {
    pub fn healthy(ask: Ask) -> Self {
        Self {
            ask,
            alarm: AlarmState::Ok,
            verdict: Verdict::Pass,
            counts: Counts::Good,
            has_capacity: true,
            is_near: true,
            down: None,
        }
    }

    /// Nothing is known of the guards.
    pub fn blind(ask: Ask) -> Self {
        Self {
            alarm: AlarmState::InsufficientData,
            ..Self::healthy(ask)
        }
    }

    /// See [`Invocation`].
    pub fn forget(&mut self) {
        if self.alarm != AlarmState::Alarm {
            self.alarm = AlarmState::InsufficientData;
        }
        if self.counts != Counts::Bad {
            self.counts = Counts::Missing;
        }
        self.verdict = Verdict::Pass;
        self.has_capacity = true;
        self.is_near = true;
    }
}

/// Who may arrive. An alarm that is polled by an operator's command is the same as one that is polled by a tick; the second
/// migration begins after the first was known.
pub fn asks(setup: &Setup, world: &World) -> Vec<Guise> {
    let tick = Guise::healthy(Ask::Tick);
    let mut asks = vec![
        tick,
        Guise {
            alarm: AlarmState::Alarm,
            ..tick
        },
        Guise::blind(Ask::Tick),
        Guise::blind(Ask::Alarm),
        Guise::healthy(Ask::Start(Environment::Green, 1)),
        Guise::blind(Ask::RollBack),
    ];
    if setup.operators {
        asks.extend([
            Guise::blind(Ask::Pause),
            Guise::blind(Ask::Resume),
            Guise::healthy(Ask::Promote),
            Guise::blind(Ask::Start(Environment::Green, 1)),
        ]);
    }
    if setup.migrations > 1 && world.state.migration.is_some() && world.state.past.is_empty() {
        let again = [Environment::Green, Environment::Blue];
        asks.extend(again.map(|to| Guise::healthy(Ask::Start(to, 2))));
    }
    if setup.validator {
        asks.extend([Verdict::Fail, Verdict::Unknown].map(|verdict| Guise { verdict, ..tick }));
        asks.push(Guise {
            has_capacity: false,
            ..tick
        });
    }
    if setup.counts {
        let counted = [Counts::Bad, Counts::Few, Counts::Missing];
        asks.extend(counted.map(|counts| Guise { counts, ..tick }));
        asks.push(Guise {
            counts: Counts::Few,
            ..Guise::healthy(Ask::Promote)
        });
    }
    if setup.fence {
        let far = |ask| Guise {
            is_near: false,
            ..Guise::healthy(ask)
        };
        asks.extend([far(Ask::Tick), far(Ask::RollBack)]);
    }
    if setup.stack {
        let updates = [(Environment::Green, 1), (Environment::Blue, 2)];
        for (to, id) in updates {
            asks.push(Guise::healthy(Ask::Update(to, id)));
            asks.push(Guise::blind(Ask::Update(to, id)));
        }
    }
    if setup.routers.len() > 1 {
        for down in 0..setup.routers.len() {
            let down = Some(down);
            let asked = [tick, Guise::blind(Ask::RollBack)];
            asks.extend(asked.map(|guise| Guise { down, ..guise }));
        }
    }
    asks
}

pub fn observation(setup: &Setup, world: &World, invocation: &Invocation) -> Observation {
    let guise = &invocation.guise;
    let guard = GuardReading {
        name: GUARD.to_owned(),
        state: guise.alarm,
        actions_enabled: true,
        doubt: None,
        detection_seconds: Some(60),
    };
    let both = [Environment::Blue, Environment::Green];
    let routers = setup.routers.iter().zip(&world.routes).enumerate();
    Observation {
        routers: routers
            .map(|(i, (kind, route))| reading(world, invocation, i, *kind, route))
            .collect(),
        effect_seconds: (0..setup.routers.len())
            .map(|router| (router.to_string(), 1))
            .collect(),
        changes: changes(world, invocation)
            .iter()
            .map(|(router, id)| (router.to_string(), id.to_string()))
            .collect(),
        guards: both
            .map(|environment| (environment, vec![guard.clone()]))
            .into(),
        validation: invocation.validation.clone(),
        capacity: capacity(setup, world, invocation),
        counts: setup.counts.then(|| counted(guise.counts)),
        has_counts: setup.counts,
        replication: if setup.fence {
            lags(guise.is_near)
        } else {
            Vec::new()
        },
        has_replication: setup.fence,
        fence: fence(setup, world, invocation),
        ..Observation::of(guise.ask.trigger(setup))
    }
}

/// Change ids that the invocation was answered with count only for the order that they carry out.
fn changes<'a>(world: &World, invocation: &'a Invocation) -> &'a BTreeMap<usize, u64> {
    static NONE: BTreeMap<usize, u64> = BTreeMap::new();
    let (since, changes) = &invocation.changes;
    match &world.state.intent {
        Some(intent) if intent.since == *since => changes,
        _ => &NONE,
    }
}

fn reading(
    world: &World,
    invocation: &Invocation,
    index: usize,
    kind: Kind,
    route: &Route,
) -> RouterReading {
    let weights = Weights::share(Environment::Green, route.green);
    let stored = || {
        let intent = world.state.intent.as_ref()?;
        intent.changes.get(&index.to_string())?.parse().ok()
    };
    let change = changes(world, invocation)
        .get(&index)
        .copied()
        .or_else(stored);
    let is_conditional = kind == Kind::Conditional;
    RouterReading {
        router: index.to_string(),
        seen: if invocation.guise.down == Some(index) {
            Seen::Unreadable(String::new())
        } else if weights.of(Environment::Blue) == route.blue {
            Seen::Split(weights)
        } else {
            Seen::Foreign("the weights do not add up".to_owned())
        },
        revision: is_conditional.then(|| "current".to_owned()),
        marker: is_conditional.then_some(route.marker),
        base: is_conditional.then_some(route.base),
        takes_versions: true,
        pending: change
            .filter(|change| *change > route.settled)
            .map(|_| "pending".to_owned()),
        needs_change: kind == Kind::Delayed,
    }
}

fn capacity(setup: &Setup, world: &World, invocation: &Invocation) -> Vec<CapacityReading> {
    if !invocation.has_looked {
        return Vec::new();
    }
    let state = if invocation.guise.has_capacity {
        Capacity::Ready
    } else {
        Capacity::Short
    };
    let reading = |router: usize| CapacityReading {
        router: router.to_string(),
        environment: world.state.active,
        state,
        detail: String::new(),
    };
    (0..setup.routers.len()).map(reading).collect()
}

fn counted(counts: Counts) -> CountsReading {
    let tally = |requests, failures| Tally { requests, failures };
    let candidate = match counts {
        Counts::Good => tally(10_000, 0),
        Counts::Bad => tally(10_000, 5_000),
        Counts::Few => tally(1, 0),
        Counts::Missing => return CountsReading::Missing(String::new()),
    };
    CountsReading::Counts {
        baseline: tally(10_000, 0),
        candidate,
        money: None,
        window_seconds: 60,
    }
}

fn lags(is_near: bool) -> Vec<LagReading> {
    let lag = if is_near { 1 } else { 1000 };
    [Direction::BlueToGreen, Direction::GreenToBlue]
        .map(|direction| LagReading {
            task: direction.as_str().to_owned(),
            direction,
            lag: Lag::Seconds(lag),
        })
        .into()
}

fn fence(setup: &Setup, world: &World, invocation: &Invocation) -> FenceSeen {
    let ordered = world.state.fence.map(|order| order.epoch);
    match &invocation.fence {
        _ if !setup.fence => FenceSeen::NotConfigured,
        Some((asked, seen)) if Some(*asked) == ordered => seen.clone(),
        _ => FenceSeen::NotAsked,
    }
}
