//! Why all traffic must go back, and the way back.

use super::step::Case;
use super::{
    Action, AlarmState, Command, CountsReading, Decision, Direction, FenceSeen, Lag, MayWrite,
    Migration, Phase, Purpose, Trigger, Validation, Verb, Verdict, Weights,
};

/// Why all traffic must go back.
struct Cause {
    why: String,
    by_validation: bool,
}

impl Cause {
    fn of(why: String) -> Self {
        Self {
            why,
            by_validation: false,
        }
    }
}

impl Case<'_> {
    pub(super) fn danger(&self) -> Option<Decision> {
        let migration = self.state.migration.as_ref()?;
        if self.state.phase.is_forward() {
            let cause = self
                .alarm_event(migration)
                .or_else(|| self.alarm_polled(migration))
                .or_else(|| self.validation_failed())
                .or_else(|| self.counts_failed(migration))
                .or_else(|| self.too_long(migration))
                .or_else(|| self.asked_back())?;
            Some(self.roll_back(migration, cause))
        } else if self.state.phase == Phase::Completed {
            let cause = self.asked_back()?;
            Some(self.undo_completion(migration, cause.why))
        } else {
            None
        }
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
        let counts = *state == AlarmState::Alarm && is_guard && !is_stale && !self.is_drilled(name);
        counts.then(|| Cause::of(format!("alarm {name} of {} went to ALARM", migration.to)))
    }

    fn alarm_polled(&self, migration: &Migration) -> Option<Cause> {
        let alarming: Vec<&str> = self
            .seen
            .guards_of(migration.to)
            .iter()
            .filter(|guard| guard.state == AlarmState::Alarm && !self.is_drilled(&guard.name))
            .map(|guard| guard.name.as_str())
            .collect();
        (!alarming.is_empty()).then(|| {
            Cause::of(format!(
                "{} in ALARM on {}",
                alarming.join(", "),
                migration.to
            ))
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

    /// The candidate's counts since its present share was verified. Before that it has no counts of its own.
    fn counts_failed(&self, migration: &Migration) -> Option<Cause> {
        let judgement = self.judgement(migration)?;
        (judgement.verdict == Verdict::Fail)
            .then(|| Cause::of(format!("verdict by counts: {}", judgement.why)))
    }

    fn too_long(&self, migration: &Migration) -> Option<Cause> {
        (self.now_ms >= migration.ends_at_ms()).then(|| {
            Cause::of(format!(
                "not finished after {} s (maxSeconds)",
                migration.max_seconds
            ))
        })
    }

    fn asked_back(&self) -> Option<Cause> {
        match &self.seen.trigger {
            Trigger::Command(Command::RollBack, by) => {
                Some(Cause::of(format!("rollback{}", super::commands::told(by))))
            }
            _ => None,
        }
    }

    /// Always ordered, even if the routers already read right: the write is what makes a slower, older one fail. An idle
    /// environment is woken right before it, in one bounded call, and whatever that says the write follows.
    fn roll_back(&self, migration: &Migration, cause: Cause) -> Decision {
        let mut next = self.state.clone();
        next.phase = Phase::RollingBack;
        next.active = migration.from;
        if let Some(migration) = &mut next.migration {
            migration.refused_by_validation = cause.by_validation && migration.step.is_none();
        }
        let weights = Weights::all(migration.from);
        let mut decision = self.order(next, Purpose::RollBack, weights, Verb::RollBack, cause.why);
        decision.actions.insert(0, Action::Warm(migration.from));
        decision
    }

    // ---- past completion

    /// Completion retired the previous environment: what the present one wrote since then must have been copied back, and
    /// the previous one must be let write, before it may have traffic again.
    pub(super) fn undo_completion(&self, migration: &Migration, why: String) -> Decision {
        if let Err(missing) = self.is_copied_back(migration) {
            return self.refuse(
                "past_point_of_no_return",
                format!(
                    "the migration is complete and {} is retired: {missing}",
                    migration.from
                ),
            );
        }
        if self.seen.fence == FenceSeen::NotConfigured {
            return self.roll_back(migration, Cause::of(why));
        }
        let mut next = self.state.clone();
        next.phase = Phase::RollingBack;
        next.intent = None;
        next.fence = self.fence_to(MayWrite::BOTH);
        let actions = next.fence.map(Action::Fence).into_iter().collect();
        let why = format!(
            "{why}; first the ledgers let {} write again",
            migration.from
        );
        self.change(next, actions, Verb::RollBack, why)
    }

    /// Where neither a fence nor replication is configured the ledgers are not the switch's concern.
    fn is_copied_back(&self, migration: &Migration) -> Result<(), String> {
        let is_guarded = self.seen.fence != FenceSeen::NotConfigured || self.seen.has_replication;
        if !is_guarded {
            return Ok(());
        }
        let direction = Direction::of(migration.to);
        let limit = self.seen.policy.max_lag_seconds;
        let back: Vec<_> = self
            .seen
            .replication
            .iter()
            .filter(|reading| reading.direction == direction)
            .collect();
        if back.is_empty() {
            return Err(format!(
                "going back takes {} replication at most {limit} s behind, and the lag of none is known",
                direction.as_str()
            ));
        }
        let far = back.iter().find_map(|reading| {
            let lag = match &reading.lag {
                Lag::Seconds(seconds) if *seconds <= limit => return None,
                lag => lag_in_words(lag),
            };
            Some(format!(
                "going back takes {} replication at most {limit} s behind, and task {} {lag}",
                direction.as_str(),
                reading.task
            ))
        });
        far.map_or(Ok(()), Err)
    }

    /// A rollback past completion goes on once the ledgers let the previous environment write.
    pub(super) fn go_back_once_open(&self) -> Option<Decision> {
        let is_waiting = self.state.phase == Phase::RollingBack && self.state.intent.is_none();
        let migration = self.state.migration.as_ref().filter(|_| is_waiting)?;
        let confirmed = self
            .confirmed()
            .filter(|order| order.may_write == MayWrite::BOTH);
        (self.is_fence_open() || confirmed.is_some()).then(|| {
            let why = format!("the ledgers let {} write again", migration.from);
            let mut decision = self.roll_back(migration, Cause::of(why));
            decision.next.fence = confirmed.or(self.state.fence);
            decision
        })
    }

    // ---- counts

    /// What the counts say of the candidate's present share; `None` before its first, and where there are none.
    pub(super) fn judgement(&self, migration: &Migration) -> Option<super::Judgement> {
        let Some(CountsReading::Counts {
            baseline,
            candidate,
            money,
            ..
        }) = &self.seen.counts
        else {
            return None;
        };
        migration.step?;
        // While the previous environment has at least as much traffic, what both did at the same time is compared: what
        // troubles both is not the candidate's fault. Beyond that its own counts are too few, and those from before are added.
        let compared = if baseline.requests >= candidate.requests {
            *baseline
        } else {
            migration.baseline.plus(*baseline)
        };
        Some(super::verdict(&compared, candidate, *money))
    }
}

pub(super) fn lag_in_words(lag: &Lag) -> String {
    match lag {
        Lag::Seconds(seconds) => format!("is {seconds} s behind"),
        Lag::Stopped(why) => format!("is stopped: {why}"),
        Lag::Unknown(why) => format!("can't be read: {why}"),
    }
}
