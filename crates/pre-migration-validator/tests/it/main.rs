//! The function against an estate, databases and a memory that do as a test says, and a server on loopback.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod checks;
mod commands;
mod long;
mod resources;
mod samples;
mod world;
