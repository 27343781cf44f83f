//! The floor: the calls of a payment on bare connections, and nothing else. No SDK, no signature, no parsing, no checks, no
//! log. What it takes is the wire, TLS and the services; so its chain of calls is the limit that a payment is measured by.
//!
//! The order is the shortest that a payment allows: claim, then ledger and log side by side, then completion. The first
//! payment opens the same connections and reads the same secrets, the ledger's while it claims.
mod calls;

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::path::Path;
use std::time::Instant;

use cutover_bench::http::{self, Wire};
use cutover_bench::tls;
use tokio::net::TcpStream;

use calls::Calls;

fn main() -> Result<()> {
    let vars: BTreeMap<String, String> = std::env::vars().collect();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve(&vars))
}

async fn serve(vars: &BTreeMap<String, String>) -> Result<()> {
    let var = |name: &str| {
        let value = vars.get(name).cloned();
        value.ok_or_else(|| Error::other(format!("{name} is missing")))
    };
    let connector = tls::connector(Path::new(&var("SSL_CERT_FILE")?))?;
    let port = |name: &str| {
        let url = var(name)?;
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
        port.ok_or_else(|| Error::other(format!("{name} has no port")))
    };
    let mut calls = Calls::new(
        connector,
        port("AWS_ENDPOINT_URL_DYNAMODB")?,
        port("AWS_ENDPOINT_URL_S3")?,
        port("AWS_ENDPOINT_URL_SECRETS_MANAGER")?,
    );
    let stream = TcpStream::connect(var("AWS_LAMBDA_RUNTIME_API")?).await?;
    stream.set_nodelay(true)?;
    let mut api = Wire::new(stream);
    let next = http::request("GET", "/2018-06-01/runtime/invocation/next", &[], b"");
    loop {
        api.send(&next).await?;
        let event = api.response().await?;
        let id = event.headers.get("lambda-runtime-aws-request-id");
        let id = id.ok_or_else(|| Error::other("no request id"))?;
        let begun = Instant::now();
        calls.pay(id).await?;
        let chain_us = begun.elapsed().as_micros();
        let body = format!("{{\"statusCode\":201,\"chainUs\":{chain_us}}}");
        let path = format!("/2018-06-01/runtime/invocation/{id}/response");
        api.send(&http::request("POST", &path, &[], body.as_bytes()))
            .await?;
        api.response().await?;
    }
}
