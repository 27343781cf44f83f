//! What Cutover needs from the world, in the domain's words: traits, their errors, and fakes behind the feature `fakes`.

pub mod payment;
