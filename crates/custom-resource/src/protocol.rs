//! From the event to the one answer.

use std::future::Future;
use std::time::Duration;

use cutover_lambda::Deadline;

use crate::answer::{self, Verdict};
use crate::delivery::{self, DeliveryError};
use crate::event::{EnvelopeError, Request};

/// Kept free for the PUT at the end of an invocation; at most half of the time that there is.
const DELIVERY_TIME: Duration = Duration::from_secs(10);

/// How events are answered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Protocol {
    /// Whether answers may go to other hosts over plain http: in the local cloud and in tests only.
    pub allow_http_response_url: bool,
}

/// An answered event.
#[derive(Debug)]
pub struct Served {
    /// What was answered.
    pub verdict: Verdict,
    /// The event.
    pub request: Request,
}

/// An event that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// It does not say where to.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The answer did not arrive.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl Protocol {
    /// Answers an event with what `handle` finds by the deadline that it is given, or with FAILED if that takes longer.
    ///
    /// # Errors
    /// If no answer was delivered.
    pub async fn serve<H, F>(
        &self,
        event: &str,
        deadline: Deadline,
        handle: H,
    ) -> Result<Served, ProtocolError>
    where
        H: FnOnce(Request, Deadline) -> F,
        F: Future<Output = Verdict>,
    {
        let (request, url) = Request::parse(event, self.allow_http_response_url)?;
        let remaining = deadline.remaining();
        let time = remaining.saturating_sub(DELIVERY_TIME.min(remaining / 2));
        let until = Deadline::until(time);
        let verdict = if request.request_type.is_none() {
            Verdict::Failed("RequestType is none of Create, Update, Delete".to_owned())
        } else {
            tokio::time::timeout(time, handle(request.clone(), until))
                .await
                .unwrap_or_else(|_elapsed| {
                    let seconds = time.as_secs();
                    Verdict::Failed(format!(
                        "not finished within the {seconds} s that there were"
                    ))
                })
        };
        delivery::put(&url, answer::body(&request, &verdict), deadline).await?;
        Ok(Served { verdict, request })
    }
}
