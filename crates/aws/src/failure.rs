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
            match service.err().message() {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
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
