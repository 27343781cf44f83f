//! An order's writes: one after the other, each bounded, none in the way of the next.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_domain::switch::{Decision, Observation, Order, RouterReading, Seen};
use cutover_ports::switch::{Router, RouterError};

use super::in_words;
use super::run::Run;

/// Failed writes after which an invocation gives a router up. (The client's own retries come before each.)
pub const WRITE_FAILURES_MAX: u32 = 2;

/// Lost races after which an invocation gives a router up.
const RACES_MAX: u32 = 6;

/// Time for one write to one router, so that one that hangs does not stop the others.
const WRITE_TIME: Duration = Duration::from_secs(6);

/// What a router did with an invocation's writes.
#[derive(Default)]
pub(super) struct Failures {
    failed: u32,
    raced: u32,
    pub(super) last: String,
}

impl Failures {
    pub(super) fn is_given_up(&self) -> bool {
        self.failed >= WRITE_FAILURES_MAX || self.raced >= RACES_MAX
    }
}

impl Run<'_> {
    /// Writes that take traffic from the candidate go to the fastest router first, others to the slowest first. One that
    /// fails, hangs or can't be read does not stop the others.
    pub(super) async fn write(&mut self, order: &Order, decision: &Decision, seen: &Observation) {
        let since = decision.next.intent.as_ref().map_or(0, |i| i.since);
        if self.changes.0 != since {
            self.changes = (since, BTreeMap::new());
        }
        for (router, reading) in targets(&self.executor.routers, order, decision, seen) {
            if let Seen::Unreadable(why) = &reading.seen {
                let name = router.name();
                self.faults.push(format!(
                    "router {name} is not written, it can't be read: {why}"
                ));
                continue;
            }
            if reading.revision.is_none() && !self.is_newest(order).await {
                self.faults.push("a newer order stands".to_owned());
                return;
            }
            self.write_one(router, order, reading).await;
        }
    }

    async fn write_one(&mut self, router: &dyn Router, order: &Order, reading: &RouterReading) {
        let name = router.name().to_owned();
        let written = tokio::time::timeout(WRITE_TIME, router.write(order, reading)).await;
        let (why, is_race) = match written {
            Ok(Ok(change)) => {
                self.failures.remove(&name);
                if let Some(change) = change {
                    self.changes.1.insert(name, change);
                }
                return;
            }
            Ok(Err(error)) => (
                in_words(&error),
                matches!(error, RouterError::Changed { .. }),
            ),
            Err(_elapsed) => (
                format!("no answer within {} s", WRITE_TIME.as_secs()),
                false,
            ),
        };
        let failures = self.failures.entry(name).or_default();
        if is_race {
            failures.raced = failures.raced.saturating_add(1);
        } else {
            failures.failed = failures.failed.saturating_add(1);
        }
        failures.last.clone_from(&why);
        self.faults.push(why);
    }

    /// Whether no newer order was stored. A router that has no conditional write of its own is written only then. Where
    /// that can't be learnt the write goes on: it was stored a moment ago, and a rollback depends on as little as can be.
    async fn is_newest(&self, order: &Order) -> bool {
        match self.executor.store.load().await {
            Ok(Some(state)) => state.generation == order.generation,
            Ok(None) | Err(_) => true,
        }
    }
}

/// The order's routers, in the order in which they are written.
fn targets<'r>(
    routers: &'r [Box<dyn Router>],
    order: &Order,
    decision: &Decision,
    seen: &'r Observation,
) -> Vec<(&'r dyn Router, &'r RouterReading)> {
    let candidate = decision.next.candidate();
    let ordered = order.weights.of(candidate);
    let mut targets: Vec<_> = routers
        .iter()
        .map(AsRef::as_ref)
        .zip(&seen.routers)
        .filter(|(router, _)| order.routers.iter().any(|name| name == router.name()))
        .collect();
    let shares = || {
        targets
            .iter()
            .filter_map(|(_, reading)| match &reading.seen {
                Seen::Split(weights) => Some(weights.of(candidate)),
                _ => None,
            })
    };
    let raises = shares().any(|share| share < ordered) && !shares().any(|share| share > ordered);
    targets.sort_by_key(|(router, _)| router.effect_seconds());
    if raises {
        targets.reverse();
    }
    targets
}
