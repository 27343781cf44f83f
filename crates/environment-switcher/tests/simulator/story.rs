//! One simulation: a world, three quarters of an hour of faults, then quiet, and what must have come of it.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use cutover_domain::switch::{
    AlarmState, By, Capacity, Command, Environment, Lag, OnDrift, Phase, Policy, Start, Step,
    Trigger, Validation, Versions, Weights, verify,
};
use cutover_lambda::Deadline;
use cutover_ports::switch::Router;
use environment_switcher::executor::{Executor, ExecutorError, Outcome};

use crate::cloud::{Alarm, CALLED, Cloud, Injected, Inner, Kind, NOW_MS, RUNNING, Route, START_MS};
use crate::dice::Dice;
use crate::ports::SimRouter;
use crate::rules::{Configured, LAG_SECONDS_MAX, Rules, Tallies, guards_of};

/// Minutes with faults.
const MINUTES: u64 = 45;

/// Seconds after which a migration is rolled back.
const MAX_SECONDS: u64 = 3_600;

/// Ticks within which a candidate in alarm must have lost all traffic, once faults are over: the order, and where a router
/// takes effect later, its confirmation and one more.
const TICKS_BACK_MAX: u64 = 3;

/// Ticks within which everything must have ended, once faults are over: by `maxSeconds` at the latest.
const TICKS_END_MAX: u64 = MAX_SECONDS / 60 + 15;

/// Invocations at once.
const LIVE_MAX: usize = 3;

type Run = Pin<Box<dyn Future<Output = Result<Outcome, ExecutorError>>>>;

struct Live {
    id: usize,
    run: Run,
    is_old: bool,
}

/// What came of a simulation.
#[derive(Debug, Default)]
pub struct Report {
    pub violations: Vec<String>,
    pub tallies: Tallies,
    pub injected: Injected,
    pub ticks_back: Option<u64>,
    pub trace: Vec<String>,
}

/// A simulation in progress.
pub struct Story {
    cloud: Cloud,
    executor: Rc<Executor>,
    dice: Dice,
    live: Vec<Live>,
    next_id: usize,
    next_migration: usize,
    is_calm: bool,
}

/// Runs the simulation of a seed.
pub async fn run(seed: u64, traced: bool) -> Report {
    let mut story = Story::new(seed, traced);
    story.faulty().await;
    let ticks_back = story.quiet().await;
    story.report(ticks_back)
}

impl Story {
    fn new(seed: u64, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let configured = Configured {
            validator: dice.happens(500),
            replication: dice.happens(400),
            counts: dice.happens(400),
        };
        let has_fence = dice.happens(500);
        let routes = routes(&mut dice);
        let guards = [Environment::Blue, Environment::Green];
        let names: Vec<String> = guards.into_iter().flat_map(guards_of).collect();
        let alarm = Alarm {
            state: AlarmState::Ok,
            is_enabled: true,
            is_doubtful: false,
        };
        let cloud = Cloud(Arc::new(Mutex::new(Inner {
            dice: dice.clone(),
            now_ms: START_MS,
            has_faults: true,
            alarms: names.iter().map(|name| (name.clone(), alarm)).collect(),
            events: VecDeque::new(),
            state: None,
            journal: Vec::new(),
            validation: Validation::Passed,
            lag: Lag::Seconds(1),
            failing_per_mille: 0,
            capacity: Capacity::Ready,
            fence: None,
            sending: BTreeMap::new(),
            late: Vec::new(),
            injected: Injected::default(),
            rules: Rules::of(configured),
            trace: traced.then(Vec::new),
            routes,
        })));
        let executor = Rc::new(executor(&cloud, configured, has_fence));
        let is_calm = dice.happens(400);
        Self {
            cloud,
            executor,
            dice,
            live: Vec::new(),
            next_id: 1,
            next_migration: 1,
            is_calm,
        }
    }

    // ---- time with faults

    async fn faulty(&mut self) {
        for minute in 0..MINUTES {
            self.world_changes();
            let triggers = self.triggers(minute);
            self.play(triggers).await;
            self.next_minute(minute);
        }
    }

