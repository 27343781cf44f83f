//! One event, from CloudFormation or an operator to the log line.

use std::time::Duration;

use cutover_custom_resource::{
    Ended, Kind, Outcome, Progress, Protocol, Request, RequestType, Served, Terms, Verdict,
};
use cutover_domain::payment::Timestamp;
use cutover_domain::validation::{Check, Properties, Report, Status, report};
use cutover_lambda::event_line::Unit;
use cutover_lambda::run::InvocationError;
use cutover_lambda::{Deadline, EventLine, Function, Invocation, clock};
use cutover_ports::memory::NoteKey;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::checks::in_words;
use crate::event::{Continuation, Event};
use crate::fence;
use crate::schema;
use crate::validation::{Concluded, Continues, Order, Validator};

/// The function's name in logs and metrics.
pub const FUNCTION: &str = "pre-migration-validator";

/// The resource that validates. CloudFormation's own name for a resource without one is taken too.
const VALIDATION: [&str; 2] = [
    "Custom::PreMigrationValidation",
    "AWS::CloudFormation::CustomResource",
];

/// The resource that upgrades schemas.
const SCHEMA: &str = "Custom::DatabaseSchema";

/// The longest direct validation: the switch that waits for it has a minute. One that needs more is asked again.
const COMMAND_MAX: Duration = Duration::from_secs(45);

/// Kept free at the end of a command, to answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The function.
pub struct PreMigrationValidator {
    /// What validates.
    pub validator: Validator,
    /// How CloudFormation is answered.
    pub protocol: Protocol,
}

impl Function for PreMigrationValidator {
    async fn handle(
        &self,
        event: &RawValue,
        invocation: &Invocation,
    ) -> Result<Value, InvocationError> {
        let started_ms = clock::now_ms();
        let mut line = EventLine::new(FUNCTION, &self.validator.environment, None);
        line.set("requestId", invocation.request_id.as_str())
            .set("version", invocation.version.as_str());
        if let Some(trace) = &invocation.trace_id {
            line.set("traceId", trace.as_str());
        }
        let answer = self.answer(event.get(), invocation, &mut line).await;
        if let Err(error) = &answer {
            line.set("level", "ERROR")
                .set("outcome", error.kind)
                .set("error", error.message.as_str());
        }
        line.set("durationMs", clock::now_ms().saturating_sub(started_ms));
        line.emit();
        answer
    }
}

impl PreMigrationValidator {
    async fn answer(
        &self,
        event: &str,
        invocation: &Invocation,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        match Event::read(event)? {
            Event::Resource => self.resource(event, invocation, line).await,
            Event::Validate(properties) => self.validate(&properties, invocation, line).await,
            Event::Fence(command) => {
                let until = command_time(invocation.deadline);
                let set = fence::set(&self.validator.estate, &command, until).await;
                line.set("outcome", "fence")
                    .set("fence", set.status)
                    .set("epoch", command.order.epoch);
                if set.status != "pass" {
                    line.set("level", "WARN").set("ledgers", set.answer.clone());
                }
                Ok(set.answer)
            }
        }
    }

    /// An operator, or the switch in its phase `validating`: the full report.
    async fn validate(
        &self,
        given: &Map<String, Value>,
        invocation: &Invocation,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let refused = |error: &dyn std::error::Error| InvocationError {
            kind: "InvalidProperties",
            message: in_words(error),
        };
        let properties = Properties::read(given).map_err(|error| refused(&error))?;
        let order = Order {
            properties,
            key: NoteKey {
                subject: "direct".to_owned(),
                name: format!("checkpoint#{}", Properties::fingerprint(given)),
            },
            owner: &invocation.request_id,
            report_id: short(&invocation.request_id),
            until: command_time(invocation.deadline),
            continues: None,
            progress: Progress::default(),
        };
        match self
            .validator
            .validate(order)
            .await
            .map_err(|error| refused(&error))?
        {
            Concluded::Reported(report, faults) => {
                tell(&report, &faults, line);
                Ok(report.to_json())
            }
            Concluded::HandedOn { .. } | Concluded::Elsewhere => {
                line.set("outcome", "elsewhere");
                Err(InvocationError {
                    kind: "AlreadyRunning",
                    message: "a validation of the same properties is under way: ask again once it has ended".to_owned(),
                })
            }
        }
    }

    async fn resource(
        &self,
        event: &str,
        invocation: &Invocation,
        line: &mut EventLine,
    ) -> Result<Value, InvocationError> {
        let progress = Progress::default();
        let continuation = Continuation::of(event);
        let now = Timestamp::from_ms(clock::now_ms()).to_string();
        let terms = Terms {
            kind: Kind::Gate(gate(event, &now)),
            memory: Some(self.validator.memory.as_ref()),
            progress: progress.clone(),
            began_ms: continuation.map(|continuation| continuation.began_ms),
        };
        if let Some(continuation) = continuation {
            line.set("continuation", continuation.number);
        }
        let mut noted = None;
        let handle = async |request: Request, until: Deadline| {
            let (outcome, note) = self
                .handle_request(event, request, until, invocation, progress.clone())
                .await;
            noted = note;
            outcome
        };
        let ended = self
            .protocol
            .serve_with(event, invocation.deadline, terms, handle)
            .await;
        if let Some(Note { report, faults }) = &noted {
            match report {
                Some(report) => tell(report, faults, line),
                None if faults.is_empty() => {}
                None => {
                    line.set("level", "WARN").set("faults", faults.join("; "));
                }
            }
        }
        let ended = ended.map_err(|error| InvocationError {
            kind: "AnswerNotDelivered",
            message: in_words(&error),
        })?;
        Ok(told(&ended, line))
    }

