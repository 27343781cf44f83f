//! `plan`: how a start would go, and every check's present answer. It changes nothing.

use std::time::Duration;

use cutover_domain::switch::{
    self, Budget, By, Capacity, Command, Environment, Evidence, Lag, LastDecision, Observation,
    Rate, Refusal, RouterReading, Seen, Start, State, Trigger, Validation, Verb, WorstCase,
};
use cutover_lambda::Deadline;
use serde_json::{Value, json};

use crate::answer::rfc3339;
use crate::executor::{Executor, ExecutorError, Outcome};

/// The time over which the rate of payments is measured.
const RATE_WINDOW: Duration = Duration::from_mins(15);

/// A start that was thought through, and not begun.
#[derive(Debug)]
pub struct Planned {
    /// Where the switch stands, with the refusal that a start would meet.
    pub outcome: Outcome,
    /// The plan, on the wire.
    pub plan: Value,
}

/// One thing that a start hangs on.
struct Check {
    name: String,
    state: String,
    is_ok: bool,
}

impl Executor {
    /// How this start would go now. Everything that a start looks at is read, and nothing is changed.
    ///
    /// # Errors
    /// If the state can't be loaded.
    pub async fn plan(
        &self,
        start: Start,
        by: By,
        deadline: Deadline,
    ) -> Result<Planned, ExecutorError> {
        let trigger = Trigger::Command(Command::Start(start.clone()), by);
        let (state, mut seen) = self.observe(trigger, deadline).await?;
        let rest = self.read_rest(&state, &mut seen, deadline);
        tokio::time::timeout(deadline.remaining(), rest)
            .await
            .map_err(|_elapsed| ExecutorError::OutOfTime)?;
        Ok(planned(state, seen, &start, (self.clock)()))
    }

    /// What a start itself does not look at, and its steps do.
    async fn read_rest(&self, state: &State, seen: &mut Observation, deadline: Deadline) {
        if let Some(replication) = &self.replication {
            seen.replication = replication.read().await;
        }
        if let Some(counts) = &self.counts {
            let until_ms = (self.clock)();
            let window_ms = u64::try_from(RATE_WINDOW.as_millis()).unwrap_or(u64::MAX);
            let since_ms = until_ms.saturating_sub(window_ms);
            let (active, idle) = (state.active, state.active.other());
            seen.counts = Some(counts.read(active, idle, since_ms, until_ms).await);
        }
        for router in &self.routers {
            let capacity = router.capacity(state.active, &state.versions).await;
            seen.capacity.push(capacity);
        }
        if let Some(validator) = &self.validator {
            // The validator takes its time, and a plan without its verdict is better than none.
            let time = deadline.remaining() / 2;
            seen.validation = tokio::time::timeout(time, validator.validate())
                .await
                .unwrap_or_else(|_elapsed| Validation::Unknown("it took too long".to_owned()));
        }
    }
}

/// The plan of a start, from what was read.
fn planned(state: State, seen: Observation, start: &Start, now_ms: u64) -> Planned {
    let worst = switch::worst_case(&state, &seen, start.to);
    let refusal = switch::step(&state, now_ms, &seen).refusal.or_else(|| {
        worst.refusal().map(|message| Refusal {
            code: "rollback_too_slow",
            message,
        })
    });
    let plan = in_json(&state, &seen, start, &worst, refusal.as_ref(), now_ms);
    let decision = match (&refusal, state.last.clone()) {
        (Some(refusal), _) => LastDecision {
            action: Verb::Refuse,
            why: refusal.message.clone(),
            evidence: evidence(&checks(&state, &seen, start)),
        },
        (None, Some(last)) => last,
        (None, None) => LastDecision {
            action: Verb::None,
            why: "no migration was ever started here".to_owned(),
            evidence: Vec::new(),
        },
    };
    let outcome = Outcome {
        state,
        routers: seen.routers,
        decision,
        refusal,
        transitions: Vec::new(),
        faults: Vec::new(),
    };
    Planned { outcome, plan }
}

