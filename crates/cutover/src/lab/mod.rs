//! The lab: the whole of Cutover on one machine, with real databases, real function binaries and the bundled template.

pub mod case;
pub mod client;
pub mod cloud;
pub mod fault_proxy;
pub mod journey;
pub mod ledgers;
pub mod load;
pub mod mariadb;
pub mod package;
pub mod plot;
pub mod process;
pub mod progress;
pub mod reconcile;
pub mod report;
pub mod show;
pub mod stack;
pub mod telemetry;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cutover_aws::call_error::CallError;

/// One of the two environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Color {
    /// Where the lab starts.
    Blue,
    /// Where it goes.
    Green,
}

impl Color {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Blue, Self::Green];
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

/// Why the lab could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A process or file could not be handled.
    #[error("{name}: could not {operation}")]
    Process {
        /// The process.
        name: String,
        /// What was tried.
        operation: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A process ended by itself.
    #[error("{name} ended ({status}); its log is {}", log.display())]
    Ended {
        /// The process.
        name: String,
        /// Its exit status.
        status: String,
        /// Where its output is.
        log: PathBuf,
    },
    /// Something that has to be there before the lab starts is not.
    #[error("{what}: {why}")]
    Setup {
        /// What is missing or failed.
        what: String,
        /// Why, or what to do.
        why: String,
    },
    /// A database refused.
    #[error("{server}: could not {operation}")]
    Database {
        /// Which server.
        server: String,
        /// What was tried.
        operation: &'static str,
        /// What the driver said.
        #[source]
        source: mysql_async::Error,
    },
    /// An AWS call failed.
    #[error(transparent)]
    Aws(#[from] CallError),
    /// Something did not happen in time.
    #[error("{what} took longer than {waited:?}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// A cutover did not go as it should.
    #[error("{0}")]
    Unexpected(String),
}

impl LabError {
    fn process(name: &str, operation: &str) -> impl Fn(io::Error) -> Self + use<> {
        let (name, operation) = (name.to_owned(), operation.to_owned());
        move |source| Self::Process {
            name: name.clone(),
            operation: operation.clone(),
            source,
        }
    }
}

/// A variable of the lab's own environment. The command line is no function: it may look.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line reads its own environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
