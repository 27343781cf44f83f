//! What was left unfinished, and what nobody ordered.

use super::step::Case;
use super::{
    Decision, Health, Intent, OnDrift, Phase, Purpose, RouterReading, Seen, Trigger, Verb,
};

impl Case<'_> {
    // ---- unfinished orders

    pub(super) fn pending(&self) -> Option<Decision> {
        let intent = self.state.intent.as_ref()?;
        if self.is_settled(intent) {
            return Some(self.finish(intent));
        }
        if let Some(unreadable) = self.unreadable() {
            return Some(self.stay(Verb::Hold, unreadable));
        }
        if self.raises(intent.purpose) && !self.is_above_plan() {
            if self.state.phase == Phase::Paused {
                return Some(self.stay(Verb::Hold, "paused with a step unfinished".to_owned()));
            }
            if self.seen.trigger != Trigger::Tick {
                return Some(self.stay(
                    Verb::Hold,
                    "a step is unfinished until the next tick".to_owned(),
                ));
            }
            if self.health() != Health::Healthy {
                return Some(self.hold_for_guards());
            }
        }
        let why = format!(
            "the order of generation {} is not in effect yet",
            intent.since
        );
        Some(self.order(
            self.state.clone(),
            intent.purpose,
            self.state.intended,
            verb_of(intent.purpose),
            why,
        ))
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

    fn is_settled(&self, intent: &Intent) -> bool {
        !self.seen.routers.is_empty()
            && self.seen.routers.iter().all(|router| {
                router.seen == Seen::Split(self.state.intended)
                    && (router.revision.is_none()
                        || router.marker.is_some_and(|marker| marker >= intent.since))
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
                Purpose::Create | Purpose::Repair => {}
            }
        }
        let why = format!("read back: {}", self.state.intended);
        self.change(next, Vec::new(), Verb::Verify, why)
    }

    // ---- drift

    /// Whether the candidate has more somewhere than was ever ordered. Taking that back needs nobody's consent.
    fn is_above_plan(&self) -> bool {
        let candidate = self.state.candidate();
        let intended = self.state.intended.of(candidate);
        self.seen.routers.iter().any(|router| {
            matches!(&router.seen, Seen::Split(weights) if weights.of(candidate) > intended)
        })
    }

    pub(super) fn drift(&self) -> Option<Decision> {
        let intended = self.state.intended;
        let drifted: Vec<&RouterReading> = self
            .seen
            .routers
            .iter()
            .filter(|router| {
                !matches!(&router.seen, Seen::Split(weights) if *weights == intended)
                    && !matches!(router.seen, Seen::Unreadable(_))
            })
            .collect();
        let above = self.is_above_plan();
        if drifted.is_empty() {
            return self
                .unreadable()
                .map(|unreadable| self.stay(Verb::Hold, unreadable));
        }
        let why = format!("weights that were not set here, instead of {intended}");
        let on_drift = self
            .state
            .migration
            .as_ref()
            .map_or(OnDrift::Repair, |migration| migration.on_drift);
        if !above && on_drift == OnDrift::Hold {
            return Some(self.stay(Verb::Hold, format!("{why}; onDrift is hold")));
        }
        if !above && self.repair_raises() && self.health() != Health::Healthy {
            return Some(self.hold_for_guards());
        }
        let next = self.state.clone();
        Some(self.order(next, Purpose::Repair, intended, Verb::Repair, why))
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
