//! The real executor against a cloud in memory that fails: thousands of migrations, each replayable by its seed.
//!
//! - `cargo test -p environment-switcher --test simulator` plays 1,000 seeds;
//! - `CUTOVER_SEEDS=10000` plays as many, `--nocapture` shows the table (`make soak` does both);
//! - `CUTOVER_SEED=17` replays one and shows every call.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod cloud;
mod dice;
mod ports;
mod rules;
mod story;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use story::Report;
use tokio::task::LocalSet;

/// Seeds that are played where nothing else is asked for.
const SEEDS: u64 = 1_000;

/// Simulations that one thread plays at once: while an invocation waits to try again, others go on.
const AT_ONCE: u64 = 64;

/// Violations that are shown.
const SHOWN_MAX: usize = 10;

#[allow(
    clippy::disallowed_methods,
    reason = "a test is no function: it has no configuration"
)]
fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} takes a whole number")),
    )
}

#[test]
fn no_rule_is_broken_whatever_fails() {
    if let Some(seed) = asked("CUTOVER_SEED") {
        return replay(seed);
    }
    let seeds = asked("CUTOVER_SEEDS").unwrap_or(SEEDS);
    let reports = play_all(seeds);
    println!("{}", table(seeds, &reports));
    let broken: Vec<String> = reports
        .iter()
        .flat_map(|(seed, report)| {
            let violations = report.violations.iter();
            violations.map(move |what| format!("CUTOVER_SEED={seed}: {what}"))
        })
        .collect();
    let shown = broken.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>();
    assert!(
        broken.is_empty(),
        "{} rules broken:\n{}",
        broken.len(),
        shown.join("\n")
    );
    let all =
        |count: fn(&Report) -> u64| reports.iter().map(|(_, report)| count(report)).sum::<u64>();
    assert!(
        all(|r| r.tallies.completed) > seeds / 10,
        "few migrations are completed: what is tested?"
    );
    assert!(
        all(|r| r.tallies.rolled_back) > seeds / 10,
        "few are rolled back: what is tested?"
    );
}

#[test]
fn the_same_seed_is_the_same_story() {
    let traces: Vec<Vec<String>> = (0..2)
        .map(|_| block_on(story::run(7, true)).trace)
        .collect();
    assert!(traces[0].len() > 100);
    assert_eq!(traces[0], traces[1]);
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

fn replay(seed: u64) {
    let report = block_on(story::run(seed, true));
    for line in &report.trace {
        println!("{line}");
    }
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
}

fn play_all(seeds: u64) -> Vec<(u64, Report)> {
    let (next, reports) = (
        Arc::new(AtomicU64::new(1)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _thread in 0..threads {
            let (next, reports) = (Arc::clone(&next), Arc::clone(&reports));
            scope.spawn(move || play_some(seeds, &next, &reports));
        }
    });
    let mut reports = std::mem::take(&mut *reports.lock().unwrap());
    reports.sort_by_key(|(seed, _)| *seed);
    reports
}

fn play_some(seeds: u64, next: &Arc<AtomicU64>, reports: &Arc<Mutex<Vec<(u64, Report)>>>) {
    let local = LocalSet::new();
    for _player in 0..AT_ONCE {
        let (next, reports) = (Arc::clone(next), Arc::clone(reports));
        local.spawn_local(async move {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > seeds {
                    return;
                }
                let report = story::run(seed, false).await;
                reports.lock().unwrap().push((seed, report));
            }
        });
    }
    runtime().block_on(local);
}

fn table(seeds: u64, reports: &[(u64, Report)]) -> String {
    let sum =
        |count: fn(&Report) -> u64| reports.iter().map(|(_, report)| count(report)).sum::<u64>();
    let most = |count: fn(&Report) -> u64| reports.iter().map(|(_, report)| count(report)).max();
    let rows = [
        ("simulations", seeds),
        ("migrations", sum(|r| r.tallies.migrations)),
        ("  completed", sum(|r| r.tallies.completed)),
        ("  rolled back", sum(|r| r.tallies.rolled_back)),
        ("  refused by the validation", sum(|r| r.tallies.failed)),
        ("invocations", sum(|r| r.tallies.invocations)),
        ("  died between two calls", sum(|r| r.injected.crashes)),
        ("calls that failed", sum(|r| r.injected.failed_calls)),
        ("answers that were lost", sum(|r| r.injected.lost_answers)),
        ("writes that arrived late", sum(|r| r.injected.late_writes)),
        ("triggers that were lost", sum(|r| r.injected.lost_triggers)),
        (
            "triggers that were repeated",
            sum(|r| r.injected.repeated_triggers),
        ),
        ("alarms", sum(|r| r.injected.alarms)),
        ("weights set by someone else", sum(|r| r.injected.drifts)),
        (
            "most minutes of a rollback, under faults",
            most(|r| r.tallies.minutes_back_max).unwrap_or(0),
        ),
        (
            "most ticks to 100 % on the previous one, without",
            most(|r| r.ticks_back.unwrap_or(0)).unwrap_or(0),
        ),
        (
            "rules broken",
            sum(|r| u64::try_from(r.violations.len()).unwrap()),
        ),
    ];
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{name:<50} {value:>9}"));
    lines.collect::<Vec<_>>().join("\n")
}
