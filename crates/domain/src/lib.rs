//! What Cutover decides, and nothing that it does: no I/O, no clock, no environment, no randomness.

pub mod parity;
pub mod payment;
pub mod rotation;
pub mod switch;
pub mod validation;
