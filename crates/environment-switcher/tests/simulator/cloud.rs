//! What the executor sees of AWS, in memory. Every call may fail, may be carried out and its answer lost, or be the last
//! thing that a process does; every call lets other invocations go first.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use cutover_domain::switch::{
    AlarmState, Capacity, Entry, Environment, Lag, MayWrite, Order, State, Validation, Weights,
};

use crate::dice::Dice;
use crate::rules::{Rules, Sight};

thread_local! {
    /// The clock of the simulation that is being polled, in milliseconds since the epoch.
    pub static NOW_MS: Cell<u64> = const { Cell::new(0) };
    /// The invocation that is being polled.
    pub static RUNNING: Cell<usize> = const { Cell::new(0) };
    /// Whether the invocation came to a call since it was polled last.
    pub static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// How a router behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As an alias: a write must name the revision, and bears a generation.
    Revision,
    /// As a load balancer's rule: the adapter reads, compares and writes, and the write itself is unconditional.
    Unconditional,
    /// As weighted records: a write must name what it replaces, and takes effect a minute later.
    Delayed,
}

/// A router.
#[derive(Debug, Clone)]
pub struct Route {
    pub name: String,
    pub kind: Kind,
    pub weights: Weights,
    pub base: Environment,
    pub marker: Option<u64>,
    pub revision: u64,
    /// When each change is in effect, in milliseconds since the epoch; the change's id is its index.
    pub changes: Vec<u64>,
    pub down_until_ms: u64,
    /// Its weights were last changed by someone else, or by a write that came too late.
    pub is_foreign: bool,
}

/// An alarm.
#[derive(Debug, Clone, Copy)]
pub struct Alarm {
    pub state: AlarmState,
    pub is_enabled: bool,
    pub is_doubtful: bool,
}

/// A write whose sender died: it may still arrive.
#[derive(Debug, Clone)]
pub struct Late {
    pub router: usize,
    pub order: Order,
    pub revision: Option<String>,
    pub seen: Weights,
}

/// What was put in the switch's way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Injected {
    pub failed_calls: u64,
    pub lost_answers: u64,
    pub crashes: u64,
    pub late_writes: u64,
    pub drifts: u64,
    pub alarms: u64,
    pub lost_triggers: u64,
    pub repeated_triggers: u64,
}

/// The world.
#[derive(Debug)]
pub struct Inner {
    pub dice: Dice,
    pub now_ms: u64,
    pub has_faults: bool,
    pub routes: Vec<Route>,
    pub alarms: BTreeMap<String, Alarm>,
    /// Alarm events that are on their way: when they may arrive, the alarm and its new state.
    pub events: VecDeque<(u64, String, AlarmState)>,
    pub state: Option<State>,
    pub journal: Vec<Entry>,
    pub validation: Validation,
    pub lag: Lag,
    pub failing_per_mille: u64,
    pub capacity: Capacity,
    pub fence: Option<(u64, MayWrite)>,
    /// The write that an invocation is about to make, by invocation.
    pub sending: BTreeMap<usize, Late>,
    pub late: Vec<Late>,
    pub injected: Injected,
    pub rules: Rules,
    pub trace: Option<Vec<String>>,
}

/// What became of a call.
pub enum Fate<T> {
    /// It was carried out, and answered.
    Answered(T),
    /// It was carried out, and nobody was told.
    Lost,
    /// It was not carried out.
    Failed,
}

/// All ports in one; clones share the world.
#[derive(Debug, Clone)]
pub struct Cloud(pub Arc<Mutex<Inner>>);

impl Cloud {
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others go first, then makes a call that may fail or lose its answer.
    pub async fn call<T: std::fmt::Debug>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Inner, usize) -> T,
    ) -> Fate<T> {
        turn().await;
        let fate = {
            let mut inner = self.inner();
            inner.now_ms += u64::try_from(inner.dice.below(200)).unwrap();
            NOW_MS.set(inner.now_ms);
            let (faults, me) = (inner.has_faults, RUNNING.get());
            if faults && inner.dice.happens(25) {
                inner.injected.failed_calls += 1;
                inner.note(me, &format!("{name} failed"));
                inner.sending.remove(&me);
                Fate::Failed
            } else {
                let done = act(&mut inner, me);
                inner.sending.remove(&me);
                if faults && inner.dice.happens(15) {
                    inner.injected.lost_answers += 1;
                    inner.note(me, &format!("{name}: {done:?}, the answer was lost"));
                    Fate::Lost
                } else {
                    inner.note(me, &format!("{name}: {done:?}"));
                    Fate::Answered(done)
                }
            }
        };
        turn().await;
        fate
    }
}

