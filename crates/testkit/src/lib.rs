//! What tests need and functions never link. A dev-dependency only.
//!
//! - [`certificate`]: a certificate authority of its own.
//! - [`mariadb`]: a throw-away MariaDB server.
//! - [`proxy`]: a TCP proxy that can lose answers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot set itself up has failed"
)]

pub mod certificate;
pub mod mariadb;
pub mod proxy;

pub use certificate::Certificate;
pub use mariadb::MariaDb;
pub use proxy::Proxy;