fn evidence(checks: &[Check]) -> Vec<Evidence> {
    let failing = checks.iter().filter(|check| !check.is_ok);
    failing
        .map(|check| Evidence {
            name: check.name.clone(),
            observed: check.state.clone(),
        })
        .collect()
}

fn in_json(
    state: &State,
    seen: &Observation,
    start: &Start,
    worst: &WorstCase,
    refusal: Option<&Refusal>,
    now_ms: u64,
) -> Value {
    let rate = seen.counts.as_ref().and_then(Rate::of);
    let budget = Budget {
        max_exposed_payments: start.max_exposed_payments,
        max_exposed_seconds: start.max_exposed_seconds,
    };
    let delay_seconds = worst.total_seconds();
    let bounded = switch::bounded_steps(&start.steps, &budget, rate, delay_seconds);
    let (steps, stopped) = match bounded {
        Ok(steps) => (steps, None),
        Err(why) => (start.steps.clone(), Some(why)),
    };
    let checks: Vec<Value> = checks(state, seen, start)
        .into_iter()
        .map(|check| json!({"name": check.name, "state": check.state, "ok": check.is_ok}))
        .collect();
    let parts: Vec<Value> = worst
        .parts
        .iter()
        .map(|part| json!({"name": part.name.as_str(), "seconds": part.seconds, "source": part.source}))
        .collect();
    let tick_seconds = seen.policy.tick_seconds;
    let forecast = switch::timeline(now_ms, tick_seconds, &steps, rate);
    json!({
        "migrationId": start.migration_id,
        "to": start.to,
        "timeline": timeline(&forecast.milestones, rate, delay_seconds),
        "completesAt": rfc3339(forecast.completes_at_ms),
        "checks": checks,
        "worstCase": {
            "parts": parts,
            "unknown": worst.unknown,
            "totalSeconds": delay_seconds,
            "limitSeconds": switch::ROLLBACK_SECONDS_MAX,
        },
        "exposure": {
            "maxExposedPayments": budget.max_exposed_payments,
            "maxExposedSeconds": budget.max_exposed_seconds,
            "paymentsPerHour": rate.map(|rate| rate.within(3_600, 100)),
            "stopped": stopped,
        },
        "refusal": refusal.map(|refusal| json!({"code": refusal.code, "message": refusal.message})),
    })
}

fn timeline(milestones: &[switch::Milestone], rate: Option<Rate>, delay_seconds: u64) -> Value {
    let before = std::iter::once(0).chain(milestones.iter().map(|milestone| milestone.percent));
    milestones
        .iter()
        .zip(before)
        .map(|(milestone, before)| {
            let newly = milestone.percent.saturating_sub(before);
            json!({
                "at": rfc3339(milestone.at_ms),
                "percent": milestone.percent,
                "bakeSeconds": milestone.bake_seconds,
                "expectedPayments": milestone.expected_payments,
                "newlyExposedPayments": rate.map(|rate| rate.within(delay_seconds, newly)),
                "newlyExposedSeconds": Rate::WHOLE.within(delay_seconds, newly),
            })
        })
        .collect()
}

fn checks(state: &State, seen: &Observation, start: &Start) -> Vec<Check> {
    let mut checks = vec![Check {
        name: "migration".to_owned(),
        state: state.phase.to_string(),
        is_ok: !state.phase.is_running(),
    }];
    let guards = seen.guards_of(start.to).iter().map(|guard| Check {
        name: format!("alarm {}", guard.name),
        state: guard.describe(),
        is_ok: guard.is_healthy(),
    });
    checks.extend(guards);
    checks.extend(seen.routers.iter().map(|router| of_router(router, state)));
    checks.extend(of_versions(state, seen, start));
    checks.extend(of_capacity(seen));
    checks.extend(of_replication(seen));
    checks.extend(of_counts(seen));
    checks.extend(of_validation(&seen.validation));
    checks.extend(state.drill.as_ref().map(|drill| {
        Check {
            name: format!("drill of alarm {}", drill.alarm),
            state: drill
                .outcome
                .clone()
                .unwrap_or_else(|| "awaited".to_owned()),
            is_ok: drill.restored && drill.outcome.is_some(),
        }
    }));
    checks
}

