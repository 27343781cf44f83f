//! AWS behind Cutover's ports. The only crate that names `aws-sdk-*`: one file per port, a feature per service.

pub mod config;

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
