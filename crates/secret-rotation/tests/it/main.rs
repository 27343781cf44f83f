//! Rotations of real accounts on real servers, of both engines and strategies, and on a model of MySQL 8.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod alternating;
mod connections;
mod crash;
mod mysql8;
mod names;
mod single_user;
mod steps;
mod sweep;
mod world;