    fn world_changes(&mut self) {
        let mut inner = self.cloud.inner();
        let dice = &mut self.dice;
        let names: Vec<String> = inner.alarms.keys().cloned().collect();
        for name in names {
            let alarm = inner.alarms[&name];
            let per_mille = if self.is_calm { 2 } else { 25 };
            if alarm.state == AlarmState::Ok && dice.happens(per_mille) {
                let state = dice.pick(&[
                    AlarmState::Alarm,
                    AlarmState::Alarm,
                    AlarmState::InsufficientData,
                ]);
                inner.set_alarm(&name, state);
            } else if alarm.state != AlarmState::Ok && dice.happens(350) {
                inner.set_alarm(&name, AlarmState::Ok);
            }
            if let Some(alarm) = inner.alarms.get_mut(&name) {
                alarm.is_enabled = if alarm.is_enabled {
                    !dice.happens(5)
                } else {
                    dice.happens(400)
                };
                alarm.is_doubtful = dice.happens(10);
            }
        }
        if dice.happens(if self.is_calm { 10 } else { 50 }) {
            let router = dice.below(inner.routes.len());
            let percent = dice.pick(&[0_u8, 10, 50, 80, 100]);
            inner.tamper(router, Weights::share(Environment::Green, percent));
        }
        if dice.happens(20) {
            let router = dice.below(inner.routes.len());
            let minutes = u64::try_from(dice.below(4)).unwrap();
            inner.routes[router].down_until_ms = inner.now_ms + minutes * 60_000;
            inner.note(0, "a router is down");
        }
        inner.lag = match dice.below(40) {
            0 => Lag::Seconds(LAG_SECONDS_MAX + 60),
            1 => Lag::Stopped("a table has an error".to_owned()),
            _ => Lag::Seconds(2),
        };
        inner.capacity = match dice.below(30) {
            0 => Capacity::Short,
            1..=3 => Capacity::Idle,
            _ => Capacity::Ready,
        };
        inner.failing_per_mille = if dice.happens(10) { 200 } else { 0 };
        inner.validation = match dice.below(20) {
            0 => Validation::Failed("no backup".to_owned()),
            1 => Validation::Unknown("too slow".to_owned()),
            _ => Validation::Passed,
        };
    }

    fn triggers(&mut self, minute: u64) -> Vec<Trigger> {
        let mut triggers = Vec::new();
        let mut inner = self.cloud.inner();
        let ticks = match self.dice.below(20) {
            0 => 0,
            1 => 2,
            _ => 1,
        };
        inner.injected.lost_triggers += u64::from(ticks == 0);
        inner.injected.repeated_triggers += u64::from(ticks == 2);
        triggers.extend((0..ticks).map(|_| Trigger::Tick));
        let now_ms = inner.now_ms;
        let (due, later): (VecDeque<_>, VecDeque<_>) = inner
            .events
            .drain(..)
            .partition(|(at_ms, ..)| *at_ms <= now_ms);
        inner.events = later;
        triggers.extend(due.into_iter().map(|(at_ms, name, state)| Trigger::Alarm {
            name,
            state,
            at_ms: self.dice.happens(900).then(|| at_ms.saturating_sub(90_000)),
        }));
        let state = inner.state.clone();
        drop(inner);
        let is_running = state.as_ref().is_some_and(|state| state.phase.is_running());
        if minute == 0 || (!is_running && self.dice.happens(250)) {
            let active = state.map_or(Environment::Blue, |state| state.active);
            triggers.push(self.start(active.other()));
        }
        let rarely = if self.is_calm { 5 } else { 25 };
        for command in [Command::RollBack, Command::Pause, Command::Promote] {
            if self.dice.happens(rarely) {
                triggers.push(Trigger::Command(command, By::default()));
            }
        }
        if self.dice.happens(60) {
            triggers.push(Trigger::Command(Command::Resume, By::default()));
        }
        if !is_running && self.dice.happens(30) {
            triggers.push(Trigger::Command(
                Command::Drill { alarm: None },
                By::default(),
            ));
        }
        triggers
    }

    fn start(&mut self, to: Environment) -> Trigger {
        if self.dice.happens(800) {
            self.next_migration += 1;
        }
        let mut steps = Vec::new();
        for percent in [5, 20, 50] {
            if self.dice.happens(500) {
                let bake_seconds = u64::try_from(self.dice.below(4)).unwrap() * 60;
                steps.push(Step {
                    percent,
                    bake_seconds,
                });
            }
        }
        steps.push(Step {
            percent: 100,
            bake_seconds: u64::try_from(self.dice.below(5)).unwrap() * 60,
        });
        let start = Start {
            migration_id: format!("m-{}", self.next_migration),
            to,
            steps,
            max_seconds: MAX_SECONDS,
            on_drift: self.dice.pick(&[OnDrift::Repair, OnDrift::Hold]),
            versions: Versions::default(),
            max_exposed_payments: None,
            max_exposed_seconds: None,
        };
        Trigger::Command(Command::Start(start), By::default())
    }

    fn next_minute(&mut self, minute: u64) {
        let mut inner = self.cloud.inner();
        inner.now_ms = inner.now_ms.max(START_MS + (minute + 1) * 60_000);
        let late = std::mem::take(&mut inner.late);
        for write in late {
            if self.dice.happens(600) {
                inner.land(&write);
            } else {
                inner.late.push(write);
            }
        }
    }

