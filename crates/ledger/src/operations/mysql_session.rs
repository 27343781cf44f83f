//! A session on MySQL or MariaDB, and what its errors mean.

use std::io;
use std::path::Path;
use std::time::Duration;

use cutover_ports::parity::Trouble;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, Row, Value};

use super::session::{Access, Broken, Table, TextRow};
use crate::credentials::Credentials;
use crate::mysql::tls;

/// `sql_mode` is set, because a value may be read otherwise in another one (`PAD_CHAR_TO_FULL_LENGTH`), and the schema is
/// to be made in a strict one. Locks on rows and tables are waited for 2 s.
const SETUP: &str = "SET SESSION autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES', \
     innodb_lock_wait_timeout = 2, lock_wait_timeout = 2";
const READ_ONLY: &str = "SET SESSION TRANSACTION READ ONLY";

/// A connection on which nothing moves for so long is probed.
const PROBE_AFTER: Duration = Duration::from_secs(5);

pub(crate) struct MySqlSession {
    conn: Conn,
    mariadb: bool,
}

impl MySqlSession {
    pub(crate) async fn open(
        credentials: &Credentials,
        ca_bundle: Option<&Path>,
        access: Access,
    ) -> Result<Self, Broken> {
        let mut setup = vec![SETUP];
        if access == Access::Read {
            setup.push(READ_ONLY);
        }
        let opts = OptsBuilder::default()
            .ip_or_hostname(credentials.host.as_str())
            .tcp_port(credentials.port)
            .user(Some(credentials.username.as_str()))
            .pass(Some(credentials.password.expose()))
            .db_name(Some(credentials.dbname.as_str()))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(PROBE_AFTER))
            .prefer_socket(false)
            .setup(setup)
            .ssl_opts(credentials.ssl.then(|| tls(ca_bundle)));
        let mut conn = Conn::new(opts).await.map_err(broken)?;
        let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(broken)?;
        let mariadb = version.is_some_and(|version| version.contains("MariaDB"));
        Ok(Self { conn, mariadb })
    }

    pub(crate) fn is_mariadb(&self) -> bool {
        self.mariadb
    }

    /// The answer of one statement.
    pub(crate) async fn table(&mut self, sql: &str) -> Result<Table, Broken> {
        let answer = self.conn.query_iter(sql).await.map_err(broken)?;
        let names = answer.columns().map_or_else(Vec::new, |columns| {
            columns.iter().map(|c| c.name_str().into_owned()).collect()
        });
        let rows: Vec<Row> = answer.collect_and_drop().await.map_err(broken)?;
        let rows = rows.into_iter().map(text_row).collect::<Result<_, _>>()?;
        Ok(Table { names, rows })
    }
}

fn text_row(row: Row) -> Result<TextRow, Broken> {
    let text = |value| match value {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| Broken::new(Trouble::Other, "the server answered no text")),
        // In the text protocol there are no others.
        _ => Err(Broken::new(Trouble::Other, "the server answered no text")),
    };
    row.unwrap().into_iter().map(text).collect()
}

/// What an error means. Of a server's error only the number is kept: its text may repeat values.
fn broken(error: Error) -> Broken {
    let trouble = match &error {
        Error::Server(server) => {
            let source = format!("server error {} (SQLSTATE {})", server.code, server.state);
            return Broken::new(of_code(server.code), source);
        }
        Error::Io(IoError::Tls(_)) | Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Trouble::Tls
        }
        Error::Io(IoError::Io(error)) => of_io(error),
        _ => Trouble::Other,
    };
    Broken::new(trouble, error)
}

/// rustls reports what it refuses as an I/O error of this kind.
fn of_io(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::InvalidData => Trouble::Tls,
        io::ErrorKind::TimedOut => Trouble::Timeout,
        _ => Trouble::Tcp,
    }
}

/// Server error numbers, the same in MySQL and MariaDB unless they say otherwise.
fn of_code(code: u16) -> Trouble {
    match code {
        // Access denied: to a user, for want of an allowed host, to an account that is locked or has an expired password.
        1045 | 1130 | 1862 | 3118 | 3159 | 4151 => Trouble::Auth,
        // To a database, table, column or statement.
        1044 | 1142 | 1143 | 1227 | 1370 => Trouble::Denied,
        // A lock, a statement, a deadlock: MySQL's 3024 and MariaDB's 1969 are those that were ended for their time.
        1205 | 1213 | 1317 | 1969 | 3024 => Trouble::Timeout,
        1049 | 1054 | 1146 | 1305 => Trouble::Missing,
        1290 | 1792 | 1836 => Trouble::ReadOnly,
        _ => Trouble::Other,
    }
}
