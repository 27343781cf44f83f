//! A payment, from the text of a request to what is stored and answered: every decision, and no effect.
//!
//! - reading: [`json`] (strict), [`request`] (typed, every [`finding`]), [`order`] (with its key), [`inquiry`], [`card`], [`money`], [`currency`], [`text`]
//! - identity: [`scope`] (whose payment, under which key), [`hash`] (keyed hashes, the fingerprint)
//! - exactly once: [`session`] (the claim on a payment, and what an attempt may do with it)
//! - after the ledger has spoken: [`settle`]
//! - when an attempt died: [`sweep`]
//! - results: [`record`] (log object), [`receipt`] (success body), [`problem`] (error body)
//!
//! Card numbers and security codes exist in [`request::Request`] only, which wipes them when it is dropped.
//! [`request::Request::seal`] turns it into a [`request::Payment`], which holds brand, last four and a keyed hash.

pub mod card;
mod card_search;
pub mod color;
pub mod currency;
mod fields;
pub mod finding;
pub mod hash;
pub mod inquiry;
pub mod json;
mod json_number;
pub mod money;
pub mod order;
pub mod problem;
pub mod receipt;
pub mod record;
pub mod request;
mod request_reader;
pub mod scope;
pub mod session;
pub mod settle;
pub mod sweep;
pub mod text;
pub mod timestamp;

pub use card::{Brand, CardSummary};
pub use color::Color;
pub use finding::Finding;
pub use hash::{Fingerprint, HashKey, KeyedHash};
pub use inquiry::Inquiry;
pub use json::Json;
pub use money::Money;
pub use order::Order;
pub use problem::{Code, Effect, Problem};
pub use receipt::Receipt;
pub use request::{Payment, Request, Rules};
pub use scope::{IdempotencyKey, Scope, SessionId};
pub use session::{Claim, Session};
pub use timestamp::Timestamp;
