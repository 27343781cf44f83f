//! What a run is to show. Times depend on the machine: they are judged here and written down, and gate nothing.

use serde::Serialize;

use crate::report::{Limit, Row, name};

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
}

impl Target {
    /// Whether it is met; nothing if it was not measured.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(if self.at_most {
            measured <= self.bound
        } else {
            measured >= self.bound
        })
    }

    fn most(
        what: impl Into<String>,
        measured: Option<f64>,
        bound: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            what: what.into(),
            measured: measured.map(crate::statistics::rounded),
            bound: crate::statistics::rounded(bound),
            at_most: true,
            unit,
        }
    }

    fn least(what: impl Into<String>, measured: Option<f64>, bound: f64) -> Self {
        Self {
            at_most: false,
            ..Self::most(what, measured, bound, "x")
        }
    }
}

/// Judges the rows of a run.
#[must_use]
pub fn judge(rows: &[Row], limits: &[Limit]) -> Vec<Target> {
    let at = |subject: &str, delay_ms: f64| {
        let same = |row: &&Row| row.subject == subject && row.delay_ms.total_cmp(&delay_ms).is_eq();
        rows.iter().find(same)
    };
    let delayed = |subject| at(subject, DELAY_MS);
    let limit = limits
        .iter()
        .find(|limit| limit.delay_ms.total_cmp(&DELAY_MS).is_eq());
    let ours = delayed(name::CUTOVER);
    let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let our = |value: fn(&Row) -> f64| ours.map(value);
    let mut all = vec![
        Target::most(
            "warm p50 at 3 ms a call, as a multiple of the chain of calls",
            ours.and_then(|row| row.of_limit),
            1.15,
            "x",
        ),
        Target::most(
            "warm p50 without delay",
            at(name::CUTOVER, 0.0).map(|row| row.warm_p50_ms),
            1.2,
            "ms",
        ),
        Target::most(
            "init, as a multiple of an empty function's",
            ratio(
                our(|row| row.init_ms),
                delayed(name::EMPTY).map(|row| row.init_ms),
            ),
            2.5,
            "x",
        ),
        Target::most(
            "init and first payment, at most 5 ms above its connections and calls alone",
            our(|row| row.cold_ms).filter(|_| limit.is_some()),
            limit.map_or(0.0, |limit| limit.first_ms + 5.0),
            "ms",
        ),
        Target::most("CPU of a payment", our(|row| row.warm_cpu_ms), 1.0, "ms"),
        Target::most(
            "peak resident memory",
            our(|row| row.peak_rss_mb),
            14.0,
            "MB",
        ),
        Target::most("binary", ours.and_then(|row| row.files_mb), 10.0, "MB"),
        Target::most("zip file", ours.and_then(|row| row.zip_mb), 4.5, "MB"),
    ];
    for peer in name::PEERS {
        let in_handler = peer == name::PYTHON_HANDLER;
        let (warm, cpu) = if in_handler { (8.0, 50.0) } else { (1.5, 4.0) };
        let than = |value: fn(&Row) -> f64| ratio(delayed(peer).map(value), our(value));
        all.extend([
            Target::least(
                format!("warm p50 at 3 ms a call: {peer}'s, as a multiple of ours"),
                than(|row| row.warm_p50_ms),
                warm,
            ),
            Target::least(
                format!("CPU of a payment: {peer}'s, as a multiple of ours"),
                than(|row| row.warm_cpu_ms),
                cpu,
            ),
            Target::least(
                format!("init and first payment: {peer}'s, as a multiple of ours"),
                than(|row| row.cold_ms),
                10.0,
            ),
        ]);
    }
    all
}
