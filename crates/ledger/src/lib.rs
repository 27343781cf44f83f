//! The ledger: the row in a color's database that is the payment. The only crate that names a database driver.
//!
//! - [`credentials`]: the database secret.
//! - [`ledger`]: one kept connection, what is tried again, and what is known of the effect afterwards.
//! - `connection`: either engine; what is asked of the ledger is a method here and in each engine.
//! - `mysql`: the statements for MySQL and MariaDB. `postgres`: those for PostgreSQL, `postgres_tls`: its TLS.
//! - `row`: what a row says.
//! - `operations` (feature `operations`): what a migration needs of the ledgers beside payments.
//! - `accounts` (feature `accounts`): sessions for the rotation of credentials.
//!
//! The schema of both is in `infra/schema`.
//!
//! # What is logged
//!
//! Nothing by this crate, and of what a server says its errors hold the code only. `tokio-postgres` writes statements with
//! their values to the `log` crate at level `debug`, for whoever installs a logger there: no function may.
//!
//! # Certificates
//!
//! A server is believed only by a certificate for the host that the secret names. RDS and Aurora are vouched for by
//! Amazon's own authorities, which are in no list of public ones. Those of us-east-1, the region of the template, are
//! built in (`rds-us-east-1.pem`); the file was taken from a published package and not from AWS itself, so compare its
//! fingerprints with AWS's own bundle before you trust it:
//! <https://truststore.pki.rds.amazonaws.com/us-east-1/us-east-1-bundle.pem>. `CA_BUNDLE`, the path of a PEM file in the
//! function's zip or in a layer (for example `/var/task/bundle.pem`), takes their place. Only `"ssl": false` in the secret
//! turns TLS off, and then the password's protection is the engine's own.

#[cfg(feature = "accounts")]
pub mod accounts;
mod connection;
pub mod credentials;
pub mod ledger;
mod mysql;
#[cfg(feature = "operations")]
pub mod operations;
mod postgres;
mod postgres_tls;
mod row;

pub use ledger::{LedgerConfig, SqlLedger};

/// The authorities of RDS in us-east-1, as PEM.
const RDS_AUTHORITIES: &str = include_str!("../rds-us-east-1.pem");
