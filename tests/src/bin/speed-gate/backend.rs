//! AWS as one payment needs it: fixed answers, a port per service, and a count of what was asked.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cutover_tests::http::{Message, MessageReader};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The secret with the key of the keyed hashes.
pub(crate) const HASH_KEY: &str = "hash-key";
/// The secret with the database's credentials.
pub(crate) const DATABASE: &str = "database";

/// What was asked, by name; connections are counted as `connect <service>`.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Running endpoints. They end when dropped.
pub(crate) struct Backend {
    /// Variables that lead the SDK here.
    pub(crate) variables: Vec<(&'static str, String)>,
    counts: Arc<Mutex<Counts>>,
    serving: Vec<JoinHandle<()>>,
}

impl Backend {
    /// Starts one endpoint per service. `secret` is what the database's secret holds.
    pub(crate) async fn start(secret: &Value) -> Self {
        let mut backend = Self {
            variables: Vec::new(),
            counts: Arc::default(),
            serving: Vec::new(),
        };
        let secret: Arc<str> = secret.to_string().into();
        for (service, variable) in [
            ("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
            ("dynamodb", "AWS_ENDPOINT_URL_DYNAMODB"),
            ("s3", "AWS_ENDPOINT_URL_S3"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = listener.local_addr().expect("its address");
            backend
                .variables
                .push((variable, format!("http://{address}")));
            let (counts, secret) = (Arc::clone(&backend.counts), Arc::clone(&secret));
            backend.serving.push(tokio::spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((connection, _)) = listener.accept().await {
                    count(&counts, &format!("connect {service}"));
                    connections.spawn(serve(connection, Arc::clone(&counts), Arc::clone(&secret)));
                }
            }));
        }
        backend
    }

    /// What was asked so far.
    pub(crate) fn counts(&self) -> Counts {
        held(&self.counts).clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

async fn serve(
    connection: TcpStream,
    counts: Arc<Mutex<Counts>>,
    secret: Arc<str>,
) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (requests, mut responses) = connection.into_split();
    let mut requests = MessageReader::new(requests);
    while let Some(request) = requests.next().await? {
        let (call, body) = answer(&request, &secret);
        count(&counts, &call);
        let head = format!(
            "HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        // In one piece, so that the function wakes up once.
        responses.write_all((head + &body).as_bytes()).await?;
    }
    Ok(())
}

/// The name of a call, and what is answered.
fn answer(request: &Message, secret: &str) -> (String, String) {
    let target = request.header("x-amz-target").unwrap_or_default();
    let name = match target.rsplit_once('.') {
        Some((_, operation)) => operation.to_owned(),
        None => format!("{} object", request.method_and_path().0),
    };
    let body = match name.as_str() {
        "GetSecretValue" => {
            let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let hash_key = "5e".repeat(32);
            let content = match asked["SecretId"].as_str() {
                Some(HASH_KEY) => &hash_key,
                _ => secret,
            };
            json!({"Name": asked["SecretId"], "SecretString": content}).to_string()
        }
        "PUT object" => String::new(),
        _ => "{}".to_owned(),
    };
    (name, body)
}

fn count(counts: &Mutex<Counts>, name: &str) {
    *held(counts).entry(name.to_owned()).or_default() += 1;
}

fn held(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
