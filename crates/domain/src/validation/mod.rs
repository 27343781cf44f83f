//! What is decided before a migration starts: which checks run, what each makes of what was seen, and what follows.
//!
//! - [`check`]: the checks' names, the statuses, a finding.
//! - [`properties`], [`plan`]: what was asked for, and which checks that means.
//! - [`obstacle`]: what it means that something could not be looked at.
//! - [`facts`]: what is seen of each thing; [`clusters`], [`stores`], [`services`], [`replication`]: what is made of it.
//! - [`reconciliation`]: sessions, ledgers and log objects against each other.
//! - [`report`], [`page`], [`text`]: the verdict, for programs, for people, and in few bytes.
//! - [`progress`]: what a validation that is longer than one invocation hands on.
//!
//! Nothing counts as healthy that was not seen: a check that could not look is `unknown`, and `unknown` never passes where
//! the validation is enforced.

pub mod check;
pub mod clusters;
pub mod facts;
pub mod obstacle;
pub mod page;
pub mod plan;
pub mod progress;
pub mod properties;
pub mod reconciliation;
pub mod replication;
pub mod report;
pub mod services;
pub mod stores;
pub mod text;

pub use check::{Check, Finding, Judgement, Status};
pub use obstacle::Obstacle;
pub use plan::Plan;
pub use properties::{Mode, Properties};
pub use report::Report;
