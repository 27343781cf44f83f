//! What a run came to, as it is written down.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::functions::FunctionRow;
use crate::measure::{Process, Series};
use crate::package::{self, Sizes};
use crate::statistics::{median, ms, percentile, rounded};
use crate::targets::{self, Target};

/// kB of the kernel are of 1024 bytes; MB here are of a million.
const BYTES_PER_KB: f64 = 1024.0;
const BYTES_PER_MB: f64 = 1e6;

/// Names that targets and plots know subjects by.
pub mod name {
    /// Our function.
    pub const CUTOVER: &str = "cutover";
    /// The bare calls.
    pub const FLOOR: &str = "floor";
    /// A function that does nothing.
    pub const EMPTY: &str = "empty";
    /// Python, clients at module level.
    pub const PYTHON_MODULE: &str = "python-module-level";
    /// Python, clients in the handler.
    pub const PYTHON_HANDLER: &str = "python-in-handler";
    /// Node.
    pub const NODE: &str = "node";
    /// All peers.
    pub const PEERS: [&str; 3] = [PYTHON_MODULE, PYTHON_HANDLER, NODE];
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Where and with what it was made.
    pub machine: Machine,
    /// Processes of each subject at each delay.
    pub processes: usize,
    /// Rows of the tables.
    pub rows: Vec<Row>,
    /// What the wire allows.
    pub limits: Vec<Limit>,
    /// The other functions.
    pub functions: Vec<FunctionRow>,
    /// What is to be shown, and whether it is.
    pub targets: Vec<Target>,
}

/// Where and with what a run was made.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processor, as it names itself.
    pub processor: String,
    /// How many of them.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Processes that wanted a processor in the minute before, on average: on a quiet machine less than one.
    pub load_before: Option<f64>,
    /// Commit of the project, with `-dirty` if it was changed.
    pub commit: String,
    /// Versions of what subjects and services are made of.
    pub versions: Vec<(String, String)>,
}

/// A subject at a delay.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The subject.
    pub subject: String,
    /// What a call takes, nominally.
    pub delay_ms: f64,
    /// Payments of a process after its first.
    pub warm_payments: usize,
    /// Start of the process to its first poll, median.
    pub init_ms: f64,
    /// The first payment, median.
    pub first_ms: f64,
    /// Both together, median.
    pub cold_ms: f64,
    /// The median of the processes' medians.
    pub warm_p50_ms: f64,
    /// Of all payments of all processes together.
    pub warm_p99_ms: f64,
    /// Of init and first payment together, median.
    pub cold_cpu_ms: f64,
    /// Of a payment after the first, median.
    pub warm_cpu_ms: f64,
    /// CPU time that the services took for it, the database's apart, median.
    pub services_cpu_ms: f64,
    /// Most memory that was ever resident, median.
    pub peak_rss_mb: f64,
    /// Resident at the end, median.
    pub rss_mb: f64,
    /// Files that would be deployed.
    pub files_mb: Option<f64>,
    /// The same as a zip file.
    pub zip_mb: Option<f64>,
    /// Connections of init and first payment, most.
    pub cold_connections: usize,
    /// Calls of init and first payment, most.
    pub cold_calls: usize,
    /// Connections of a payment after the first.
    pub warm_connections: f64,
    /// Calls of a payment after the first, most.
    pub warm_calls: usize,
    /// The longest chain of them, of the middle payment.
    pub warm_hops: usize,
    /// The median warm payment as a multiple of the limit.
    pub of_limit: Option<f64>,
}

/// What the calls take by themselves, as the floor measures it: from the first byte of the first to the last of the last,
/// without the Runtime API.
#[derive(Debug, Clone, Serialize)]
pub struct Limit {
    /// What a call takes, nominally.
    pub delay_ms: f64,
    /// The chain of a payment after the first: median of the processes' medians.
    pub warm_ms: f64,
    /// The first payment's, with its connections and secrets, median.
    pub first_ms: f64,
}

