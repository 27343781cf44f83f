//! Work that goes on while something else is awaited, and may be awaited later.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// Such work. Awaiting it ends when it has ended; once it has, at once. Dropped, it stops where it is.
pub(crate) struct Meanwhile<'a> {
    work: Option<Pin<&'a mut dyn Future<Output = ()>>>,
}

impl<'a> Meanwhile<'a> {
    pub(crate) fn new(work: Pin<&'a mut dyn Future<Output = ()>>) -> Self {
        Self { work: Some(work) }
    }

    /// Nothing to do.
    pub(crate) fn idle() -> Self {
        Self { work: None }
    }

    /// Awaits `other`, and lets the work go on meanwhile, on the same thread.
    pub(crate) async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        poll_fn(|context| {
            let polled = other.as_mut().poll(context);
            if polled.is_pending() {
                let _later = Pin::new(&mut *self).poll(context);
            }
            polled
        })
        .await
    }
}

impl Future for Meanwhile<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let ended = self
            .work
            .as_mut()
            .is_none_or(|work| work.as_mut().poll(context).is_ready());
        if ended {
            self.work = None;
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    const STEP: Duration = Duration::from_millis(40);

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(test);
    }

    #[test]
    fn both_go_on_at_once_and_the_longer_one_is_awaited() {
        run(async {
            let begun = Instant::now();
            let worked = Cell::new(0);
            let mut work = pin!(async {
                for _ in 0..3 {
                    tokio::time::sleep(STEP).await;
                    worked.set(worked.get() + 1);
                }
            });
            let mut meanwhile = Meanwhile::new(work.as_mut());
            let answer = meanwhile.during(async {
                tokio::time::sleep(2 * STEP).await;
                "answer"
            });
            assert_eq!(answer.await, "answer");
            assert!(worked.get() < 3, "not waited for");
            (&mut meanwhile).await;
            assert_eq!(worked.get(), 3);
            assert!(begun.elapsed() < 4 * STEP, "side by side");
            meanwhile.await;
            assert_eq!(worked.get(), 3, "awaited twice, done once");
        });
    }

    #[test]
    fn what_ends_first_is_not_begun_again() {
        run(async {
            let worked = Cell::new(0);
            let mut work = pin!(async { worked.set(worked.get() + 1) });
            let mut meanwhile = Meanwhile::new(work.as_mut());
            meanwhile.during(tokio::time::sleep(STEP)).await;
            assert_eq!(worked.get(), 1);
            meanwhile.during(tokio::time::sleep(STEP)).await;
            Meanwhile::idle().await;
            assert_eq!(worked.get(), 1);
        });
    }
}
