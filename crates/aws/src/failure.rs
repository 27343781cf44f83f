//! Failures of AWS calls, in one line.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What a call failed with: the service's code and message, else what kept it from answering.
#[derive(Debug)]
pub struct Failure {
    text: String,
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// An SDK's error as a source that says in one line what happened. The SDK's own text is only "service error".
pub fn failure<E, R>(error: SdkError<E, R>) -> Box<dyn Error + Send + Sync>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    let text = match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("error");
            let said = match service.err().message() {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
            };
            match advice(code) {
                Some(advice) => format!("{said} ({advice})"),
                None => said,
            }
        }
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "no connection".to_owned(),
        other => other.to_string(),
    };
    Box::new(Failure {
        text,
        source: Box::new(error),
    })
}

/// What an operator can do about an error, where its code says so. Services have different codes for the same thing.
fn advice(code: &str) -> Option<&'static str> {
    const DENIED: &str = "the function's role does not allow this call on this resource";
    const THROTTLED: &str =
        "throttled; the retries that fit the invocation are used up, the next one tries again";
    let code = code.strip_suffix("Exception").unwrap_or(code);
    match code {
        "AccessDenied" | "AuthorizationError" | "Unauthorized" | "UnauthorizedOperation" => {
            Some(DENIED)
        }
        "ExpiredToken"
        | "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient" => Some("the function's credentials are not accepted"),
        "LimitExceeded"
        | "PriorRequestNotComplete"
        | "RequestLimitExceeded"
        | "Throttling"
        | "TooManyRequests" => Some(THROTTLED),
        // RuleNotFound, NoSuchHostedZone, ResourceNotFoundFault and the like.
        missing if missing.contains("NotFound") || missing.starts_with("NoSuch") => {
            Some("what the configuration names does not exist in this account and region")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_told_what_to_look_at() {
        for (code, told) in [
            ("AccessDenied", "role"),
            ("AccessDeniedException", "role"),
            ("ExpiredTokenException", "credentials"),
            ("TooManyRequestsException", "throttled"),
            ("PriorRequestNotComplete", "throttled"),
            ("RuleNotFound", "does not exist"),
            ("NoSuchHostedZone", "does not exist"),
            ("ResourceNotFoundFault", "does not exist"),
        ] {
            let advice = advice(code).unwrap();
            assert!(advice.contains(told), "{code}: {advice}");
        }
        assert_eq!(advice("ValidationError"), None);
    }
}