fn of_router(router: &RouterReading, state: &State) -> Check {
    let told = match &router.seen {
        Seen::Split(weights) => weights.to_string(),
        Seen::Foreign(what) => format!("foreign: {what}"),
        Seen::Absent => "absent".to_owned(),
        Seen::Unreadable(why) => format!("unreadable: {why}"),
    };
    Check {
        name: format!("router {}", router.router),
        state: match &router.pending {
            Some(pending) => format!("{told}; {pending}"),
            None => told,
        },
        is_ok: router.seen == Seen::Split(state.intended) && router.pending.is_none(),
    }
}

fn of_versions(state: &State, seen: &Observation, start: &Start) -> Option<Check> {
    let takes_versions = seen.routers.iter().any(|router| router.takes_versions);
    let versions = start.versions.or(&state.versions);
    let told = |environment| versions.of(environment).unwrap_or("not known");
    let (blue, green) = (told(Environment::Blue), told(Environment::Green));
    takes_versions.then(|| Check {
        name: "versions".to_owned(),
        state: format!("blue {blue}, green {green}"),
        is_ok: blue != green && versions.blue.is_some() && versions.green.is_some(),
    })
}

fn of_capacity(seen: &Observation) -> impl Iterator<Item = Check> {
    seen.capacity.iter().map(|reading| Check {
        name: format!(
            "capacity of {} behind {}",
            reading.environment, reading.router
        ),
        state: reading.detail.clone(),
        // An idle environment is woken before the first step.
        is_ok: matches!(
            reading.state,
            Capacity::Ready | Capacity::Idle | Capacity::NotApplicable
        ),
    })
}

fn of_replication(seen: &Observation) -> Vec<Check> {
    let max = seen.policy.max_lag_seconds;
    if seen.has_replication && seen.replication.is_empty() {
        return vec![Check {
            name: "replication".to_owned(),
            state: "nothing was read".to_owned(),
            is_ok: false,
        }];
    }
    let readings = seen.replication.iter().map(|reading| Check {
        name: format!(
            "replication {} ({})",
            reading.task,
            reading.direction.as_str()
        ),
        state: match &reading.lag {
            Lag::Seconds(seconds) => format!("{seconds} s behind, at most {max} s"),
            Lag::Stopped(why) => format!("stopped: {why}"),
            Lag::Unknown(why) => format!("unknown: {why}"),
        },
        is_ok: matches!(&reading.lag, Lag::Seconds(seconds) if *seconds <= max),
    });
    readings.collect()
}

fn of_counts(seen: &Observation) -> Option<Check> {
    let counts = seen.counts.as_ref()?;
    Some(match counts {
        switch::CountsReading::Counts {
            baseline,
            candidate,
            money,
            window_seconds,
        } => Check {
            name: "counts".to_owned(),
            state: format!(
                "in {window_seconds} s: active {} of {} failed, candidate {} of {}, money invariants broken {}",
                baseline.failures,
                baseline.requests,
                candidate.failures,
                candidate.requests,
                money.map_or_else(|| "not counted".to_owned(), |broken| broken.to_string()),
            ),
            is_ok: money.is_none_or(|broken| broken == 0),
        },
        switch::CountsReading::Missing(why) => Check {
            name: "counts".to_owned(),
            state: format!("missing: {why}"),
            is_ok: false,
        },
    })
}

fn of_validation(validation: &Validation) -> Option<Check> {
    let (state, is_ok) = match validation {
        Validation::NotConfigured => return None,
        Validation::NotAsked => ("not asked".to_owned(), false),
        Validation::Passed => ("pass".to_owned(), true),
        Validation::Failed(why) => (format!("fail: {why}"), false),
        Validation::Unknown(why) => (format!("unknown: {why}"), false),
    };
    Some(Check {
        name: "validation".to_owned(),
        state,
        is_ok,
    })
}
