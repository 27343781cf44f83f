//! What the functions need of the world, in the domain's words: a trait per capability, its errors, and its fakes
//! (feature `fakes`).

pub mod memory;
pub mod parity;
pub mod payment;
pub mod rotation;
pub mod switch;
pub mod validation;
