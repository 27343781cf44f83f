//! Whatever dies, stops, fails or is not heard of, at whichever call of a payment: two clients who try again get the same
//! answer, and there is one row, one log object and one completed session.
//!
//! The functions are the real binaries, blue and green, each between proxies that stop a chosen call at a chosen point.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cutover_tests::database::Engine;
use cutover_tests::payer::{Answer, INVOCATION, payment, persist};
use cutover_tests::sandbox::Pending;
use cutover_tests::wire::{Call, Fault, Plan, Point, Wire};
use cutover_tests::world::{COLORS, Function, World};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Cases at once: most of a case's time is waiting for a lease.
const AT_ONCE: usize = 28;
/// Until a planned fault has come true, or the function has answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// The remote calls of a first payment, in their order.
const CALLS: [Call; 6] = [
    Call::HashSecret,
    Call::Claim,
    Call::DatabaseSecret,
    Call::Insert,
    Call::Object,
    Call::Complete,
];

/// Those of an attempt that finds a session whose lease is over.
const CALLS_OF_RETRY: [Call; 7] = [
    Call::HashSecret,
    Call::Claim,
    Call::TakeOver,
    Call::DatabaseSecret,
    Call::Insert,
    Call::Object,
    Call::Complete,
];
/// The time of an attempt that dies before the one that is struck: its lease is what a case waits for.
const SEED_TIME: Duration = Duration::from_secs(2);
/// After the end of its invocation an attempt's lease has this long to go, and a moment more.
const LEASE_SLACK: Duration = Duration::from_millis(5_200);

/// What happens to the attempt that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// kill -9.
    Kill,
    /// Paused until both clients are done: what it still does, it does late.
    PauseLong,
    /// Paused until another attempt takes over: both run at once.
    PauseRace,
    /// An error is answered, once.
    Error,
    /// An error is answered to every such call.
    Errors,
    /// The connection is closed without an answer, once.
    Lost,
    /// The connection is closed at every such call.
    Losses,
}

const BLOWS: [Blow; 7] = [
    Blow::Kill,
    Blow::PauseLong,
    Blow::PauseRace,
    Blow::Error,
    Blow::Errors,
    Blow::Lost,
    Blow::Losses,
];

const BLOWS_OF_RETRY: [Blow; 4] = [Blow::Kill, Blow::PauseRace, Blow::Errors, Blow::Losses];

/// Which attempt is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Struck {
    /// The first one.
    First,
    /// One after another that died with its row written: whatever it says, the payment is made.
    Retry,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    struck: Struck,
    call: Call,
    point: Point,
    blow: Blow,
    /// Position in the table: the victim's color alternates with it.
    number: usize,
}

impl Case {
    fn plan(self) -> Plan {
        let (fault, always) = match self.blow {
            Blow::Kill => (Fault::Kill, false),
            Blow::PauseLong | Blow::PauseRace => (Fault::Pause, false),
            Blow::Error => (Fault::Error, false),
            Blow::Errors => (Fault::Error, true),
            Blow::Lost => (Fault::Lost, false),
            Blow::Losses => (Fault::Lost, true),
        };
        Plan {
            call: self.call,
            point: self.point,
            fault,
            always,
        }
    }

    fn key(self) -> String {
        format!("{:?}-{}", self.struck, self.number)
    }

    fn pauses(self) -> bool {
        matches!(self.blow, Blow::PauseLong | Blow::PauseRace)
    }

    /// Whether the first attempt gives no answer in its time.
    fn hangs(self) -> bool {
        self.pauses() || self.blow == Blow::Kill
    }

    /// Whether there is a session before the blow.
    fn claimed(self) -> bool {
        let unclaimed = matches!(
            (self.call, self.point),
            (Call::HashSecret, _) | (Call::Claim, Point::Before)
        );
        self.struck == Struck::Retry || !unclaimed
    }
}

/// The outcome of a case.
struct Cell {
    case: Case,
    /// What the first attempt said, and how long it took until both clients had their answer.
    text: String,
    wrong: Vec<String>,
}

/// The processes of a case: the first attempt's, and one of each color for all further attempts.
struct Cast {
    world: Arc<World>,
    key: String,
    event: Value,
    victim: Function,
    same: Function,
    other: Function,
    healthy: Arc<Wire>,
    /// Log objects that an attempt before wrote.
    seed_puts: AtomicUsize,
}

