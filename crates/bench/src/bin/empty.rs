//! A function that does nothing: what the runtime crate itself takes to start and to answer.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let nothing = |_event: LambdaEvent<Value>| async { Ok::<_, Error>(json!({"statusCode": 201})) };
    runtime.block_on(lambda_runtime::run(service_fn(nothing)))
}