impl Report {
    /// What all processes come to.
    #[must_use]
    pub fn of(
        machine: Machine,
        processes: usize,
        all: &[Series],
        functions: Vec<FunctionRow>,
    ) -> Self {
        let limits: Vec<Limit> = all.iter().filter_map(limit).collect();
        let mut sizes: BTreeMap<&str, Option<Sizes>> = BTreeMap::new();
        let mut rows = Vec::new();
        for series in all {
            let subject = &series.subject;
            let sizes = sizes.entry(&subject.name);
            let sizes = *sizes.or_insert_with(|| package::sizes(&subject.package));
            rows.push(row(series, &limits, sizes));
        }
        let targets = targets::judge(&rows, &limits);
        Self {
            machine,
            processes,
            rows,
            limits,
            functions,
            targets,
        }
    }

    /// The delays that there are rows of, each once.
    #[must_use]
    pub fn delays(&self) -> Vec<f64> {
        let mut delays: Vec<f64> = self.rows.iter().map(|row| row.delay_ms).collect();
        delays.sort_by(f64::total_cmp);
        delays.dedup();
        delays
    }

    /// The rows of a delay.
    pub fn at(&self, delay_ms: f64) -> impl Iterator<Item = &Row> {
        let same = move |row: &&Row| row.delay_ms.total_cmp(&delay_ms).is_eq();
        self.rows.iter().filter(same)
    }
}

fn of(series: &Series, value: impl Fn(&Process) -> f64) -> f64 {
    rounded(median(series.processes.iter().map(value)).unwrap_or_default())
}

fn middle(durations: &[Duration]) -> f64 {
    median(durations.iter().copied().map(ms)).unwrap_or_default()
}

fn exact(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn limit(series: &Series) -> Option<Limit> {
    let chains = || series.processes.iter().filter_map(|p| p.chain.as_ref());
    Some(Limit {
        delay_ms: ms(series.delay),
        warm_ms: rounded(median(chains().map(|(_, warm)| middle(warm)))?),
        first_ms: rounded(median(chains().map(|(first, _)| ms(*first)))?),
    })
}

fn row(series: &Series, limits: &[Limit], sizes: Option<Sizes>) -> Row {
    let delay_ms = ms(series.delay);
    let most = |value: fn(&Process) -> usize| series.processes.iter().map(value).max();
    let warm = || series.processes.iter().flat_map(|process| &process.warm);
    let warm_payments = warm().count().checked_div(series.processes.len());
    let connections: usize = series
        .processes
        .iter()
        .map(|p| p.warm_seen.connections)
        .sum();
    let mb = |bytes: u64| f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / BYTES_PER_MB;
    let kb = |kb: u64| mb(kb) * BYTES_PER_KB;
    let warm_p50_ms = of(series, |process| middle(&process.warm));
    let limit = limits
        .iter()
        .find(|limit| limit.delay_ms.total_cmp(&delay_ms).is_eq());
    let calls = most(|p| p.warm_seen.calls_max).unwrap_or_default();
    Row {
        subject: series.subject.name.clone(),
        delay_ms,
        warm_payments: warm_payments.unwrap_or_default(),
        init_ms: of(series, |process| ms(process.init)),
        first_ms: of(series, |process| ms(process.first)),
        cold_ms: of(series, |process| ms(process.init + process.first)),
        warm_p50_ms,
        warm_p99_ms: rounded(percentile(warm().copied().map(ms), 0.99).unwrap_or_default()),
        cold_cpu_ms: of(series, |process| ms(process.cold_cpu)),
        warm_cpu_ms: of(series, |process| ms(process.warm_cpu)),
        services_cpu_ms: of(series, |process| ms(process.services_cpu)),
        peak_rss_mb: of(series, |process| kb(process.memory.peak_kb)),
        rss_mb: of(series, |process| kb(process.memory.resident_kb)),
        files_mb: sizes.map(|sizes| rounded(mb(sizes.files))),
        zip_mb: sizes.map(|sizes| rounded(mb(sizes.zip))),
        cold_connections: most(|p| p.cold_seen.connections.len()).unwrap_or_default(),
        cold_calls: most(|p| p.cold_seen.calls.len()).unwrap_or_default(),
        warm_connections: rounded(exact(connections) / exact(warm().count()).max(1.0)),
        warm_calls: calls,
        warm_hops: most(|p| p.warm_seen.hops).unwrap_or_default(),
        of_limit: limit
            .filter(|_| calls > 0)
            .map(|limit| rounded(warm_p50_ms / limit.warm_ms)),
    }
}
