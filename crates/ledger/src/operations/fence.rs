//! Sets the fence of a ledger.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cutover_domain::parity::fence::decide;
use cutover_domain::parity::{FenceOrder, FenceOutcome, FenceRow};
use cutover_domain::payment::Color;
use cutover_ports::parity::{DatabaseError, Fence, FenceAnswer, Site, Trouble};
use tokio::time::sleep;

use super::Databases;
use super::session::{Access, Dialect, Session, TextRow};

/// Attempts in all. An attempt whose commit was not confirmed is repeated: then the order stands, or is written now.
const ATTEMPTS_MAX: u32 = 4;
/// Wait before each further attempt.
const WAIT: Duration = Duration::from_millis(200);

const OPERATION: &str = "set the fence";

#[async_trait]
impl Fence for Databases {
    async fn set_fence(
        &self,
        site: &Site,
        order: &FenceOrder,
        budget: Duration,
    ) -> Result<FenceAnswer, DatabaseError> {
        let until = Instant::now() + budget;
        let mut attempt = 1;
        loop {
            let error = match self.set_once(site, order, until).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let late = Instant::now() + WAIT >= until;
            if !error.trouble.may_pass() || attempt == ATTEMPTS_MAX || late {
                return Err(error);
            }
            sleep(WAIT).await;
            attempt += 1;
        }
    }
}

impl Databases {
    /// One transaction. Whatever ends it before its commit leaves nothing.
    async fn set_once(
        &self,
        site: &Site,
        order: &FenceOrder,
        until: Instant,
    ) -> Result<FenceAnswer, DatabaseError> {
        let ca_bundle = self.ca_bundle.as_deref();
        let mut session = Session::open(site, ca_bundle, Access::Write, until).await?;
        session.run(OPERATION, "BEGIN").await?;
        let rows = locked_rows(&mut session).await?;
        let outcome = decide(order, &rows);
        if outcome != FenceOutcome::Applied {
            session.run(OPERATION, "ROLLBACK").await?;
            return Ok(FenceAnswer {
                outcome,
                stands: rows,
            });
        }
        session
            .run(OPERATION, &write(session.dialect(), order))
            .await?;
        session.run(OPERATION, "COMMIT").await?;
        let stands = [Color::Blue, Color::Green].map(|color| FenceRow {
            color,
            may_write: order.may_write(color),
            epoch: order.epoch,
        });
        Ok(FenceAnswer {
            outcome,
            stands: stands.to_vec(),
        })
    }
}

/// The rows, which no one else reads for a payment or changes until the transaction ends.
///
/// The payments that are being written hold their row shared, and are waited for (2 s, then the attempt fails). On
/// PostgreSQL the table is locked first: behind a lock on rows alone new payments pass, and nothing bounds the wait.
async fn locked_rows(session: &mut Session) -> Result<Vec<FenceRow>, DatabaseError> {
    let select = match session.dialect() {
        Dialect::MySql | Dialect::MariaDb => {
            "SELECT color, may_write, epoch FROM cutover_epoch ORDER BY color FOR UPDATE"
        }
        Dialect::Postgres => {
            session
                .run(OPERATION, "LOCK TABLE cutover_epoch IN EXCLUSIVE MODE")
                .await?;
            "SELECT color, may_write::int, epoch FROM cutover_epoch ORDER BY color"
        }
    };
    let rows = session.rows(OPERATION, select).await?;
    let read: Option<Vec<FenceRow>> = rows.into_iter().map(fence_row).collect();
    read.ok_or_else(|| session.error(OPERATION, Trouble::Other, "the fence can't be read"))
}

fn fence_row(row: TextRow) -> Option<FenceRow> {
    let mut values = row.into_iter();
    let mut next = || values.next().flatten();
    Some(FenceRow {
        color: next()?.parse().ok()?,
        may_write: next()? != "0",
        epoch: next()?.parse().ok()?,
    })
}

fn write(dialect: Dialect, order: &FenceOrder) -> String {
    let FenceOrder { epoch, blue, green } = order;
    let values = format!(
        "INSERT INTO cutover_epoch (color, may_write, epoch) \
         VALUES ('blue', {blue}, {epoch}), ('green', {green}, {epoch})"
    );
    let over = match dialect {
        Dialect::MySql | Dialect::MariaDb => {
            "ON DUPLICATE KEY UPDATE may_write = VALUES(may_write), epoch = VALUES(epoch)"
        }
        Dialect::Postgres => {
            "ON CONFLICT (color) DO UPDATE SET may_write = EXCLUDED.may_write, epoch = EXCLUDED.epoch"
        }
    };
    format!("{values} {over}")
}
