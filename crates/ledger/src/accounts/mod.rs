//! Sessions for the rotation of credentials: logins whose failures are told apart, and statements about accounts.
//!
//! What is stated is decided elsewhere (`cutover_domain::rotation`). Nothing that a server says is repeated but its codes:
//! its messages quote what they refuse.

mod mysql;
mod postgres;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cutover_domain::rotation::{Engine, Server, Statement};
use cutover_ports::payment::Source;
use cutover_ports::rotation::{
    Databases, Login, LoginError, LoginFault, Row, Session, StatementError, StatementFault,
};
use tokio::time::timeout;

/// Until a login stands: name, TCP, TLS, password.
const LOGIN_MAX: Duration = Duration::from_secs(5);
/// One statement. Account statements wait for locks of the system's tables.
const STATEMENT_MAX: Duration = Duration::from_secs(10);
/// To end a session in order.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// The databases that secrets name.
#[derive(Debug, Clone, Default)]
pub struct SqlDatabases {
    /// PEM file of the authorities that servers are verified by, in place of the built-in ones of RDS.
    pub ca_bundle: Option<PathBuf>,
}

enum Wire {
    MySql(mysql::Wire),
    Postgres(postgres::Wire),
}

/// A session with either engine.
pub struct SqlSession {
    wire: Wire,
    server: Server,
    until: Instant,
}

impl Databases for SqlDatabases {
    type Session = SqlSession;

    async fn log_in(&self, login: &Login, until: Instant) -> Result<SqlSession, LoginError> {
        let ca_bundle = self.ca_bundle.as_deref();
        let entering = async {
            resolve(login).await?;
            match login.engine {
                Engine::Mysql | Engine::Mariadb => {
                    let (wire, server) = mysql::log_in(login, ca_bundle).await?;
                    Ok((Wire::MySql(wire), server))
                }
                Engine::Postgres => {
                    let (wire, server) = postgres::log_in(login, ca_bundle).await?;
                    Ok((Wire::Postgres(wire), server))
                }
            }
        };
        let late = |_| failed(LoginFault::Late, "no login in time");
        let (wire, server) = timeout(within(LOGIN_MAX, until), entering)
            .await
            .map_err(late)??;
        Ok(SqlSession {
            wire,
            server,
            until,
        })
    }
}

impl Session for SqlSession {
    fn server(&self) -> Server {
        self.server
    }

    async fn query(&mut self, what: &'static str, sql: &str) -> Result<Vec<Row>, StatementError> {
        let limit = within(STATEMENT_MAX, self.until);
        match &mut self.wire {
            Wire::MySql(wire) => in_time(what, limit, wire.query(sql)).await,
            Wire::Postgres(wire) => in_time(what, limit, wire.query(sql)).await,
        }
    }

    async fn execute(&mut self, statement: &Statement) -> Result<(), StatementError> {
        let limit = within(STATEMENT_MAX, self.until);
        let (what, sql) = (statement.what, statement.expose());
        let done = match &mut self.wire {
            Wire::MySql(wire) => in_time(what, limit, wire.query(sql)).await,
            Wire::Postgres(wire) => in_time(what, limit, wire.query(sql)).await,
        };
        done.map(|_rows| ())
    }

    async fn close(self) {
        let closing = async {
            match self.wire {
                Wire::MySql(wire) => wire.close().await,
                Wire::Postgres(wire) => wire.close().await,
            }
        };
        let _dropped_if_late = timeout(CLOSE_MAX, closing).await;
    }
}

/// Asked first, so that a name that does not resolve is told apart from a server that does not answer.
async fn resolve(login: &Login) -> Result<(), LoginError> {
    let found = tokio::net::lookup_host((login.host.as_str(), login.port)).await;
    match found.map(|mut addresses| addresses.next()) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(failed(LoginFault::Dns, "no address")),
        Err(error) => Err(failed(LoginFault::Dns, error)),
    }
}

fn within(limit: Duration, until: Instant) -> Duration {
    limit.min(until.saturating_duration_since(Instant::now()))
}

async fn in_time(
    what: &'static str,
    limit: Duration,
    asking: impl Future<Output = Result<Vec<Row>, StatementFault>>,
) -> Result<Vec<Row>, StatementError> {
    let answer = timeout(limit, asking).await;
    let answer = answer.unwrap_or(Err(StatementFault::Lost));
    answer.map_err(|fault| StatementError { what, fault })
}

fn failed(fault: LoginFault, source: impl Into<Source>) -> LoginError {
    LoginError {
        fault,
        source: source.into(),
    }
}
