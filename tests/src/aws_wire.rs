//! A proxy in front of AWS's endpoint: whole requests, one after the other on each connection, as HTTP/1.1 has them.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::http::{Message, MessageReader};
use crate::wire::{self, Call, Point, Verdict, Wire};

/// A running proxy. It ends, with all its connections, when dropped.
#[derive(Debug)]
pub struct AwsWire {
    endpoint: String,
    accepting: JoinHandle<()>,
}

impl AwsWire {
    /// Starts a proxy to `port` of this machine, whose calls meet what `wire` plans.
    pub async fn start(port: u16, wire: Arc<Wire>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                wire.connected();
                connections.spawn(until_cut(client, port, Arc::clone(&wire)));
            }
        });
        Self {
            endpoint,
            accepting,
        }
    }

    /// What functions are given as `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for AwsWire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn until_cut(mut client: TcpStream, port: u16, wire: Arc<Wire>) {
    let mut cuts = wire.cuts();
    tokio::select! {
        _closed = carry(&mut client, port, &wire) => {}
        how = cuts.next() => {
            let _gone = wire::end(client, how).await;
        }
    }
}

async fn carry(client: &mut TcpStream, port: u16, wire: &Wire) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, mut to_client) = client.split();
    let (from_server, mut to_server) = server.into_split();
    let mut requests = MessageReader::new(from_client);
    let mut responses = MessageReader::new(from_server);
    while let Some(request) = requests.next().await? {
        wire.tap(&request.raw);
        let call = recognise(&request);
        let answer = exchange(call, &request, &mut to_server, &mut responses, wire).await?;
        let Some(answer) = answer else {
            return Ok(());
        };
        to_client.write_all(&answer).await?;
    }
    Ok(())
}

/// What the function gets, if it gets anything.
async fn exchange<R: AsyncRead + Unpin>(
    call: Call,
    request: &Message,
    to_server: &mut OwnedWriteHalf,
    responses: &mut MessageReader<R>,
    wire: &Wire,
) -> io::Result<Option<Vec<u8>>> {
    let began = Instant::now();
    let answered = |verdict, point, response| match verdict {
        Verdict::Pass => Some(response),
        Verdict::Error => Some(failure(call, point)),
        Verdict::Close => None,
    };
    let verdict = wire.meet(call, Point::Before).await;
    if verdict != Verdict::Pass {
        wire.note(call, began, false);
        return Ok(answered(verdict, Point::Before, Vec::new()));
    }
    to_server.write_all(&request.raw).await?;
    let Some(response) = responses.next().await? else {
        return Ok(None);
    };
    // Noted before the answer can be held: what was done was done, even if its process is dead by then.
    wire.note(call, began, response.head.starts_with("HTTP/1.1 2"));
    let verdict = wire.meet(call, Point::After).await;
    Ok(answered(verdict, Point::After, response.raw))
}

fn recognise(request: &Message) -> Call {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let target = request.header("x-amz-target").unwrap_or_default();
    match target.rsplit('.').next().unwrap_or_default() {
        "GetSecretValue" if body["SecretId"] == crate::world::HASH_KEY => Call::HashSecret,
        "GetSecretValue" => Call::DatabaseSecret,
        "UpdateItem" => session_write(&body),
        "TransactWriteItems" => session_write(&body["TransactItems"][0]["Update"]),
        _ => match request.method_and_path() {
            ("PUT", path) if path.contains("/transactions/") => Call::Object,
            _ => Call::Other,
        },
    }
}

/// A claim is made where there is no session; giving one back is tried there, too.
fn session_write(update: &Value) -> Call {
    let condition = update["ConditionExpression"].as_str().unwrap_or_default();
    let status = update["ExpressionAttributeValues"][":status"]["S"].as_str();
    match (condition, status) {
        ("attribute_not_exists(#status) OR #owner = :owner", _) => Call::Release,
        (condition, _) if condition.starts_with("attribute_not_exists(#status)") => Call::Claim,
        (_, Some("completed")) => Call::Complete,
        (_, Some("processing")) => Call::TakeOver,
        _ => Call::Release,
    }
}

/// An error as each service tells it: a call that was not passed on was refused; of one that was, it is left open.
fn failure(call: Call, point: Point) -> Vec<u8> {
    let (status, kind, body) = match (call, point) {
        (Call::Object, _) => (
            "503 Slow Down",
            "application/xml",
            "<Error><Code>SlowDown</Code><Message>injected</Message></Error>".to_owned(),
        ),
        (_, Point::Before) => (
            "400 Bad Request",
            "application/x-amz-json-1.0",
            r#"{"__type":"ThrottlingException","message":"injected"}"#.to_owned(),
        ),
        (_, Point::After) => (
            "500 Internal Server Error",
            "application/x-amz-json-1.0",
            r#"{"__type":"InternalServerError","message":"injected"}"#.to_owned(),
        ),
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
