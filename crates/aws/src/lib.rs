//! AWS behind Cutover's ports. The only crate that names `aws-sdk-*`: one file per port, a feature per service.

pub mod config;

// For payments.
pub mod call;
#[cfg(feature = "secretsmanager")]
pub mod secrets;
#[cfg(feature = "dynamodb")]
mod session_item;
#[cfg(feature = "dynamodb")]
pub mod session_store;
#[cfg(feature = "dynamodb")]
mod session_write;
#[cfg(feature = "s3")]
pub mod transaction_log;

// For the switch.
#[cfg(feature = "cloudwatch")]
pub mod alarms;
pub mod failure;
#[cfg(feature = "lambda")]
pub mod lambda_alias;
#[cfg(all(feature = "sns", feature = "ssm"))]
pub mod notify;
#[cfg(feature = "dynamodb")]
pub mod switch_state;
#[cfg(feature = "lambda")]
pub mod validator_function;

// For the rotation of secrets.
#[cfg(feature = "secretsmanager")]
pub mod secret_versions;

// For the operator's command line, the lab and the tests.
#[cfg(feature = "operator")]
pub mod call_error;
#[cfg(feature = "operator")]
pub mod evidence;
#[cfg(feature = "operator")]
pub mod invoke;
#[cfg(feature = "operator")]
pub mod settings;
#[cfg(feature = "operator")]
pub mod stack;
