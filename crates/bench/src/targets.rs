//! What a run is to show. Times depend on the machine: they are judged here and written down, and gate nothing.

use serde::Serialize;

use crate::report::{Limit, Row, name};
use crate::statistics::rounded;

/// The delay of a call that most targets are set for, in milliseconds.
const DELAY_MS: f64 = 3.0;

/// One thing to show.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// What is measured.
    pub what: String,
    /// What was measured; nothing if a subject was left out.
    pub measured: Option<f64>,
    /// The bound.
    pub bound: f64,
    /// Whether the bound is the most, or the least.
    pub at_most: bool,
    /// The unit: `ms`, `MB` or `x` (times).
    pub unit: &'static str,
    /// Whether the bound is met; nothing if it was not measured.
    pub met: Option<bool>,
}

impl Target {
    fn new(
        what: String,
        measured: Option<f64>,
        bound: f64,
        at_most: bool,
        unit: &'static str,
    ) -> Self {
        let within = |measured: f64| {
            if at_most {
                measured <= bound
            } else {
                measured >= bound
            }
        };
        Self {
            what,
            measured: measured.map(rounded),
            bound,
            at_most,
            unit,
            met: measured.map(within),
        }
    }

    fn most(what: &str, measured: Option<f64>, bound: f64, unit: &'static str) -> Self {
        Self::new(what.to_owned(), measured, bound, true, unit)
    }

    fn least(what: String, measured: Option<f64>, bound: f64) -> Self {
        Self::new(what, measured, bound, false, "x")
    }
}

/// Judges the rows of a run.
#[must_use]
pub fn judge(rows: &[Row], limits: &[Limit]) -> Vec<Target> {
    let found = Found { rows, limits };
    let mut all = found.own();
    for peer in name::PEERS {
        all.extend(found.beside(peer));
    }
    all
}

struct Found<'a> {
    rows: &'a [Row],
    limits: &'a [Limit],
}

impl Found<'_> {
    /// The row of a subject at a delay, if it was measured.
    fn at(&self, subject: &str, delay_ms: f64) -> Option<&Row> {
        let same = |row: &&Row| row.subject == subject && row.delay_ms.total_cmp(&delay_ms).is_eq();
        self.rows.iter().find(same)
    }

    fn of(&self, subject: &str, value: fn(&Row) -> f64) -> Option<f64> {
        self.at(subject, DELAY_MS).map(value)
    }

    /// How many times `above` is what `below` is.
    fn times(&self, above: &str, below: &str, value: fn(&Row) -> f64) -> Option<f64> {
        Some(self.of(above, value)? / self.of(below, value)?)
    }

    fn own(&self) -> Vec<Target> {
        let ours = self.at(name::CUTOVER, DELAY_MS);
        let same = |limit: &&Limit| limit.delay_ms.total_cmp(&DELAY_MS).is_eq();
        let limit = self.limits.iter().find(same);
        let without_delay = self.at(name::CUTOVER, 0.0).map(|row| row.warm_p50_ms);
        let init = self.times(name::CUTOVER, name::EMPTY, |row| row.init_ms);
        let beyond = ours.zip(limit);
        let beyond = beyond.map(|(row, limit)| row.cold_ms - limit.first_ms);
        let of_limit = ours.and_then(|row| row.of_limit);
        let cpu = ours.map(|row| row.warm_cpu_ms);
        let memory = ours.map(|row| row.peak_rss_mb);
        let (files, zip) = ours.map_or((None, None), |row| (row.files_mb, row.zip_mb));
        vec![
            Target::most(
                "warm p50 at 3 ms a call, as a multiple of the chain of calls",
                of_limit,
                1.15,
                "x",
            ),
            Target::most("warm p50 without delay", without_delay, 1.2, "ms"),
            Target::most("init, as a multiple of an empty function's", init, 2.5, "x"),
            Target::most(
                "init and first payment, less its connections and calls alone",
                beyond,
                5.0,
                "ms",
            ),
            Target::most("CPU of a payment", cpu, 1.0, "ms"),
            Target::most("peak resident memory", memory, 14.0, "MB"),
            Target::most("binary", files, 10.0, "MB"),
            Target::most("zip file", zip, 4.5, "MB"),
        ]
    }

    fn beside(&self, peer: &str) -> [Target; 3] {
        let in_handler = peer == name::PYTHON_HANDLER;
        let (warm, cpu) = if in_handler { (8.0, 50.0) } else { (1.5, 4.0) };
        let than = |value| self.times(peer, name::CUTOVER, value);
        let what = |what: &str| format!("{what}: {peer}'s, as a multiple of ours");
        [
            Target::least(
                what("warm p50 at 3 ms a call"),
                than(|row| row.warm_p50_ms),
                warm,
            ),
            Target::least(what("CPU of a payment"), than(|row| row.warm_cpu_ms), cpu),
            Target::least(
                what("init and first payment"),
                than(|row| row.cold_ms),
                10.0,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_the_most_or_the_least_and_nothing_measured_meets_none() {
        assert_eq!(Target::most("m", Some(1.15), 1.15, "x").met, Some(true));
        assert_eq!(Target::most("m", Some(1.151), 1.15, "x").met, Some(false));
        let least = |measured| Target::least("l".to_owned(), measured, 8.0).met;
        assert_eq!(least(Some(8.0)), Some(true));
        assert_eq!(least(Some(7.9)), Some(false));
        assert_eq!(least(None), None);
    }

    #[test]
    fn without_rows_every_target_is_there_and_none_is_met() {
        let all = judge(&[], &[]);
        assert_eq!(all.len(), 8 + 3 * 3);
        assert!(all.iter().all(|target| target.met.is_none()));
    }
}
