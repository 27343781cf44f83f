//! How large the next chunk is, and when to pause or stop for the database's sake.
//!
//! The databases that are compared take payments meanwhile. A comparison is the guest: it reads in chunks of about half a
//! second, looks at the load before each, pauses where it is too high, and gives up where it stays so.

use serde::{Deserialize, Serialize};

/// What a comparison may do to the databases, and how much it keeps and shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How long a chunk should take on the slower side, in ms.
    pub chunk_ms: u32,
    /// Rows of a chunk at most.
    pub chunk_rows_max: u32,
    /// Statements that may run on a server at once, our own among them. Above it the comparison pauses.
    pub threads_running_max: u32,
    /// How far a replica may lag behind, in s. Above it the comparison pauses.
    pub lag_seconds_max: u64,
    /// How long a pause may last, in s. After that the comparison stops, and nothing is known.
    pub pause_seconds_max: u32,
    /// How many differing rows of a table are named. The comparison of a table ends with the last of them.
    pub shown_max: usize,
}

impl Default for Limits {
    /// The figures of `pt-table-checksum` where it has them: chunks of 0.5 s, 25 running threads.
    fn default() -> Self {
        Self {
            chunk_ms: 500,
            chunk_rows_max: 500_000,
            threads_running_max: 25,
            lag_seconds_max: 30,
            pause_seconds_max: 60,
            shown_max: 20,
        }
    }
}

/// What was seen of a server's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure {
    /// Statements that run at this moment.
    pub threads_running: u32,
    /// How far it lags behind its source, in s; `None` if it is no replica.
    pub lag_seconds: Option<u64>,
}

impl Limits {
    /// Why a server should be left alone for now, if it should.
    #[must_use]
    pub fn too_much(&self, side: &str, seen: &Pressure) -> Option<String> {
        if seen.threads_running > self.threads_running_max {
            return Some(format!(
                "{side} runs {} statements at once, more than {}",
                seen.threads_running, self.threads_running_max
            ));
        }
        let lag = seen.lag_seconds?;
        (lag > self.lag_seconds_max).then(|| {
            format!(
                "{side} is {lag} s behind in replication, more than {} s",
                self.lag_seconds_max
            )
        })
    }
}

/// The first chunk of a table, and the least that a chunk is made.
pub const CHUNK_ROWS_FIRST: u32 = 1_000;
/// A chunk never gets smaller. If that is still too slow, the comparison stops.
pub const CHUNK_ROWS_MIN: u32 = 50;
/// By how much a chunk grows at most, so that one lucky chunk does not make a hog of the next.
const GROWTH_MAX: u32 = 4;

/// How many rows the next chunk should have after one of `rows` that took `took_ms`.
#[must_use]
pub fn next_rows(limits: &Limits, rows: u32, took_ms: u32) -> u32 {
    let took_ms = took_ms.max(1);
    let fitting = u64::from(rows) * u64::from(limits.chunk_ms) / u64::from(took_ms);
    let fitting = u32::try_from(fitting).unwrap_or(u32::MAX);
    let most = rows.saturating_mul(GROWTH_MAX).min(limits.chunk_rows_max);
    fitting.min(most).max(CHUNK_ROWS_MIN)
}

/// How many rows to try after a chunk of `rows` that was not answered in time; `None` if there is no smaller one.
#[must_use]
pub fn fewer_rows(rows: u32) -> Option<u32> {
    (rows > CHUNK_ROWS_MIN).then(|| (rows / 8).max(CHUNK_ROWS_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_settle_at_the_time_that_they_should_take() {
        let limits = Limits::default();
        // A server that hashes 200 rows a millisecond.
        let mut rows = CHUNK_ROWS_FIRST;
        let mut sizes = Vec::new();
        for _chunk in 0..8 {
            rows = next_rows(&limits, rows, rows / 200);
            sizes.push(rows);
        }
        assert_eq!(sizes[..4], [4_000, 16_000, 64_000, 100_000]);
        assert!(sizes[4..].iter().all(|rows| *rows == 100_000));
        // It suddenly takes ten times as long.
        assert_eq!(next_rows(&limits, 100_000, 5_000), 10_000);
    }

    #[test]
    fn chunks_have_bounds() {
        let limits = Limits::default();
        assert_eq!(next_rows(&limits, 400_000, 0), 500_000);
        assert_eq!(next_rows(&limits, 100, u32::MAX), CHUNK_ROWS_MIN);
        assert_eq!(fewer_rows(100_000), Some(12_500));
        assert_eq!(fewer_rows(60), Some(CHUNK_ROWS_MIN));
        assert_eq!(fewer_rows(CHUNK_ROWS_MIN), None);
    }

    #[test]
    fn a_busy_or_late_server_is_left_alone() {
        let limits = Limits::default();
        let seen = |threads_running, lag_seconds| Pressure {
            threads_running,
            lag_seconds,
        };
        assert_eq!(limits.too_much("blue", &seen(25, Some(30))), None);
        assert_eq!(limits.too_much("blue", &seen(1, None)), None);
        assert_eq!(
            limits.too_much("blue", &seen(26, None)).as_deref(),
            Some("blue runs 26 statements at once, more than 25")
        );
        assert_eq!(
            limits.too_much("green", &seen(1, Some(31))).as_deref(),
            Some("green is 31 s behind in replication, more than 30 s")
        );
    }
}
