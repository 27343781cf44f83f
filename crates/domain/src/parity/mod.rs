//! Whether two databases hold the same: what is compared, how much at a time, and what the findings mean.
//!
//! Everything here is decided from what was read. The reading is the adapter's, on two databases of the same engine, and it
//! writes to neither.
//!
//! - [`schema`]: the tables of a database, and how two of them differ, in words.
//! - [`key`]: the key by which a table is read in chunks, or why it can't be.
//! - [`load`]: how large the next chunk is, and when to pause or stop for the database's sake.
//! - [`rows`]: which rows of a range differ, and what a second look at them means.
//! - [`progress`]: how far a comparison has come. It can be stored and taken up again.
//! - [`fence`]: whether an order to the fence is applied, stands, or is refused.
//! - [`upgrade`]: which steps bring a ledger's schema to a version.

pub mod fence;
pub mod key;
pub mod load;
pub mod progress;
pub mod rows;
pub mod schema;
pub mod upgrade;

pub use fence::{FenceOrder, FenceOutcome, FenceRow};
pub use load::Limits;
pub use progress::{Progress, TableProgress, TableState, Verdict};
pub use rows::{Difference, DifferingRow};
pub use schema::{SchemaDifference, SchemaFindings, TableSchema};
