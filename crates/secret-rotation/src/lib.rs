//! The function that rotates the ledgers' credentials.
//!
//! Secrets Manager asks it for four steps, each as often as it likes, and may give up or begin anew at any time. So each
//! step looks at what is there and does what is missing; and at every moment some stored version logs in.
//!
//! - [`config`]: its variables. [`event`]: what it takes.
//! - [`handler`]: one event, from the wire to the log line.
//! - [`rotation`]: the four steps.
//! - `single_user`, `alternating`: how the database takes the pending password, by strategy.
//! - `mysql_accounts`, `postgres_roles`: what is asked of the engines, and in which order what was decided is stated.
//! - `replicas`: servers that have to follow before the new password is handed out.
//! - `session`: logins and statements, counted.
//! - [`error`]: what goes wrong, and what it is called.
//!
//! What is decided is in `cutover_domain::rotation`.

mod alternating;
pub mod config;
pub mod error;
pub mod event;
pub mod handler;
mod mysql_accounts;
mod postgres_roles;
mod replicas;
pub mod rotation;
mod session;
mod single_user;
