//! One event, from the wire to the log line.

use std::time::Instant;

use cutover_lambda::run::InvocationError;
use cutover_lambda::{EventLine, Function, Invocation, Unit, clock};
use cutover_ports::rotation::{Databases, SecretVersions};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::error::RotationError;
use crate::event::Request;
use crate::rotation::{Report, Rotation};

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "secret-rotation";

/// The function.
pub struct SecretRotation<V, D> {
    /// The environment's name.
    pub environment: String,
    /// Carries the steps out.
    pub rotation: Rotation<V, D>,
}

impl<V: SecretVersions, D: Databases> Function for SecretRotation<V, D> {
    async fn handle(
        &self,
        event: &RawValue,
        invocation: &Invocation,
    ) -> Result<Value, InvocationError> {
        let started_ms = clock::now_ms();
        let mut line = EventLine::new(FUNCTION, &self.environment, None);
        line.set("requestId", invocation.request_id.as_str())
            .set("version", invocation.version.as_str());
        if let Some(trace) = &invocation.trace_id {
            line.set("traceId", trace.as_str());
        }
        let answer = self.answer(event.get(), invocation, &mut line).await;
        let took_ms = clock::now_ms().saturating_sub(started_ms);
        if let Err(error) = &answer {
            line.set("level", "ERROR")
                .set("outcome", error.kind)
                .set("error", error.message.as_str());
        }
        line.metric("RotationFailures", u8::from(answer.is_err()), Unit::Count)
            .metric("StepDuration", took_ms, Unit::Milliseconds)
            .set("durationMs", took_ms);
        line.emit();
        answer
    }
}

impl<V: SecretVersions, D: Databases> SecretRotation<V, D> {
    async fn answer(
        &self,
        event: &str,
        invocation: &Invocation,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let request = Request::read(event)?;
        line.set("step", request.step.as_str())
            .set("secret", request.secret_id.as_str());
        let time = invocation.deadline.remaining();
        let mut report = Report::default();
        let running = self
            .rotation
            .run(&request, Instant::now() + time, &mut report);
        let outcome = timeout(time, running)
            .await
            .unwrap_or(Err(RotationError::OutOfTime));
        tell(&report, line);
        let outcome = outcome?;
        line.set("outcome", outcome.as_str());
        Ok(json!({"step": request.step.as_str(), "outcome": outcome.as_str()}))
    }
}

fn tell(report: &Report, line: &mut EventLine) {
    line.metric("FailedLogins", report.failed_logins, Unit::Count);
    if let Some(engine) = report.engine {
        line.set("engine", engine.as_str());
    }
    if let Some(strategy) = report.strategy {
        line.set("strategy", strategy.as_str());
    }
    if let Some(way) = report.way {
        line.set("way", way.as_str());
    }
    if let Some(replicas) = report.replicas {
        line.set("replicas", replicas);
    }
    if let Some(gap) = report.gap {
        line.metric("LoginGaps", u8::from(gap), Unit::Count);
    }
    line.set("statements", report.statements);
}
