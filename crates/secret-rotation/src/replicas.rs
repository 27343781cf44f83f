//! Servers that have to follow before the new password is handed out: who reads the new version may log in to any of them.
//!
//! A writer of PostgreSQL says how far its physical replicas are, to who may see it; Aurora MySQL says how late its readers
//! are. Other servers of MySQL and MariaDB do not know their replicas' positions.

use std::time::Duration;

use cutover_domain::rotation::sql::{Flavour, postgres_literal};
use cutover_ports::rotation::{Databases, Row, SecretVersions, Session};

use crate::error::RotationError;
use crate::rotation::Run;
use crate::session::column;

/// Looks in all, and the wait between two.
const LOOKS_MAX: u32 = 40;
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// For replicas whose position is not shown to this user.
const GRACE: Duration = Duration::from_secs(1);
/// A lag of Aurora readers that is waited for as a whole.
const LAG_MS_MAX: u64 = 10_000;

/// Replicas that do not decode logically: those alone have the writer's roles. The last column counts positions that this
/// user may not see.
const WHERE_PHYSICAL: &str = "FROM pg_catalog.pg_stat_replication r WHERE NOT EXISTS (SELECT 1 FROM \
     pg_catalog.pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')";

const AURORA_HAS: &str = "SELECT COUNT(*) FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'REPLICA_HOST_STATUS'";
const AURORA_LAG: &str = "SELECT CAST(COALESCE(MAX(CEIL(REPLICA_LAG_IN_MILLISECONDS)), 0) AS CHAR) \
     FROM information_schema.REPLICA_HOST_STATUS WHERE SESSION_ID <> 'MASTER_SESSION_ID'";

/// Waits until replicas have what the writer has now.
pub(crate) async fn wait<V: SecretVersions, D: Databases>(
    run: &mut Run<'_, V, D>,
    mut session: D::Session,
) -> Result<(), RotationError> {
    let found = match session.server().flavour {
        Flavour::Postgres => postgres(&mut session).await?,
        Flavour::MySql => aurora(&mut session).await?,
        Flavour::MariaDb => "unknown to the writer",
    };
    session.close().await;
    run.report.replicas = Some(found);
    Ok(())
}

async fn postgres<S: Session>(session: &mut S) -> Result<&'static str, RotationError> {
    let what = "ask for replicas";
    let position = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE \
                    pg_catalog.pg_current_wal_lsn()::text END";
    let Some(position) = column(session.query(what, position).await?).pop() else {
        return Ok("this server is one");
    };
    let position = postgres_literal(&position);
    let question = format!(
        "SELECT count(*), count(*) FILTER (WHERE r.replay_lsn < {position}::pg_lsn), \
         count(*) FILTER (WHERE r.replay_lsn IS NULL) {WHERE_PHYSICAL}"
    );
    let mut behind = 0;
    for _look in 0..LOOKS_MAX {
        let counts = numbers(&session.query(what, &question).await?);
        match counts.as_slice() {
            [0, ..] => return Ok("none"),
            [_, _, hidden] if *hidden > 0 => {
                tokio::time::sleep(GRACE).await;
                return Ok("there, and not shown to this user");
            }
            [_, 0, _] => return Ok("caught up"),
            [_, late, _] => behind = *late,
            _ => return Ok("unknown to the writer"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(RotationError::ReplicasBehind(behind))
}

async fn aurora<S: Session>(session: &mut S) -> Result<&'static str, RotationError> {
    let what = "ask for replicas";
    let has = numbers(&session.query(what, AURORA_HAS).await?);
    if has.first().copied().unwrap_or(0) == 0 {
        return Ok("unknown to the writer");
    }
    let lag = numbers(&session.query(what, AURORA_LAG).await?);
    match lag.first().copied().unwrap_or(0) {
        0 => Ok("caught up"),
        lag if lag <= LAG_MS_MAX => {
            // What was written before now is there once the present lag has passed.
            tokio::time::sleep(Duration::from_millis(lag)).await;
            Ok("caught up")
        }
        _ => Err(RotationError::ReplicasBehind(1)),
    }
}

fn numbers(rows: &[Row]) -> Vec<u64> {
    let cells = rows.iter().flatten().flatten();
    cells.filter_map(|cell| cell.parse().ok()).collect()
}
