//! The streams into a database, its load, and waiting for what was written before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cutover_domain::parity::load::Pressure;
use cutover_ports::parity::{DatabaseError, LinkState, ReplicaLink, ReplicaStatus, Site, Trouble};
use tokio::time::sleep;

use super::Databases;
use super::chunk::{Sides, Stop};
use super::session::{Access, Dialect, Session};
use super::sql;

/// How long replication may take to bring over what was written before.
const CATCH_UP_MAX: Duration = Duration::from_secs(30);
/// Added to a lag that is known from elsewhere.
const LAG_MARGIN: Duration = Duration::from_secs(1);
/// Waited where nothing replicates, for transactions that were about to commit.
const NO_REPLICATION_WAIT: Duration = Duration::from_secs(1);
/// How often PostgreSQL is asked whether it has caught up.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

const STATUS: &str = "read the replica's status";
const PRESSURE: &str = "read the load";
const CATCH_UP: &str = "wait for replication";

#[async_trait]
impl ReplicaStatus for Databases {
    async fn links(
        &self,
        site: &Site,
        budget: Duration,
    ) -> Result<Vec<ReplicaLink>, DatabaseError> {
        let until = Instant::now() + budget;
        let mut session =
            Session::open(site, self.ca_bundle.as_deref(), Access::Read, until).await?;
        links(&mut session).await
    }
}

async fn links(session: &mut Session) -> Result<Vec<ReplicaLink>, DatabaseError> {
    match session.dialect() {
        Dialect::MySql | Dialect::MariaDb => {
            let rows = replica_rows(session).await?;
            Ok(rows.iter().map(mysql_link).collect())
        }
        Dialect::Postgres => {
            let rows = session.rows(STATUS, SUBSCRIPTIONS).await?;
            let links = rows.into_iter().map(|row| {
                let mut row = row.into_iter();
                let mut next = || row.next().flatten();
                postgres_link(
                    next().unwrap_or_default(),
                    next().as_deref(),
                    next(),
                    next(),
                )
            });
            Ok(links.collect())
        }
    }
}

/// A row per source, by the names of its columns.
async fn replica_rows(
    session: &mut Session,
) -> Result<Vec<BTreeMap<String, String>>, DatabaseError> {
    let statement = match session.dialect() {
        Dialect::MariaDb => "SHOW ALL SLAVES STATUS",
        _ => "SHOW REPLICA STATUS",
    };
    session.named_rows(STATUS, statement).await
}

/// The first of the names that the row has: MySQL renamed them in 8.0.22, MariaDB did not.
fn first<'a>(row: &'a BTreeMap<String, String>, names: [&str; 2]) -> Option<&'a str> {
    names
        .into_iter()
        .find_map(|name| row.get(name))
        .map(String::as_str)
}

fn mysql_link(row: &BTreeMap<String, String>) -> ReplicaLink {
    let name = first(row, ["Connection_name", "Channel_Name"]).unwrap_or_default();
    let running = |names| first(row, names) == Some("Yes");
    let io = running(["Slave_IO_Running", "Replica_IO_Running"]);
    let sql = running(["Slave_SQL_Running", "Replica_SQL_Running"]);
    let lag = first(row, ["Seconds_Behind_Master", "Seconds_Behind_Source"]);
    let state = match (io && sql, lag.and_then(|lag| lag.parse().ok())) {
        (true, Some(lag_seconds)) => LinkState::Running { lag_seconds },
        (true, None) => {
            LinkState::Unknown("the server does not say how far it is behind".to_owned())
        }
        (false, _) => {
            let code = |name: &str| row.get(name).cloned().unwrap_or_default();
            LinkState::Stopped(format!(
                "receiving: {io} (error {}), applying: {sql} (error {})",
                code("Last_IO_Errno"),
                code("Last_SQL_Errno")
            ))
        }
    };
    ReplicaLink {
        name: if name.is_empty() { "default" } else { name }.to_owned(),
        state,
    }
}

