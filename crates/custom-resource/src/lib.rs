//! CloudFormation's custom-resource protocol, for every function that is a custom resource.
//!
//! Source: "Custom resource reference" and "Response objects" of the AWS CloudFormation user guide. What it asks for, and
//! what is kept here for every handler: exactly one answer per event, before the deadline; ids verbatim; a body of at
//! most 4096 bytes of valid JSON; an empty content type; a physical id that never changes.

mod answer;
mod delivery;
mod event;
#[cfg(feature = "fakes")]
pub mod fakes;
mod protocol;

pub use answer::{BODY_BYTES_MAX, Verdict};
pub use delivery::{DeliveryError, ResponseUrl, UrlError};
pub use event::{EnvelopeError, PropertiesError, Request, RequestType, looks_like_custom_resource};
pub use protocol::{Protocol, ProtocolError, Served};
