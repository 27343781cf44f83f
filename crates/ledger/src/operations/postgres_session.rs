//! A session on PostgreSQL, and what its errors mean.

use std::net::SocketAddr;
use std::path::Path;

use cutover_ports::parity::Trouble;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use super::session::{Access, Broken, Table};
use crate::credentials::Credentials;
use crate::postgres_tls::Tls;

/// Everything that changes how a value is written as text is set, so that both sides write it alike. Chunks go by the index
/// of the key, which the planner would leave for others, whose conditions it thinks as good. One process a statement, and
/// none compiled (`jit`): the server takes payments meanwhile. Time-outs in ms; that of a statement is set before each that may be long.
const OPTIONS: &str = "-c lock_timeout=2000 -c idle_in_transaction_session_timeout=10000 \
     -c client_encoding=UTF8 -c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c extra_float_digits=3 \
     -c standard_conforming_strings=on -c enable_seqscan=off -c enable_bitmapscan=off -c enable_sort=off -c enable_incremental_sort=off -c jit=off -c bytea_output=hex -c lc_monetary=C -c xmloption=content -c max_parallel_workers_per_gather=0 \
     -c default_transaction_isolation=read\\ committed";
const READ_ONLY: &str = " -c default_transaction_read_only=on";
const WRITE: &str = " -c synchronous_commit=on";

pub(crate) struct PostgresSession {
    client: Client,
    /// Carries bytes between the client and the socket until one of them ends.
    carrier: JoinHandle<()>,
}

impl Drop for PostgresSession {
    /// The driver's carrier would wait for answers that are still owed, and a silent server never gives them.
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

impl PostgresSession {
    pub(crate) async fn open(
        credentials: &Credentials,
        addresses: Vec<SocketAddr>,
        ca_bundle: Option<&Path>,
        access: Access,
    ) -> Result<Self, Broken> {
        let stream = TcpStream::connect(addresses.as_slice()).await;
        let stream = stream.map_err(|error| Broken::new(Trouble::Tcp, error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| Broken::new(Trouble::Tcp, error))?;
        let options = match access {
            Access::Read => format!("{OPTIONS}{READ_ONLY}"),
            Access::Write => format!("{OPTIONS}{WRITE}"),
        };
        let mut config = Config::new();
        config
            .user(credentials.username.as_str())
            .password(credentials.password.expose())
            .dbname(credentials.dbname.as_str())
            .application_name("cutover-operations")
            .options(options);
        if credentials.ssl {
            // `Require`: a server without TLS is left before it is told anything.
            config.ssl_mode(SslMode::Require);
            let mut tls =
                Tls::new(ca_bundle).map_err(|failure| Broken::new(Trouble::Tls, failure.source))?;
            let handshake =
                <Tls as tokio_postgres::tls::MakeTlsConnect<TcpStream>>::make_tls_connect(
                    &mut tls,
                    &credentials.host,
                )
                .map_err(|error| Broken::new(Trouble::Tls, error))?;
            log_in(&config, stream, handshake).await
        } else {
            config.ssl_mode(SslMode::Disable);
            log_in(&config, stream, NoTls).await
        }
    }

    /// The answer of one statement, or of the last of several.
    pub(crate) async fn table(&mut self, sql: &str) -> Result<Table, Broken> {
        let mut table = Table::default();
        for message in self.client.simple_query(sql).await.map_err(broken)? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    table = Table {
                        names: columns.iter().map(|c| c.name().to_owned()).collect(),
                        rows: Vec::new(),
                    };
                }
                SimpleQueryMessage::Row(row) => {
                    let texts = (0..row.len()).map(|i| row.get(i).map(str::to_owned));
                    table.rows.push(texts.collect());
                }
                _ => {}
            }
        }
        Ok(table)
    }
}

async fn log_in<T>(config: &Config, stream: TcpStream, tls: T) -> Result<PostgresSession, Broken>
where
    T: TlsConnect<TcpStream>,
    T::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config.connect_raw(stream, tls).await.map_err(broken)?;
    let carrier = tokio::spawn(async move {
        // Why it ended is told to whoever waits for an answer.
        let _ended = connection.await;
    });
    Ok(PostgresSession { client, carrier })
}

/// What an error means. Of a server's error only the code is kept: its text may repeat values.
fn broken(error: Error) -> Broken {
    let Some(server) = error.as_db_error() else {
        // The driver tells its own errors apart by their text only.
        let text = error.to_string();
        let trouble = if text.starts_with("error performing TLS handshake") {
            Trouble::Tls
        } else if text.starts_with("authentication error") {
            Trouble::Auth
        } else if text.starts_with("error communicating with the server") || error.is_closed() {
            Trouble::Tcp
        } else {
            Trouble::Other
        };
        return Broken::new(trouble, error);
    };
    let source = format!("server error {}", server.code().code());
    Broken::new(of_code(server.code()), source)
}

fn of_code(code: &SqlState) -> Trouble {
    match *code {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Trouble::Auth,
        SqlState::INSUFFICIENT_PRIVILEGE => Trouble::Denied,
        SqlState::LOCK_NOT_AVAILABLE
        | SqlState::QUERY_CANCELED
        | SqlState::T_R_DEADLOCK_DETECTED => Trouble::Timeout,
        SqlState::INVALID_CATALOG_NAME
        | SqlState::UNDEFINED_TABLE
        | SqlState::UNDEFINED_COLUMN
        | SqlState::UNDEFINED_FUNCTION => Trouble::Missing,
        SqlState::READ_ONLY_SQL_TRANSACTION => Trouble::ReadOnly,
        _ => Trouble::Other,
    }
}
