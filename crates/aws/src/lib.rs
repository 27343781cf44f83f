//! AWS behind Cutover's ports. The only crate that names `aws-sdk-*`: one file per port, a feature per service.

pub mod call;
pub mod config;
#[cfg(feature = "secretsmanager")]
pub mod secrets;
#[cfg(feature = "dynamodb")]
mod session_item;
#[cfg(feature = "dynamodb")]
pub mod session_store;
#[cfg(feature = "s3")]
pub mod transaction_log;
