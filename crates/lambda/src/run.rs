//! The main of every function: configuration, then building, then the Runtime API's loop.

use std::future::Future;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use crate::config::{ConfigErrors, EXIT_USAGE, Vars};
use crate::{Deadline, event_line};

/// Kept free at the end of each invocation, to answer and to log.
pub const SAFETY_MARGIN: Duration = Duration::from_millis(300);

/// Variables that the Lambda service itself sets; without them there is nothing to poll.
const SERVICE_VARIABLES: [(&str, &str); 4] = [
    ("AWS_LAMBDA_RUNTIME_API", "host and port of the Runtime API"),
    ("AWS_LAMBDA_FUNCTION_NAME", "the function's name"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "the function's version"),
    (
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "the function's memory in MB",
    ),
];

/// What the Runtime API says of one invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's id of this request.
    pub request_id: String,
    /// The published version that runs, or `$LATEST`.
    pub version: String,
    /// The X-Ray trace header, passed on in the log line.
    pub trace_id: Option<String>,
    /// How long this invocation may work.
    pub deadline: Deadline,
}

impl From<Context> for Invocation {
    fn from(context: Context) -> Self {
        Self {
            version: context.env_config.version.clone(),
            deadline: Deadline::new(context.deadline, SAFETY_MARGIN),
            request_id: context.request_id,
            trace_id: context.xray_trace_id,
        }
    }
}

/// An error that ends an invocation: Lambda answers the caller with a function error.
///
/// Both texts reach the caller: nothing secret in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvocationError {
    /// A stable name, for example `UnknownEvent`.
    pub kind: &'static str,
    /// What went wrong and, for bad input, what is taken.
    pub message: String,
}

impl From<InvocationError> for Diagnostic {
    fn from(error: InvocationError) -> Self {
        Self {
            error_type: error.kind.to_owned(),
            error_message: error.message,
        }
    }
}

/// A function: what is built once, at init, and handles one event at a time.
pub trait Function {
    /// Answers one event, given as the JSON text that Lambda delivered.
    fn handle(
        &self,
        event: &RawValue,
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Value, InvocationError>>;
}

/// Runs a function until the sandbox ends.
///
/// `configure` reads all variables before it gives up on a missing one; on mistakes the process logs all of them and
/// exits with [`EXIT_USAGE`], before the first poll. `build` makes the clients, once.
pub fn main<C, F, B>(
    configure: impl FnOnce(&Vars) -> Option<C>,
    build: impl FnOnce(C) -> B,
) -> ExitCode
where
    F: Function,
    B: Future<Output = F>,
{
    let vars = Vars::from_env();
    for (name, takes) in SERVICE_VARIABLES {
        let _present = vars.required(name, takes, |value| Ok::<_, String>(value.to_owned()));
    }
    let config = configure(&vars);
    let config = match (config, vars.finish()) {
        (Some(config), Ok(())) => config,
        (_, refused) => return refuse(&refused.err().unwrap_or_default()),
    };
    match serve(build(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            event_line::emit(
                &json!({"level": "ERROR", "outcome": "runtime_failed", "error": error.to_string()}),
            );
            ExitCode::FAILURE
        }
    }
}

fn refuse(errors: &ConfigErrors) -> ExitCode {
    event_line::emit(&json!({
        "level": "ERROR",
        "outcome": "invalid_configuration",
        "error": errors.to_string(),
        "mistakes": errors.0,
    }));
    ExitCode::from(EXIT_USAGE)
}

/// One thread: an instance handles one event at a time, and a second thread only costs CPU time.
fn serve<F: Function>(build: impl Future<Output = F>) -> Result<(), lambda_runtime::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let function = Rc::new(Box::pin(build).await);
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
            let function = Rc::clone(&function);
            async move {
                let invocation = Invocation::from(event.context);
                // On the heap: a function's future is large, and nests too deep for the compiler otherwise.
                let answer = Box::pin(function.handle(&event.payload, &invocation)).await;
                wipe(event.payload);
                answer.map_err(Diagnostic::from)
            }
        }))
        .await
    })
}

/// An event may hold a card number: its text does not stay in memory that is given back.
fn wipe(event: Box<RawValue>) {
    let text: Box<str> = event.into();
    String::from(text).zeroize();
}
