//! The next share of a running migration, and all that may hold it.

use super::danger::lag_in_words;
use super::step::Case;
use super::{
    Action, Bound, Budget, Capacity, CountsReading, Decision, Health, Lag, Migration, Phase,
    Purpose, Rate, Step, Tally, Trigger, Validation, Verb, Verdict, Weights,
};

impl Case<'_> {
    pub(super) fn progress(&self) -> Decision {
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
        if let Err(why) = self.replicated().and_then(|()| self.counted(migration)) {
            return self.stay(Verb::Hold, why);
        }
        match (phase, migration.step) {
            (Phase::Validating, _) => self.first_step(migration),
            (Phase::Baking, _) => self.complete(migration),
            (_, step) => self.shift(migration, step.map_or(0, |step| step.saturating_add(1))),
        }
    }

    /// All that the first share takes beside what every share takes: ledgers that let the candidate write, the
    /// validation, and a previous environment that could take everything back.
    fn first_step(&self, migration: &Migration) -> Decision {
        if let Some(drill) = self.state.drill.as_ref().filter(|drill| !drill.restored) {
            let why = format!("the drill of alarm {} is under way", drill.alarm);
            return self.stay(Verb::Hold, why);
        }
        if !self.is_fence_open() {
            return self.open_fence();
        }
        match &self.seen.validation {
            Validation::NotConfigured | Validation::Passed => {}
            Validation::NotAsked => {
                let why = "the candidate is to be validated".to_owned();
                return self.ask(Action::Validate, Verb::Validate, why);
            }
            Validation::Unknown(why) | Validation::Failed(why) => {
                return self.stay(Verb::Hold, format!("validation could not say: {why}"));
            }
        }
        match self.ready_to_take_back(migration) {
            Some(decision) => decision,
            None => self.shift(migration, 0),
        }
    }

    /// What stands between the first share and the way back: the previous environment's capacity is to be looked at, or
    /// is not known to be enough behind every router.
    pub(super) fn ready_to_take_back(&self, migration: &Migration) -> Option<Decision> {
        let from = migration.from;
        if self.seen.capacity.is_empty() {
            let why = format!("it is to be seen whether {from} could take everything back");
            return Some(self.ask(Action::Warm(from), Verb::Validate, why));
        }
        let short =
            self.seen.capacity.iter().find(|reading| {
                !matches!(reading.state, Capacity::Ready | Capacity::NotApplicable)
            })?;
        let why = format!(
            "{from} is not known to be able to take everything back at router {}: {} ({})",
            short.router,
            short.state.as_str(),
            short.detail
        );
        Some(self.stay(Verb::Hold, why))
    }

    /// Where replication is configured, every task is within the limit, in both directions.
    pub(super) fn replicated(&self) -> Result<(), String> {
        if !self.seen.has_replication {
            return Ok(());
        }
        if self.seen.replication.is_empty() {
            return Err("the replication's lag was not read".to_owned());
        }
        let limit = self.seen.policy.max_lag_seconds;
        let far = self.seen.replication.iter().find_map(|reading| {
            if matches!(reading.lag, Lag::Seconds(seconds) if seconds <= limit) {
                return None;
            }
            Some(format!(
                "replication {} task {} {}; the limit is {limit} s",
                reading.direction.as_str(),
                reading.task,
                lag_in_words(&reading.lag)
            ))
        });
        far.map_or(Ok(()), Err)
    }

    /// Where counts are configured, they speak for the candidate; before its first share there must be some to compare
    /// with later.
    pub(super) fn counted(&self, migration: &Migration) -> Result<(), String> {
        if !self.seen.has_counts {
            return Ok(());
        }
        match &self.seen.counts {
            None => Err("the counts were not read".to_owned()),
            Some(CountsReading::Missing(why)) => Err(format!("counts are missing: {why}")),
            Some(CountsReading::Counts { .. }) => match self.judgement(migration) {
                Some(judgement) if judgement.verdict != Verdict::Pass => {
                    Err(format!("verdict by counts: {}", judgement.why))
                }
                _ => Ok(()),
            },
        }
    }

    fn shift(&self, migration: &Migration, index: usize) -> Decision {
        let Some(planned) = migration.steps.get(index).copied() else {
            return self.stay(Verb::Hold, format!("there is no step {index}"));
        };
        let mut next = self.state.clone();
        let mut percent = planned.percent;
        match self.bounded(migration, planned.percent) {
            Bound::Whole => {}
            Bound::Nothing(why) => return self.stay(Verb::Hold, why),
            Bound::Part(part) => {
                percent = part;
                if let Some(migration) = &mut next.migration {
                    // Shares grow and are whole percents, so there are never more than 100.
                    migration.steps.insert(index, Step { percent, ..planned });
                }
            }
        }
        if let Some(migration) = &mut next.migration {
            migration.baseline = migration.baseline.plus(self.baseline());
        }
        next.phase = Phase::Shifting;
        let weights = Weights::share(migration.to, percent);
        let bounded = if percent < planned.percent {
            format!("; {percent} % is as far as the exposure budget goes")
        } else {
            String::new()
        };
        let why = format!(
            "every guard of {} is healthy: {weights}{bounded}",
            migration.to
        );
        self.order(next, Purpose::Step(index), weights, Verb::Shift, why)
    }

    /// How far towards `percent` the exposure budget lets the candidate go now.
    pub(super) fn bounded(&self, migration: &Migration, percent: u8) -> Bound {
        let budget = Budget {
            max_exposed_payments: migration.max_exposed_payments,
            max_exposed_seconds: migration.max_exposed_seconds,
        };
        if !budget.is_set() {
            return Bound::Whole;
        }
        let worst = super::worst_case(self.state, self.seen, migration.to);
        if !worst.unknown.is_empty() {
            let unknown = worst.unknown.join("; ");
            return Bound::Nothing(format!("the exposure can't be bounded: {unknown}"));
        }
        let has = migration
            .step
            .and_then(|step| migration.steps.get(step))
            .map_or(0, |step| step.percent);
        let rate = self.seen.counts.as_ref().and_then(Rate::of);
        super::bound(&budget, rate, worst.total_seconds(), has, percent)
    }

    fn baseline(&self) -> Tally {
        match &self.seen.counts {
            Some(CountsReading::Counts { baseline, .. }) => *baseline,
            _ => Tally::default(),
        }
    }

    fn complete(&self, migration: &Migration) -> Decision {
        let next = self.state.clone();
        let weights = Weights::all(migration.to);
        let why = format!("{} held all traffic through the bake", migration.to);
        self.order(next, Purpose::Complete, weights, Verb::Complete, why)
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
}
