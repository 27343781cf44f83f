//! Cutover's command line, and the lab: the whole system on one machine.
#![allow(
    clippy::indexing_slicing,
    reason = "a tool at a terminal, no function: JSON is read by name, and a panic ends a lab, not a payment"
)]

pub mod journal;
pub mod lab;
pub mod operator;