/// Name, whether it runs, how far behind (s), how long nothing was heard (s). A standby's stream is its own replay. A
/// subscription that has confirmed all that it received is behind by what a message takes.
const SUBSCRIPTIONS: &str = "SELECT s.subname, (s.pid IS NOT NULL)::text, \
     CASE WHEN s.latest_end_lsn >= s.received_lsn \
         THEN extract(epoch FROM s.last_msg_receipt_time - s.last_msg_send_time) \
         ELSE extract(epoch FROM now() - s.latest_end_time) END::bigint, \
     extract(epoch FROM now() - s.last_msg_receipt_time)::bigint \
     FROM pg_stat_subscription s JOIN pg_subscription o ON o.oid = s.subid \
     JOIN pg_database d ON d.oid = o.subdbid \
     WHERE s.relid IS NULL AND d.datname = current_database() \
     UNION ALL SELECT 'standby', 'true', CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
         ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())::bigint END, 0 \
     WHERE pg_is_in_recovery()";

/// A source sends something every 30 s at least (`wal_sender_timeout` 60 s, halved).
const SILENCE_SECONDS_MAX: u64 = 90;

fn postgres_link(
    name: String,
    running: Option<&str>,
    lag: Option<String>,
    silence: Option<String>,
) -> ReplicaLink {
    let seconds = |text: Option<String>| {
        // The clocks of two servers may differ by a little: less than nothing is nothing.
        text.and_then(|text| text.parse::<i64>().ok())
            .map(|seconds| u64::try_from(seconds).unwrap_or(0))
    };
    let state = match (running, seconds(lag), seconds(silence)) {
        (Some("true"), Some(lag_seconds), Some(silence)) if silence <= SILENCE_SECONDS_MAX => {
            LinkState::Running { lag_seconds }
        }
        (Some("true"), _, Some(silence)) if silence > SILENCE_SECONDS_MAX => {
            LinkState::Unknown(format!("nothing was heard from its source for {silence} s"))
        }
        (Some("true"), _, _) => {
            LinkState::Unknown("the server does not say how far it is behind".to_owned())
        }
        _ => LinkState::Stopped("it has no worker".to_owned()),
    };
    ReplicaLink { name, state }
}

/// How busy a server is, and how late.
pub(super) async fn pressure(session: &mut Session) -> Result<Pressure, DatabaseError> {
    let running = match session.dialect() {
        Dialect::MySql | Dialect::MariaDb => {
            let status = "SHOW GLOBAL STATUS LIKE 'Threads_running'";
            let rows = session.named_rows(PRESSURE, status).await?;
            rows.first().and_then(|row| row.get("Value").cloned())
        }
        // Who lacks pg_monitor sees the sessions of its own user only.
        Dialect::Postgres => {
            let count = "SELECT count(*) FROM pg_stat_activity \
                 WHERE state = 'active' AND backend_type = 'client backend'";
            session.value(PRESSURE, count).await?
        }
    };
    let running = running.and_then(|count| count.parse().ok());
    let threads_running = running.ok_or_else(|| {
        session.error(
            PRESSURE,
            Trouble::Other,
            "the server does not say how many threads run",
        )
    })?;
    let lag_seconds = match links(session).await {
        Ok(links) => links.iter().filter_map(lag_of).max(),
        // Lag has a check of its own, which says so.
        Err(error) if error.trouble == Trouble::Denied => None,
        Err(error) => return Err(error),
    };
    Ok(Pressure {
        threads_running,
        lag_seconds,
    })
}

fn lag_of(link: &ReplicaLink) -> Option<u64> {
    match link.state {
        LinkState::Running { lag_seconds } => Some(lag_seconds),
        LinkState::Stopped(_) | LinkState::Unknown(_) => None,
    }
}

/// Waits until each side has what the other had written when this began. `false`: `patience` is too short for that.
pub(super) async fn catch_up(
    sides: &mut Sides,
    lag_outside: Option<Duration>,
    patience: Duration,
) -> Result<bool, Stop> {
    let until = Instant::now() + patience;
    let to_green = position(&mut sides.blue, &mut sides.green).await?;
    let to_blue = position(&mut sides.green, &mut sides.blue).await?;
    let wait = match lag_outside {
        Some(lag) => lag + LAG_MARGIN,
        None if to_green.is_none() && to_blue.is_none() => NO_REPLICATION_WAIT,
        None => Duration::ZERO,
    };
    if patience < wait {
        return Ok(false);
    }
    sleep(wait).await;
    let Sides { blue, green } = sides;
    for (position, source, target) in [(to_green, &mut *blue, &mut *green)] {
        if !arrive(position, source, target, until).await? {
            return Ok(false);
        }
    }
    arrive(to_blue, green, blue, until).await
}

