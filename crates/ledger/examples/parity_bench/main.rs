//! How fast two ledgers are compared, and what the payments notice of it; beside `pt-table-checksum` on the same data, in
//! the same run. `make bench` runs it.
//!
//! ```text
//! parity_bench [--rows 1000000] [--out run/bench/parity.json]
//! ```
//!
//! Per engine: two servers, the same rows in both, green replicating from blue. Payments come into blue by the function's
//! own code at a fixed rate all the while. They are timed from the moment at which they were due, alone and beside each
//! comparison. At the end one cent is changed in green, which every tool has to find.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot set itself up has failed"
)]

mod load;
mod report;
mod servers;
mod tools;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::sleep;

use load::Load;
use report::{Report, Run};
use servers::{Engine, Servers};

/// How long the payments run alone.
const ALONE: Duration = Duration::from_secs(15);
/// How long they run before anything is measured.
const WARM: Duration = Duration::from_secs(3);
const ROWS: u32 = 1_000_000;

struct Arguments {
    rows: u32,
    out: PathBuf,
}

fn arguments() -> Arguments {
    let mut arguments = Arguments {
        rows: ROWS,
        out: PathBuf::from("run/bench/parity.json"),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next();
        match (word.as_str(), value) {
            ("--rows", Some(rows)) => {
                arguments.rows = rows.parse().expect("--rows takes a whole number");
            }
            ("--out", Some(path)) => arguments.out = PathBuf::from(path),
            _ => panic!("{word} is not known: --rows <number>, --out <file>"),
        }
    }
    arguments
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Arguments { rows, out } = arguments();
    let mut report = Report::new(rows);
    for engine in [Engine::MariaDb, Engine::Postgres] {
        println!("{}: two servers, {rows} payments each", engine.name());
        let servers = Rc::new(Servers::start(engine, rows));
        let runs = LocalSet::new()
            .run_until(measure(Rc::clone(&servers), rows))
            .await;
        report.runs.extend(runs);
    }
    println!("\n{report}");
    report.write(&out);
    println!("written to {}", out.display());
}

/// All runs on one engine.
async fn measure(servers: Rc<Servers>, rows: u32) -> Vec<Run> {
    let engine = servers.engine.name();
    let load = Load::start(&servers);
    sleep(WARM).await;
    load.mark();
    sleep(ALONE).await;
    let mut runs = vec![Run::alone(engine, load.since_mark(ALONE))];

    println!("{engine}: cutover, equal rows");
    load.mark();
    let (found, took) = tools::cutover(&servers).await;
    let verdict = tools::said(&found);
    assert!(found.differing.is_empty(), "false differences: {found:?}");
    runs.push(Run::of(
        engine,
        "cutover",
        found.blue_rows,
        took,
        verdict,
        load.since_mark(took),
    ));

    servers.change_a_cent();
    println!("{engine}: cutover, one changed cent");
    load.mark();
    let (found, took) = tools::cutover(&servers).await;
    assert_eq!(found.differing.len(), 1, "{found:?}");
    let verdict = tools::said(&found);
    runs.push(Run::of(
        engine,
        "cutover",
        found.blue_rows,
        took,
        verdict,
        load.since_mark(took),
    ));

    if servers.engine == Engine::MariaDb {
        println!("{engine}: pt-table-checksum, one changed cent");
        load.mark();
        match tools::pt_table_checksum(&servers, rows).await {
            Ok((rows, took, verdict)) => {
                let timed = load.since_mark(took);
                runs.push(Run::of(
                    engine,
                    "pt-table-checksum",
                    rows,
                    took,
                    verdict,
                    timed,
                ));
            }
            Err(why) => println!("pt-table-checksum is left out: {why}"),
        }
    }
    let failed = load.stop().await;
    assert_eq!(failed, 0, "payments failed");
    runs
}
