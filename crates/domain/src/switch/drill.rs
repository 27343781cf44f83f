//! The drill: a guard of the candidate is tripped by hand before the first step, to prove that its event arrives.
//!
//! A poll would see it too, within a tick; what is proven is the faster path. Whatever comes of it the alarm is restored,
//! and until that was read no share is given.

use super::step::Case;
use super::{
    Action, AlarmState, By, Decision, Drill, DrillBy, Environment, GuardReading, Phase, Trigger,
    TripSeen, Verb,
};

/// How long the event is waited for, and then again the alarm's restoration, in seconds.
const DRILL_SECONDS: u64 = 300;

/// How far CloudWatch's clock may be behind ours, in milliseconds.
const SKEW_MS: u64 = 5_000;

impl Case<'_> {
    /// Whether this alarm is in ALARM because of a drill. With traffic on the candidate it counts whatever tripped it.
    pub(super) fn is_drilled(&self, name: &str) -> bool {
        self.is_before_first_step()
            && self
                .state
                .drill
                .as_ref()
                .is_some_and(|drill| !drill.restored && drill.alarm == name)
    }

    /// The operator's command.
    pub(super) fn begin_drill(&self, wanted: Option<&str>, by: &By) -> Decision {
        if self.state.phase.is_running() && !self.is_before_first_step() {
            let message = format!(
                "{}: a drill takes place before the first step",
                self.running()
            );
            return self.refuse("migration_running", message);
        }
        if let Some(drill) = self.drill_under_way() {
            return self.refuse("drill_running", drill);
        }
        let guard = match self.drillable(wanted) {
            Ok(guard) => guard,
            Err((code, message)) => return self.refuse(code, message),
        };
        let mut next = self.state.clone();
        next.drill = Some(Drill {
            alarm: guard.name.clone(),
            started_at_ms: self.now_ms,
            seen_at_ms: None,
            by: None,
            outcome: None,
            restored: false,
        });
        let why = format!(
            "drill{}: alarm {} is tripped, its event is awaited",
            super::commands::told(by),
            guard.name
        );
        let actions = vec![Action::Trip(guard.name.clone())];
        self.change(next, actions, Verb::Drill, why)
    }

    fn drillable(&self, wanted: Option<&str>) -> Result<&GuardReading, (&'static str, String)> {
        let candidate = match self.state.phase {
            Phase::Validating | Phase::Paused => self.state.candidate(),
            _ => self.state.active.other(),
        };
        let found = if let Some(name) = wanted {
            self.guard(name)
        } else {
            let guards = self.seen.guards_of(candidate);
            let unproved = |guard: &&GuardReading| !self.state.proved.contains(&guard.name);
            guards.iter().find(unproved).or_else(|| guards.first())
        };
        let Some(guard) = found else {
            return Err(match wanted {
                Some(name) => (
                    "unknown_alarm",
                    format!("{name} is no guard: it takes {}", self.guard_names()),
                ),
                None => (
                    "guard_missing",
                    format!("{candidate} has no guard: name its alarms in ALARMS"),
                ),
            });
        };
        let code = match guard.state {
            AlarmState::Missing => "guard_missing",
            AlarmState::Unreadable => "guard_unreadable",
            AlarmState::Alarm => "guard_in_alarm",
            _ if !guard.actions_enabled => "guard_disabled",
            AlarmState::Ok | AlarmState::InsufficientData => return Ok(guard),
        };
        let message = format!("alarm {} is {}", guard.name, guard.describe());
        Err((code, message))
    }

    fn guard(&self, name: &str) -> Option<&GuardReading> {
        let all = self.seen.guards.values().flatten();
        all.into_iter().find(|guard| guard.name == name)
    }

    fn guard_names(&self) -> String {
        let of = |environment| self.seen.guards_of(environment).iter();
        let mut names: Vec<&str> = of(Environment::Blue)
            .chain(of(Environment::Green))
            .map(|guard| guard.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// Why nothing may begin, if a drill is not over.
    pub(super) fn drill_under_way(&self) -> Option<String> {
        let drill = self.state.drill.as_ref().filter(|drill| !drill.restored)?;
        Some(match &drill.outcome {
            None => format!("the drill of alarm {} waits for its event", drill.alarm),
            Some(outcome) => format!("{outcome}; it is not restored yet"),
        })
    }

    /// What comes of a drill that was begun.
    pub(super) fn drill(&self) -> Option<Decision> {
        let drill = self.state.drill.as_ref().filter(|drill| !drill.restored)?;
        match &drill.outcome {
            None => self.awaited(drill),
            Some(outcome) => self.restored(drill, outcome),
        }
    }

    fn awaited(&self, drill: &Drill) -> Option<Decision> {
        let alarm = &drill.alarm;
        let after_ms = self.now_ms.saturating_sub(drill.started_at_ms);
        if self.is_event(drill, AlarmState::Alarm) {
            let outcome = format!("the event of alarm {alarm} arrived after {after_ms} ms");
            return Some(self.end_drill(drill, Some(DrillBy::Event), outcome));
        }
        if let TripSeen::Failed(why) = &self.seen.trip {
            let outcome = format!("alarm {alarm} could not be tripped: {why}");
            return Some(self.end_drill(drill, None, outcome));
        }
        let is_polled = self
            .guard(alarm)
            .is_some_and(|g| g.state == AlarmState::Alarm);
        if after_ms >= DRILL_SECONDS.saturating_mul(1_000) {
            let by = drill.by.or(is_polled.then_some(DrillBy::Poll));
            let poll = match by {
                Some(_) => "a poll saw it in ALARM",
                None => "no poll saw it in ALARM either",
            };
            let outcome =
                format!("no event of alarm {alarm} arrived within {DRILL_SECONDS} s; {poll}");
            return Some(self.end_drill(drill, by, outcome));
        }
        (is_polled && drill.seen_at_ms.is_none()).then(|| {
            let mut next = self.state.clone();
            next.drill = Some(Drill {
                seen_at_ms: Some(self.now_ms),
                by: Some(DrillBy::Poll),
                ..drill.clone()
            });
            let why = format!("a poll saw alarm {alarm} in ALARM; its event is awaited");
            self.change(next, Vec::new(), Verb::Drill, why)
        })
    }

    fn end_drill(&self, drill: &Drill, by: Option<DrillBy>, outcome: String) -> Decision {
        let mut next = self.state.clone();
        let is_first = drill.seen_at_ms.is_none() || by == Some(DrillBy::Event);
        next.drill = Some(Drill {
            seen_at_ms: match by {
                Some(_) if is_first => Some(self.now_ms),
                _ => drill.seen_at_ms,
            },
            by,
            outcome: Some(outcome.clone()),
            ..drill.clone()
        });
        // Only what is a guard now is kept, so that the list ends with ALARMS.
        next.proved.retain(|name| self.guard(name).is_some());
        if by == Some(DrillBy::Event) {
            next.proved.insert(drill.alarm.clone());
        } else {
            next.proved.remove(&drill.alarm);
        }
        let actions = vec![Action::Restore(drill.alarm.clone())];
        self.change(next, actions, Verb::Drill, outcome)
    }

    /// The alarm counts again once it was read as restored, and in any case when that takes too long.
    fn restored(&self, drill: &Drill, outcome: &str) -> Option<Decision> {
        let alarm = &drill.alarm;
        let is_tick = self.seen.trigger == Trigger::Tick;
        let is_ok = self.is_event(drill, AlarmState::Ok)
            || (is_tick && self.guard(alarm).is_none_or(|g| g.state == AlarmState::Ok));
        let after_ms = self.now_ms.saturating_sub(drill.started_at_ms);
        let is_late = after_ms >= DRILL_SECONDS.saturating_mul(2_000);
        if is_ok || (is_tick && is_late) {
            let mut next = self.state.clone();
            next.drill = Some(Drill {
                restored: true,
                ..drill.clone()
            });
            let end = if is_ok {
                "is restored"
            } else {
                "was not restored"
            };
            let why = format!("{outcome}; it {end}, and counts again");
            return Some(self.change(next, Vec::new(), Verb::Drill, why));
        }
        is_tick.then(|| {
            let why = format!("{outcome}; it is to be restored");
            self.ask(Action::Restore(alarm.clone()), Verb::Drill, why)
        })
    }

    fn is_event(&self, drill: &Drill, of: AlarmState) -> bool {
        matches!(&self.seen.trigger, Trigger::Alarm { name, state, at_ms }
            if *name == drill.alarm
                && *state == of
                && at_ms.is_none_or(|at_ms| at_ms.saturating_add(SKEW_MS) >= drill.started_at_ms))
    }
}
