//! MySQL's protocol with nothing to it: log in over TLS, prepare a statement, execute it. The floor's ledger.

use std::io::{Error, ErrorKind, Result};

use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls;

const LONG_PASSWORD: u32 = 1;
const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const SSL: u32 = 1 << 11;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;
const CAPABILITIES: u32 =
    LONG_PASSWORD | CONNECT_WITH_DB | PROTOCOL_41 | SSL | SECURE_CONNECTION | PLUGIN_AUTH;
/// `utf8mb4_general_ci`
const COLLATION: u8 = 45;
const PACKET_BYTES_MAX: u32 = 1 << 24;

const QUERY: u8 = 0x03;
const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const VAR_STRING: u8 = 0xfd;

/// Who logs in where.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// User.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
    /// Database.
    pub database: &'a str,
}

/// A connection.
pub struct MySql<S = TlsStream<TcpStream>> {
    stream: S,
    sequence: u8,
}

fn bad(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

/// Connects and logs in.
///
/// # Errors
/// The server is not there, speaks otherwise, or refuses.
pub async fn connect(login: Login<'_>, connector: &TlsConnector) -> Result<MySql> {
    let stream = TcpStream::connect(("127.0.0.1", login.port)).await?;
    stream.set_nodelay(true)?;
    let mut plain = MySql {
        stream,
        sequence: 0,
    };
    let greeting = plain.packet().await?;
    let salt = salt(&greeting).ok_or_else(|| bad("greeting"))?;
    let mut hello = CAPABILITIES.to_le_bytes().to_vec();
    hello.extend(PACKET_BYTES_MAX.to_le_bytes());
    hello.push(COLLATION);
    hello.extend([0; 23]);
    plain.send(&hello).await?;
    let mut encrypted = MySql {
        stream: tls::connect(connector, plain.stream).await?,
        sequence: plain.sequence,
    };
    hello.extend(login.user.bytes());
    hello.push(0);
    hello.push(20);
    hello.extend(scramble(login.password, &salt));
    hello.extend(login.database.bytes());
    hello.push(0);
    hello.extend(b"mysql_native_password\0");
    encrypted.send(&hello).await?;
    encrypted.ok().await?;
    Ok(encrypted)
}

/// The 20 bytes that the server wants mixed into the password.
fn salt(greeting: &[u8]) -> Option<Vec<u8>> {
    let version = greeting.iter().position(|byte| *byte == 0)?;
    let first = version + 1 + 4;
    let second = first + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10;
    let mut salt = greeting.get(first..first + 8)?.to_vec();
    salt.extend(greeting.get(second..second + 12)?);
    Some(salt)
}

fn scramble(password: &str, salt: &[u8]) -> Vec<u8> {
    let once = Sha1::digest(password.as_bytes());
    let twice = Sha1::digest(once);
    let mut salted = Sha1::new();
    salted.update(salt);
    salted.update(twice);
    let mask = salted.finalize();
    once.iter().zip(mask).map(|(a, b)| a ^ b).collect()
}

impl<S: AsyncRead + AsyncWrite + Unpin> MySql<S> {
    /// Runs a statement that answers no rows.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn query(&mut self, statement: &str) -> Result<()> {
        self.command(QUERY, statement.as_bytes()).await?;
        self.ok().await
    }

    /// Prepares a statement that answers no rows: its number.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn prepare(&mut self, statement: &str) -> Result<u32> {
        self.command(PREPARE, statement.as_bytes()).await?;
        let answer = self.checked().await?;
        let number = |at: usize| answer.get(at..at + 2).map(|two| [two[0], two[1]]);
        let id = answer.get(1..5).and_then(|four| four.try_into().ok());
        let params = number(7).map(u16::from_le_bytes);
        let (Some(id), Some(params)) = (id, params) else {
            return Err(bad("prepared statement"));
        };
        // Each parameter is described, and an end follows.
        for _ in 0..=params {
            self.packet().await?;
        }
        Ok(u32::from_le_bytes(id))
    }

    /// Executes a prepared statement. All parameters are text.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn execute(&mut self, statement: u32, params: &[&[u8]]) -> Result<()> {
        let mut body = statement.to_le_bytes().to_vec();
        body.push(0);
        body.extend(1_u32.to_le_bytes());
        body.extend(vec![0; params.len().div_ceil(8)]);
        body.push(1);
        for _ in params {
            body.extend([VAR_STRING, 0]);
        }
        for param in params {
            let length = u8::try_from(param.len())
                .ok()
                .filter(|length| *length < 251);
            body.push(length.ok_or_else(|| bad("a parameter of more than 250 bytes"))?);
            body.extend_from_slice(param);
        }
        self.command(EXECUTE, &body).await?;
        self.ok().await
    }

    async fn command(&mut self, command: u8, body: &[u8]) -> Result<()> {
        self.sequence = 0;
        let mut packet = vec![command];
        packet.extend_from_slice(body);
        self.send(&packet).await
    }

    async fn send(&mut self, body: &[u8]) -> Result<()> {
        let length = u32::try_from(body.len()).map_err(|_| bad("length"))?;
        let mut packet = length.to_le_bytes()[..3].to_vec();
        packet.push(self.sequence);
        packet.extend_from_slice(body);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).await?;
        self.stream.flush().await
    }

    async fn packet(&mut self) -> Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await?;
        let [a, b, c, sequence] = head;
        self.sequence = sequence.wrapping_add(1);
        let length = u32::from_le_bytes([a, b, c, 0]);
        let mut body = vec![0; usize::try_from(length).map_err(|_| bad("length"))?];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    async fn checked(&mut self) -> Result<Vec<u8>> {
        let packet = self.packet().await?;
        if packet.first() == Some(&0) {
            return Ok(packet);
        }
        Err(bad(String::from_utf8_lossy(&packet).into_owned()))
    }

    async fn ok(&mut self) -> Result<()> {
        self.checked().await.map(drop)
    }
}
