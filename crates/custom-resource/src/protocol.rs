//! From the event to the one answer.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use cutover_lambda::{Deadline, clock};
use cutover_ports::memory::{Memory, MemoryError};
use serde_json::{Map, Value};

use crate::answer::{Responder, Verdict};
use crate::delivery::DeliveryError;
use crate::event::{EnvelopeError, Request, RequestType};
use crate::memory;
use crate::panics::caught;
use crate::progress::Progress;

/// Kept free for the PUT at the end of an invocation; at most half of the time that there is.
const DELIVERY_TIME: Duration = Duration::from_secs(10);

/// The longest wait for the memory, at most a quarter of the time that there is: without it there is still an answer.
const MEMORY_TIME: Duration = Duration::from_secs(4);

/// How events are answered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Protocol {
    /// Whether answers may go to other hosts over plain http: in the local cloud and in tests only.
    pub allow_http_response_url: bool,
}

/// What a resource makes in the world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    /// Something that has to be removed and taken back, so every request reaches the handler.
    #[default]
    Owner,
    /// Nothing: it only lets a stack operation go on or not. A Delete and an Update that takes back the one that failed
    /// last succeed at once, with these attributes.
    Gate(Map<String, Value>),
}

/// How one event is served.
#[derive(Default)]
pub struct Terms<'a> {
    /// What the resource makes.
    pub kind: Kind,
    /// Where verdicts are kept, so that the same request gets the same verdict; without one, nothing is kept.
    pub memory: Option<&'a dyn Memory>,
    /// What the handler says that it is at.
    pub progress: Progress,
    /// When the first invocation for this request began (milliseconds since the epoch), if that was an earlier one: the
    /// resource's ServiceTimeout counts from then.
    pub began_ms: Option<u64>,
}

/// What a handler ends with.
#[derive(Debug)]
pub enum Outcome {
    /// The answer.
    Answer(Verdict),
    /// Another invocation gives the answer: this one gives none.
    Continued,
}

/// An answered event.
#[derive(Debug)]
pub struct Served {
    /// What was answered.
    pub verdict: Verdict,
    /// The event.
    pub request: Request,
    /// What the memory failed with, if it did.
    pub memory_fault: Option<MemoryError>,
}

/// What became of an event.
#[derive(Debug)]
pub enum Ended {
    /// It was answered.
    Answered(Served),
    /// Another invocation answers it.
    Continued(Request),
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
    /// It was left to another invocation under terms that know of none.
    #[error("the event was continued where nothing continues it")]
    NotContinued,
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
        let answer = async |request, until| Outcome::Answer(handle(request, until).await);
        match self
            .serve_with(event, deadline, Terms::default(), answer)
            .await?
        {
            Ended::Answered(served) => Ok(served),
            Ended::Continued(_) => Err(ProtocolError::NotContinued),
        }
    }

    /// As [`Protocol::serve`], under terms.
    ///
    /// # Errors
    /// If no answer was delivered.
    pub async fn serve_with<H, F>(
        &self,
        event: &str,
        deadline: Deadline,
        terms: Terms<'_>,
        handle: H,
    ) -> Result<Ended, ProtocolError>
    where
        H: FnOnce(Request, Deadline) -> F,
        F: Future<Output = Outcome>,
    {
        let (request, url) = Request::parse(event, self.allow_http_response_url)?;
        let responder = Responder::new(url);
        let mut case = Case {
            request,
            memory: terms.memory,
            fault: None,
            patience: MEMORY_TIME.min(deadline.remaining() / 4),
        };
        let verdict = match case.without_handler(&terms.kind).await {
            Some(verdict) => verdict,
            None => {
                let time = handler_time(&case.request, deadline, terms.began_ms);
                let until = Deadline::until(time);
                let handled = handle(case.request.clone(), until);
                match guarded(handled, time, &terms.progress).await {
                    Outcome::Continued => return Ok(Ended::Continued(case.request)),
                    Outcome::Answer(verdict) => case.kept(&terms.kind, verdict).await,
                }
            }
        };
        responder.answer(&case.request, &verdict, deadline).await?;
        Ok(Ended::Answered(Served {
            verdict,
            request: case.request,
            memory_fault: case.fault,
        }))
    }
}