/// Gives the turn back to the scheduler once.
async fn turn() {
    let mut is_first = true;
    poll_fn(|context| {
        if std::mem::take(&mut is_first) {
            CALLED.set(true);
            context.waker().wake_by_ref();
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

impl Inner {
    pub fn note(&mut self, invocation: usize, what: &str) {
        let now_ms = self.now_ms;
        if let Some(trace) = &mut self.trace {
            let seconds = now_ms.saturating_sub(START_MS) / 1_000;
            trace.push(format!("{:>5} s  #{invocation:<4} {what:.400}", seconds));
        }
    }

    pub fn sight(&mut self) -> &mut Sight {
        self.rules.sight(RUNNING.get())
    }

    /// Changes an alarm; the event of a transition is sent, late, and sometimes more than once.
    pub fn set_alarm(&mut self, name: &str, state: AlarmState) {
        let alarm = self.alarms.entry(name.to_owned()).or_insert(Alarm {
            state,
            is_enabled: true,
            is_doubtful: false,
        });
        if std::mem::replace(&mut alarm.state, state) == state {
            return;
        }
        if state == AlarmState::Alarm {
            self.injected.alarms += 1;
        }
        self.note(0, &format!("alarm {name} is {}", state.as_str()));
        let mut copies = 1;
        if self.has_faults && self.dice.happens(100) {
            self.injected.lost_triggers += 1;
            copies = 0;
        } else if self.has_faults && self.dice.happens(200) {
            self.injected.repeated_triggers += 1;
            copies = 2;
        }
        for _copy in 0..copies {
            let delay_ms = u64::try_from(self.dice.below(90_000)).unwrap();
            self.events
                .push_back((self.now_ms + delay_ms, name.to_owned(), state));
        }
    }

    /// Someone else changes a router.
    pub fn tamper(&mut self, router: usize, weights: Weights) {
        let route = &mut self.routes[router];
        route.weights = weights;
        route.revision += 1;
        route.is_foreign = true;
        let name = route.name.clone();
        self.injected.drifts += 1;
        self.note(0, &format!("someone sets {name} to {weights}"));
    }

    /// A write arrives whose sender is dead.
    pub fn land(&mut self, late: &Late) {
        let route = &self.routes[late.router];
        let is_accepted = match route.kind {
            Kind::Revision => late.revision == Some(route.revision.to_string()),
            Kind::Unconditional => true,
            Kind::Delayed => late.seen == route.weights,
        };
        let name = route.name.clone();
        self.note(
            0,
            &format!(
                "a late write of generation {} at {name}: {is_accepted}",
                late.order.generation
            ),
        );
        if is_accepted {
            self.injected.late_writes += 1;
            self.apply(late);
            let is_newest = self
                .state
                .as_ref()
                .is_some_and(|state| state.generation == late.order.generation);
            self.routes[late.router].is_foreign |= !is_newest;
        }
    }

    /// Carries a write out; the id of the change where it takes effect later.
    pub fn apply(&mut self, write: &Late) -> Option<String> {
        let in_effect_ms = self.now_ms + 60_000;
        let route = &mut self.routes[write.router];
        route.weights = write.order.weights;
        route.base = write.order.base;
        route.marker = Some(write.order.generation);
        route.revision += 1;
        route.is_foreign = false;
        if route.kind != Kind::Delayed {
            return None;
        }
        route.changes.push(in_effect_ms);
        Some((route.changes.len() - 1).to_string())
    }

    /// A process dies; what it was sending may still arrive.
    pub fn crash(&mut self, invocation: usize) {
        self.injected.crashes += 1;
        self.note(invocation, "dies");
        if let Some(sending) = self.sending.remove(&invocation)
            && self.dice.happens(500)
        {
            self.late.push(sending);
        }
        self.rules.forget(invocation);
    }

    /// What share of the traffic an environment was given, at most, by any router.
    pub fn most(&self, environment: Environment) -> u8 {
        let shares = self
            .routes
            .iter()
            .map(|route| route.weights.of(environment));
        shares.max().unwrap_or(0)
    }
}

/// When every simulation begins, in milliseconds since the epoch.
pub const START_MS: u64 = 1_800_000_000_000;
