//! How long an invocation may still work.

use std::time::Duration;

use crate::clock;

/// The moment at which Lambda ends the invocation, and what is kept free before it to answer and to log.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at_ms: u64,
    margin_ms: u64,
}

impl Deadline {
    /// A deadline from `Lambda-Runtime-Deadline-Ms` (milliseconds since the epoch), with a safety margin before it.
    #[must_use]
    pub fn new(at_ms: u64, margin: Duration) -> Self {
        let margin_ms = u64::try_from(margin.as_millis()).unwrap_or(u64::MAX);
        Self { at_ms, margin_ms }
    }

    /// A deadline `time` from now: for a part of the work, within the whole.
    #[must_use]
    pub fn until(time: Duration) -> Self {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self::new(clock::now_ms().saturating_add(ms), Duration::ZERO)
    }

    /// When Lambda ends the invocation, in milliseconds since the epoch: no margin taken off.
    #[must_use]
    pub fn at_ms(self) -> u64 {
        self.at_ms
    }

    /// Time left for work at `now_ms`, the safety margin taken off; zero once it has passed.
    #[must_use]
    pub fn remaining_at(self, now_ms: u64) -> Duration {
        Duration::from_millis(
            self.at_ms
                .saturating_sub(self.margin_ms)
                .saturating_sub(now_ms),
        )
    }

    /// Time left for work now. See [`Deadline::remaining_at`].
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.remaining_at(clock::now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_not_for_work() {
        let deadline = Deadline::new(10_000, Duration::from_millis(500));
        assert_eq!(deadline.remaining_at(9_000), Duration::from_millis(500));
        assert_eq!(deadline.remaining_at(9_500), Duration::ZERO);
        assert_eq!(deadline.remaining_at(20_000), Duration::ZERO);
    }
}
