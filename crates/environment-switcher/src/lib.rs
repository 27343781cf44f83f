//! The function that moves traffic between the two environments.
//!
//! - [`config`]: its variables; [`config_routers`] and [`config_sources`] are parts of them.
//! - [`command`]: what operators ask for, from the wire to the domain.
//! - [`event`]: what it takes, from the wire to the domain.
//! - [`executor`]: carries out what `switch::step` decides.
//! - [`answer`]: what commands are answered with.
//! - [`plan`]: how a start would go.
//! - [`mod@resource`]: what CloudFormation asks for.
//! - [`handler`]: one event, from the trigger to the log line.

pub mod answer;
pub mod command;
pub mod config;
pub mod config_routers;
pub mod config_sources;
pub mod event;
pub mod executor;
mod fields;
pub mod handler;
pub mod plan;
pub mod resource;
mod strict_json;
