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

    #[tokio::test(flavor = "current_thread")]
    async fn waits_as_long_as_it_is_told() {
        let begun = Instant::now();
        for _ in 0..20 {
            pause(Duration::from_micros(500)).await;
        }
        let took = begun.elapsed();
        // The upper bound is loose for the sake of a busy machine; the runtime's own timer would take 20 to 40 ms.
        assert!((10..19).contains(&took.as_millis()), "{took:?}");
    }
}
