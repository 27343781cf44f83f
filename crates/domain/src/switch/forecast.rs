//! What is to be expected of a migration: the longest that a rollback may take, and when its steps come.
//!
//! The worst case counts from the first breaching datapoint to 100 % on the previous environment, in parts that follow
//! one another, so their sum is an upper bound. It does not hold for a client that keeps a DNS answer beyond its TTL.

use super::{Environment, Observation, Rate, State, Step};

/// The longest that a rollback may take from the first breaching datapoint, in seconds (contract, rule 2).
pub const ROLLBACK_SECONDS_MAX: u64 = 300;

/// From a datapoint's end until the alarm has evaluated it, in seconds: what CloudWatch takes to ingest a metric and to
/// evaluate standard-resolution alarms, which happens once a minute.
pub const INGESTION_SECONDS: u64 = 60;

/// The retry budget of a rollback, in seconds: six calls or groups of calls side by side, one after the other (state and
/// guards, routers, order, routers written, state, routers read back), each of at most 8 s with its retries.
pub const RETRY_SECONDS: u64 = 48;

/// The shortest period that a CloudWatch alarm may have, in seconds (high-resolution metrics).
const PERIOD_SECONDS_MIN: u64 = 10;

/// How one guard is heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardPath<'a> {
    /// The alarm's name.
    pub name: &'a str,
    /// Its period times its evaluation periods, in seconds; for a composite alarm those of its slowest member.
    pub detection_seconds: Option<u64>,
    /// Whether only the tick finds out: nobody has proved that the alarm's event arrives.
    pub is_polled: bool,
}

/// How fast one router follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterPath<'a> {
    /// The router's name.
    pub name: &'a str,
    /// From an accepted write until all new traffic follows it, in seconds.
    pub effect_seconds: u64,
}

/// All that the worst case hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paths<'a> {
    /// The candidate's guards.
    pub guards: &'a [GuardPath<'a>],
    /// Every router.
    pub routers: &'a [RouterPath<'a>],
    /// Seconds between two ticks.
    pub tick_seconds: u64,
    /// The longest that the calls of a rollback may take, their retries included, in seconds.
    pub retry_seconds: u64,
}

/// What takes time in a rollback, in the order in which it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartName {
    /// Until the alarm has enough breaching datapoints.
    Detection,
    /// Until CloudWatch has them and has looked.
    Ingestion,
    /// Until a tick has polled the alarm.
    Tick,
    /// Until the routers have taken the order.
    Retries,
    /// Until the traffic follows.
    Effect,
}

impl PartName {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detection => "detection",
            Self::Ingestion => "ingestion",
            Self::Tick => "tick",
            Self::Retries => "retries",
            Self::Effect => "effect",
        }
    }
}

/// One part of the worst case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What takes the time.
    pub name: PartName,
    /// How much, in seconds.
    pub seconds: u64,
    /// Where that figure comes from, in words.
    pub source: String,
    /// The least that it could be made, in seconds, and how.
    change: Option<(u64, String)>,
}

/// The longest that a rollback may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorstCase {
    /// What it is made of, in the order in which it happens.
    pub parts: Vec<Part>,
    /// What of it is not known: with any of these there is no upper bound.
    pub unknown: Vec<String>,
}

impl WorstCase {
    /// The worst case that follows from these paths.
    #[must_use]
    pub fn of(paths: &Paths<'_>) -> Self {
        let mut unknown = Vec::new();
        if paths.guards.is_empty() {
            unknown.push("the candidate has no guard".to_owned());
        }
        if paths.routers.is_empty() {
            unknown.push("there is no router".to_owned());
        }
        for guard in paths
            .guards
            .iter()
            .filter(|g| g.detection_seconds.is_none())
        {
            unknown.push(format!("the period of alarm {} is not known", guard.name));
        }
        let mut parts = Vec::new();
        let tick = paths.tick_seconds;
        if let Some(guard) = paths.guards.iter().max_by_key(|guard| heard(guard, tick)) {
            parts.push(detection(guard));
            parts.push(ingestion());
            parts.push(tick_part(guard, tick));
        }
        parts.push(Part {
            name: PartName::Retries,
            seconds: paths.retry_seconds,
            source: "six calls in a row, each with its retries".to_owned(),
            change: None,
        });
        parts.extend(
            paths
                .routers
                .iter()
                .max_by_key(|r| r.effect_seconds)
                .map(effect),
        );
        Self { parts, unknown }
    }

    /// All parts together, in seconds.
    #[must_use]
    pub fn total_seconds(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(part.seconds))
    }

    /// Why a migration with this worst case is not begun: what each part costs, and which one to change.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        if !self.unknown.is_empty() {
            let unknown = self.unknown.join("; ");
            return Some(format!(
                "how long a rollback may take is not known: {unknown}"
            ));
        }
        let total = self.total_seconds();
        let surplus = total.checked_sub(ROLLBACK_SECONDS_MAX).filter(|s| *s > 0)?;
        let costs: Vec<String> = self.parts.iter().map(Part::in_words).collect();
        Some(format!(
            "a rollback may take {total} s, and at most {ROLLBACK_SECONDS_MAX} s are allowed: {}. {}",
            costs.join(", "),
            self.advice(surplus)
        ))
    }

    /// The change that is enough by itself, the easiest first; else the one that saves the most.
    fn advice(&self, surplus: u64) -> String {
        let changes = [PartName::Tick, PartName::Detection, PartName::Effect]
            .into_iter()
            .filter_map(|name| self.parts.iter().find(|part| part.name == name))
            .filter_map(|part| {
                let (least, how) = part.change.as_ref()?;
                Some((part.seconds.saturating_sub(*least), part.name, how))
            });
        let best = changes.reduce(|best, next| {
            if best.0 < surplus && next.0 > best.0 {
                next
            } else {
                best
            }
        });
        match best {
            Some((saved, name, how)) if saved > 0 => {
                format!("Change {}: {how} (saves up to {saved} s)", name.as_str())
            }
            _ => "No part of it can be made shorter".to_owned(),
        }
    }
}

