//! The function that moves traffic between the two environments.
//!
//! - [`config`]: its variables.
//! - [`event`]: what it takes, from the wire to the domain.
//! - [`executor`]: carries out what `switch::step` decides.
//! - [`answer`]: what commands are answered with.
//! - [`mod@resource`]: what CloudFormation asks for.
//! - [`handler`]: one event, from the trigger to the log line.

pub mod answer;
pub mod config;
pub mod event;
pub mod executor;
pub mod handler;
pub mod resource;
