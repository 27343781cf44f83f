//! One event: read, routed, answered, logged.

use std::time::{Duration, Instant};

use cutover_domain::payment::{CardSummary, Code, Inquiry, Json, Order, Problem, Rules, Timestamp};
use cutover_lambda::run::InvocationError;
use cutover_lambda::{EventLine, Function, Invocation, Unit, clock};
use cutover_ports::payment::{CallError, Ledger, Secrets, SessionStore, TransactionLog};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::Answer;
use crate::event::{DirectCall, Event, HttpRequest, Transport};
use crate::health::LastHealth;
use crate::hops::{Hops, milliseconds};
use crate::pay::{Failure, Paid, Payments};
use crate::percent;
use crate::route::{self, Dependency, Route};
use crate::sweep::Sweep;

/// The function: what is built once.
pub struct PaymentValidation<S, L, T, K> {
    /// What makes payments.
    pub payments: Payments<S, L, T, K>,
    /// What an operator limits.
    pub rules: Rules,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// ARN or name of the database secret.
    pub db_secret: String,
    /// What the dependencies said last.
    pub last_health: LastHealth,
}

/// What is known of an event, for its log line.
#[derive(Default)]
struct Seen {
    route: Option<Route>,
    outcome: &'static str,
    code: Option<&'static str>,
    effect: Option<&'static str>,
    cause: Option<Box<CallError>>,
    paid: bool,
    replayed: bool,
    hops: Hops,
    swept: Option<Sweep>,
}

impl Seen {
    fn failed(&mut self, failure: Failure, request_id: &str) -> Answer {
        let problem = failure.problem;
        self.outcome = if problem.code.status() < 500 {
            "refused"
        } else {
            "failed"
        };
        self.code = Some(problem.code.as_str());
        self.effect = Some(problem.effect.as_str());
        self.cause = failure.cause;
        Answer::problem(&problem, request_id)
    }
}

/// What came with a payment's body.
struct With<'a> {
    idempotency_key: Option<&'a str>,
    caller: Option<&'a str>,
}

