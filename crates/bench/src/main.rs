//! `make bench`: payment-validation beside its peers, beside a function that does nothing, and beside the bare calls.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cutover_bench::functions::{self, FunctionRow};
use cutover_bench::report::{Report, name};
use cutover_bench::subject::{Kind, Subject};
use cutover_bench::world::World;
use cutover_bench::{machine, measure, plot, table};

/// Measures payment-validation beside its peers, and the other functions, and writes payment.json, payment.md and payment.svg
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// Folder of the release binaries
    #[arg(long, default_value = "target/release")]
    binaries: PathBuf,
    /// Folder of the peers that bench/peers/prepare.sh installed
    #[arg(long, default_value = "run/bench")]
    peers: PathBuf,
    /// Where the report goes
    #[arg(long, default_value = "run/bench")]
    out: PathBuf,
    /// Processes of each subject at each delay
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000))]
    processes: u16,
    /// Payments of a process after its first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    warm: u16,
    /// Delays of each call, in microseconds
    #[arg(long, value_delimiter = ',', default_values_t = [0, 3000])]
    delays_us: Vec<u32>,
    /// Only these subjects
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

const SWITCH: &str = "environment-switcher";
const ROTATION: &str = "secret-rotation";
const OTHERS: [&str; 2] = [SWITCH, ROTATION];

/// Payments of a process that makes its clients for each: it is slow, and its times differ little.
const WARM_IN_HANDLER: usize = 25;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cutover_bench::block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench failed: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let subjects = subjects(arguments);
    if subjects.is_empty() && OTHERS.iter().all(|name| other(arguments, name).is_none()) {
        return Err("there is nothing to measure: make bench builds it first".into());
    }
    let plan = measure::Plan {
        processes: usize::from(arguments.processes),
        warm: usize::from(arguments.warm),
        delays: arguments
            .delays_us
            .iter()
            .map(|us| Duration::from_micros((*us).into()))
            .collect(),
    };
    // Before the run makes a load of its own.
    let machine = machine::describe(&arguments.peers);
    let world = World::start(Duration::ZERO).await;
    let total = plan.processes;
    let all = measure::run(&world, &subjects, &plan, |done| {
        eprintln!("round {done} of {total}");
    })
    .await?;
    let functions = others(&world, arguments, &plan).await?;
    let report = Report::of(machine, total, &all, functions);
    let markdown = table::markdown(&report);
    println!("\n{markdown}");
    fs::create_dir_all(&arguments.out)?;
    let file = |name: &str| arguments.out.join(name);
    fs::write(
        file("payment.json"),
        serde_json::to_string_pretty(&report)? + "\n",
    )?;
    fs::write(file("payment.md"), markdown)?;
    let slowest = report.delays().last().copied().unwrap_or_default();
    fs::write(file("payment.svg"), plot::svg(&report, slowest))?;
    println!("written to {}", arguments.out.display());
    Ok(())
}

/// The other functions, at the longest delay, as far as they are there.
async fn others(
    world: &World,
    arguments: &Arguments,
    plan: &measure::Plan,
) -> Result<Vec<FunctionRow>, Box<dyn Error>> {
    let delay = plan.delays.iter().max().copied().unwrap_or_default();
    let mut rows = Vec::new();
    if let Some(switch) = other(arguments, SWITCH) {
        rows.push(functions::ticks(world, &switch, plan.processes, delay).await?);
    }
    if let Some(rotation) = other(arguments, ROTATION) {
        rows.push(functions::rotations(world, &rotation, plan.processes, delay).await?);
    }
    Ok(rows)
}

fn other(arguments: &Arguments, function: &str) -> Option<Subject> {
    let wanted = arguments.only.is_empty() || arguments.only.iter().any(|name| name == function);
    let binary = arguments.binaries.join(function);
    if wanted && !binary.exists() {
        eprintln!("{function} is left out: {} is missing", binary.display());
    }
    let binary = std::path::absolute(&binary).ok()?;
    (wanted && binary.exists()).then(|| Subject::function(function, &binary))
}

/// What is there of all subjects; what is not is said.
fn subjects(arguments: &Arguments) -> Vec<Subject> {
    let binary = |file: &str| arguments.binaries.join(file);
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let peers = absolute(&arguments.peers);
    let python = |name: &str, module: &str| {
        let folder = peers.join("python");
        let handler = format!("{module}.handler");
        let interpreter = folder.join("venv/bin/python");
        let mut subject = Subject::peer(
            name,
            &interpreter,
            &["-m", "awslambdaric", &handler],
            &folder.join("app"),
        );
        subject.package.extend(site_packages(&folder));
        subject
    };
    let node = found("node").unwrap_or_else(|| PathBuf::from("node"));
    let all = [
        Subject::function(name::EMPTY, &binary("empty")).of_kind(Kind::Empty, None),
        Subject::function(name::FLOOR, &binary("floor")),
        Subject::function(name::CUTOVER, &binary("payment-validation")),
        python(name::PYTHON_MODULE, "module_level"),
        python(name::PYTHON_HANDLER, "in_handler").of_kind(Kind::InHandler, Some(WARM_IN_HANDLER)),
        Subject::peer(name::NODE, &node, &["index.mjs"], &peers.join("node/app")),
    ];
    let wanted =
        |subject: &Subject| arguments.only.is_empty() || arguments.only.contains(&subject.name);
    all.into_iter()
        .filter(wanted)
        .map(|subject| Subject {
            command: absolute(&subject.command),
            ..subject
        })
        .filter(|subject| {
            let missing = std::iter::once(&subject.command)
                .chain(&subject.package)
                .find(|path| !path.exists());
            if let Some(missing) = missing {
                eprintln!(
                    "{} is left out: {} is missing",
                    subject.name,
                    missing.display()
                );
            }
            missing.is_none()
        })
        .collect()
}

fn site_packages(folder: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(folder.join("venv/lib")).ok()?;
    versions
        .flatten()
        .map(|version| version.path().join("site-packages"))
        .find(|path| path.is_dir())
}

/// A program in the usual folders.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool of an operator is found by its PATH"
)]
fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
