//! What every Cutover function shares, and nothing that only one of them needs.
//!
//! - [`config`]: environment variables, read once, every mistake reported together.
//! - [`event_line`]: the one JSON line that an event leaves, metrics (CloudWatch Embedded Metric Format) included.
//! - [`deadline`]: how long an invocation may still work.
//! - [`clock`]: the wall clock, read at the edge only.
//! - [`run`]: the main of every function.

pub mod clock;
pub mod config;
pub mod deadline;
pub mod event_line;
pub mod run;

pub use config::{ConfigErrors, Vars};
pub use deadline::Deadline;
pub use event_line::{EventLine, Unit};
pub use run::{Function, Invocation};
