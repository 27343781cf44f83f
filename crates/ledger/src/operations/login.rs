//! Logs in, and looks around.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cutover_ports::parity::{ChangeLog, DatabaseError, Login, LoginCheck, Site, Trouble};

use super::Databases;
use super::session::{Access, Dialect, Session, TextRow};

const OPERATION: &str = "log in";

/// Version, cipher, whether writes are refused, and the settings of the change log.
const MYSQL: &str = "SELECT VERSION(), \
     (SELECT VARIABLE_VALUE FROM SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'), \
     @@global.read_only NOT IN ('0', 'OFF') OR @@global.innodb_read_only <> 0, \
     CASE WHEN @@global.log_bin THEN 'ON' ELSE 'OFF' END, @@global.binlog_format, @@global.binlog_row_image";

/// Version, whether the connection is encrypted, whether writes are refused, and the setting of the change log. The
/// session itself is read-only: what a new one would be is asked.
const POSTGRES: &str = "SELECT current_setting('server_version'), \
     (SELECT ssl::int FROM pg_stat_ssl WHERE pid = pg_backend_pid()), pg_is_in_recovery()::int, \
     current_setting('wal_level')";

#[async_trait]
impl LoginCheck for Databases {
    async fn log_in(&self, site: &Site, budget: Duration) -> Result<Login, DatabaseError> {
        let until = Instant::now() + budget;
        let ca_bundle = self.ca_bundle.as_deref();
        let mut session = Session::open(site, ca_bundle, Access::Read, until).await?;
        let dialect = session.dialect();
        let statement = match dialect {
            Dialect::MySql => MYSQL.replace("SESSION_STATUS", "performance_schema.session_status"),
            Dialect::MariaDb => {
                MYSQL.replace("SESSION_STATUS", "information_schema.SESSION_STATUS")
            }
            Dialect::Postgres => POSTGRES.to_owned(),
        };
        let rows = session.rows(OPERATION, &statement).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        read(dialect, row)
            .ok_or_else(|| session.error(OPERATION, Trouble::Other, "an answer that can't be read"))
    }
}

fn read(dialect: Dialect, row: TextRow) -> Option<Login> {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    let version = next()?;
    let version = version
        .split(['-', ' '])
        .next()
        .unwrap_or_default()
        .to_owned();
    let tls = next().is_some_and(|tls| !tls.is_empty() && tls != "0");
    let writable = next()? == "0";
    let (product, change_log) = match dialect {
        Dialect::MySql | Dialect::MariaDb => {
            let (log, format, image) = (next()?, next()?, next()?);
            let ready = log == "ON" && format == "ROW" && image.starts_with("FULL");
            let observed =
                format!("log_bin={log}, binlog_format={format}, binlog_row_image={image}");
            let product = if dialect == Dialect::MySql {
                "MySQL"
            } else {
                "MariaDB"
            };
            (product, ChangeLog { ready, observed })
        }
        Dialect::Postgres => {
            let level = next()?;
            let change_log = ChangeLog {
                ready: level == "logical",
                observed: format!("wal_level={level}"),
            };
            ("PostgreSQL", change_log)
        }
    };
    Some(Login {
        server: format!("{product} {version}"),
        tls,
        writable,
        change_log,
    })
}
