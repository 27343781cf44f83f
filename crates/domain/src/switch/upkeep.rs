//! What was left unfinished, and what nobody ordered.

use std::collections::BTreeMap;

use super::step::Case;
use super::{
    Action, Decision, FenceOrder, Health, Intent, MayWrite, OnDrift, Phase, Purpose, RouterReading,
    Seen, State, Trigger, Verb,
};

/// How far one router is with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The order is in effect.
    Done,
    /// It was accepted and takes effect later.
    Waiting,
    /// It is to be written, once more.
    Open,
    /// It can't be read, or its writes fail: this invocation has done what it can.
    OutOfReach,
}

impl Case<'_> {
    // ---- unfinished orders

    pub(super) fn pending(&self) -> Option<Decision> {
        let Some(intent) = &self.state.intent else {
            return self.go_back_once_open();
        };
        let changes = self.changes(intent);
        let progress: Vec<(&RouterReading, Progress)> = self
            .seen
            .routers
            .iter()
            .map(|router| (router, self.progress_of(router, intent, &changes)))
            .collect();
        let is_done = !progress.is_empty() && progress.iter().all(|(_, p)| *p == Progress::Done);
        if is_done {
            return Some(self.finish(intent));
        }
        let mut open: Vec<String> = progress
            .iter()
            .filter(|(_, progress)| *progress == Progress::Open)
            .map(|(router, _)| router.router.clone())
            .collect();
        if open.is_empty() {
            return Some(self.wait(intent, changes));
        }
        if self.raises(intent.purpose)
            && let Some(held) = self.hold_raise(intent.purpose)
        {
            // What is above the plan is taken back without anybody's consent; what is below it waits.
            let above = self.above_plan();
            open.retain(|router| above.contains(router));
            if open.is_empty() {
                return Some(held);
            }
        }
        let why = format!(
            "the order of generation {} is not in effect yet at {}",
            intent.since,
            open.join(", ")
        );
        Some(self.order_at(
            open,
            self.state.clone(),
            intent.purpose,
            self.state.intended,
            verb_of(intent.purpose),
            why,
        ))
    }

    fn progress_of(
        &self,
        router: &RouterReading,
        intent: &Intent,
        changes: &BTreeMap<String, String>,
    ) -> Progress {
        // A router that knows generations must bear this order's, or a write of before could still get through.
        let is_right = router.seen == Seen::Split(self.state.intended)
            && (router.revision.is_none()
                || router.marker.is_some_and(|marker| marker >= intent.since))
            && (!router.needs_change || changes.contains_key(&router.router));
        match router {
            _ if is_right && router.pending.is_none() => Progress::Done,
            _ if is_right => Progress::Waiting,
            RouterReading {
                seen: Seen::Unreadable(_),
                ..
            } => Progress::OutOfReach,
            _ if self.seen.unwritable.contains_key(&router.router) => Progress::OutOfReach,
            _ => Progress::Open,
        }
    }

    /// Nothing is left to be written now.
    fn wait(&self, intent: &Intent, changes: BTreeMap<String, String>) -> Decision {
        let pending: Vec<String> = self
            .seen
            .routers
            .iter()
            .filter_map(|router| router.pending.clone())
            .collect();
        let why = self.out_of_reach().unwrap_or_else(|| pending.join("; "));
        if changes == intent.changes {
            return self.stay(Verb::Hold, why);
        }
        let mut next = self.state.clone();
        if let Some(intent) = &mut next.intent {
            intent.changes = changes;
        }
        self.change(next, Vec::new(), Verb::Await, why)
    }

    /// What forbids that an unfinished step is written once more, if anything does.
    fn hold_raise(&self, purpose: Purpose) -> Option<Decision> {
        if let Some(why) = self.out_of_reach() {
            return Some(self.stay(Verb::Hold, why));
        }
        if self.state.phase == Phase::Paused {
            return Some(self.stay(Verb::Hold, "paused with a step unfinished".to_owned()));
        }
        if self.seen.trigger != Trigger::Tick {
            let why = "a step is unfinished until the next tick".to_owned();
            return Some(self.stay(Verb::Hold, why));
        }
        if self.health() != Health::Healthy {
            return Some(self.hold_for_guards());
        }
        // A minute has passed since the step was ordered: what was read then is old.
        let is_step = matches!(purpose, Purpose::Step(_) | Purpose::Complete);
        let lagging = is_step.then(|| self.replicated().err()).flatten();
        lagging.map(|why| self.stay(Verb::Hold, why))
    }

    /// Whether a write of the intended weights may give the candidate more traffic than it has.
    fn raises(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Step(_) | Purpose::Complete => true,
            Purpose::RollBack | Purpose::Create => false,
            Purpose::Repair => self.repair_raises(),
        }
    }

    fn repair_raises(&self) -> bool {
        let candidate = self.state.candidate();
        let intended = self.state.intended.of(candidate);
        self.state.migration.is_some()
            && self.seen.routers.iter().any(|router| match &router.seen {
                Seen::Split(weights) => weights.of(candidate) < intended,
                _ => intended > 0,
            })
    }

    fn finish(&self, intent: &Intent) -> Decision {
        let mut next = self.state.clone();
        next.intent = None;
        if let Some(migration) = &mut next.migration {
            match intent.purpose {
                Purpose::Step(index) => {
                    migration.step = Some(index);
                    migration.step_at_ms = self.now_ms;
                    if next.phase != Phase::Paused {
                        next.phase = migration.phase_at(Some(index));
                    }
                }
                Purpose::Complete => {
                    next.active = intent.base;
                    next.phase = Phase::Completed;
                }
                Purpose::RollBack if migration.refused_by_validation => next.phase = Phase::Failed,
                Purpose::RollBack => next.phase = Phase::RolledBack,
                // What was seen while the candidate had another share is no bake of this one.
                Purpose::Repair if migration.step.is_some() && next.phase.is_forward() => {
                    migration.step_at_ms = self.now_ms;
                }
                Purpose::Create | Purpose::Repair => {}
            }
        }
        let actions = self.retire(&mut next, intent.purpose);
        let why = format!("read back: {}", self.state.intended);
        self.change(next, actions, Verb::Verify, why)
    }

    /// Once all traffic is where it is to stay, the other environment may no longer write. That it is so is waited for by
    /// nobody; it is retried until it stands.
    fn retire(&self, next: &mut State, purpose: Purpose) -> Vec<Action> {
        if !matches!(purpose, Purpose::Complete | Purpose::RollBack) {
            return Vec::new();
        }
        let order: Option<FenceOrder> = self.fence_to(MayWrite::only(next.active));
        next.fence = order;
        order.map(Action::Fence).into_iter().collect()
    }

    // ---- drift

    /// The routers at which the candidate has more than was ever ordered. Taking that back needs nobody's consent.
    fn above_plan(&self) -> Vec<String> {
        let candidate = self.state.candidate();
        let intended = self.state.intended.of(candidate);
        let is_above = |router: &&RouterReading| matches!(&router.seen, Seen::Split(weights) if weights.of(candidate) > intended);
        let above = self.seen.routers.iter().filter(is_above);
        above.map(|router| router.router.clone()).collect()
    }

    /// Puts weights right that nobody ordered, where that may be done now.
    pub(super) fn repair(&self) -> Option<Decision> {
        let why = self.drifted()?;
        let (next, intended) = (self.state.clone(), self.state.intended);
        if self.hold_repair(&why).is_none() {
            return Some(self.order(next, Purpose::Repair, intended, Verb::Repair, why));
        }
        let above = self.above_plan();
        (!above.is_empty())
            .then(|| self.order_at(above, next, Purpose::Repair, intended, Verb::Repair, why))
    }

    /// A router that is not as it was ordered, or can't be read: nothing goes on.
    pub(super) fn unsound(&self) -> Option<Decision> {
        let held = self.drifted().and_then(|why| self.hold_repair(&why));
        held.or_else(|| Some(self.stay(Verb::Hold, self.out_of_reach()?)))
    }

    /// The routers that read other weights than the intended ones, in words.
    fn drifted(&self) -> Option<String> {
        let intended = self.state.intended;
        let drifted: Vec<&str> = self
            .seen
            .routers
            .iter()
            .filter(|router| {
                router.seen != Seen::Split(intended) && !matches!(router.seen, Seen::Unreadable(_))
            })
            .map(|router| router.router.as_str())
            .collect();
        (!drifted.is_empty()).then(|| {
            format!(
                "{}: weights that were not set here, instead of {intended}",
                drifted.join(", ")
            )
        })
    }

    fn hold_repair(&self, why: &str) -> Option<Decision> {
        let on_drift = self
            .state
            .migration
            .as_ref()
            .map_or(OnDrift::Repair, |migration| migration.on_drift);
        if on_drift == OnDrift::Hold {
            return Some(self.stay(Verb::Hold, format!("{why}; onDrift is hold")));
        }
        (self.repair_raises() && self.health() != Health::Healthy).then(|| self.hold_for_guards())
    }

    // ---- shared

    /// The first router that could not be read, or not be written, in words.
    pub(super) fn out_of_reach(&self) -> Option<String> {
        let unreadable = self
            .seen
            .routers
            .iter()
            .find_map(|router| match &router.seen {
                Seen::Unreadable(why) => {
                    Some(format!("router {} can't be read: {why}", router.router))
                }
                _ => None,
            });
        unreadable.or_else(|| {
            let (router, why) = self.seen.unwritable.first_key_value()?;
            Some(format!("router {router} can't be written: {why}"))
        })
    }
}

fn verb_of(purpose: Purpose) -> Verb {
    match purpose {
        Purpose::Create => Verb::Create,
        Purpose::Step(_) => Verb::Shift,
        Purpose::Complete => Verb::Complete,
        Purpose::RollBack => Verb::RollBack,
        Purpose::Repair => Verb::Repair,
    }
}