impl<S, L, T, K> PaymentValidation<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    async fn http(&self, request: HttpRequest, on: &Invocation, seen: &mut Seen) -> Answer {
        let answered = match route::of(&request.method, &request.path) {
            Ok(Route::Health) => {
                seen.route = Some(Route::Health);
                Ok(self.health(on))
            }
            Ok(Route::DeepHealth) => {
                seen.route = Some(Route::DeepHealth);
                Ok(Box::pin(self.deep_health(on, seen)).await)
            }
            Ok(Route::Lookup) => {
                seen.route = Some(Route::Lookup);
                self.http_lookup(&request, on).await
            }
            Ok(route) => {
                seen.route = Some(route);
                self.http_body(route, &request, on, seen).await
            }
            Err(problem) => Err(problem.into()),
        };
        answered.unwrap_or_else(|failure| seen.failed(failure, &on.request_id))
    }

    async fn http_lookup(&self, request: &HttpRequest, on: &Invocation) -> Result<Answer, Failure> {
        let id = percent::decode(route::transaction_id(&request.path).unwrap_or_default());
        let merchant_id = request.query.get("merchantId").map(String::as_str);
        let inquiry = Inquiry::new(&id, merchant_id, request.caller.as_deref())?;
        let body = Box::pin(self.payments.look_up(&inquiry, on.deadline)).await?;
        Ok(Answer::json(200, body))
    }

    async fn http_body(
        &self,
        route: Route,
        request: &HttpRequest,
        on: &Invocation,
        seen: &mut Seen,
    ) -> Result<Answer, Failure> {
        route::content_type(request.header("content-type"))?;
        let body = request.body.as_ref().ok_or_else(|| {
            Problem::new(
                Code::MalformedJson,
                "The body is no text, or no valid Base64.",
            )
        })?;
        self.fits(body.len())?;
        let json = Json::parse(body).map_err(Problem::unreadable)?;
        let with = With {
            idempotency_key: route::single_key(request.header("idempotency-key"))?,
            caller: request.caller.as_deref(),
        };
        self.asked(route, &json, &with, on, seen).await
    }

    async fn direct(&self, call: DirectCall, on: &Invocation, seen: &mut Seen) -> Answer {
        let answered = self.direct_route(call, on, seen).await;
        answered.unwrap_or_else(|failure| seen.failed(failure, &on.request_id))
    }

    async fn direct_route(
        &self,
        call: DirectCall,
        on: &Invocation,
        seen: &mut Seen,
    ) -> Result<Answer, Failure> {
        let route = route::of_action(&call.action)?;
        seen.route = Some(route);
        match route {
            Route::Health => return Ok(self.health(on)),
            Route::SelfTest(dependency) => {
                let answered = Box::pin(self.self_test(dependency, &call.action, on)).await;
                return answered;
            }
            _ => {}
        }
        self.fits(call.bytes)?;
        let arguments = call.arguments?;
        let with = With {
            idempotency_key: arguments.idempotency_key.as_deref(),
            caller: arguments.caller.as_deref(),
        };
        self.asked(route, &arguments.body, &with, on, seen).await
    }

    async fn asked(
        &self,
        route: Route,
        body: &Json,
        with: &With<'_>,
        on: &Invocation,
        seen: &mut Seen,
    ) -> Result<Answer, Failure> {
        if route == Route::Lookup {
            let inquiry = Inquiry::read(body, with.caller)?;
            let body = Box::pin(self.payments.look_up(&inquiry, on.deadline)).await?;
            return Ok(Answer::json(200, body));
        }
        let now = Timestamp::from_ms(clock::now_ms());
        let order = Order::read(body, with.idempotency_key, with.caller, &self.rules, now)
            .map_err(|problem| for_route(route, problem))?;
        if route == Route::Validate {
            seen.outcome = "valid";
            return Ok(validated(&order));
        }
        let owner = Uuid::new_v4().to_string();
        // On the heap: the future of a payment is large, and everything that awaits it would be.
        let paying = self.payments.pay(order, owner, on.deadline, &mut seen.hops);
        let paid = Box::pin(paying).await?;
        seen.outcome = if paid.replayed { "replayed" } else { "paid" };
        seen.replayed = paid.replayed;
        seen.paid = !paid.replayed;
        Ok(receipt(paid))
    }

    async fn sweep(&self, on: &Invocation, seen: &mut Seen) -> Answer {
        seen.route = Some(Route::Sweep);
        let owner = Uuid::new_v4().to_string();
        let mut sweep = Box::pin(self.payments.sweep(&owner, on.deadline)).await;
        seen.cause = sweep.cause.take();
        if sweep.failures > 0 {
            seen.outcome = "failed";
        }
        let answer = Answer::json(200, sweep.to_json().to_string());
        seen.swept = Some(sweep);
        answer
    }

    async fn self_test(
        &self,
        dependency: Dependency,
        action: &str,
        on: &Invocation,
    ) -> Result<Answer, Failure> {
        let nonce = Uuid::new_v4().to_string();
        self.payments
            .self_test(dependency, &nonce, &self.db_secret, on.deadline)
            .await?;
        let body = json!({"status": "ok", "test": action});
        Ok(Answer::json(200, body.to_string()))
    }

    async fn deep_health(&self, on: &Invocation, seen: &mut Seen) -> Answer {
        let health = if let Some(health) = self.last_health.get(clock::now_ms()) {
            health
        } else {
            let asking = self.payments.health(&self.db_secret, on.deadline);
            let (health, cause) = asking.await;
            seen.cause = cause;
            self.last_health.keep(health.clone());
            health
        };
        if health.is_ok() {
            Answer::json(200, health.body())
        } else {
            seen.outcome = "failed";
            Answer::json(503, health.body())
        }
    }

    /// Answers one event; with the line that it leaves in the log.
    async fn answer(
        &self,
        event: &RawValue,
        on: &Invocation,
    ) -> (EventLine, Result<Value, InvocationError>) {
        let begun = Instant::now();
        let mut seen = Seen {
            outcome: "ok",
            ..Seen::default()
        };
        let mut transport = None;
        let answered = match Event::read(event.get()) {
            Ok(Event::Http(request)) => {
                transport = Some(request.transport);
                Ok(Box::pin(self.http(request, on, &mut seen)).await)
            }
            Ok(Event::Direct(call)) => {
                transport = Some(Transport::Direct);
                Ok(Box::pin(self.direct(call, on, &mut seen)).await)
            }
            Ok(Event::Tick) => Ok(self.sweep(on, &mut seen).await),
            Err(error) => Err(InvocationError {
                kind: "UnknownEvent",
                message: error.to_string(),
            }),
        };
        if let Err(error) = &answered {
            seen.outcome = "refused";
            seen.code = Some(error.kind);
        }
        let status = answered.as_ref().ok().map(|answer| answer.status);
        let mut line = self.line(on, transport);
        finish(&mut line, seen, status, begun.elapsed());
        let transport = transport.unwrap_or(Transport::Direct);
        let wire = answered.map(|answer| answer.into_wire(transport, self.payments.color));
        (line, wire)
    }

    fn health(&self, on: &Invocation) -> Answer {
        let body = json!({
            "status": "ok",
            "environment": self.payments.environment,
            "color": self.payments.color.as_str(),
            "version": on.version,
        });
        Answer::json(200, body.to_string())
    }

    fn fits(&self, bytes: usize) -> Result<(), Problem> {
        if bytes <= self.body_bytes_max {
            return Ok(());
        }
        let detail = format!("The body may have {} bytes.", self.body_bytes_max);
        Err(Problem::new(Code::BodyTooLarge, detail))
    }

    fn line(&self, on: &Invocation, transport: Option<Transport>) -> EventLine {
        let color = self.payments.color.as_str();
        let mut line = EventLine::new(
            "payment-validation",
            &self.payments.environment,
            Some(color),
        );
        line.set("requestId", on.request_id.as_str())
            .set("version", on.version.as_str());
        if let Some(trace_id) = &on.trace_id {
            line.set("traceId", trace_id.as_str());
        }
        if let Some(transport) = transport {
            line.set("transport", transport.as_str());
        }
        line
    }
}

