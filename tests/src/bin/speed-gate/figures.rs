//! The committed figures, and what may differ from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cutover_tests::project;
use serde_json::{Value, json};

use crate::backend::Counts;
use crate::callgrind::Cost;

/// Where the figures are.
const FILE: &str = "docs/benchmarks/gate.json";
/// Hundredths that a figure may grow until someone has to say that it is meant.
const GROWTH_PERCENT: u64 = 3;
/// The same, for code that another compiler made: its figures are others without a change of ours.
const GROWTH_PERCENT_OTHER_COMPILER: u64 = 15;
/// The most that the binary may ever have: a sandbox reads all of it when it starts. The aim is 10 MB.
const BINARY_BYTES_MAX: u64 = 11_000_000;

/// What a warm payment calls, and nothing else: three hops, of which the second is two at once.
const CALLS: [(&str, u64); 3] = [("INSERT", 1), ("PUT object", 1), ("UpdateItem", 2)];
/// Connections that a sandbox may open for any number of payments. Both secrets are read at once.
const CONNECTIONS: [(&str, u64); 4] = [
    ("connect database", 1),
    ("connect dynamodb", 1),
    ("connect s3", 1),
    ("connect secretsmanager", 2),
];

/// Everything that is measured.
pub(crate) struct Figures {
    /// `rustc --version` and `valgrind --version`.
    pub(crate) rustc: String,
    valgrind: String,
    binary_bytes: u64,
    /// By engine.
    costs: BTreeMap<String, Cost>,
}

impl Figures {
    /// What was measured of `binary`.
    pub(crate) fn of(binary: &Path, costs: BTreeMap<String, Cost>) -> Self {
        let metadata = std::fs::metadata(binary).expect("the binary's size");
        Self {
            rustc: version("rustc"),
            valgrind: version("valgrind"),
            binary_bytes: metadata.len(),
            costs,
        }
    }

    /// Writes the figures where [`Figures::verdict`] finds them.
    pub(crate) fn record(&self) {
        let of_engine = |cost: &Cost| {
            json!({
                "instructionsPerPayment": cost.instructions,
                "callsPerPayment": cost.calls,
                "connectionsPerSandbox": cost.connections,
            })
        };
        let engines: BTreeMap<_, _> = self
            .costs
            .iter()
            .map(|(name, cost)| (name, of_engine(cost)))
            .collect();
        let all = json!({
            "rustc": self.rustc,
            "valgrind": self.valgrind,
            "binaryBytes": self.binary_bytes,
            "engines": engines,
        });
        let text = serde_json::to_string_pretty(&all).expect("JSON") + "\n";
        std::fs::create_dir_all(file().parent().expect("a folder")).expect("a writable folder");
        std::fs::write(file(), text).expect("a writable file");
    }

    /// Everything that is worse than it may be. Also prints each figure beside the committed one.
    pub(crate) fn verdict(&self) -> Vec<String> {
        let text = std::fs::read_to_string(file()).unwrap_or_default();
        let committed: Value = serde_json::from_str(&text).unwrap_or_default();
        let growth = if committed["rustc"] == self.rustc.as_str() {
            GROWTH_PERCENT
        } else {
            println!(
                "The committed figures were made by {}, these by {}: {GROWTH_PERCENT_OTHER_COMPILER} % is allowed \
                 instead of {GROWTH_PERCENT} %. `make record` commits to this compiler.",
                committed["rustc"], self.rustc
            );
            GROWTH_PERCENT_OTHER_COMPILER
        };
        let mut worse = Vec::new();
        let size = &committed["binaryBytes"];
        worse.extend(grown(
            "bytes of the binary",
            self.binary_bytes,
            size,
            growth,
        ));
        if self.binary_bytes > BINARY_BYTES_MAX {
            worse.push(format!(
                "the binary has {} bytes, more than {BINARY_BYTES_MAX}",
                self.binary_bytes
            ));
        }
        for (engine, cost) in &self.costs {
            let before = &committed["engines"][engine]["instructionsPerPayment"];
            let what = format!("instructions of a payment with {engine}");
            worse.extend(grown(&what, cost.instructions, before, growth));
            worse.extend(counted(engine, cost));
        }
        worse
    }
}

fn file() -> PathBuf {
    project().join(FILE)
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let output = output.unwrap_or_else(|error| panic!("{program} --version: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn grown(what: &str, now: u64, committed: &Value, percent: u64) -> Option<String> {
    let Some(before) = committed.as_u64() else {
        return Some(format!("{what}: {now}, and {FILE} has no figure for it"));
    };
    println!("{what}: {now}, committed {before}");
    let least = before - before * percent / 100;
    if now < least {
        println!("  better by more than {percent} %: `make record` keeps it so");
    }
    (now > before + before * percent / 100)
        .then(|| format!("{what}: {now}, more than {percent} % above {before}"))
}

fn counted(engine: &str, cost: &Cost) -> Vec<String> {
    let calls: Counts = CALLS.map(|(name, n)| (name.to_owned(), n)).into();
    let mut worse = Vec::new();
    if cost.calls != calls {
        worse.push(format!(
            "a payment with {engine} makes {:?}, not {calls:?}",
            cost.calls
        ));
    }
    let limits: BTreeMap<&str, u64> = CONNECTIONS.into();
    for (name, count) in &cost.connections {
        let limit = limits.get(name.as_str()).copied().unwrap_or_default();
        if *count > limit {
            worse.push(format!("{engine}: {count} times {name}, more than {limit}"));
        }
    }
    worse
}
