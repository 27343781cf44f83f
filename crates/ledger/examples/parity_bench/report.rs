//! The table that is printed, and the file.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Timed;

/// One run of a tool, or of none.
pub(crate) struct Run {
    engine: &'static str,
    tool: &'static str,
    rows: Option<u64>,
    took: Option<Duration>,
    found: String,
    payments: Timed,
}

impl Run {
    /// Payments with nothing beside them.
    pub(crate) fn alone(engine: &'static str, payments: Timed) -> Self {
        Self {
            engine,
            tool: "none",
            rows: None,
            took: None,
            found: "-".to_owned(),
            payments,
        }
    }

    /// Payments beside a tool.
    pub(crate) fn of(
        engine: &'static str,
        tool: &'static str,
        rows: u64,
        elapsed: Duration,
        found: String,
        payments: Timed,
    ) -> Self {
        Self {
            engine,
            tool,
            rows: Some(rows),
            took: Some(elapsed),
            found,
            payments,
        }
    }

    fn rows_per_second(&self) -> Option<f64> {
        let rows = u32::try_from(self.rows?).ok()?;
        Some(f64::from(rows) / self.took?.as_secs_f64())
    }

    fn json(&self) -> Value {
        json!({
            "engine": self.engine,
            "tool": self.tool,
            "rows": self.rows,
            "seconds": self.took.map(|took| took.as_secs_f64()),
            "rowsPerSecond": self.rows_per_second(),
            "found": self.found,
            "paymentsPerSecond": self.payments.per_second,
            "paymentP50Ms": self.payments.p50_ms,
            "paymentP99Ms": self.payments.p99_ms,
        })
    }
}

/// All runs.
pub(crate) struct Report {
    rows: u32,
    pub(crate) runs: Vec<Run>,
}

impl Report {
    pub(crate) fn new(rows: u32) -> Self {
        Self {
            rows,
            runs: Vec::new(),
        }
    }

    pub(crate) fn write(&self, path: &Path) {
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        let runs: Vec<Value> = self.runs.iter().map(Run::json).collect();
        let all = json!({ "rows": self.rows, "cpus": cpus, "runs": runs });
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the folder can be made");
        }
        fs::write(path, format!("{all:#}\n")).expect("the file can be written");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:9} {:18} {:>7} {:>9} {:>11} {:>8} {:>8}  found",
            "engine", "beside payments", "s", "rows/s", "payments/s", "p50 ms", "p99 ms"
        )?;
        for run in &self.runs {
            let or_none = |number: Option<f64>, decimals: usize| {
                number.map_or_else(|| "-".to_owned(), |number| format!("{number:.decimals$}"))
            };
            writeln!(
                f,
                "{:9} {:18} {:>7} {:>9} {:>11.1} {:>8.2} {:>8.2}  {}",
                run.engine,
                run.tool,
                or_none(run.took.map(|took| took.as_secs_f64()), 1),
                or_none(run.rows_per_second(), 0),
                run.payments.per_second,
                run.payments.p50_ms,
                run.payments.p99_ms,
                run.found
            )?;
        }
        Ok(())
    }
}