/// How far a source has written, in its own terms, and how it is found out that a target has that.
enum Position {
    /// GTIDs, to be waited for at the target.
    Gtids(String),
    /// A place in the log, which these slots of the source confirm.
    Log { lsn: String, slots: Vec<String> },
}

/// How far `source` has written, if `target` is its replica as far as the servers know.
async fn position(
    source: &mut Session,
    target: &mut Session,
) -> Result<Option<Position>, DatabaseError> {
    if source.dialect() == Dialect::Postgres {
        return log_position(source, target).await;
    }
    let replicas = match replica_rows(target).await {
        Ok(rows) => rows,
        Err(error) if error.trouble == Trouble::Denied => return Ok(None),
        Err(error) => return Err(error),
    };
    let id = source.value(CATCH_UP, "SELECT @@server_id").await?;
    let follows = |row: &BTreeMap<String, String>| {
        first(row, ["Master_Server_Id", "Source_Server_Id"]) == id.as_deref()
    };
    if !replicas.iter().any(follows) {
        return Ok(None);
    }
    let gtids = if source.dialect() == Dialect::MariaDb {
        let gtids = source.value(CATCH_UP, "SELECT @@gtid_binlog_pos").await?;
        let own = target.value(CATCH_UP, "SELECT @@gtid_domain_id").await?;
        let others = source.value(CATCH_UP, "SELECT @@gtid_domain_id").await?;
        // What the target itself wrote and the source passes on, the target never takes from it.
        let skipped = own.filter(|own| Some(own) != others.as_ref());
        gtids.map(|gtids| without_domain(&gtids, skipped.as_deref()))
    } else {
        source
            .value(CATCH_UP, "SELECT @@global.gtid_executed")
            .await?
    };
    Ok(gtids.filter(|gtids| !gtids.is_empty()).map(Position::Gtids))
}

fn without_domain(gtids: &str, domain: Option<&str>) -> String {
    let kept = gtids
        .split(',')
        .map(str::trim)
        .filter(|gtid| gtid.split('-').next() != domain);
    kept.collect::<Vec<_>>().join(",")
}

async fn log_position(
    source: &mut Session,
    target: &mut Session,
) -> Result<Option<Position>, DatabaseError> {
    const SLOTS: &str = "SELECT o.subslotname FROM pg_subscription o JOIN pg_database d ON d.oid = o.subdbid \
         WHERE d.datname = current_database() AND o.subenabled AND o.subslotname IS NOT NULL";
    let wanted: Vec<String> = target
        .rows(CATCH_UP, SLOTS)
        .await?
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let here = "SELECT slot_name FROM pg_replication_slots \
         WHERE slot_type = 'logical' AND database = current_database()";
    let present: Vec<String> = source
        .rows(CATCH_UP, here)
        .await?
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let slots: Vec<String> = wanted
        .into_iter()
        .filter(|slot| present.contains(slot))
        .collect();
    if slots.is_empty() {
        return Ok(None);
    }
    let lsn = source
        .value(CATCH_UP, "SELECT pg_current_wal_lsn()")
        .await?;
    Ok(lsn.map(|lsn| Position::Log { lsn, slots }))
}

/// Waits until a position has arrived. `false`: not by `until`.
async fn arrive(
    position: Option<Position>,
    source: &mut Session,
    target: &mut Session,
    until: Instant,
) -> Result<bool, Stop> {
    let Some(position) = position else {
        return Ok(true);
    };
    let begun = Instant::now();
    let patience = until.saturating_duration_since(begun).min(CATCH_UP_MAX);
    let arrived = match position {
        Position::Gtids(gtids) => gtids_arrive(target, &gtids, patience).await?,
        Position::Log { lsn, slots } => log_arrives(source, &lsn, &slots, patience).await?,
    };
    if !arrived && patience == CATCH_UP_MAX {
        return Err(Stop::Unknown(format!(
            "rows differ, and replication into {} has not brought what was written before within {} s",
            target.site(),
            CATCH_UP_MAX.as_secs()
        )));
    }
    Ok(arrived)
}

