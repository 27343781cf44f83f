//! A panic is a defect, and still no reason to leave CloudFormation without an answer.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A future ended by a panic. What it said is on stderr and is not repeated: nobody knows what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a panic ended it: this is a defect of the function; its log says where")]
pub struct Panicked;

/// Runs a future to its end, or to its panic.
///
/// # Errors
/// It panicked. It is not polled again, and whatever it shared must be whole after any of its steps.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_said) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error() {
        let panics = async {
            tokio::task::yield_now().await;
            panic!("hunter2");
        };
        let ended: Result<(), _> = caught(panics).await;
        assert!(!ended.unwrap_err().to_string().contains("hunter2"));
        assert_eq!(caught(async { 7 }).await, Ok(7));
    }
}
