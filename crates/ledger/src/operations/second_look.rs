//! What becomes of rows that differed at the first look.
//!
//! They are looked at again: at once, because most were under way; and then before and after everything that had been
//! written by then has arrived on the other side. What still differs, and did not change meanwhile, is a difference.

use std::time::Duration;

use cutover_domain::parity::TableProgress;
use cutover_domain::parity::key::ComparedTable;
use cutover_domain::parity::rows::{DifferingRow, KeyText, Settled, settle as settled, suspects};
use tokio::time::sleep;

use super::chunk::Stop;
use super::compare::Comparison;
use super::replication;
use super::sql;

/// How often a row that keeps changing is looked at.
const ROUNDS: u32 = 6;
/// Wait before each further round, times the number of the round.
const WAIT: Duration = Duration::from_millis(200);

/// Looks at the suspects of a table again until each is known to be the same, or to differ. `false`: this call has no time
/// for that; the suspects are kept, and the next call begins with them.
pub(super) async fn settle(
    comparison: &mut Comparison<'_>,
    compared: &ComparedTable,
    table: &mut TableProgress,
) -> Result<bool, Stop> {
    for round in 0..ROUNDS {
        if round > 0 {
            sleep(WAIT.saturating_mul(round)).await;
        }
        let limit = comparison.patience();
        let keys: Vec<KeyText> = table.suspects.iter().cloned().collect();
        let (blue, green) = comparison.sides.look_up(compared, &keys, limit).await?;
        let keys: Vec<KeyText> = suspects(&blue, &green)
            .into_iter()
            .filter(|key| table.suspects.contains(key))
            .collect();
        table.suspects = keys.iter().cloned().collect();
        if keys.is_empty() {
            return Ok(true);
        }
        let patience = comparison.left().saturating_sub(limit);
        let lag_outside = comparison.request.lag_outside;
        let sides = &mut comparison.sides;
        if !replication::catch_up(sides, lag_outside, patience).await? {
            return Ok(false);
        }
        let before = (&blue, &green);
        let (blue, green) = comparison.sides.look_up(compared, &keys, limit).await?;
        for key in keys {
            match settled(&key, before, (&blue, &green)) {
                Settled::Moving => continue,
                Settled::Same => {}
                Settled::Differs(how) => {
                    let shown = sql::readable(compared, &key);
                    if table.differing.len() < comparison.request.limits.shown_max {
                        table.differing.push(DifferingRow { key: shown, how });
                    }
                }
            }
            table.suspects.remove(&key);
        }
        if table.suspects.is_empty() {
            return Ok(true);
        }
    }
    Err(Stop::Unknown(format!(
        "{} rows differ and changed at every look, {ROUNDS} times",
        table.suspects.len()
    )))
}
