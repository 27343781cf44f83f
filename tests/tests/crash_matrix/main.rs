//! Whatever dies, stops, fails or is not heard of, at whichever call of a payment: two clients who try again get the same
//! answer, and there is one row, one log object and one completed session.
//!
//! The functions are the real binaries, blue and green, each between proxies that stop a chosen call at a chosen point.

mod case;
mod crew;

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_tests::database::Engine;
use cutover_tests::payer::{Answer, INVOCATION};
use cutover_tests::sandbox::Pending;
use cutover_tests::world::World;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case::{BLOWS, BLOWS_OF_RETRY, Blow, Case, Struck, cases};
use crate::crew::{Crew, PATIENCE};

/// Cases at once: most of a case's time is waiting for a lease.
const AT_ONCE: usize = 28;
/// Between the starts of two cases: a crowd of cold starts would use up the time of its invocations.
const APART: Duration = Duration::from_millis(100);
/// The outcome of a case.
struct Cell {
    case: Case,
    /// What the first attempt said, and how long it took until both clients had their answer.
    text: String,
    wrong: Vec<String>,
}

/// What the victim said in the time that it had; nothing if it was killed or paused.
async fn strike(case: Case, crew: &Crew, pending: &mut Pending) -> Result<Option<Answer>, String> {
    if case.hangs() {
        let fired = tokio::time::timeout(PATIENCE, crew.victim.wire.fired()).await;
        fired.map_err(|_| "the fault never came true")?;
        match case.blow {
            Blow::Kill => crew.victim.sandbox.kill(),
            _ => crew.victim.sandbox.pause(),
        }
        return Ok(None);
    }
    let said = pending.wait(PATIENCE).await;
    let said = said.ok_or("the first attempt neither answered nor died")?;
    if !crew.victim.wire.has_fired() {
        return Err("the fault never came true".to_owned());
    }
    Answer::read(&said).map(Some)
}

async fn run(world: Arc<World>, case: Case) -> Cell {
    let mut wrong = Vec::new();
    let crew = Crew::gather(&world, case).await;
    let text = match play(case, &crew, &mut wrong).await {
        Ok(text) => text,
        Err(error) => {
            wrong.push(error);
            "failed".to_owned()
        }
    };
    Cell { case, text, wrong }
}

async fn play(case: Case, crew: &Crew, wrong: &mut Vec<String>) -> Result<String, String> {
    if case.struck == Struck::Retry {
        crew.seed(case).await?;
    }
    let began = Instant::now();
    let mut pending = crew.victim.sandbox.begin(&crew.event, INVOCATION).await;
    let first = strike(case, crew, &mut pending).await?;
    if first.as_ref().is_some_and(Answer::says_none) {
        crew.check_none(wrong).await;
    }
    // Closed once both clients are done.
    let done = Arc::new(Semaphore::new(0));
    let clients = async {
        let answers = crew.both().await;
        done.close();
        (answers, began.elapsed())
    };
    let late = async {
        if !case.pauses() {
            return None;
        }
        crew.wake(case, &done).await;
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
    crew.check_end(&told, wrong).await;
    let first = first.or(late).map_or("-".to_owned(), |a| a.to_string());
    Ok(format!("{first} {:.1} s", took.as_secs_f64()))
}

/// Cells of both tables.
async fn run_all(engine: Engine) -> Vec<Cell> {
    let world = Arc::new(World::start(engine).await);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    // The longer ones first.
    for case in [Struck::Retry, Struck::First].into_iter().flat_map(cases) {
        tokio::time::sleep(APART).await;
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
    let began = Instant::now();
    for (engine, running) in Engine::ALL.map(|engine| (engine, tokio::spawn(run_all(engine)))) {
        let cells = running.await.expect("no panic");
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
                wrong.push(format!("{} {:?}: {what}", engine.name(), cell.case));
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
