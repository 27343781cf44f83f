//! Waiting to the microsecond. The runtime's own timer counts in whole milliseconds, which at 3 ms is a third of what is
//! being measured.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::net::unix::pipe::Receiver;

/// Waits for `delay`; not at all if it is zero.
///
/// # Panics
/// If the system gives no timer.
pub async fn pause(delay: Duration) {
    if delay.is_zero() {
        return;
    }
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).expect("a timer");
    timer
        .set(
            Expiration::OneShot(TimeSpec::from_duration(delay)),
            TimerSetTimeFlags::empty(),
        )
        .expect("a timer that is set");
    // The kernel's timer becomes readable when it rings. To the runtime that is a pipe into which something was written.
    let timer = File::from(OwnedFd::from(timer));
    let timer = Receiver::from_file_unchecked(timer).expect("an event queue");
    timer.readable().await.expect("a timer that rings");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// The shortest of many waits: a busy machine makes any single one longer.
    #[tokio::test(flavor = "current_thread")]
    async fn waits_as_long_as_it_is_told() {
        let delay = Duration::from_micros(500);
        let mut shortest = Duration::MAX;
        for _ in 0..100 {
            let begun = Instant::now();
            pause(delay).await;
            shortest = shortest.min(begun.elapsed());
        }
        // The runtime's own timer would take 1 ms at least.
        assert!((500..950).contains(&shortest.as_micros()), "{shortest:?}");
    }
}
