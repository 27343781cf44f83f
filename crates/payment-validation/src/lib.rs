//! The function `payment-validation`: validates, records and completes payments, exactly once.
//!
//! - [`event`], [`route`]: from the wire to what is asked for; [`answer`]: back to the wire.
//! - [`handler`]: one event, its answer and its log line.
//! - [`pay`]: the remote calls of a payment, in their order; [`hops`]: how long each took.
//! - [`lookup`]: the status of a payment; [`sweep`]: what dead attempts left behind.
//! - [`config`], [`hash_keys`]: what the function is told, and the key that it reads.

pub mod answer;
pub mod config;
pub mod event;
mod event_http;
pub mod handler;
pub mod hash_keys;
pub mod hops;
pub mod lookup;
pub mod pay;
pub mod route;
pub mod sweep;
