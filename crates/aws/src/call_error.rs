//! A failed call of the operator's tools. Functions have finer errors, which say what may be tried again.

use std::error::Error;
use std::fmt::Debug;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;

/// Which call failed, and what the service or the connection said.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {detail}")]
pub struct CallError {
    /// The API operation, for example `lambda:Invoke`.
    pub operation: &'static str,
    /// What came back, every cause included.
    pub detail: String,
}

impl CallError {
    /// An error that this side found in a service's answer.
    pub fn new(operation: &'static str, detail: impl Into<String>) -> Self {
        Self {
            operation,
            detail: detail.into(),
        }
    }

    /// For `map_err`: an SDK error of `operation`.
    pub fn of<E, R>(operation: &'static str) -> impl Fn(SdkError<E, R>) -> Self
    where
        E: Error + 'static,
        R: Debug,
    {
        move |error| Self {
            operation,
            detail: DisplayErrorContext(&error).to_string(),
        }
    }
}
