//! What a handler is at: the deadline guard names it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The parts of a handler's work that run at present. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Mutex<BTreeMap<String, usize>>>);

/// A part that runs until this is dropped.
#[derive(Debug)]
#[must_use = "the part ends when this is dropped"]
pub struct Running {
    progress: Progress,
    name: String,
}

impl Progress {
    /// A part begins.
    pub fn begin(&self, name: impl Into<String>) -> Running {
        let name = name.into();
        *self.parts().entry(name.clone()).or_default() += 1;
        Running {
            progress: self.clone(),
            name,
        }
    }

    /// Names of the parts that run, in order.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.parts().keys().cloned().collect()
    }

    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // A panic while it was held leaves a whole map: only counts are changed under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running();
        if running.is_empty() {
            f.write_str("nothing that has a name")
        } else {
            f.write_str(&running.join(", "))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut parts = self.progress.parts();
        if let Some(count) = parts.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                parts.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_runs_until_its_guard_is_dropped() {
        let progress = Progress::default();
        let first = progress.begin("replication");
        let second = progress.begin("replication");
        let other = progress.begin("backup");
        drop(first);
        assert_eq!(progress.to_string(), "backup, replication");
        drop((second, other));
        assert!(progress.running().is_empty());
    }
}