    // ---- invocations

    fn begin(&mut self, trigger: Trigger) {
        let id = self.next_id;
        self.next_id += 1;
        {
            let mut inner = self.cloud.inner();
            inner.note(id, &format!("begins: {trigger:?}"));
            inner.rules.sight(id).trigger = Some(trigger.clone());
            inner.rules.tallies.invocations += 1;
        }
        let executor = Rc::clone(&self.executor);
        let run = Box::pin(async move {
            let deadline = Deadline::until(Duration::from_mins(10));
            let outcome = executor.run(trigger, deadline).await?;
            let _faults = executor.tell(&outcome.transitions, "{}", deadline).await;
            Ok(outcome)
        });
        self.live.push(Live {
            id,
            run,
            is_old: false,
        });
    }

    /// Plays the triggers of a minute, a few at once, in any order, call by call.
    async fn play(&mut self, mut triggers: Vec<Trigger>) {
        loop {
            while self.live.len() < LIVE_MAX && !triggers.is_empty() {
                let index = self.dice.below(triggers.len());
                let trigger = triggers.swap_remove(index);
                self.begin(trigger);
                if self.dice.happens(400) {
                    break;
                }
            }
            if self.live.is_empty() {
                return;
            }
            // Rarely one is still at it when the next minute comes; no longer than that.
            if triggers.is_empty() && self.live.len() == 1 && self.dice.happens(5) {
                let is_old = std::mem::replace(&mut self.live[0].is_old, true);
                if !is_old {
                    return;
                }
            }
            let index = self.dice.below(self.live.len());
            if self.has_faults() && self.dice.happens(4) {
                let dead = self.live.swap_remove(index);
                self.cloud.inner().crash(dead.id);
                continue;
            }
            if let Some(ended) = self.advance(index).await {
                let live = self.live.swap_remove(index);
                let mut inner = self.cloud.inner();
                match ended {
                    Ok(outcome) => {
                        let (action, phase) = (outcome.decision.action, outcome.state.phase);
                        inner.note(
                            live.id,
                            &format!("ends: {action:?}, {phase}, {}", outcome.decision.why),
                        );
                        inner.rules.on_end(live.id, &outcome);
                    }
                    Err(error) => {
                        inner.note(live.id, &format!("ends: {error}"));
                        inner.rules.forget(live.id);
                    }
                }
            }
        }
    }

    fn has_faults(&self) -> bool {
        self.cloud.inner().has_faults
    }

