//! Steady traffic at a set rate: an open loop, so a slow answer does not slow the next payment down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Color;
use super::case::{Case, Cases, Payment};
use super::client::{Answer, PaymentClient};
use super::telemetry::Telemetry;

/// How long a client goes on asking for an answer to one payment.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Answered payments that may be repeated.
const REPEATABLE_MAX: usize = 512;
/// Answers of an unexpected kind that are kept for the report.
const SURPRISES_MAX: usize = 20;

/// How a payment ended, from its client's view.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Answered 201.
    Accepted {
        /// The body of the first such answer.
        body: Value,
    },
    /// Answered that it will never be.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Not answered in time.
    Open,
}

/// A payment and how it ended.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The payment as it was meant.
    pub payment: Payment,
    /// Its end.
    pub outcome: Outcome,
}

/// Everything that the clients know at the end.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Payments that should be there once if they were accepted.
    pub sent: Vec<Sent>,
    /// Ids of bodies that were refused, which must be found nowhere.
    pub refused: Vec<String>,
    /// Requests in all, repeated attempts included.
    pub attempts: u64,
    /// Recorded answers seen again.
    pub replayed: u64,
    /// Attempts by kind of case.
    pub cases: BTreeMap<&'static str, u64>,
    /// Answers that no rule of the contract explains.
    pub surprises: Vec<String>,
    /// How many such answers there were.
    pub surprise_count: u64,
}

#[derive(Debug)]
struct Shared {
    client: PaymentClient,
    telemetry: Arc<Telemetry>,
    ledger: Mutex<Ledger>,
    repeatable: Mutex<Vec<(Payment, Value)>>,
}

/// Traffic that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    shared: Arc<Shared>,
}

