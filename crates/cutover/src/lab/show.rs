//! The lab from beginning to end, for a person: set up, run, reconcile, report, and leave nothing running.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cutover_aws::evidence::Evidence;
use tokio::signal::unix::{SignalKind, signal};

use super::journey::{self, Lab, LabOptions, Timings};
use super::load::Ledger;
use super::progress::Progress;
use super::reconcile::{Reconciliation, Written, reconcile};
use super::report::{self, Report, Traffic};
use super::telemetry::Telemetry;
use super::{Color, LabError};

/// The promise: 100 % on the previous environment within this many seconds of the first failure.
const ROLLBACK_MAX_SECONDS: u64 = 300;

/// Runs the lab and prints what came of it.
///
/// # Errors
/// What failed, in a sentence: the lab itself, a cutover, or the reconciliation.
pub async fn show(options: &LabOptions) -> Result<(), String> {
    let began = Instant::now();
    // The databases change their working folder.
    let folder = std::path::absolute(&options.folder).map_err(|error| error.to_string())?;
    let options = &LabOptions {
        folder,
        ..options.clone()
    };
    prepare(&options.folder).map_err(|error| describe(&error))?;
    println!(
        "Bringing up two databases, the local cloud and the stack. Logs: {}",
        options.folder.join("logs").display()
    );
    let mut lab = tokio::select! {
        lab = Lab::start(options) => lab.map_err(|error| describe(&error))?,
        () = interrupted() => return Err("stopped".to_owned()),
    };
    println!(
        "Up after {:.0?}. Sending {} payments a second.\n",
        began.elapsed(),
        options.rate
    );
    let telemetry = Arc::new(Telemetry::begin());
    let progress = Progress::start(Arc::clone(&telemetry));
    let ran = tokio::select! {
        ran = run_and_reconcile(&mut lab, options, &telemetry) => ran,
        () = interrupted() => Err(LabError::Unexpected("stopped".to_owned())),
    };
    progress.finish().await;
    lab.stop().await;
    let (reconciliation, timings) = ran.map_err(|error| describe(&error))?;
    let report = Report {
        reconciliation,
        timings,
        took: began.elapsed(),
        rate: options.rate,
        traffic: Traffic::of(&telemetry, &options.folder.join("logs")),
    };
    report::print(&report);
    let path =
        report::write(&report, &telemetry, &options.folder).map_err(|error| describe(&error))?;
    println!("\nReport: {}", path.display());
    verdict(&report)
}

async fn run_and_reconcile(
    lab: &mut Lab,
    options: &LabOptions,
    telemetry: &Arc<Telemetry>,
) -> Result<(Reconciliation, Timings), LabError> {
    let (known, timings) = journey::run(lab, options, telemetry).await?;
    telemetry.mark("traffic has ended: every payment is looked up");
    let written = read_back(lab).await?;
    Ok((check(&known, &written), timings))
}

fn check(known: &Ledger, written: &Written) -> Reconciliation {
    let mut found = reconcile(known, written);
    found.differences.extend(
        known
            .surprises
            .iter()
            .map(|what| format!("unexpected answer: {what}")),
    );
    found
}

/// Reads everything that was written, once both ledgers have what the other wrote.
///
/// # Errors
/// A place that can't be read.
pub async fn read_back(lab: &Lab) -> Result<Written, LabError> {
    lab.ledgers.catch_up().await?;
    let evidence = Evidence::new(&lab.cloud.config().await);
    let mut written = Written {
        sessions: evidence
            .sessions(lab.outputs.get("SessionTableName")?)
            .await?,
        log_keys: evidence
            .keys(
                lab.outputs.get("TransactionLogBucketName")?,
                "transactions/",
            )
            .await?,
        ..Written::default()
    };
    for color in Color::BOTH {
        written
            .ledgers
            .insert(color, lab.ledgers.entries(color).await?);
    }
    Ok(written)
}

fn verdict(report: &Report) -> Result<(), String> {
    if !report.reconciliation.is_clean() {
        return Err("the reconciliation found differences".to_owned());
    }
    if report.timings.rollback.as_secs() > ROLLBACK_MAX_SECONDS {
        return Err(format!(
            "the rollback took longer than {ROLLBACK_MAX_SECONDS} s"
        ));
    }
    Ok(())
}

fn prepare(folder: &Path) -> Result<(), LabError> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(LabError::process("lab", "empty its folder"))?;
    }
    std::fs::create_dir_all(folder.join("logs"))
        .map_err(LabError::process("lab", "create its folder"))
}

/// Ctrl-C or a termination signal.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
