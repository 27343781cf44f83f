//! The calls of a payment, with the bytes that payment-validation sends, but for the signature.

use std::fmt::Write as _;
use std::io::{Error, Result};

use cutover_bench::database::{DATABASE, PASSWORD, USER};
use cutover_bench::http::{self, Wire};
use cutover_bench::mysql_wire::{self, Login, MySql};
use cutover_bench::tls;
use cutover_bench::world::{BUCKET, DB_SECRET, HASH_KEY_SECRET, TABLE};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const UPDATE: &str = "DynamoDB_20120810.UpdateItem";
const SETUP: &str = "SET SESSION autocommit = 1, innodb_lock_wait_timeout = 2, lock_wait_timeout = 2, \
     time_zone = '+00:00'";
const INSERT: &str = "INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, \
     merchant_id, amount, currency, exponent, card_brand, card_last4, paid_with_hash, environment, color, created_at) \
     SELECT ?, ?, ?, UNHEX(?), 'completed', ?, ?, ?, ?, ?, ?, ?, UNHEX(?), ?, ?, ? \
     FROM cutover_epoch WHERE color = ? AND may_write LOCK IN SHARE MODE";
const HASH: &str = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";

type Https = Wire<TlsStream<TcpStream>>;

/// The connections, made when they are first needed.
pub(crate) struct Calls {
    connector: TlsConnector,
    ports: [u16; 3],
    sessions: Option<Https>,
    log: Option<Https>,
    ledger: Option<(MySql, u32)>,
}

async fn open(connector: &TlsConnector, port: u16) -> Result<Https> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    tls::connect(connector, stream).await.map(Wire::new)
}

async fn ask(wire: &mut Https, request: &[u8]) -> Result<Vec<u8>> {
    wire.send(request).await?;
    let answer = wire.response().await?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    Err(Error::other(format!("{}: {said}", answer.status)))
}

fn json_request(target: &str, body: &str) -> Vec<u8> {
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", target),
    ];
    http::request("POST", "/", &headers, body.as_bytes())
}

impl Calls {
    pub(crate) fn new(connector: TlsConnector, sessions: u16, log: u16, secrets: u16) -> Self {
        Self {
            connector,
            ports: [sessions, log, secrets],
            sessions: None,
            log: None,
            ledger: None,
        }
    }

    /// Makes a payment: the claim, then ledger and log side by side, then the completion. The ledger is connected to while
    /// the session is claimed.
    pub(crate) async fn pay(&mut self, id: &str) -> Result<()> {
        let Self {
            connector,
            ports,
            sessions,
            log,
            ledger,
        } = self;
        let (claimed, is_claimed) = oneshot::channel();
        let logging = async {
            let sessions = claim_session(connector, *ports, sessions, id).await?;
            claimed.send(()).map_err(|()| Error::other("no ledger"))?;
            let [_, port, _] = *ports;
            let log = match log {
                Some(log) => log,
                none => none.insert(open(connector, port).await?),
            };
            ask(log, &object(id)).await.map(|_| sessions)
        };
        let posting = async {
            let (ledger, insert) = connected(connector, *ports, ledger).await?;
            is_claimed.await.map_err(|_| Error::other("no claim"))?;
            ledger.execute(*insert, &row(id)).await
        };
        let (logged, posted) = tokio::join!(logging, posting);
        posted?;
        let completing = json_request(UPDATE, &completion(id));
        ask(logged?, &completing).await.map(drop)
    }
}

/// With the first payment the hash key is read before anything can be claimed.
async fn claim_session<'a>(
    connector: &TlsConnector,
    [port, _, secrets_port]: [u16; 3],
    sessions: &'a mut Option<Https>,
    id: &str,
) -> Result<&'a mut Https> {
    let sessions = match sessions {
        Some(sessions) => sessions,
        none => {
            let mut secrets = open(connector, secrets_port).await?;
            secret(&mut secrets, HASH_KEY_SECRET).await?;
            none.insert(open(connector, port).await?)
        }
    };
    ask(sessions, &json_request(UPDATE, &claim(id))).await?;
    Ok(sessions)
}

/// With the first payment the ledger is connected to while the session is claimed.
async fn connected<'a>(
    connector: &TlsConnector,
    [_, _, secrets_port]: [u16; 3],
    ledger: &'a mut Option<(MySql, u32)>,
) -> Result<&'a mut (MySql, u32)> {
    match ledger {
        Some(ledger) => Ok(ledger),
        none => {
            let mut secrets = open(connector, secrets_port).await?;
            let credentials = secret(&mut secrets, DB_SECRET).await?;
            Ok(none.insert(log_in(&credentials, connector).await?))
        }
    }
}

