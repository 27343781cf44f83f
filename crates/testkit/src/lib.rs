//! What tests need and functions never link. A dev-dependency only.
//!
//! - [`certificate`]: a certificate authority of its own.
//! - [`mariadb`]: a throw-away MariaDB server.
//! - [`postgres`]: a throw-away PostgreSQL server.
//! - [`proxy`]: a TCP proxy that can lose answers, and fall silent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot set itself up has failed"
)]

pub mod certificate;
mod folder;
pub mod mariadb;
pub mod postgres;
pub mod proxy;

pub use certificate::Certificate;
pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use proxy::Proxy;
