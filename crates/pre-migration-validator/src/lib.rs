//! The function without whose word no migration starts.
//!
//! - [`config`]: its variables.
//! - [`event`]: what it takes.
//! - [`estate`]: everything that it looks at, behind ports.
//! - [`checks`], [`databases`], [`evidence`]: one look per check; what is made of it is decided in the domain.
//! - [`validation`]: all checks side by side, under one time budget, over as many invocations as it takes.
//! - [`fence`], [`schema`]: the two things that it writes to databases.
//! - [`handler`]: one event, from CloudFormation or an operator to the log line.

pub mod checks;
pub mod config;
pub mod databases;
pub mod estate;
pub mod event;
pub mod evidence;
pub mod fence;
pub mod handler;
pub mod schema;
pub mod validation;