impl Cast {
    async fn gather(world: &Arc<World>, case: Case) -> Self {
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
    async fn seed(&self, case: Case) -> Result<(), String> {
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

    fn rows(&self) -> Vec<String> {
        tokio::task::block_in_place(|| self.world.database.rows(&self.key))
    }

    /// Both clients at once until each has a final answer.
    async fn both(&self) -> Result<(Answer, Answer), String> {
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
    async fn check_none(&self, wrong: &mut Vec<String>) {
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
    async fn wake(&self, case: Case, done: &Arc<Semaphore>) {
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
    async fn check_end(&self, answers: &[&Answer], wrong: &mut Vec<String>) {
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

/// What the victim said in the time that it had; nothing if it was killed or paused.
async fn strike(case: Case, cast: &Cast, pending: &mut Pending) -> Result<Option<Answer>, String> {
    if case.hangs() {
        let fired = tokio::time::timeout(PATIENCE, cast.victim.wire.fired()).await;
        fired.map_err(|_| "the fault never came true")?;
        match case.blow {
            Blow::Kill => cast.victim.sandbox.kill(),
            _ => cast.victim.sandbox.pause(),
        }
        return Ok(None);
    }
    let said = pending.wait(PATIENCE).await;
    let said = said.ok_or("the first attempt neither answered nor died")?;
    if !cast.victim.wire.has_fired() {
        return Err("the fault never came true".to_owned());
    }
    Answer::read(&said).map(Some)
}

async fn run(world: Arc<World>, case: Case) -> Cell {
    let mut wrong = Vec::new();
    let cast = Cast::gather(&world, case).await;
    let text = match play(case, &cast, &mut wrong).await {
        Ok(text) => text,
        Err(error) => {
            wrong.push(error);
            "failed".to_owned()
        }
    };
    Cell { case, text, wrong }
}

async fn play(case: Case, cast: &Cast, wrong: &mut Vec<String>) -> Result<String, String> {
    if case.struck == Struck::Retry {
        cast.seed(case).await?;
    }
    let began = Instant::now();
    let mut pending = cast.victim.sandbox.begin(&cast.event, INVOCATION).await;
    let first = strike(case, cast, &mut pending).await?;
    if first.as_ref().is_some_and(Answer::says_none) {
        cast.check_none(wrong).await;
    }
    // Closed once both clients are done.
    let done = Arc::new(Semaphore::new(0));
    let clients = async {
        let answers = cast.both().await;
        done.close();
        (answers, began.elapsed())
    };
    let late = async {
        if !case.pauses() {
            return None;
        }
        cast.wake(case, &done).await;
        pending.wait(PATIENCE).await
    };
    let ((answers, took), late) = tokio::join!(clients, late);
    let (one, two) = answers?;
    let mut told = vec![&one, &two];
    // What comes after the invocation's end reaches no client; but if it says that the payment is made, it says it right.
    let late = late.map(|said| Answer::read(&said)).transpose()?;
    told.extend(
        first
            .iter()
            .chain(&late)
            .filter(|answer| answer.status == 201),
    );
    cast.check_end(&told, wrong).await;
    let first = first.or(late).map_or("-".to_owned(), |a| a.to_string());
    Ok(format!("{first} {:.1} s", took.as_secs_f64()))
}

fn cases(struck: Struck) -> Vec<Case> {
    let (calls, blows): (&[Call], &[Blow]) = match struck {
        Struck::First => (&CALLS, &BLOWS),
        Struck::Retry => (&CALLS_OF_RETRY, &BLOWS_OF_RETRY),
    };
    let mut cases = Vec::new();
    for &call in calls {
        for point in [Point::Before, Point::After] {
            for &blow in blows {
                let number = cases.len();
                cases.push(Case {
                    struck,
                    call,
                    point,
                    blow,
                    number,
                });
            }
        }
    }
    cases
}

/// Cells of both tables.
async fn run_all(engine: Engine) -> Vec<Cell> {
    let world = Arc::new(World::start(engine).await);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    // The longer ones first.
    for case in [Struck::Retry, Struck::First].into_iter().flat_map(cases) {
        let (world, turns) = (Arc::clone(&world), Arc::clone(&turns));
        running.spawn(async move {
            let _turn = turns.acquire_owned().await.expect("never closed");
            run(world, case).await
        });
    }
    let cells = running.join_all().await;
    if let Some(world) = Arc::into_inner(world) {
        world.stop().await;
    }
    cells
}

fn print(struck: Struck, blows: &[Blow], cells: &[Cell]) {
    let mut cells: Vec<_> = cells
        .iter()
        .filter(|cell| cell.case.struck == struck)
        .collect();
    cells.sort_by_key(|cell| cell.case.number);
    print!("{:24}", format!("{struck:?} attempt struck"));
    for blow in blows {
        print!("{:24}", format!("{blow:?}"));
    }
    for cell in cells {
        if cell.case.blow == blows[0] {
            let row = format!("{:?} {:?}", cell.case.point, cell.case.call);
            print!("\n{row:24}");
        }
        let verdict = if cell.wrong.is_empty() { "ok" } else { "BAD" };
        print!("{:24}", format!("{verdict} {}", cell.text));
    }
    println!("\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_crash_leaves_one_payment() {
    let mut wrong = Vec::new();
    for engine in Engine::ALL {
        let began = Instant::now();
        let cells = run_all(engine).await;
        println!(
            "{}: {} cases in {:.0?}; each cell: verdict, the struck attempt's answer, time until both clients had theirs",
            engine.name(),
            cells.len(),
            began.elapsed()
        );
        print(Struck::First, &BLOWS, &cells);
        print(Struck::Retry, &BLOWS_OF_RETRY, &cells);
        for cell in cells {
            for what in cell.wrong {
                wrong.push(format!("{:?}: {what}", cell.case));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} bad:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