async fn secret(secrets: &mut Https, id: &str) -> Result<String> {
    let body = format!("{{\"SecretId\":\"{id}\"}}");
    let answer = ask(
        secrets,
        &json_request("secretsmanager.GetSecretValue", &body),
    )
    .await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["SecretString"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

async fn log_in(credentials: &str, connector: &TlsConnector) -> Result<(MySql, u32)> {
    let credentials: Value = serde_json::from_str(credentials)?;
    let port = credentials["port"]
        .as_u64()
        .and_then(|port| port.try_into().ok());
    let login = Login {
        port: port.ok_or_else(|| Error::other("no port"))?,
        user: USER,
        password: PASSWORD,
        database: DATABASE,
    };
    let mut ledger = mysql_wire::connect(login, connector).await?;
    ledger.query(SETUP).await?;
    let insert = ledger.prepare(INSERT).await?;
    Ok((ledger, insert))
}

fn claim(id: &str) -> String {
    update(
        id,
        "SET #status = :status, #owner = :owner, #leaseUntil = :leaseUntil, #leaseShard = :leaseShard",
        "attribute_not_exists(#status) AND attribute_not_exists(#transactionKey)",
        r##""#status":"status","#owner":"owner","#leaseUntil":"leaseUntil","#leaseShard":"leaseShard","#transactionKey":"transactionKey""##,
        r#"":status":{"S":"processing"},":owner":{"S":"00000000-0000-4000-8000-000000000000"},":leaseUntil":{"N":"1795173563000"},":leaseShard":{"S":"0"}"#,
    )
}

fn completion(id: &str) -> String {
    update(
        id,
        "SET #status = :status, #owner = :owner, #responseStatus = :responseStatus, #responseBody = :responseBody \
         REMOVE #leaseUntil, #leaseShard",
        "#owner = :readOwner AND #status = :readStatus",
        r##""#status":"status","#owner":"owner","#leaseUntil":"leaseUntil","#leaseShard":"leaseShard","#responseStatus":"responseStatus","#responseBody":"responseBody""##,
        r#"":status":{"S":"completed"},":owner":{"S":"00000000-0000-4000-8000-000000000000"},":readOwner":{"S":"00000000-0000-4000-8000-000000000000"},":readStatus":{"S":"processing"},":responseStatus":{"N":"201"},":responseBody":{"S":"{}"}"#,
    )
}

/// An update of a session: what comes and goes, and what every update of payment-validation states anew.
fn update(id: &str, expression: &str, condition: &str, names: &str, values: &str) -> String {
    const STATED: [(&str, &str); 19] = [
        ("scope", "m:shop-7"),
        ("idempotencyKey", "order-1001"),
        ("transactionId", "order-1001"),
        ("userId", "user-42"),
        ("amount", "1250"),
        ("currency", "EUR"),
        ("paidWithHash", HASH),
        ("fingerprint", HASH),
        ("environment", "dev-payment-bench000"),
        ("createdAt", "2026-11-20T11:19:23.123Z"),
        ("updatedAt", "2026-11-20T11:19:23.123Z"),
        ("color", "blue"),
        ("expiresAt", "1795173563"),
        ("attempted", "blue"),
        ("merchantId", "shop-7"),
        ("description", "Two tickets"),
        ("metadata", "b-9"),
        ("cardBrand", "visa"),
        ("cardLast4", "4242"),
    ];
    let mut sets = String::new();
    let (mut all_names, mut all_values) = (names.to_owned(), values.to_owned());
    for (name, value) in STATED {
        let _written = write!(sets, "#{name} = :{name}, ");
        let _written = write!(all_names, ",\"#{name}\":\"{name}\"");
        let _written = write!(all_values, ",\":{name}\":{{\"S\":\"{value}\"}}");
    }
    let expression = expression.replacen("SET ", &format!("SET {sets}"), 1);
    format!(
        "{{\"TableName\":\"{TABLE}\",\"Key\":{{\"sessionId\":{{\"S\":\"m:shop-7#{id}\"}}}},\
         \"UpdateExpression\":\"{expression}\",\"ConditionExpression\":\"{condition}\",\
         \"ExpressionAttributeNames\":{{{all_names}}},\"ExpressionAttributeValues\":{{{all_values}}},\
         \"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}}"
    )
}

fn object(id: &str) -> Vec<u8> {
    let body = format!(
        "{{\"transactionId\":\"{id}\",\"timestamp\":\"2026-11-20T11:19:23.123Z\",\"status\":\"completed\",\"amount\":1250,\
         \"currency\":\"EUR\",\"exponent\":2,\"amountDecimal\":\"12.50\",\"environment\":\"dev-payment-bench000\",\
         \"scope\":\"m:shop-7\",\"userId\":\"user-42\",\"merchantId\":\"shop-7\",\
         \"card\":{{\"brand\":\"visa\",\"last4\":\"4242\"}},\"description\":\"Two tickets\",\"metadata\":{{\"basket\":\"b-9\"}}}}"
    );
    let path = format!("/{BUCKET}/transactions/2026/11/20/{id}.json");
    let headers = [("content-type", "application/json"), ("if-none-match", "*")];
    http::request("PUT", &path, &headers, body.as_bytes())
}

fn row(id: &str) -> [&[u8]; 16] {
    [
        b"m:shop-7",
        id.as_bytes(),
        id.as_bytes(),
        HASH.as_bytes(),
        b"user-42",
        b"shop-7",
        b"1250",
        b"EUR",
        b"2",
        b"visa",
        b"4242",
        HASH.as_bytes(),
        b"dev-payment-bench000",
        b"blue",
        b"2026-11-20 11:19:23.123",
        b"blue",
    ]
}
