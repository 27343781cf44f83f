//! Where a run is made.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::report::Machine;

/// What this machine says of itself, and versions of what the peers in `peers` run on.
#[must_use]
pub fn describe(peers: &Path) -> Machine {
    let python = peers.join("python/venv/bin/python");
    let versions = [
        ("rustc", said("rustc", &["--version"])),
        ("mariadb", said("mariadbd", &["--version"])),
        (
            "python",
            said(&python.display().to_string(), &["--version"]),
        ),
        ("node", said("node", &["--version"])),
    ];
    Machine {
        processor: processor().unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        load_before: load(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        commit: said("git", &["describe", "--always", "--dirty", "--exclude=*"])
            .unwrap_or_default(),
        versions: versions
            .into_iter()
            .filter_map(|(name, said)| Some((name.to_owned(), said?)))
            .collect(),
    }
}

fn load() -> Option<f64> {
    let averages = fs::read_to_string("/proc/loadavg").ok()?;
    averages.split_whitespace().next()?.parse().ok()
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// The version in the first line of what a program says.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next()?.trim();
    let version = line
        .split_whitespace()
        .find(|word| word.chars().any(|c| c.is_ascii_digit()))?;
    output.status.success().then(|| version.to_owned())
}
