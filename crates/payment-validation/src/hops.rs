//! How long each remote hop of a payment took.

use std::future::Future;
use std::time::{Duration, Instant};

use cutover_lambda::{EventLine, Unit};

/// The remote hops of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// The claim on the session.
    Claim,
    /// The ledger's row.
    Ledger,
    /// The log object.
    Log,
    /// The session's completion, or its release.
    Complete,
}

/// The time that each hop took, if it was made.
#[derive(Debug, Default)]
pub struct Hops {
    claim: Option<Duration>,
    ledger: Option<Duration>,
    log: Option<Duration>,
    complete: Option<Duration>,
}

impl Hops {
    /// Times one hop.
    pub async fn timed<T>(&mut self, hop: Hop, call: impl Future<Output = T>) -> T {
        let (value, took) = clocked(call).await;
        self.set(hop, took);
        value
    }

    /// Times two hops that are made at once.
    pub async fn timed_both<A, B>(
        &mut self,
        hop_a: Hop,
        a: impl Future<Output = A>,
        hop_b: Hop,
        b: impl Future<Output = B>,
    ) -> (A, B) {
        let ((a, took_a), (b, took_b)) = tokio::join!(clocked(a), clocked(b));
        self.set(hop_a, took_a);
        self.set(hop_b, took_b);
        (a, b)
    }

    fn set(&mut self, hop: Hop, took: Duration) {
        let slot = match hop {
            Hop::Claim => &mut self.claim,
            Hop::Ledger => &mut self.ledger,
            Hop::Log => &mut self.log,
            Hop::Complete => &mut self.complete,
        };
        *slot = Some(took);
    }

    /// Adds the hops that were made to the log line: a hop that was not made took no time that would mean anything.
    pub fn metrics(&self, line: &mut EventLine) {
        for (name, took) in [
            ("ClaimMs", self.claim),
            ("LedgerMs", self.ledger),
            ("LogMs", self.log),
            ("CompleteMs", self.complete),
        ] {
            if let Some(took) = took {
                line.metric(name, milliseconds(took), Unit::Milliseconds);
            }
        }
    }
}

/// Milliseconds with three decimals.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

async fn clocked<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let value = call.await;
    (value, begun.elapsed())
}