    /// Lets one invocation go on to its next call, or to its end.
    async fn advance(&mut self, index: usize) -> Option<Result<Outcome, ExecutorError>> {
        let cloud = self.cloud.clone();
        let live = &mut self.live[index];
        poll_fn(|context| {
            NOW_MS.set(cloud.inner().now_ms);
            RUNNING.set(live.id);
            CALLED.set(false);
            match live.run.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if CALLED.get() => Poll::Ready(None),
                // It waits before it tries again: nothing that others could see.
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    // ---- quiet

    /// No more faults. Half of the time the candidate is bad now: then it must lose all traffic, soon. Ticks until it had.
    async fn quiet(&mut self) -> Option<u64> {
        let candidate = self.calm_down();
        let is_bad = candidate.is_some() && self.dice.happens(500);
        if let Some(candidate) = candidate.filter(|_| is_bad) {
            let guard = guards_of(candidate).remove(0);
            self.cloud.inner().set_alarm(&guard, AlarmState::Alarm);
        }
        let mut back = None;
        for tick in 1..=TICKS_END_MAX {
            self.play(vec![Trigger::Tick]).await;
            self.next_minute(MINUTES + tick);
            let is_empty =
                candidate.is_some_and(|candidate| self.cloud.inner().most(candidate) == 0);
            if is_bad && back.is_none() && is_empty {
                back = Some(tick);
            }
            if self.has_ended() {
                break;
            }
        }
        let mut inner = self.cloud.inner();
        if is_bad && back.is_none_or(|ticks| ticks > TICKS_BACK_MAX) {
            let told = format!("the candidate had traffic for {back:?} ticks, and was in ALARM");
            inner.rules.violations.push(told);
        }
        drop(inner);
        if !self.has_ended() {
            let told = format!("it has not ended after {TICKS_END_MAX} quiet ticks");
            self.cloud.inner().rules.violations.push(told);
        }
        back
    }

    /// Ends what still runs, and every fault. The candidate of the migration that is under way, if one is.
    fn calm_down(&mut self) -> Option<Environment> {
        for live in std::mem::take(&mut self.live) {
            self.cloud.inner().crash(live.id);
        }
        let mut inner = self.cloud.inner();
        inner.has_faults = false;
        let late = std::mem::take(&mut inner.late);
        for write in late {
            inner.land(&write);
        }
        inner.events.clear();
        for route in &mut inner.routes {
            route.down_until_ms = 0;
        }
        for alarm in inner.alarms.values_mut() {
            *alarm = Alarm {
                state: AlarmState::Ok,
                is_enabled: true,
                is_doubtful: false,
            };
        }
        inner.lag = Lag::Seconds(1);
        inner.capacity = Capacity::Ready;
        inner.failing_per_mille = 0;
        inner.validation = Validation::Passed;
        inner.note(0, "---- no more faults");
        let state = inner.state.as_ref()?;
        let migration = state.migration.as_ref()?;
        state.phase.is_running().then_some(migration.to)
    }

    fn has_ended(&self) -> bool {
        let inner = self.cloud.inner();
        let Some(state) = inner.state.as_ref().filter(|state| state.managed) else {
            return true;
        };
        let now_ms = inner.now_ms;
        let is_settled = inner.routes.iter().all(|route| {
            let is_in_effect = route.changes.last().is_none_or(|at_ms| *at_ms <= now_ms);
            route.weights == state.intended && is_in_effect
        });
        // With `hold`, weights below the plan are left to an operator.
        let is_held = state
            .migration
            .as_ref()
            .is_some_and(|m| m.on_drift == OnDrift::Hold);
        !state.phase.is_running() && state.intent.is_none() && (is_settled || is_held)
    }

    fn report(self, ticks_back: Option<u64>) -> Report {
        let mut inner = self.cloud.inner();
        let mut violations = std::mem::take(&mut inner.rules.violations);
        if let Err(broken) = verify(&inner.journal) {
            violations.push(broken.to_string());
        }
        let head = inner.state.as_ref().map(|state| state.journal_head.clone());
        if head != inner.journal.last().map(|entry| entry.hash.clone()) {
            violations.push("the state does not name the journal's last entry".to_owned());
        }
        let is_foreign = inner.state.as_ref().is_some_and(|state| {
            matches!(state.phase, Phase::RolledBack | Phase::Failed)
                && inner.most(state.active.other()) > 0
                && state
                    .migration
                    .as_ref()
                    .is_some_and(|m| m.on_drift == OnDrift::Repair)
        });
        if is_foreign {
            violations.push("the candidate has traffic after its rollback".to_owned());
        }
        Report {
            violations,
            tallies: inner.rules.tallies,
            injected: inner.injected,
            ticks_back,
            trace: inner.trace.take().unwrap_or_default(),
        }
    }
}

fn routes(dice: &mut Dice) -> Vec<Route> {
    let kinds = [Kind::Revision, Kind::Unconditional, Kind::Delayed];
    let names = ["revision", "unconditional", "delayed"];
    let first = dice.below(3);
    let count = 1 + dice.below(3);
    (0..count)
        .map(|offset| (first + offset) % 3)
        .map(|index| Route {
            name: names[index].to_owned(),
            kind: kinds[index],
            weights: Weights::all(Environment::Blue),
            base: Environment::Blue,
            marker: None,
            revision: 1,
            changes: Vec::new(),
            down_until_ms: 0,
            is_foreign: false,
        })
        .collect()
}

fn executor(cloud: &Cloud, configured: Configured, has_fence: bool) -> Executor {
    let mut routers: Vec<SimRouter> = cloud
        .inner()
        .routes
        .iter()
        .enumerate()
        .map(|(index, route)| SimRouter {
            cloud: cloud.clone(),
            index,
            name: route.name.clone(),
            kind: route.kind,
        })
        .collect();
    routers.sort_by_key(Router::effect_seconds);
    let routers = routers
        .into_iter()
        .map(|router| Box::new(router) as Box<dyn Router>);
    let guards = [Environment::Blue, Environment::Green].map(|of| (of, guards_of(of)));
    Executor {
        routers: routers.collect(),
        alarms: Box::new(cloud.clone()),
        guards: guards.into(),
        validator: configured.validator.then(|| Box::new(cloud.clone()) as _),
        replication: configured.replication.then(|| Box::new(cloud.clone()) as _),
        counts: configured.counts.then(|| Box::new(cloud.clone()) as _),
        fence: has_fence.then(|| Box::new(cloud.clone()) as _),
        tester: Some(Box::new(cloud.clone())),
        policy: Policy {
            max_lag_seconds: LAG_SECONDS_MAX,
            ..Policy::default()
        },
        store: Box::new(cloud.clone()),
        notifiers: vec![Box::new(cloud.clone())],
        versions: Versions {
            blue: Some("1".to_owned()),
            green: Some("2".to_owned()),
        },
        clock: || NOW_MS.get(),
    }
}