/// Adds what was seen, and the metrics. Counts are there in every line, zeros too, so that an alarm never lacks data.
fn finish(line: &mut EventLine, seen: Seen, status: Option<u16>, took: Duration) {
    line.set("durationMs", milliseconds(took))
        .set("outcome", seen.outcome);
    if let Some(route) = seen.route {
        line.set("route", route.as_str());
    }
    if let Some(status) = status {
        line.set("status", status);
    }
    if let Some(code) = seen.code {
        line.set("code", code);
    }
    if let Some(effect) = seen.effect {
        line.set("effect", effect);
    }
    if let Some(cause) = seen.cause {
        line.set("error", format!("{cause}: {}", cause.source));
    }
    // What is not even routed is a request that was refused.
    let request = seen.route.is_none_or(Route::is_request);
    let refused = status.is_none_or(|status| (400..500).contains(&status));
    let failed = request && status.is_some_and(|status| status >= 500);
    for (name, counted) in [
        ("Requests", request),
        ("Payments", seen.paid),
        ("Replays", seen.replayed),
        ("Refusals", refused),
        ("Failures", failed),
    ] {
        line.metric(name, u8::from(counted), Unit::Count);
    }
    line.metric("DurationMs", milliseconds(took), Unit::Milliseconds);
    seen.hops.metrics(line);
    if let Some(sweep) = seen.swept {
        sweep.metrics(line);
    }
}

impl<S, L, T, K> Function for PaymentValidation<S, L, T, K>
where
    S: SessionStore,
    L: Ledger,
    T: TransactionLog,
    K: Secrets,
{
    async fn handle(&self, event: &RawValue, on: &Invocation) -> Result<Value, InvocationError> {
        let (line, answered) = self.answer(event, on).await;
        line.emit();
        answered
    }
}

/// What only checks needs no key: a missing transaction id is a finding like any other.
fn for_route(route: Route, problem: Problem) -> Problem {
    if route == Route::Validate && problem.code == Code::IdempotencyKeyMissing {
        Problem::invalid(problem.findings, true)
    } else {
        problem
    }
}

fn receipt(paid: Paid) -> Answer {
    let answer = Answer::json(paid.response.status, paid.response.body);
    if paid.replayed {
        answer.with("idempotency-replayed", "true")
    } else {
        answer
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validated<'a> {
    valid: bool,
    transaction_id: &'a str,
    amount: i64,
    currency: &'static str,
    exponent: u8,
    amount_decimal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<CardSummary>,
}

fn validated(order: &Order) -> Answer {
    let money = order.request.money();
    let body = Validated {
        valid: true,
        transaction_id: order.request.transaction_id(),
        amount: money.minor_units(),
        currency: money.currency().code(),
        exponent: money.currency().exponent(),
        amount_decimal: money.decimal(),
        card: order.request.card(),
    };
    // A struct of text and numbers always serializes.
    Answer::json(200, serde_json::to_string(&body).unwrap_or_default())
}

#[cfg(test)]
#[path = "handler_tests.rs"]
mod tests;
