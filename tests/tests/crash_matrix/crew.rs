//! The processes of a case, and what must be there in the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cutover_tests::payer::{Answer, INVOCATION, payment, persist};
use cutover_tests::wire::{Call, Fault, Plan, Point, Wire};
use cutover_tests::world::{COLORS, Function, World};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::case::{Blow, Case};

/// Until a planned fault has come true, or the function has answered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The time of an attempt that dies before the one that is struck: its lease is what a case waits for.
const SEED_TIME: Duration = INVOCATION;
/// After the end of its invocation an attempt's lease has this long to go, and a moment more.
const LEASE_SLACK: Duration = Duration::from_millis(5_200);

/// The processes of a case: the first attempt's, and one of each color for all further attempts.
pub(crate) struct Crew {
    pub(crate) world: Arc<World>,
    pub(crate) key: String,
    pub(crate) event: Value,
    pub(crate) victim: Function,
    pub(crate) same: Function,
    pub(crate) other: Function,
    pub(crate) healthy: Arc<Wire>,
    /// Log objects that an attempt before wrote.
    pub(crate) seed_puts: AtomicUsize,
}

impl Crew {
    pub(crate) async fn gather(world: &Arc<World>, case: Case) -> Self {
        let color = COLORS[case.number % 2];
        let other = COLORS[(case.number + 1) % 2];
        let (armed, healthy) = (Arc::<Wire>::default(), Arc::<Wire>::default());
        armed.arm(case.plan());
        Self {
            world: Arc::clone(world),
            event: payment(&case.key()),
            key: case.key(),
            victim: world.function(color, &armed).await,
            same: world.function(color, &healthy).await,
            other: world.function(other, &healthy).await,
            healthy,
            seed_puts: AtomicUsize::new(0),
        }
    }

    /// An attempt that dies with its row written and its log object perhaps not, and the end of its lease.
    pub(crate) async fn seed(&self, case: Case) -> Result<(), String> {
        let wire = Arc::<Wire>::default();
        wire.arm(Plan {
            call: Call::Insert,
            point: Point::After,
            fault: Fault::Kill,
            always: false,
        });
        let color = COLORS[(case.number + 1) % 2];
        let seed = self.world.function(color, &wire).await;
        let _dies = seed.sandbox.begin(&self.event, SEED_TIME).await;
        let fired = tokio::time::timeout(PATIENCE, wire.fired()).await;
        fired.map_err(|_| "the seed never wrote its row")?;
        seed.sandbox.kill();
        tokio::time::sleep(SEED_TIME + LEASE_SLACK).await;
        self.seed_puts
            .store(wire.done(Call::Object), Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn rows(&self) -> Vec<String> {
        tokio::task::block_in_place(|| self.world.database.rows(&self.key))
    }

    /// Both clients at once until each has a final answer.
    pub(crate) async fn both(&self) -> Result<(Answer, Answer), String> {
        let (one, two) = tokio::join!(
            persist(&self.same.sandbox, &self.event, async |answer| known(
                answer
            )),
            persist(&self.other.sandbox, &self.event, async |answer| known(
                answer
            )),
        );
        Ok((one?, two?))
    }

    /// An attempt that nobody else ran beside said `none`: then nothing is there, and nothing is left that would be finished.
    pub(crate) async fn check_none(&self, wrong: &mut Vec<String>) {
        let rows = self.rows();
        if !rows.is_empty() {
            wrong.push(format!("told `none` with rows {rows:?}"));
        }
        let session = self.world.session(&self.key).await;
        let status = session.and_then(|session| session.get("status").cloned());
        if !matches!(status.as_deref(), None | Some("failed")) {
            wrong.push(format!("told `none` with a session {status:?}"));
        }
    }

    /// Lets a paused process go on, once others are where they should be.
    pub(crate) async fn wake(&self, case: Case, done: &Arc<Semaphore>) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) && !done.is_closed() {
            let taken_over = if case.claimed() {
                self.healthy.saw(Call::TakeOver)
            } else {
                self.healthy.saw(Call::Claim)
            };
            if case.blow == Blow::PauseRace && taken_over {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.victim.sandbox.resume();
        self.victim.wire.release();
    }

    /// What must be there in the end.
    pub(crate) async fn check_end(&self, answers: &[&Answer], wrong: &mut Vec<String>) {
        let rows = self.rows();
        if rows != ["completed"] {
            wrong.push(format!("ledger rows: {rows:?}"));
        }
        let marker = format!("/t-{}.", self.key);
        let objects = self.world.objects().await;
        let objects: Vec<_> = objects.iter().filter(|key| key.contains(&marker)).collect();
        if objects.len() != 1 {
            wrong.push(format!("log objects: {objects:?}"));
        }
        // The same bytes written twice would look like one object.
        let seed_puts = self.seed_puts.load(Ordering::Relaxed);
        let puts =
            seed_puts + self.victim.wire.done(Call::Object) + self.healthy.done(Call::Object);
        if puts != 1 {
            wrong.push(format!("the log object was written {puts} times"));
        }
        let session = self.world.session(&self.key).await.unwrap_or_default();
        let of = |name: &str| session.get(name).map_or("", String::as_str);
        if of("status") != "completed" {
            wrong.push(format!("the session is {:?}", of("status")));
        }
        for answer in answers {
            if answer.status != 201 || answer.body != of("responseBody") {
                wrong.push(format!("answered {answer} {}", answer.body));
            }
        }
        if answers.iter().filter(|answer| !answer.replayed).count() > 1 {
            wrong.push("more than one answer claims to be the first".to_owned());
        }
    }
}

/// Answers that the contract names for a payment that is tried again.
fn known(answer: &Answer) -> Result<(), String> {
    match answer.status {
        201 | 409 | 503 => Ok(()),
        _ => Err(format!("answered {answer} {}", answer.body)),
    }
}
