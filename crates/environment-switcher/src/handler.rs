//! One event, from the trigger to the log line.

use std::time::Duration;

use cutover_custom_resource::Protocol;
use cutover_domain::switch::{
    AlarmState, By, Entry, Environment, LastDecision, Phase, Refusal, Seen, Start, Trigger, Verb,
};
use cutover_lambda::run::InvocationError;
use cutover_lambda::{Deadline, EventLine, Function, Invocation, Unit, clock};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::config_routers::RouterConfig;
use crate::event::Event;
use crate::executor::{Executor, ExecutorError, Outcome, in_words};
use crate::resource;

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "environment-switcher";

/// Journal entries that `history` answers with: well within the 6 MB of an answer.
const HISTORY_MAX: usize = 200;

/// Kept free after the switch's own work, to tell of it and to answer.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// The function.
pub struct Switcher {
    /// The environment's name.
    pub environment: String,
    /// Carries out what is decided.
    pub executor: Executor,
    /// The routers, as configured.
    pub routers: Vec<RouterConfig>,
    /// How CloudFormation is answered.
    pub protocol: Protocol,
    /// The time between two ticks.
    pub tick: Duration,
}

impl Function for Switcher {
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
        match &answer {
            Ok(_) => {}
            Err(error) => {
                line.set("level", "ERROR")
                    .set("outcome", error.kind)
                    .set("error", error.message.as_str());
            }
        }
        line.set("durationMs", clock::now_ms().saturating_sub(started_ms));
        line.emit();
        answer
    }
}

impl Switcher {
    async fn answer(
        &self,
        event: &str,
        invocation: &Invocation,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let deadline = invocation.deadline;
        match Event::read(event, &invocation.request_id)? {
            Event::Trigger(trigger) => self.one(trigger, deadline, line).await,
            Event::Alarms(alarms) => {
                let mut last = Value::Null;
                for alarm in worst_first(alarms) {
                    last = self.one(alarm, deadline, line).await?;
                }
                Ok(last)
            }
            Event::Plan(start, by) => self.plan(start, by, deadline, line).await,
            Event::Status => self.look(None, deadline, line).await,
            Event::Refused { code, message } => {
                self.look(Some(Refusal { code, message }), deadline, line)
                    .await
            }
            Event::History { migration_id } => {
                self.history(migration_id.as_deref(), deadline, line).await
            }
            Event::Resource => self.resource(event, deadline, line).await,
        }
    }

    async fn one(
        &self,
        trigger: Trigger,
        deadline: Deadline,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let run = self.executor.run(trigger, worked(deadline)).await;
        let outcome = run.map_err(|error| failed(&error))?;
        Self::report(&outcome, line);
        let status = answer::status(&outcome, clock::now_ms(), self.tick);
        self.tell(&outcome.transitions, &status, deadline, line)
            .await;
        Ok(status)
    }

    async fn history(
        &self,
        migration_id: Option<&str>,
        deadline: Deadline,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let outcome = self.seen(None, deadline, line).await?;
        let history = self
            .executor
            .history(migration_id, HISTORY_MAX, worked(deadline));
        let entries = history.await.map_err(|error| failed(&error))?;
        let status = answer::status(&outcome, clock::now_ms(), self.tick);
        // One migration's entries are an excerpt: they need not lead to where the switch stands.
        let state = migration_id.is_none().then_some(&outcome.state);
        Ok(answer::history(status, &entries, state))
    }

    async fn plan(
        &self,
        start: Start,
        by: By,
        deadline: Deadline,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let planned = self.executor.plan(start, by, worked(deadline)).await;
        let planned = planned.map_err(|error| failed(&error))?;
        Self::report(&planned.outcome, line);
        let status = answer::status(&planned.outcome, clock::now_ms(), self.tick);
        Ok(answer::with(status, "plan", planned.plan))
    }

    async fn look(
        &self,
        refusal: Option<Refusal>,
        deadline: Deadline,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let outcome = self.seen(refusal, deadline, line).await?;
        Ok(answer::status(&outcome, clock::now_ms(), self.tick))
    }

    async fn seen(
        &self,
        refusal: Option<Refusal>,
        deadline: Deadline,
        line: &mut EventLine,
    ) -> Result<Outcome, InvocationError> {
        let look = self.executor.look(worked(deadline)).await;
        let mut outcome = look.map_err(|error| failed(&error))?;
        if let Some(refusal) = refusal {
            outcome.decision = LastDecision {
                action: Verb::Refuse,
                why: refusal.message.clone(),
                evidence: Vec::new(),
            };
            outcome.refusal = Some(refusal);
        }
        Self::report(&outcome, line);
        Ok(outcome)
    }