impl Part {
    fn in_words(&self) -> String {
        format!(
            "{} {} s ({})",
            self.name.as_str(),
            self.seconds,
            self.source
        )
    }
}

/// The worst case of a rollback from `candidate`, by what was seen. An alarm's event is counted on only if the last drill
/// of that alarm saw it arrive: whether a rule forwards it can't be read from the alarm.
#[must_use]
pub fn worst_case(state: &State, seen: &Observation, candidate: Environment) -> WorstCase {
    let guards: Vec<GuardPath<'_>> = seen
        .guards_of(candidate)
        .iter()
        .map(|guard| GuardPath {
            name: &guard.name,
            detection_seconds: guard.detection_seconds,
            is_polled: !state.proved.contains(&guard.name),
        })
        .collect();
    let routers: Vec<RouterPath<'_>> = seen
        .effect_seconds
        .iter()
        .map(|(name, effect_seconds)| RouterPath {
            name,
            effect_seconds: *effect_seconds,
        })
        .collect();
    WorstCase::of(&Paths {
        guards: &guards,
        routers: &routers,
        tick_seconds: seen.policy.tick_seconds,
        retry_seconds: RETRY_SECONDS,
    })
}

/// Seconds until a guard is heard of, apart from what all guards have in common.
fn heard(guard: &GuardPath<'_>, tick_seconds: u64) -> u64 {
    let tick = if guard.is_polled { tick_seconds } else { 0 };
    guard
        .detection_seconds
        .unwrap_or(u64::MAX)
        .saturating_add(tick)
}

fn detection(guard: &GuardPath<'_>) -> Part {
    let name = guard.name;
    Part {
        name: PartName::Detection,
        seconds: guard.detection_seconds.unwrap_or(0),
        source: format!("alarm {name}: period times evaluation periods"),
        change: Some((
            PERIOD_SECONDS_MIN,
            format!("shorten the period or the evaluation periods of alarm {name}"),
        )),
    }
}

fn ingestion() -> Part {
    Part {
        name: PartName::Ingestion,
        seconds: INGESTION_SECONDS,
        source: "CloudWatch's ingestion and evaluation".to_owned(),
        change: None,
    }
}

fn tick_part(guard: &GuardPath<'_>, tick_seconds: u64) -> Part {
    let name = guard.name;
    if guard.is_polled {
        Part {
            name: PartName::Tick,
            seconds: tick_seconds,
            source: format!("alarm {name} is only polled"),
            change: Some((0, format!("prove the event of alarm {name} by a drill"))),
        }
    } else {
        Part {
            name: PartName::Tick,
            seconds: 0,
            source: format!("the event of alarm {name} was proved by a drill"),
            change: None,
        }
    }
}

fn effect(router: &RouterPath<'_>) -> Part {
    let name = router.name;
    Part {
        name: PartName::Effect,
        seconds: router.effect_seconds,
        source: format!("router {name}: from the write until all new traffic follows"),
        change: Some((
            0,
            format!("lower the TTL of router {name}, or take it out of ROUTERS"),
        )),
    }
}

/// One share of a migration, as it is to be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milestone {
    /// When the candidate gets it at the earliest, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The share, in percent.
    pub percent: u8,
    /// How long it must hold, in seconds.
    pub bake_seconds: u64,
    /// Payments that the candidate is to get until the next one, at the present rate.
    pub expected_payments: Option<u64>,
}

/// A migration, as it is to be expected if nothing holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Its shares, in order.
    pub milestones: Vec<Milestone>,
    /// When it is complete, in milliseconds since the epoch.
    pub completes_at_ms: u64,
}

/// The timeline of `steps` that are started at `start_ms`. Only a tick takes a step, so each comes with the first tick
/// after the bake before it, and the first with the tick after the start.
#[must_use]
pub fn timeline(start_ms: u64, tick_seconds: u64, steps: &[Step], rate: Option<Rate>) -> Timeline {
    let tick_seconds = tick_seconds.max(1);
    let mut at_ms = after(start_ms, tick_seconds);
    let mut milestones = Vec::with_capacity(steps.len());
    for step in steps {
        let ticks = step.bake_seconds.div_ceil(tick_seconds).max(1);
        let holds_seconds = ticks.saturating_mul(tick_seconds);
        milestones.push(Milestone {
            at_ms,
            percent: step.percent,
            bake_seconds: step.bake_seconds,
            expected_payments: rate.map(|rate| rate.within(holds_seconds, step.percent)),
        });
        at_ms = after(at_ms, holds_seconds);
    }
    Timeline {
        milestones,
        completes_at_ms: at_ms,
    }
}

fn after(at_ms: u64, seconds: u64) -> u64 {
    at_ms.saturating_add(seconds.saturating_mul(1_000))
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
