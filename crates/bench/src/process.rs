//! What a process takes, as the kernel counts it.

use std::fs;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// CPU time that a process has used so far, all its threads together, those that have ended too; exact to the nanosecond,
/// where `/proc/<pid>/stat` counts in hundredths of a second.
#[must_use]
pub fn cpu(pid: Pid) -> Option<Duration> {
    let clock = clock_getcpuclockid(pid).ok()?;
    clock.now().ok().map(Duration::from)
}

/// Memory of a process, in kB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident_kb: u64,
    /// The most that was ever resident.
    pub peak_kb: u64,
}

/// Memory that a process has.
#[must_use]
pub fn memory(pid: Pid) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Memory {
        resident_kb: field("VmRSS:")?,
        peak_kb: field("VmHWM:")?,
    })
}
