//! The ledger: the row in a color's database that is the payment. The only crate that names a database driver.
//!
//! - [`credentials`]: the database secret.
//! - [`ledger`]: one kept connection, what is tried again, and what is known of the effect afterwards.
//! - `connection`: either engine; what is asked of the ledger is a method here and in each engine.
//! - `mysql`: the statements for MySQL and MariaDB. `postgres`: those for PostgreSQL, `postgres_tls`: its TLS.
//! - `row`: what a row says.
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
//! Amazon's own authorities, which are in no built-in list: put `global-bundle.pem` from
//! <https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem> beside `bootstrap` in the function's zip (or into a
//! layer) and set `CA_BUNDLE` to its path, for example `/var/task/global-bundle.pem`, or `/opt/global-bundle.pem` from a
//! layer. Without `CA_BUNDLE` both engines trust the built-in public authorities (Mozilla's list). Only `"ssl": false` in
//! the secret turns TLS off, and then the password's protection is the engine's own.

mod connection;
pub mod credentials;
pub mod ledger;
mod mysql;
mod postgres;
mod postgres_tls;
mod row;

pub use ledger::{LedgerConfig, SqlLedger};