/// The handler's time: what is left before the deadline, and before CloudFormation stops waiting, less the time to answer.
fn handler_time(request: &Request, deadline: Deadline, began_ms: Option<u64>) -> Duration {
    let now_ms = clock::now_ms();
    let waited = Duration::from_millis(now_ms.saturating_sub(began_ms.unwrap_or(now_ms)));
    let left = request.service_timeout().saturating_sub(waited);
    let remaining = deadline.remaining().min(left);
    remaining.saturating_sub(DELIVERY_TIME.min(remaining / 2))
}

/// The deadline guard: whatever the handler does, there is an outcome in time.
async fn guarded(
    handled: impl Future<Output = Outcome>,
    time: Duration,
    progress: &Progress,
) -> Outcome {
    // Kept until the end of this function: what it was at is only known while it lives.
    let mut handled = pin!(caught(handled));
    match tokio::time::timeout(time, handled.as_mut()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panicked)) => Outcome::Answer(Verdict::Failed(panicked.to_string())),
        Err(_elapsed) => Outcome::Answer(Verdict::Failed(format!(
            "not finished within the {} s that there were; still running: {progress}",
            time.as_secs()
        ))),
    }
}

/// One request, and what is remembered of it.
struct Case<'a> {
    request: Request,
    memory: Option<&'a dyn Memory>,
    fault: Option<MemoryError>,
    patience: Duration,
}

impl Case<'_> {
    /// The verdict where the handler need not be asked.
    async fn without_handler(&mut self, kind: &Kind) -> Option<Verdict> {
        if let Some(defect) = self.request.defect() {
            return Some(Verdict::Failed(defect));
        }
        let gate = match kind {
            Kind::Owner => None,
            Kind::Gate(attributes) => Some(attributes),
        };
        // Before the memory is asked: nothing may keep a Delete from succeeding.
        if gate.is_some() && self.request.request_type == Some(RequestType::Delete) {
            return Some(Verdict::Success(Map::new()));
        }
        let memory = self.memory?;
        let known = memory::verdict(memory, &self.request);
        let known = within(self.patience, known, &mut self.fault).await;
        if let Some(Some(verdict)) = known {
            return Some(verdict);
        }
        if self.request.request_type == Some(RequestType::Update)
            && let Some(attributes) = gate
        {
            let taken_back = memory::takes_back_a_failure(memory, &self.request);
            if within(self.patience, taken_back, &mut self.fault).await == Some(true) {
                return Some(Verdict::Success(attributes.clone()));
            }
            let begun = memory::note_update(memory, &self.request, false);
            within(self.patience, begun, &mut self.fault).await;
        }
        None
    }

    /// The verdict that stands, once the handler's was kept.
    async fn kept(&mut self, kind: &Kind, verdict: Verdict) -> Verdict {
        let Some(memory) = self.memory else {
            return verdict;
        };
        let keeping = memory::keep(memory, &self.request, verdict.clone());
        let stands = within(self.patience, keeping, &mut self.fault)
            .await
            .unwrap_or(verdict);
        let is_update = self.request.request_type == Some(RequestType::Update);
        if is_update && matches!(kind, Kind::Gate(_)) && matches!(stands, Verdict::Success(_)) {
            let ended = memory::note_update(memory, &self.request, true);
            within(self.patience, ended, &mut self.fault).await;
        }
        stands
    }
}

/// The memory's answer, if it gives one in time. What it failed with is kept for the log.
async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, MemoryError>>,
    fault: &mut Option<MemoryError>,
) -> Option<T> {
    match tokio::time::timeout(patience, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            *fault = Some(error);
            None
        }
        Err(_elapsed) => {
            *fault = Some(MemoryError {
                operation: "ask the memory",
                source: "no answer in time".into(),
            });
            None
        }
    }
}