async fn gtids_arrive(
    target: &mut Session,
    gtids: &str,
    patience: Duration,
) -> Result<bool, DatabaseError> {
    let dialect = target.dialect();
    let gtids = sql::text(dialect, gtids);
    // Less than the statement's own limit, so that it ends by itself.
    let seconds = patience.saturating_sub(Duration::from_secs(1)).as_secs();
    let (statement, done) = match dialect {
        Dialect::MariaDb => (format!("SELECT MASTER_GTID_WAIT({gtids}, {seconds})"), "0"),
        _ => (
            format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({gtids}, {seconds})"),
            "0",
        ),
    };
    let rows = target.rows_within(CATCH_UP, &statement, patience).await?;
    let answer = rows.into_iter().flatten().next().flatten();
    Ok(answer.as_deref() == Some(done))
}

async fn log_arrives(
    source: &mut Session,
    lsn: &str,
    slots: &[String],
    patience: Duration,
) -> Result<bool, DatabaseError> {
    let dialect = source.dialect();
    let names: Vec<String> = slots.iter().map(|slot| sql::text(dialect, slot)).collect();
    let statement = format!(
        "SELECT bool_and(confirmed_flush_lsn >= {}::pg_lsn)::text FROM pg_replication_slots WHERE slot_name IN ({})",
        sql::text(dialect, lsn),
        names.join(", ")
    );
    let until = Instant::now() + patience;
    loop {
        let arrived = source.value(CATCH_UP, &statement).await?;
        if arrived.as_deref() == Some("true") {
            return Ok(true);
        }
        if Instant::now() + LOOK_AGAIN >= until {
            return Ok(false);
        }
        sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn both_vocabularies_are_read() {
        let mariadb = row(&[
            ("Connection_name", ""),
            ("Slave_IO_Running", "Yes"),
            ("Slave_SQL_Running", "Yes"),
            ("Seconds_Behind_Master", "7"),
        ]);
        let mysql = row(&[
            ("Channel_Name", "from-blue"),
            ("Replica_IO_Running", "Connecting"),
            ("Replica_SQL_Running", "Yes"),
            ("Last_IO_Errno", "2003"),
            ("Last_SQL_Errno", "0"),
        ]);
        assert_eq!(mysql_link(&mariadb).name, "default");
        assert_eq!(
            mysql_link(&mariadb).state,
            LinkState::Running { lag_seconds: 7 }
        );
        assert_eq!(
            mysql_link(&mysql).state,
            LinkState::Stopped(
                "receiving: false (error 2003), applying: true (error 0)".to_owned()
            )
        );
    }

    #[test]
    fn a_subscription_is_late_silent_or_gone() {
        let link = |running, lag: Option<&str>, silence: Option<&str>| {
            let text = |t: Option<&str>| t.map(str::to_owned);
            postgres_link("s".to_owned(), running, text(lag), text(silence)).state
        };
        let running = |lag_seconds| LinkState::Running { lag_seconds };
        assert_eq!(link(Some("true"), Some("3"), Some("1")), running(3));
        assert_eq!(link(Some("true"), Some("-1"), Some("0")), running(0));
        assert!(matches!(
            link(Some("true"), Some("0"), Some("91")),
            LinkState::Unknown(_)
        ));
        assert!(matches!(
            link(Some("true"), None, None),
            LinkState::Unknown(_)
        ));
        assert!(matches!(
            link(Some("false"), None, None),
            LinkState::Stopped(_)
        ));
    }

    #[test]
    fn what_a_server_wrote_itself_is_not_waited_for() {
        assert_eq!(without_domain("1-1-5,2-2-7", Some("2")), "1-1-5");
        assert_eq!(without_domain("0-1-5", None), "0-1-5");
        assert_eq!(without_domain("12-1-5, 2-2-7", Some("2")), "12-1-5");
    }
}