impl Load {
    /// Starts `rate` cases a second, of which at most `in_flight_max` are played at once.
    pub fn start(
        client: PaymentClient,
        cases: Cases,
        (rate, in_flight_max): (u32, usize),
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let shared = Arc::new(Shared {
            client,
            telemetry,
            ledger: Mutex::default(),
            repeatable: Mutex::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let slots = Arc::new(Semaphore::new(in_flight_max));
        let task = tokio::spawn(run(Arc::clone(&shared), cases, rate, slots, stopped));
        Self { stop, task, shared }
    }

    /// Stops the traffic, waits until every payment has its answer, and hands over what the clients know.
    pub async fn finish(self) -> Ledger {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            self.shared
                .surprise(format!("the load generator failed: {error}"));
        }
        std::mem::take(&mut *self.shared.ledger())
    }
}

async fn run(
    shared: Arc<Shared>,
    mut cases: Cases,
    rate: u32,
    slots: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut clients = JoinSet::new();
    let mut tick = interval(Duration::from_secs(1) / rate.max(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        let case = cases.next(shared.accepted());
        let shared = Arc::clone(&shared);
        clients.spawn(async move {
            shared.play(case).await;
            drop(slot);
        });
        while clients.try_join_next().is_some() {}
    }
    while clients.join_next().await.is_some() {}
}

impl Shared {
    async fn play(&self, case: Case) {
        match case {
            Case::New(payment) => {
                self.count("new");
                let outcome = self.until_answered(&payment).await;
                self.note(payment, outcome);
            }
            Case::Race(payment) => {
                self.count("race");
                let (one, other) =
                    tokio::join!(self.until_answered(&payment), self.until_answered(&payment));
                if one != other {
                    self.surprise(format!(
                        "{}: one client saw {one:?}, the other {other:?}",
                        payment.transaction_id
                    ));
                }
                self.note(payment, one);
            }
            Case::Impatient(payment) => {
                self.count("impatient");
                let hang_up = Duration::from_millis(fastrand::u64(1..30));
                let _hung_up = tokio::time::timeout(hang_up, self.attempt(&payment)).await;
                let outcome = self.until_answered(&payment).await;
                self.note(payment, outcome);
            }
            Case::Repeat(payment) => {
                self.count("repeat");
                self.repeat(&payment).await;
            }
            Case::Reused(payment) => {
                self.count("reused");
                let answer = self.settle(|| self.attempt(&payment)).await;
                self.expect(&answer, 422, "a used key with another amount");
            }
            Case::Invalid {
                transaction_id,
                body,
            } => {
                self.count("invalid");
                let answer = self.settle(|| self.send(None, body.clone())).await;
                if !matches!(answer.status, 400 | 422) {
                    self.unexpected(&answer, "an invalid body");
                }
                self.ledger().refused.push(transaction_id);
            }
        }
    }

    async fn repeat(&self, payment: &Payment) {
        let recorded = {
            let repeatable = self
                .repeatable
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            repeatable
                .iter()
                .find(|(p, _)| p.transaction_id == payment.transaction_id)
                .map(|(_, body)| body.clone())
        };
        let answer = self.settle(|| self.attempt(payment)).await;
        self.expect(&answer, 201, "a repeated payment");
        if answer.status == 201 {
            self.ledger().replayed += 1;
            if !answer.replayed || recorded.is_some_and(|body| body != answer.body) {
                self.unexpected(&answer, "a repeated payment's recorded answer");
            }
        }
    }

    /// Sends a payment again and again, as its answers allow, until one of them is final.
    async fn until_answered(&self, payment: &Payment) -> Outcome {
        let answer = self.settle(|| self.attempt(payment)).await;
        match answer.status {
            201 => Outcome::Accepted { body: answer.body },
            status if answer.retryable() => {
                self.unexpected(
                    &answer,
                    &format!("{}: no final answer ({status})", payment.transaction_id),
                );
                Outcome::Open
            }
            status => {
                self.unexpected(&answer, "a good payment");
                Outcome::Refused { status }
            }
        }
    }

    async fn settle<F: Future<Output = Answer>>(&self, attempt: impl Fn() -> F) -> Answer {
        let started = Instant::now();
        loop {
            let answer = attempt().await;
            if !answer.retryable() || started.elapsed() > PATIENCE {
                return answer;
            }
            let pause = answer
                .retry_after
                .unwrap_or(Duration::from_millis(250))
                .min(PAUSE_MAX);
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        }
    }

    async fn attempt(&self, payment: &Payment) -> Answer {
        self.send(payment.key.as_deref(), payment.body.to_string())
            .await
    }

    async fn send(&self, key: Option<&str>, body: String) -> Answer {
        let started = Instant::now();
        let answer = self.client.pay(key, body).await;
        let color = answer.color.as_deref().and_then(|name| {
            Color::BOTH
                .into_iter()
                .find(|color| color.to_string() == name)
        });
        let failed = answer.status == 0 || answer.status >= 500;
        self.telemetry.attempt(color, failed, started.elapsed());
        self.ledger().attempts += 1;
        answer
    }

    fn note(&self, payment: Payment, outcome: Outcome) {
        if let Outcome::Accepted { body } = &outcome {
            let mut repeatable = self
                .repeatable
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if repeatable.len() < REPEATABLE_MAX {
                repeatable.push((payment.clone(), body.clone()));
            } else {
                let slot = fastrand::usize(..REPEATABLE_MAX);
                repeatable[slot] = (payment.clone(), body.clone());
            }
        }
        self.ledger().sent.push(Sent { payment, outcome });
    }

    /// A payment that was accepted a while ago, if there is one.
    fn accepted(&self) -> Option<Payment> {
        let repeatable = self
            .repeatable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (!repeatable.is_empty()).then(|| repeatable[fastrand::usize(..repeatable.len())].0.clone())
    }

    fn count(&self, kind: &'static str) {
        *self.ledger().cases.entry(kind).or_default() += 1;
    }

    fn expect(&self, answer: &Answer, status: u16, what: &str) {
        if answer.status != status {
            self.unexpected(answer, what);
        }
    }

    fn unexpected(&self, answer: &Answer, what: &str) {
        self.surprise(format!("{what}: {} {}", answer.status, answer.body));
    }

    fn surprise(&self, what: String) {
        let mut ledger = self.ledger();
        ledger.surprise_count += 1;
        if ledger.surprises.len() < SURPRISES_MAX {
            ledger.surprises.push(what);
        }
    }

    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
