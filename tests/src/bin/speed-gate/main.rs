//! What may not grow unnoticed: instructions, calls and connections of a payment, and the size of the binary that ships.
//!
//! `speed-gate check <binary>` compares with the committed figures; `speed-gate record <binary>` commits new ones. Wall-clock
//! time is not gated: it depends on the machine, and these figures do not.

mod backend;
mod callgrind;
mod figures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cutover_tests::database::Engine;

use figures::Figures;

const USAGE: u8 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(command), Some(binary), None) = (words.next(), words.next(), words.next()) else {
        eprintln!("usage: speed-gate check|record <binary of payment-validation>");
        return ExitCode::from(USAGE);
    };
    let binary = PathBuf::from(binary);
    match command.as_str() {
        "check" => check(&figures(&binary).await),
        "record" => {
            figures(&binary).await.record();
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("unknown command {other}: it takes check or record");
            ExitCode::from(USAGE)
        }
    }
}

async fn figures(binary: &Path) -> Figures {
    let mut costs = BTreeMap::new();
    for engine in Engine::ALL {
        let cost = callgrind::measure(binary, engine).await;
        println!("{}: {cost:?}", engine.name());
        costs.insert(engine.name().to_owned(), cost);
    }
    Figures::of(binary, costs)
}

fn check(figures: &Figures) -> ExitCode {
    let worse = figures.verdict();
    for line in &worse {
        eprintln!("FAILED: {line}");
    }
    if worse.is_empty() {
        println!("Nothing grew.");
        ExitCode::SUCCESS
    } else {
        eprintln!(
            "If it is meant and worth it, say so in the commit, and `make record` the new figures."
        );
        ExitCode::FAILURE
    }
}