    async fn handle_request(
        &self,
        event: &str,
        request: Request,
        until: Deadline,
        invocation: &Invocation,
        progress: Progress,
    ) -> (Outcome, Option<Note>) {
        let kind = request.resource_type.as_str();
        if kind == SCHEMA {
            let estate = &self.validator.estate;
            let verdict = schema::handle(estate, &request, until, &progress).await;
            return (Outcome::Answer(verdict), None);
        }
        if !VALIDATION.contains(&kind) {
            let why = format!(
                "the resource type {kind:.100} is unknown: it takes {} and {SCHEMA}",
                VALIDATION.first().copied().unwrap_or_default()
            );
            return (Outcome::Answer(Verdict::Failed(why)), None);
        }
        let properties = request
            .properties()
            .map_err(|error| in_words(&error))
            .and_then(|given| Properties::read(&given).map_err(|error| in_words(&error)));
        let properties = match properties {
            Ok(properties) => properties,
            Err(why) => return (Outcome::Answer(Verdict::Failed(why)), None),
        };
        let order = Order {
            properties,
            key: NoteKey {
                subject: request.own_id(),
                name: format!("checkpoint#{}", short_hash(&request.request_id)),
            },
            owner: &invocation.request_id,
            report_id: short(&request.request_id),
            until,
            continues: Some(Continues {
                event,
                window: request.service_timeout(),
            }),
            progress,
        };
        match self.validator.validate(order).await {
            Err(error) => (Outcome::Answer(Verdict::Failed(in_words(&error))), None),
            Ok(Concluded::HandedOn { .. } | Concluded::Elsewhere) => (Outcome::Continued, None),
            Ok(Concluded::Reported(report, faults)) => {
                let verdict = verdict(&report, &faults);
                let note = Note {
                    report: Some(report),
                    faults,
                };
                (Outcome::Answer(verdict), Some(note))
            }
        }
    }
}

/// What a request leaves for the log line.
struct Note {
    report: Option<Box<Report>>,
    faults: Vec<String>,
}

fn verdict(report: &Report, faults: &[String]) -> Verdict {
    if report.lets_on() {
        let mut attributes = report.attributes();
        if !faults.is_empty() {
            let message = format!("{} ({})", report.message(), faults.join("; "));
            let message = cutover_domain::validation::text::plain(&message);
            let message = cutover_domain::validation::text::within_bytes(&message, 900);
            attributes.insert("Message".to_owned(), json!(message));
        }
        Verdict::Success(attributes)
    } else {
        Verdict::Failed(report.reason())
    }
}

/// The attributes of a request that nobody handles: an Update that takes a failed one back.
fn gate(event: &str, now: &str) -> Map<String, Value> {
    #[derive(serde::Deserialize)]
    struct Marks {
        #[serde(rename = "ResourceType")]
        resource_type: Option<String>,
    }
    let kind = serde_json::from_str::<Marks>(event)
        .ok()
        .and_then(|marks| marks.resource_type);
    if kind.as_deref() == Some(SCHEMA) {
        return schema::attributes("", "");
    }
    report::rollback_attributes(now)
}

/// What the invocation answers, and what its line says.
fn told(ended: &Ended, line: &mut EventLine) -> Value {
    match ended {
        Ended::Continued(request) => {
            line.set("outcome", "continued")
                .set("resource", request.logical_resource_id.as_str());
            json!({"status": "continued"})
        }
        Ended::Answered(Served {
            verdict,
            request,
            memory_fault,
        }) => {
            let status = verdict.status();
            let what = match request.request_type {
                Some(RequestType::Create) => "create",
                Some(RequestType::Update) => "update",
                Some(RequestType::Delete) => "delete",
                None => "unknown",
            };
            line.set("outcome", what)
                .set("answer", status)
                .set("resource", request.logical_resource_id.as_str());
            if let Verdict::Failed(reason) = verdict {
                line.set("level", "ERROR").set("reason", reason.as_str());
            }
            if let Some(fault) = memory_fault {
                line.set("memoryFault", in_words(fault));
            }
            json!({"status": status})
        }
    }
}

fn tell(report: &Report, faults: &[String], line: &mut EventLine) {
    let names = |status| -> Vec<&'static str> {
        let checks = report::names(&report.checks, status).into_iter();
        checks.map(Check::name).collect()
    };
    let slowest = report.checks.iter().map(|finding| finding.ms).max();
    line.set("outcome", "validated")
        .set("validation", report.status.as_str())
        .set("mode", report.mode.as_str())
        .set("failed", names(Status::Fail))
        .set("unknown", names(Status::Unknown))
        .set("reportUri", report.report_uri.clone())
        .metric("ChecksPassed", report.count(Status::Pass), Unit::Count)
        .metric("ChecksFailed", report.count(Status::Fail), Unit::Count)
        .metric("ChecksUnknown", report.count(Status::Unknown), Unit::Count)
        .metric(
            "ValidationPassed",
            usize::from(report.status == Status::Pass),
            Unit::Count,
        )
        .metric(
            "SlowestCheckMs",
            slowest.unwrap_or_default(),
            Unit::Milliseconds,
        );
    if !faults.is_empty() {
        line.set("level", "WARN").set("faults", faults.join("; "));
    }
}

fn command_time(deadline: Deadline) -> Deadline {
    let remaining = deadline.remaining();
    let time = remaining.saturating_sub(ANSWER_TIME.min(remaining / 4));
    Deadline::until(time.min(COMMAND_MAX))
}

/// The first of an id that may stand in a key.
fn short(id: &str) -> String {
    let safe: String = id
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    if safe.is_empty() {
        short_hash(id)
    } else {
        safe
    }
}

fn short_hash(id: &str) -> String {
    Properties::fingerprint(&Map::from_iter([("id".to_owned(), json!(id))]))
}
