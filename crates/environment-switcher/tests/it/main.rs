//! The function without AWS: the executor against a world in memory, and every sample event.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod answers;
mod checks;
mod drills;
mod events;
mod executor;
mod resources;
mod scenario_world;
mod scenarios;
mod several_routers;
mod telemetry;
mod world;
