//! `cutover`: an operator's commands to the switch, and the lab.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use cutover::lab::journey::LabOptions;
use cutover::operator::{self, Start, Target};
use serde_json::json;

/// Moves a live payment system from blue to green, and back when the numbers say so.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs two cutovers on this machine, one of a bad green and one of a good one, and reconciles every payment.
    Lab(LabArgs),
    /// Begins a migration.
    Start {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        start: Start,
    },
    /// Shows how a start would go, every check, and how long a rollback may take. Changes nothing.
    Plan {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        start: Start,
    },
    /// Proves the alarm path: trips an alarm, and waits for its event.
    Drill {
        #[command(flatten)]
        target: Target,
        /// The alarm; a guard of the candidate where none is named.
        #[arg(long)]
        alarm: Option<String>,
    },
    /// Shows where the switch stands.
    Status(#[command(flatten)] Target),
    /// Shows the journal.
    History(#[command(flatten)] Target),
    /// Checks the journal's hash chain, and shows it; fails where it is broken.
    VerifyJournal {
        #[command(flatten)]
        target: Target,
        /// Only this migration's entries.
        #[arg(long)]
        migration_id: Option<String>,
    },
    /// Holds a migration where it is.
    Pause(#[command(flatten)] Target),
    /// Goes on after a pause.
    Resume(#[command(flatten)] Target),
    /// Goes to 100 % at once, guards permitting.
    Promote(#[command(flatten)] Target),
    /// Takes all traffic back. Taken in every phase.
    Rollback(#[command(flatten)] Target),
}

#[derive(Debug, clap::Args)]
struct LabArgs {
    /// The checkout.
    #[arg(long, default_value = ".")]
    project: PathBuf,
    /// Folder of the functions' binaries.
    #[arg(long, default_value = "target/debug")]
    binaries: PathBuf,
    /// Folder that the lab works in; what is in it is deleted.
    #[arg(long, default_value = "run/lab")]
    folder: PathBuf,
    /// Payments a second.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    rate: u32,
    /// Seed of the requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that stand for a minute of the tick's schedule.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    tick_seconds: u32,
    /// Payments in flight at most: clients that wait for their answer.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4_096))]
    clients: u16,
    /// Only steady traffic for this many seconds, and no cutover.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    steady_seconds: Option<u64>,
}

impl From<LabArgs> for LabOptions {
    fn from(args: LabArgs) -> Self {
        Self {
            project: args.project,
            binaries: args.binaries,
            folder: args.folder,
            rate: args.rate,
            seed: args.seed,
            tick_seconds: args.tick_seconds,
            in_flight_max: usize::from(args.clients),
            steady: args.steady_seconds.map(Duration::from_secs),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Lab(args) => cutover::lab::show::show(&args.into()).await,
            Command::Start { target, start } => {
                operator::command(&target, start.payload("start")).await
            }
            Command::Plan { target, start } => {
                operator::command(&target, start.payload("plan")).await
            }
            Command::Drill { target, alarm } => {
                let payload = match alarm {
                    Some(alarm) => json!({"action": "drill", "alarm": alarm}),
                    None => json!({"action": "drill"}),
                };
                operator::command(&target, payload).await
            }
            Command::VerifyJournal {
                target,
                migration_id,
            } => operator::verify_journal(&target, migration_id.as_deref()).await,
            Command::Status(target) => {
                operator::command(&target, json!({"action": "status"})).await
            }
            Command::History(target) => {
                operator::command(&target, json!({"action": "history"})).await
            }
            Command::Pause(target) => operator::command(&target, json!({"action": "pause"})).await,
            Command::Resume(target) => {
                operator::command(&target, json!({"action": "resume"})).await
            }
            Command::Promote(target) => {
                operator::command(&target, json!({"action": "promote"})).await
            }
            Command::Rollback(target) => {
                operator::command(&target, json!({"action": "rollback"})).await
            }
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("cutover: {why}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    /// clap looks at its own tree only when it is used, and then panics.
    #[test]
    fn the_tree_of_commands_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_an_operator_is_understood() {
        for command in [
            "start --to green --step-percent 10",
            "plan --to green",
            "drill --alarm errors-green",
            "status",
            "history",
            "verify-journal --migration-id m-1",
            "pause",
            "resume",
            "promote",
            "rollback",
        ] {
            let line = format!("cutover {command} --environment dev-payment-ab12cd34");
            let understood = Cli::command().try_get_matches_from(line.split(' '));
            assert!(understood.is_ok(), "{line}: {understood:?}");
        }
    }
}
