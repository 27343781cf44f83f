//! PostgreSQL.

use std::error::Error as _;
use std::path::Path;

use cutover_domain::rotation::Server;
use cutover_ports::rotation::{Login, LoginError, LoginFault, Row, StatementFault};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};

use super::failed;
use crate::postgres_tls::Tls;

/// Time-outs in ms. An empty path, so that the server qualifies every name that it prints; literals know no backslash.
/// The server gives up before we do, so that nothing of a statement that was given up is still under way.
const OPTIONS: &str = "-c statement_timeout=9000 -c lock_timeout=5000 \
     -c idle_in_transaction_session_timeout=15000 -c standard_conforming_strings=on -c search_path= \
     -c client_min_messages=error -c DateStyle=ISO";
/// Where a login goes that names no database: every cluster has it.
const DATABASE: &str = "postgres";

pub(super) struct Wire {
    client: Client,
    carrier: Carrier,
}

/// Carries bytes between the client and the socket until one of them ends, or it is dropped.
struct Carrier(JoinHandle<()>);

impl Drop for Carrier {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn log_in(
    login: &Login,
    ca_bundle: Option<&Path>,
) -> Result<(Wire, Server), LoginError> {
    let stream = TcpStream::connect((login.host.as_str(), login.port))
        .await
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|error| failed(LoginFault::Tcp, error))?;
    let mut config = Config::new();
    config
        .user(login.username.as_str())
        .password(login.password.expose())
        .dbname(login.dbname.as_deref().unwrap_or(DATABASE))
        .application_name("cutover-rotation")
        .options(OPTIONS);
    let wire = if login.ssl {
        // `Require`: a server without TLS is left before it is told anything.
        config.ssl_mode(SslMode::Require);
        let mut tls =
            Tls::new(ca_bundle).map_err(|failure| failed(LoginFault::Tls, failure.source))?;
        let handshake = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, &login.host)
            .map_err(|error| failed(LoginFault::Tls, error))?;
        enter(&config, stream, handshake).await?
    } else {
        config.ssl_mode(SslMode::Disable);
        enter(&config, stream, NoTls).await?
    };
    let said = wire.query("SHOW server_version").await;
    let said = said.map_err(|fault| failed(LoginFault::Server(fault.to_string()), "no version"))?;
    let said = said.into_iter().flatten().flatten().next();
    let server = Server::of_postgres_version(&said.unwrap_or_default());
    Ok((wire, server))
}

async fn enter<T>(config: &Config, stream: TcpStream, tls: T) -> Result<Wire, LoginError>
where
    T: TlsConnect<TcpStream>,
    T::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config
        .connect_raw(stream, tls)
        .await
        .map_err(|error| login_error(&error))?;
    let carrier = tokio::spawn(async move {
        // Why it ended is told to whoever waits for an answer.
        let _ended = connection.await;
    });
    Ok(Wire {
        client,
        carrier: Carrier(carrier),
    })
}

impl Wire {
    pub(super) async fn query(&self, sql: &str) -> Result<Vec<Row>, StatementFault> {
        let messages = self.client.simple_query(sql).await.map_err(|e| fault(&e))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let cells = (0..row.len()).map(|i| row.get(i).map(str::to_owned));
                Some(cells.collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The carrier says goodbye by itself once nobody can ask any more; it is waited for, and ended if it is late.
    pub(super) async fn close(self) {
        let Self { client, carrier } = self;
        drop(client);
        let mut carrier = carrier;
        let _ended = (&mut carrier.0).await;
    }
}

fn fault(error: &Error) -> StatementFault {
    let Some(code) = error.code() else {
        return StatementFault::Lost;
    };
    let name = code.code().to_owned();
    match *code {
        SqlState::INSUFFICIENT_PRIVILEGE => StatementFault::Denied(name),
        _ => StatementFault::Server(name),
    }
}

fn login_error(error: &Error) -> LoginError {
    if let Some(code) = error.code() {
        let name = code.code().to_owned();
        // 28000 is no wrong password: the server's access rules, or a role that may not log in.
        let fault = match *code {
            SqlState::INVALID_PASSWORD => LoginFault::Password,
            _ => LoginFault::Server(name.clone()),
        };
        return failed(fault, format!("server error {name}"));
    }
    let said = error.to_string();
    let source = error.source().map_or(said.clone(), ToString::to_string);
    // The driver tells its errors apart by their text alone.
    let fault = if said.starts_with("error performing TLS handshake") {
        LoginFault::Tls
    } else {
        LoginFault::Tcp
    };
    failed(fault, source)
}
