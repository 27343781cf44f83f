//! The protocol against a server on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod answers;
mod envelopes;
mod gates;
