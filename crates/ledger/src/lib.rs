//! The ledger: the row in a color's database that is the payment. The only crate that names a database driver.
//!
//! - [`credentials`]: the database secret.
//! - [`ledger`]: one kept connection, what is tried again, and what is known of the effect afterwards.
//! - [`mysql`]: the statements for MySQL and MariaDB.

pub mod credentials;
pub mod ledger;
mod mysql;

pub use ledger::{LedgerConfig, SqlLedger};