    async fn resource(
        &self,
        event: &str,
        deadline: Deadline,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let mut outcomes = Vec::new();
        let handle = async |request: cutover_custom_resource::Request, until| {
            let (executor, routers) = (&self.executor, &self.routers);
            resource::handle(executor, routers, &request, until, &mut outcomes).await
        };
        let served = self.protocol.serve(event, deadline, handle).await;
        for outcome in &outcomes {
            Self::report(outcome, line);
        }
        if let Some(last) = outcomes.last() {
            let transitions: Vec<Entry> = outcomes
                .iter()
                .flat_map(|o| o.transitions.clone())
                .collect();
            let status = answer::status(last, clock::now_ms(), self.tick);
            self.tell(&transitions, &status, deadline, line).await;
        }
        let served = served.map_err(|error| InvocationError {
            kind: "AnswerNotDelivered",
            message: in_words(&error),
        })?;
        let status = served.verdict.status();
        line.set("resource", served.request.logical_resource_id.as_str())
            .set("answer", status);
        if let cutover_custom_resource::Verdict::Failed(reason) = &served.verdict {
            line.set("level", "ERROR").set("reason", reason.as_str());
        }
        Ok(json!({"status": status}))
    }

    /// Tells those who want to know. A rollback is done by then, and no failure here can undo it.
    async fn tell(
        &self,
        transitions: &[Entry],
        status: &Value,
        deadline: Deadline,
        line: &mut EventLine,
    ) {
        let faults = self
            .executor
            .tell(transitions, &status.to_string(), deadline)
            .await;
        if !faults.is_empty() {
            line.set("notifications", faults.join("; "));
        }
    }

    fn report(outcome: &Outcome, line: &mut EventLine) {
        let state = &outcome.state;
        let candidate = state.candidate();
        let seen = outcome
            .routers
            .iter()
            .filter_map(|router| match &router.seen {
                Seen::Split(weights) => Some(weights.of(candidate)),
                _ => None,
            });
        let count = |verb| {
            outcome
                .transitions
                .iter()
                .filter(|e| e.action == verb)
                .count()
        };
        let started_back = outcome
            .transitions
            .iter()
            .filter(|e| e.to == Phase::RollingBack && e.from != Phase::RollingBack);
        line.set("outcome", outcome_name(outcome))
            .set("phase", state.phase.as_str())
            .set("generation", state.generation)
            .set("why", outcome.decision.why.as_str())
            .metric("Transitions", outcome.transitions.len(), Unit::Count)
            .metric("Rollbacks", started_back.count(), Unit::Count)
            .metric("DriftDetected", count(Verb::Repair), Unit::Count);
        if let Some(most) = seen.max() {
            line.metric("CandidateWeight", most, Unit::Percent);
        }
        if let Some(migration) = &state.migration {
            line.set("migrationId", migration.id.as_str())
                .set("candidate", candidate.as_str());
        }
        if let Some(refusal) = &outcome.refusal {
            line.set("refused", refusal.code);
        }
        if !outcome.faults.is_empty() {
            line.set("level", "WARN")
                .set("faults", outcome.faults.join("; "));
        }
        line.set("weights", weights(outcome));
    }
}

/// The time for the switch's own work.
fn worked(deadline: Deadline) -> Deadline {
    let margin = AFTERWARDS.min(deadline.remaining() / 4);
    let lambda_margin = cutover_lambda::run::SAFETY_MARGIN;
    Deadline::new(deadline.at_ms(), lambda_margin.saturating_add(margin))
}

fn worst_first(mut alarms: Vec<Trigger>) -> Vec<Trigger> {
    let is_alarm = |alarm: &Trigger| {
        matches!(
            alarm,
            Trigger::Alarm {
                state: AlarmState::Alarm,
                ..
            }
        )
    };
    alarms.sort_by_key(|alarm| !is_alarm(alarm));
    alarms
}

fn outcome_name(outcome: &Outcome) -> Value {
    if outcome.refusal.is_some() {
        return json!("refused");
    }
    json!(outcome.decision.action)
}

fn weights(outcome: &Outcome) -> Value {
    let intended = outcome.state.intended;
    let mut weights = Map::new();
    for environment in [Environment::Blue, Environment::Green] {
        weights.insert(
            environment.as_str().to_owned(),
            json!(intended.of(environment)),
        );
    }
    Value::Object(weights)
}

fn failed(error: &ExecutorError) -> InvocationError {
    let kind = match error {
        ExecutorError::Store(_) => "StateUnavailable",
        ExecutorError::Contended => "StateContended",
        ExecutorError::OutOfTime => "OutOfTime",
    };
    InvocationError {
        kind,
        message: in_words(error),
    }
}
