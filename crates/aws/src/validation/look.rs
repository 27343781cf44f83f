//! What a failed call means for a check.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cutover_domain::validation::Obstacle;
use cutover_ports::validation::LookError;

use crate::failure::failure;

/// The port's error of a failed call.
pub(super) fn look<E, R>(operation: &'static str) -> impl Fn(SdkError<E, R>) -> LookError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    move |error| LookError {
        operation,
        obstacle: obstacle(&error),
        source: failure(error),
    }
}

/// An answer that can't be understood, or that is too long.
pub(super) fn odd(operation: &'static str, said: impl Into<String>) -> LookError {
    LookError {
        operation,
        obstacle: Obstacle::Refused,
        source: said.into().into(),
    }
}

/// Nothing was found where the service says so by an empty answer.
pub(super) fn missing(operation: &'static str) -> LookError {
    LookError {
        operation,
        obstacle: Obstacle::Missing,
        source: "the answer is empty".into(),
    }
}

fn obstacle<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Obstacle {
    match error {
        SdkError::TimeoutError(_) => Obstacle::Late,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Obstacle::Late,
        SdkError::DispatchFailure(_) => Obstacle::Unreachable,
        SdkError::ServiceError(service) => of_code(service.err().code().unwrap_or_default()),
        _ => Obstacle::Refused,
    }
}

/// By the services' error codes; each service has its own word for the same.
fn of_code(code: &str) -> Obstacle {
    // Query protocols have codes with a namespace before or a link behind.
    let code = code.rsplit('#').next().unwrap_or(code);
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "AccessDeniedFault"
        | "UnauthorizedOperation"
        | "NotAuthorized"
        | "AuthorizationErrorException"
        | "KMSAccessDeniedFault"
        | "KMSAccessDeniedException"
        | "DecryptionFailure"
        | "AllAccessDisabled" => Obstacle::Denied,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "KMSThrottlingFault"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "TransactionInProgressException"
        | "EC2ThrottledException" => Obstacle::Throttled,
        "ResourceNotFoundException"
        | "ResourceNotFoundFault"
        | "ResourceNotFound"
        | "DBClusterNotFoundFault"
        | "DBClusterNotFound"
        | "DBInstanceNotFound"
        | "DBParameterGroupNotFound"
        | "DBClusterParameterGroupNotFound"
        | "NoSuchBucket"
        | "NotFound"
        | "NotFoundException"
        | "NoSuchKey"
        | "TableNotFoundException"
        | "TargetGroupNotFound"
        | "TargetGroupNotFoundException" => Obstacle::Missing,
        _ => Obstacle::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_services_word_is_understood() {
        for (code, meant) in [
            ("AccessDenied", Obstacle::Denied),
            ("AccessDeniedFault", Obstacle::Denied),
            (
                "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
                Obstacle::Missing,
            ),
            ("DBClusterNotFoundFault", Obstacle::Missing),
            ("ThrottlingException", Obstacle::Throttled),
            ("SlowDown", Obstacle::Throttled),
            ("InternalServerError", Obstacle::Refused),
            ("", Obstacle::Refused),
        ] {
            assert_eq!(of_code(code), meant, "{code}");
        }
    }
}
