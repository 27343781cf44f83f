//! The transition function: from the stored state, the time and what was seen to the next state and what to do.
//!
//! The order of the questions is the order of precedence: danger first, then the command, then what an earlier
//! invocation left unfinished, then weights that nobody ordered, and only then progress.

use std::collections::BTreeMap;

use super::{
    Action, AlarmState, Command, Decision, Environment, Evidence, Health, Intent, Migration,
    Observation, Order, Phase, Purpose, Refusal, Seen, State, Trigger, Validation, Verb, Weights,
};

/// Decides what comes next. Pure: the same arguments give the same decision.
///
/// `now_ms` is in milliseconds since the epoch. Where the decision's state differs from `state` its generation is one
/// more: the executor stores it, on the condition that `state.generation` still stands, before it does anything.
#[must_use]
pub fn step(state: &State, now_ms: u64, seen: &Observation) -> Decision {
    let case = Case {
        state,
        now_ms,
        seen,
    };
    case.danger()
        .or_else(|| case.request())
        .or_else(|| case.unmanaged())
        .or_else(|| case.pending())
        .or_else(|| case.drift())
        .unwrap_or_else(|| case.progress())
}

/// Why all traffic must go back.
struct Cause {
    why: String,
    by_validation: bool,
}

/// One call of [`step`].
pub(super) struct Case<'a> {
    pub(super) state: &'a State,
    pub(super) now_ms: u64,
    pub(super) seen: &'a Observation,
}

