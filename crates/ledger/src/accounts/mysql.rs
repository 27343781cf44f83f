//! MySQL and MariaDB.

use std::path::Path;

use cutover_domain::rotation::Server;
use cutover_domain::rotation::sql::Flavour;
use cutover_ports::rotation::{Login, LoginError, LoginFault, Row, StatementFault};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, Value};

use super::failed;
use crate::mysql::tls;

/// No backslash in text literals, names quoted where they are printed, and no long wait for a lock.
const SETUP: &str = "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', sql_quote_show_create = 1, autocommit = 1, \
     lock_wait_timeout = 5";
/// Salts of MySQL 8 may be any bytes: printed as text they could not be read.
const PRINT_HEX: &str = "SET SESSION print_identified_with_as_hex = ON";
const PRINT_HEX_SINCE: (u16, u16, u16) = (8, 0, 17);

/// Given, so that the driver does not ask for them.
const PACKET_BYTES_MAX: usize = 1 << 24;
const WAIT_TIMEOUT_SECONDS: usize = 28_800;

mod code {
    //! Server error numbers, the same in MySQL and MariaDB.
    pub(super) const ACCESS_DENIED_DB: u16 = 1044;
    pub(super) const ACCESS_DENIED: u16 = 1045;
    pub(super) const TABLE_ACCESS_DENIED: u16 = 1142;
    pub(super) const COLUMN_ACCESS_DENIED: u16 = 1143;
    pub(super) const SPECIFIC_ACCESS_DENIED: u16 = 1227;
    pub(super) const ROUTINE_ACCESS_DENIED: u16 = 1370;
    pub(super) const ACCESS_DENIED_NO_PASSWORD: u16 = 1698;
}

pub(super) struct Wire(Conn);

pub(super) async fn log_in(
    login: &Login,
    ca_bundle: Option<&Path>,
) -> Result<(Wire, Server), LoginError> {
    let opts = OptsBuilder::default()
        .ip_or_hostname(login.host.as_str())
        .tcp_port(login.port)
        .user(Some(login.username.as_str()))
        .pass(Some(login.password.expose()))
        .db_name(login.dbname.as_deref())
        .tcp_nodelay(true)
        .prefer_socket(false)
        .max_allowed_packet(Some(PACKET_BYTES_MAX))
        .wait_timeout(Some(WAIT_TIMEOUT_SECONDS))
        .setup(vec![SETUP])
        .ssl_opts(login.ssl.then(|| tls(ca_bundle)));
    let mut conn = Conn::new(opts).await.map_err(login_error)?;
    let said: Option<String> = conn
        .query_first("SELECT VERSION()")
        .await
        .map_err(login_error)?;
    let server = Server::of_mysql_version(&said.unwrap_or_default());
    if server.flavour == Flavour::MySql && server.version >= PRINT_HEX_SINCE {
        conn.query_drop(PRINT_HEX).await.map_err(login_error)?;
    }
    Ok((Wire(conn), server))
}

impl Wire {
    pub(super) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, StatementFault> {
        let rows: Vec<mysql_async::Row> = self.0.query(sql).await.map_err(|e| fault(&e))?;
        rows.into_iter()
            .map(|row| row.unwrap().into_iter().map(text).collect())
            .collect()
    }

    pub(super) async fn close(self) {
        let _ended_anyway = self.0.disconnect().await;
    }
}

/// The text protocol's values are texts.
fn text(value: Value) -> Result<Option<String>, StatementFault> {
    match value {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| StatementFault::Server("answer that is no UTF-8".to_owned())),
        _ => Err(StatementFault::Server("answer that is no text".to_owned())),
    }
}

fn fault(error: &Error) -> StatementFault {
    let Error::Server(server) = error else {
        return StatementFault::Lost;
    };
    let code = server.code.to_string();
    match server.code {
        code::ACCESS_DENIED_DB
        | code::ACCESS_DENIED
        | code::TABLE_ACCESS_DENIED
        | code::COLUMN_ACCESS_DENIED
        | code::SPECIFIC_ACCESS_DENIED
        // What MariaDB says to who may not hand a role on.
        | code::ACCESS_DENIED_NO_PASSWORD
        | code::ROUTINE_ACCESS_DENIED => StatementFault::Denied(code),
        _ => StatementFault::Server(code),
    }
}

fn login_error(error: Error) -> LoginError {
    match error {
        // The server's message names the user and where it comes from: its number is enough.
        Error::Server(server) => {
            let code = server.code.to_string();
            let fault = match server.code {
                code::ACCESS_DENIED | code::ACCESS_DENIED_NO_PASSWORD => LoginFault::Password,
                _ => LoginFault::Server(code.clone()),
            };
            failed(fault, format!("server error {code}"))
        }
        Error::Io(IoError::Tls(error)) => failed(LoginFault::Tls, error),
        Error::Io(IoError::Io(error)) => {
            let of_tls = error
                .get_ref()
                .and_then(|source| source.downcast_ref::<rustls::Error>())
                .is_some();
            let fault = if of_tls {
                LoginFault::Tls
            } else {
                LoginFault::Tcp
            };
            failed(fault, error)
        }
        Error::Driver(error @ DriverError::NoClientSslFlagFromServer) => {
            failed(LoginFault::Tls, error)
        }
        other => failed(LoginFault::Server("of the driver".to_owned()), other),
    }
}
