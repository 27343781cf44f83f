//! The function `payment-validation`: validates, records and completes payments, exactly once.
//!
//! - [`event`], [`route`]: from the wire to what is asked for; [`answer`]: back to the wire.
//! - [`handler`]: one event, its answer and its log line.
//! - [`pay`]: the remote calls of a payment, in their order, of which `post` is the effect; [`hops`]: how long each took;
//!   `meanwhile`: what goes on during them.
//! - [`lookup`]: the status of a payment; [`sweep`]: what dead attempts left behind.
//! - [`health`], [`self_test`]: whether its dependencies answer.
//! - [`config`], [`hash_keys`]: what the function is told, and the key that it reads.

pub mod answer;
pub mod config;
pub mod event;
mod event_http;
pub mod handler;
pub mod hash_keys;
pub mod health;
pub mod hops;
pub mod lookup;
mod meanwhile;
pub mod pay;
mod percent;
mod post;
pub mod route;
pub mod self_test;
pub mod sweep;