impl Case<'_> {
    // ---- danger

    fn danger(&self) -> Option<Decision> {
        let migration = self.state.migration.as_ref()?;
        let cause = if self.state.phase.is_forward() {
            self.alarm_event(migration)
                .or_else(|| self.alarm_polled(migration))
                .or_else(|| self.validation_failed())
                .or_else(|| self.too_long(migration))
                .or_else(|| self.asked_back())
        } else if self.state.phase == Phase::Completed {
            self.asked_back()
        } else {
            None
        }?;
        Some(self.roll_back(migration, cause))
    }

    /// An event counts even if the poll failed or sees the alarm recovered, unless it is older than the migration.
    fn alarm_event(&self, migration: &Migration) -> Option<Cause> {
        let Trigger::Alarm { name, state, at_ms } = &self.seen.trigger else {
            return None;
        };
        let is_guard = self
            .seen
            .guards_of(migration.to)
            .iter()
            .any(|guard| guard.name == *name);
        let is_stale = at_ms.is_some_and(|at_ms| at_ms < migration.started_at_ms);
        (*state == AlarmState::Alarm && is_guard && !is_stale).then(|| Cause {
            why: format!("alarm {name} of {} went to ALARM", migration.to),
            by_validation: false,
        })
    }

    fn alarm_polled(&self, migration: &Migration) -> Option<Cause> {
        let alarming: Vec<&str> = self
            .seen
            .guards_of(migration.to)
            .iter()
            .filter(|guard| guard.state == AlarmState::Alarm)
            .map(|guard| guard.name.as_str())
            .collect();
        (!alarming.is_empty()).then(|| Cause {
            why: format!("{} in ALARM on {}", alarming.join(", "), migration.to),
            by_validation: false,
        })
    }

    fn validation_failed(&self) -> Option<Cause> {
        match &self.seen.validation {
            Validation::Failed(why) => Some(Cause {
                why: format!("validation failed: {why}"),
                by_validation: true,
            }),
            _ => None,
        }
    }

    fn too_long(&self, migration: &Migration) -> Option<Cause> {
        (self.now_ms >= migration.ends_at_ms()).then(|| Cause {
            why: format!(
                "not finished after {} s (maxSeconds)",
                migration.max_seconds
            ),
            by_validation: false,
        })
    }

    fn asked_back(&self) -> Option<Cause> {
        match &self.seen.trigger {
            Trigger::Command(Command::RollBack, by) => Some(Cause {
                why: format!("rollback{}", super::commands::told(by)),
                by_validation: false,
            }),
            _ => None,
        }
    }

    /// Always ordered, even if the routers already read right: the write is what makes a slower, older one fail.
    fn roll_back(&self, migration: &Migration, cause: Cause) -> Decision {
        let mut next = self.state.clone();
        next.phase = Phase::RollingBack;
        next.active = migration.from;
        if let Some(migration) = &mut next.migration {
            migration.refused_by_validation = cause.by_validation && migration.step.is_none();
        }
        let weights = Weights::all(migration.from);
        self.order(next, Purpose::RollBack, weights, Verb::RollBack, cause.why)
    }

    // ---- what is not ours

    fn unmanaged(&self) -> Option<Decision> {
        (!self.state.managed)
            .then(|| self.stay(Verb::None, "no migration was ever started here".to_owned()))
    }

    // ---- progress

    fn progress(&self) -> Decision {
        let (phase, Some(migration)) = (self.state.phase, &self.state.migration) else {
            return self.stay(Verb::None, "nothing is due".to_owned());
        };
        if !matches!(phase, Phase::Validating | Phase::Shifting | Phase::Baking) {
            return self.stay(Verb::None, format!("nothing is due while {phase}"));
        }
        if let Some(baked_at_ms) = migration.baked_at_ms() {
            let left_ms = baked_at_ms.saturating_sub(self.now_ms);
            if left_ms > 0 {
                let why = format!("{} s of the bake are left", left_ms.div_ceil(1000));
                return self.stay(Verb::Wait, why);
            }
        }
        if self.seen.trigger != Trigger::Tick {
            return self.stay(Verb::Wait, "the next step is taken by a tick".to_owned());
        }
        if self.health() != Health::Healthy {
            return self.hold_for_guards();
        }
        match (phase, migration.step) {
            (Phase::Validating, _) => self.first_step(migration),
            (Phase::Baking, _) => self.complete(migration),
            (_, step) => self.shift(migration, step.map_or(0, |step| step.saturating_add(1))),
        }
    }

    fn first_step(&self, migration: &Migration) -> Decision {
        match &self.seen.validation {
            Validation::NotConfigured | Validation::Passed => self.shift(migration, 0),
            Validation::NotAsked => Decision {
                actions: vec![Action::Validate],
                ..self.stay(
                    Verb::Validate,
                    "the candidate is to be validated".to_owned(),
                )
            },
            Validation::Unknown(why) | Validation::Failed(why) => {
                self.stay(Verb::Hold, format!("validation could not say: {why}"))
            }
        }
    }

    pub(super) fn shift(&self, migration: &Migration, index: usize) -> Decision {
        let Some(step) = migration.steps.get(index) else {
            return self.stay(Verb::Hold, format!("there is no step {index}"));
        };
        let mut next = self.state.clone();
        next.phase = Phase::Shifting;
        let weights = Weights::share(migration.to, step.percent);
        let why = format!("every guard of {} is healthy: {weights}", migration.to);
        self.order(next, Purpose::Step(index), weights, Verb::Shift, why)
    }

    fn complete(&self, migration: &Migration) -> Decision {
        let next = self.state.clone();
        let weights = Weights::all(migration.to);
        let why = format!("{} held all traffic through the bake", migration.to);
        self.order(next, Purpose::Complete, weights, Verb::Complete, why)
    }

    // ---- shared

    pub(super) fn health(&self) -> Health {
        self.seen.health(self.state.candidate())
    }

    /// The first router that could not be read, in words.
    pub(super) fn unreadable(&self) -> Option<String> {
        self.seen
            .routers
            .iter()
            .find_map(|router| match &router.seen {
                Seen::Unreadable(why) => {
                    Some(format!("router {} can't be read: {why}", router.router))
                }
                _ => None,
            })
    }

    pub(super) fn hold_for_guards(&self) -> Decision {
        let candidate = self.state.candidate();
        let doubtful: Vec<String> = self
            .seen
            .guards_of(candidate)
            .iter()
            .filter(|guard| !guard.is_healthy())
            .map(|guard| format!("{} is {}", guard.name, guard.describe()))
            .collect();
        let why = if doubtful.is_empty() {
            format!("{candidate} has no guard")
        } else {
            doubtful.join("; ")
        };
        self.stay(Verb::Hold, why)
    }

    /// A new generation that writes the routers.
    pub(super) fn order(
        &self,
        mut next: State,
        purpose: Purpose,
        weights: Weights,
        verb: Verb,
        why: String,
    ) -> Decision {
        let generation = self.state.generation.saturating_add(1);
        let base = match purpose {
            Purpose::Complete => next.candidate(),
            _ => next.active,
        };
        // The same order, given again: a write for the earlier one counts for this one too.
        let since = self
            .state
            .intent
            .as_ref()
            .filter(|intent| {
                (intent.purpose, intent.base, self.state.intended) == (purpose, base, weights)
            })
            .map_or(generation, |intent| intent.since);
        next.intended = weights;
        next.intent = Some(Intent {
            purpose,
            base,
            since,
            changes: BTreeMap::new(),
        });
        let order = Order {
            routers: self.seen.routers.iter().map(|r| r.router.clone()).collect(),
            generation,
            base,
            weights,
            versions: next.versions.clone(),
        };
        self.change(next, vec![Action::Write(order)], verb, why)
    }

    /// A new generation.
    pub(super) fn change(
        &self,
        mut next: State,
        actions: Vec<Action>,
        verb: Verb,
        why: String,
    ) -> Decision {
        next.generation = self.state.generation.saturating_add(1);
        let mut decision = Decision {
            next,
            actions,
            verb,
            why,
            evidence: self.evidence(),
            refusal: None,
        };
        decision.next.last = Some(decision.summary());
        decision
    }

    /// Nothing to store.
    pub(super) fn stay(&self, verb: Verb, why: String) -> Decision {
        Decision {
            next: self.state.clone(),
            actions: Vec::new(),
            verb,
            why,
            evidence: self.evidence(),
            refusal: None,
        }
    }

    /// A command that is not accepted.
    pub(super) fn refuse(&self, code: &'static str, message: String) -> Decision {
        Decision {
            refusal: Some(Refusal {
                code,
                message: message.clone(),
            }),
            ..self.stay(Verb::Refuse, message)
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let candidate = self.candidate_in_question();
        let guards = self.seen.guards_of(candidate).iter().map(|guard| Evidence {
            name: format!("alarm {}", guard.name),
            observed: guard.describe(),
        });
        let routers = self.seen.routers.iter().map(|router| Evidence {
            name: format!("router {}", router.router),
            observed: match &router.seen {
                Seen::Split(weights) => weights.to_string(),
                Seen::Foreign(what) => format!("foreign: {what}"),
                Seen::Absent => "absent".to_owned(),
                Seen::Unreadable(why) => format!("unreadable: {why}"),
            },
        });
        let validation = match &self.seen.validation {
            Validation::NotConfigured | Validation::NotAsked => None,
            Validation::Passed => Some("pass".to_owned()),
            Validation::Failed(why) => Some(format!("fail: {why}")),
            Validation::Unknown(why) => Some(format!("unknown: {why}")),
        };
        guards
            .chain(routers)
            .chain(validation.map(|observed| Evidence {
                name: "validation".to_owned(),
                observed,
            }))
            .collect()
    }

    fn candidate_in_question(&self) -> Environment {
        match &self.seen.trigger {
            Trigger::Command(Command::Start(start), _) => start.to,
            _ => self.state.candidate(),
        }
    }
}
