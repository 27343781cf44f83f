//! CloudFormation's custom-resource protocol, for every function that is a custom resource.
//!
//! Source: "Custom resource reference" and "Response objects" of the AWS CloudFormation user guide. What it asks for, and
//! what is kept here for every handler: exactly one answer per event, before the deadline; ids verbatim; a body of at
//! most 4096 bytes of valid JSON; an empty content type; a physical id that never changes.
//!
//! - `event`: the envelope first, which says where the answer goes and to whom; the properties only when they are asked for.
//! - `protocol`: the one path from an event to its answer, with the deadline guard.
//! - `memory`: the same request gets the same verdict; an Update that takes back a failed one is known as such.
//! - `answer`, `delivery`: the body, and the PUT.
//! - `progress`, `panics`: what the guard names, and what a defect becomes.

mod answer;
mod delivery;
mod event;
#[cfg(feature = "fakes")]
pub mod fakes;
mod memory;
mod panics;
mod progress;
mod protocol;

pub use answer::{BODY_BYTES_MAX, Verdict};
pub use delivery::{DeliveryError, ResponseUrl, UrlError};
pub use event::{EnvelopeError, PropertiesError, Request, RequestType, looks_like_custom_resource};
pub use panics::{Panicked, caught};
pub use progress::{Progress, Running};
pub use protocol::{Ended, Kind, Outcome, Protocol, ProtocolError, Served, Terms};
