//! What the lab sees while it runs: per second for the plots, in sum for the progress line.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Color;

/// One second of traffic.
#[derive(Debug, Clone, Default)]
pub struct Second {
    /// Attempts answered well, by color.
    pub good: BTreeMap<Color, u64>,
    /// Attempts answered with 5xx or not at all, by color where it is known.
    pub failed: BTreeMap<Option<Color>, u64>,
    /// Latencies of the attempts that ended in this second.
    pub latencies: Vec<Duration>,
    /// Percent of traffic on green, as last read from the alias.
    pub green_percent: Option<f64>,
}

/// Something worth a mark in the plot.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Since the lab's traffic began.
    pub at: Duration,
    /// What happened.
    pub what: String,
}

#[derive(Debug, Default)]
struct Seen {
    seconds: Vec<Second>,
    marks: Vec<Mark>,
    green_percent: Option<f64>,
    phase: String,
    first_failure: Option<Duration>,
}

/// Collects what happens. Shared by everything that runs in the lab.
#[derive(Debug)]
pub struct Telemetry {
    began: Instant,
    seen: Mutex<Seen>,
}

/// Sums since the beginning, and rates over the last seconds.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Since the lab's traffic began.
    pub at: Duration,
    /// Answered well, in sum, by color.
    pub good: BTreeMap<Color, u64>,
    /// Failed, in sum.
    pub failed: u64,
    /// Answers a second, over the last full seconds.
    pub rate: f64,
    /// Failures a second, over the last full seconds.
    pub failure_rate: f64,
    /// Percent of traffic on green.
    pub green_percent: Option<f64>,
    /// The switch's phase.
    pub phase: String,
    /// What happened last.
    pub last_mark: Option<String>,
}

/// Seconds that a rate is taken over.
const RATE_SECONDS: usize = 3;

impl Telemetry {
    /// Begins now.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            seen: Mutex::default(),
        }
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes the end of one attempt.
    pub fn attempt(&self, color: Option<Color>, failed: bool, latency: Duration) {
        let at = self.elapsed();
        self.with(|seen| {
            let second = second_at(seen, at);
            second.latencies.push(latency);
            if failed {
                *second.failed.entry(color).or_default() += 1;
                seen.first_failure.get_or_insert(at);
            } else if let Some(color) = color {
                *second.good.entry(color).or_default() += 1;
            }
        });
    }

    /// Forgets the first failure, before a fault is made.
    pub fn forget_first_failure(&self) {
        self.with(|seen| seen.first_failure = None);
    }

    /// When the first attempt failed since it was last forgotten.
    pub fn first_failure(&self) -> Option<Duration> {
        self.with(|seen| seen.first_failure)
    }

    /// Notes what share of traffic the alias sends to green.
    pub fn weight(&self, green_percent: f64) {
        let at = self.elapsed();
        self.with(|seen| {
            seen.green_percent = Some(green_percent);
            second_at(seen, at).green_percent = Some(green_percent);
        });
    }

    /// Notes the switch's phase.
    pub fn phase(&self, phase: &str) {
        self.with(|seen| phase.clone_into(&mut seen.phase));
    }

    /// Marks what happened, for the plot and the log.
    pub fn mark(&self, what: impl Into<String>) -> Duration {
        let (at, what) = (self.elapsed(), what.into());
        self.with(|seen| seen.marks.push(Mark { at, what }));
        at
    }

    /// Everything, for the report.
    pub fn history(&self) -> (Vec<Second>, Vec<Mark>) {
        self.with(|seen| (seen.seconds.clone(), seen.marks.clone()))
    }

    /// The present state, for the progress line.
    pub fn snapshot(&self) -> Snapshot {
        let at = self.elapsed();
        self.with(|seen| {
            let mut snapshot = Snapshot {
                at,
                green_percent: seen.green_percent,
                phase: seen.phase.clone(),
                last_mark: seen.marks.last().map(|mark| mark.what.clone()),
                ..Snapshot::default()
            };
            for second in &seen.seconds {
                snapshot.failed += second.failed.values().sum::<u64>();
                for (color, count) in &second.good {
                    *snapshot.good.entry(*color).or_default() += count;
                }
            }
            let full = seen.seconds.iter().rev().skip(1).take(RATE_SECONDS);
            let (mut answers, mut failures, mut seconds) = (0_u32, 0_u32, 0_u32);
            for second in full {
                seconds += 1;
                answers += u32::try_from(second.latencies.len()).unwrap_or(u32::MAX);
                failures += u32::try_from(second.failed.values().sum::<u64>()).unwrap_or(u32::MAX);
            }
            if seconds > 0 {
                snapshot.rate = f64::from(answers) / f64::from(seconds);
                snapshot.failure_rate = f64::from(failures) / f64::from(seconds);
            }
            snapshot
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn second_at(seen: &mut Seen, at: Duration) -> &mut Second {
    let index = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
    while seen.seconds.len() <= index {
        let green_percent = seen.green_percent;
        seen.seconds.push(Second {
            green_percent,
            ..Second::default()
        });
    }
    let last = seen.seconds.len() - 1;
    &mut seen.seconds[index.min(last)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_by_color() {
        let telemetry = Telemetry::begin();
        telemetry.attempt(Some(Color::Blue), false, Duration::from_millis(5));
        telemetry.attempt(Some(Color::Green), true, Duration::from_millis(5));
        telemetry.attempt(None, true, Duration::from_millis(5));
        let snapshot = telemetry.snapshot();
        assert_eq!(snapshot.good, BTreeMap::from([(Color::Blue, 1)]));
        assert_eq!(snapshot.failed, 2);
        assert!(telemetry.first_failure().is_some());
        telemetry.forget_first_failure();
        assert_eq!(telemetry.first_failure(), None);
    }
}
