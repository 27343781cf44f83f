//! What a migration asks of the ledgers, against real servers of both engines: two databases, which are to be the same.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

/// Makes each scenario a test on MariaDB and one on PostgreSQL.
macro_rules! on_both_engines {
    ($($scenario:ident),+ $(,)?) => {
        mod mariadb {
            $(#[tokio::test] async fn $scenario() { super::$scenario($crate::world::Kind::MariaDb).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $scenario() { super::$scenario($crate::world::Kind::Postgres).await; })+
        }
    };
}

mod fence;
mod ledger_rows;
mod login;
mod million;
mod replication;
mod resume;
mod rows;
mod schema;
mod upgrade;
mod world;
