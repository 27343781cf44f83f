//! What an error of the SDK says about the effect of a call.

use std::error::Error;
use std::io;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use cutover_ports::payment::{Applied, CallError};

/// The port's error for an SDK's.
///
/// Certainly without effect are: a request that could not be built or whose connection was refused, and one that the
/// service answered with a client error. Everything else may have arrived. An attempt that the SDK itself retried may have
/// too: clients whose calls are told apart by this must not retry by themselves.
pub fn error<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
where
    E: Error + Send + Sync + 'static,
{
    let applied = match error {
        SdkError::ConstructionFailure(_) => Applied::No,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) if connector.is_user() || never_connected(connector) => Applied::No,
            _ => Applied::Unknown,
        },
        SdkError::ServiceError(service) if service.raw().status().is_client_error() => Applied::No,
        _ => Applied::Unknown,
    };
    CallError {
        operation,
        applied,
        // The SDK's errors show their causes only this way. They hold no request.
        source: DisplayErrorContext(error).to_string().into(),
    }
}

/// Whether the connection was refused before anything was sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::AddrNotAvailable
            );
        }
        cause = error.source();
    }
    false
}
