//! The ledger against real servers of both engines, and through a proxy that loses answers or falls silent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

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

mod certificates;
mod failures;
mod fence;
mod giving_up;
mod payments;
mod world;
