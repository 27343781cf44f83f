//! What a migration needs of the ledgers: parity of schemas and rows, the schema itself, the fence, replication, logins.
//!
//! - `session`: a connection for this, to either engine: statements as text, answers as text.
//! - `mysql_session`, `postgres_session`: its two forms, and what their errors mean.
//! - `sql`: how names, values and rows are written in each engine's SQL.
//! - `catalog`: what tables there are, and how they are made.
//! - `compare`: schemas and rows of two databases. `chunk`: a range of rows on both sides. `second_look`: what becomes of
//!   rows that differed at the first.
//! - `replication`: the streams into a database, its load, and waiting for what was written before.
//! - `fence`, `upgrade`, `rows`, `login`: one port each.
//!
//! Statements are sent as text, because the engines take no parameters in half of them. Nothing goes into one but names
//! that the catalog or the caller gave, quoted; and values as digits or in hexadecimal.

mod catalog;
mod catalog_mysql;
mod catalog_postgres;
mod chunk;
mod compare;
mod fence;
mod login;
mod mysql_session;
mod postgres_session;
mod replication;
mod rows;
mod second_look;
mod session;
mod sql;
mod upgrade;

use std::path::PathBuf;

/// All ports of [`cutover_ports::parity`] on real databases. It keeps no connection: each call opens and closes its own.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    ca_bundle: Option<PathBuf>,
}

impl Databases {
    /// Servers are verified by the authorities in the PEM file `ca_bundle`, or by those of RDS.
    #[must_use]
    pub fn new(ca_bundle: Option<PathBuf>) -> Self {
        Self { ca_bundle }
    }
}
