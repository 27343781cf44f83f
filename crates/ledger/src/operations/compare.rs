//! Schemas and rows of two databases.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cutover_domain::parity::key::{self, ComparedTable};
use cutover_domain::parity::load::{fewer_rows, next_rows};
use cutover_domain::parity::rows::suspects;
use cutover_domain::parity::schema::{self, TableSchema};
use cutover_domain::parity::{Progress, SchemaFindings, TableProgress, TableState};
use cutover_domain::payment::Color;
use cutover_ports::parity::{
    DataParity, DatabaseError, Pair, ParityRequest, SchemaParity, Trouble,
};
use tokio::time::sleep;

use super::chunk::{Range, Sides, Stop, Sum};
use super::session::{Access, Dialect, Session};
use super::{Databases, catalog, replication, second_look};

/// Ranges of no more rows than this are compared row by row.
const LIST_ROWS: u64 = 64;
/// Rows that a range may have grown to meanwhile.
const LIST_ROWS_MAX: usize = 256;
/// So many suspects are looked at again before more are sought.
const SUSPECTS_MAX: usize = 64;
/// Sums and splits of one chunk at most. A chunk of 500,000 rows that all differ needs 16,000; one such row, 30.
const SPLITS_MAX: u32 = 40_000;
/// A statement may take so many times as long as it should, and at least that, before it is given up.
const PATIENCE: u32 = 8;
const PATIENCE_MIN: Duration = Duration::from_secs(4);
/// How often, in one call, connections that broke are made anew.
const REOPENED_MAX: u32 = 5;
/// While a server is too busy, it is looked at so often.
const PAUSE: Duration = Duration::from_millis(500);

#[async_trait]
impl SchemaParity for Databases {
    async fn compare_schemas(
        &self,
        pair: &Pair,
        tables: &[String],
        budget: Duration,
    ) -> Result<SchemaFindings, DatabaseError> {
        let mut sides = self.open_both(pair, Instant::now() + budget).await?;
        let (blue, green) = catalogs(&mut sides).await?;
        Ok(schema::compare(&blue, &green, tables))
    }
}

#[async_trait]
impl DataParity for Databases {
    async fn compare_rows(
        &self,
        pair: &Pair,
        request: &ParityRequest,
        progress: Option<Progress>,
        budget: Duration,
    ) -> Result<Progress, DatabaseError> {
        let until = Instant::now() + budget;
        let mut sides = self.open_both(pair, until).await?;
        let (blue, green) = catalogs(&mut sides).await?;
        let mut progress = progress
            .filter(Progress::can_go_on)
            .unwrap_or_else(|| Progress::of(names(&blue, &green, &request.tables)));
        let mut comparison = Comparison {
            databases: self,
            pair,
            request,
            until,
            sides,
            reopened: 0,
            lead: Color::Blue,
        };
        let (blue, green) = (by_name(blue), by_name(green));
        for table in &mut progress.tables {
            if table.state != TableState::Open {
                continue;
            }
            let compared = match (blue.get(&table.name), green.get(&table.name)) {
                (Some(blue), Some(green)) => key::compared(blue, green),
                (Some(_), None) => Err("it is missing in green".to_owned()),
                (None, Some(_)) => Err("it is missing in blue".to_owned()),
                (None, None) => Err("there is no such table".to_owned()),
            };
            match compared {
                Ok(compared) => comparison.table(&compared, table).await,
                Err(why) => table.state = TableState::Unvalidated(why),
            }
            if table.state == TableState::Open {
                break;
            }
        }
        Ok(progress)
    }
}

impl Databases {
    /// A session on each side, both of one engine.
    async fn open_both(&self, pair: &Pair, until: Instant) -> Result<Sides, DatabaseError> {
        let ca_bundle = self.ca_bundle.as_deref();
        let (blue, green) = tokio::try_join!(
            Session::open(&pair.blue, ca_bundle, Access::Read, until),
            Session::open(&pair.green, ca_bundle, Access::Read, until)
        )?;
        let family = |session: &Session| session.dialect() == Dialect::Postgres;
        if family(&blue) != family(&green) {
            let why = "the two databases are of different engines: their rows have no common form";
            return Err(green.error("compare", Trouble::Other, why));
        }
        Ok(Sides { blue, green })
    }
}

async fn catalogs(
    sides: &mut Sides,
) -> Result<(Vec<TableSchema>, Vec<TableSchema>), DatabaseError> {
    tokio::try_join!(
        catalog::read(&mut sides.blue),
        catalog::read(&mut sides.green)
    )
}

fn names(blue: &[TableSchema], green: &[TableSchema], wanted: &[String]) -> Vec<String> {
    if !wanted.is_empty() {
        return wanted.to_vec();
    }
    let all = blue.iter().chain(green).map(|table| table.name.clone());
    let all: std::collections::BTreeSet<String> = all.collect();
    all.into_iter().collect()
}

fn by_name(tables: Vec<TableSchema>) -> BTreeMap<String, TableSchema> {
    let named = tables.into_iter().map(|table| (table.name.clone(), table));
    named.collect()
}

/// The comparison of rows, in one call.
pub(super) struct Comparison<'a> {
    databases: &'a Databases,
    pair: &'a Pair,
    pub(super) request: &'a ParityRequest,
    until: Instant,
    pub(super) sides: Sides,
    reopened: u32,
    /// Whose keys bound the chunks: the side that has more rows where the other one's chunks were too large for it.
    lead: Color,
}

/// What is left to do with a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
    /// This call has no time for it.
    Later,
}

impl Comparison<'_> {
    /// Compares a table until it is done, or time is up: then it stays open.
    async fn table(&mut self, compared: &ComparedTable, table: &mut TableProgress) {
        let begun = Instant::now();
        let before = table.ms;
        loop {
            let stop = match self.next(compared, table).await {
                Ok(Left::More) => None,
                Ok(Left::Nothing | Left::Later) => break,
                Err(Stop::Database(error)) => self.recover(table, error).await.err(),
                Err(Stop::Unknown(why)) => Some(why),
            };
            let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            table.ms = before.saturating_add(took);
            if let Some(why) = stop {
                table.state = TableState::Unknown(why);
                break;
            }
        }
    }

    /// The next chunk, or what comes after the last.
    async fn next(
        &mut self,
        compared: &ComparedTable,
        table: &mut TableProgress,
    ) -> Result<Left, Stop> {
        let limit = self.patience();
        if self.left() < limit {
            return Ok(Left::Later);
        }
        if table.differing.len() >= self.request.limits.shown_max {
            table.suspects.clear();
            table.state = TableState::Differs(false);
            return Ok(Left::Nothing);
        }
        if table.suspects.len() >= SUSPECTS_MAX || (table.read_all && !table.suspects.is_empty()) {
            let settled = second_look::settle(self, compared, table).await?;
            return Ok(if settled { Left::More } else { Left::Later });
        }
        if table.read_all {
            table.close();
            return Ok(Left::Nothing);
        }
        if !self.wait_until_quiet().await? {
            return Ok(Left::Later);
        }
        self.chunk(compared, table, limit).await?;
        Ok(Left::More)
    }

    async fn chunk(
        &mut self,
        compared: &ComparedTable,
        table: &mut TableProgress,
        limit: Duration,
    ) -> Result<(), Stop> {
        let rest = Range {
            after: table.after.clone(),
            upto: None,
        };
        let nth = u64::from(table.chunk_rows.min(self.request.limits.chunk_rows_max));
        let upto = self
            .sides
            .nth_key(self.lead, compared, &rest, nth, limit)
            .await?;
        let range = Range { upto, ..rest };
        let (blue, green, took_ms) = self.sides.sums(compared, &range, limit).await?;
        let read = u32::try_from(blue.rows.max(green.rows)).unwrap_or(u32::MAX);
        if range.upto.is_some() && read > 0 {
            table.chunk_rows = next_rows(&self.request.limits, read, took_ms);
        }
        if blue == green {
            table.passed(range.upto, blue.rows, green.rows);
            return Ok(());
        }
        self.split(compared, table, range, (blue, green)).await
    }

    /// Halves a range that differs until the rows that do are found, from its beginning on: whatever has been read is
    /// behind `table.after` at any moment.
    async fn split(
        &mut self,
        compared: &ComparedTable,
        table: &mut TableProgress,
        range: Range,
        sums: (Sum, Sum),
    ) -> Result<(), Stop> {
        let limit = self.patience();
        let mut open = vec![(range, Some(sums))];
        for _split in 0..SPLITS_MAX {
            let Some((range, known)) = open.pop() else {
                return Ok(());
            };
            if self.left() < limit || table.suspects.len() >= SUSPECTS_MAX {
                // What is left of the chunk is read again, from where this ended.
                return Ok(());
            }
            let (blue, green) = if let Some(sums) = known {
                sums
            } else {
                let (blue, green, _ms) = self.sides.sums(compared, &range, limit).await?;
                (blue, green)
            };
            if blue == green {
                table.passed(range.upto, blue.rows, green.rows);
                continue;
            }
            let (most, side) = if blue.rows >= green.rows {
                (blue.rows, Color::Blue)
            } else {
                (green.rows, Color::Green)
            };
            if most <= LIST_ROWS {
                let listed = self
                    .sides
                    .rows(compared, &range, LIST_ROWS_MAX, limit)
                    .await?;
                match listed {
                    Some((blue, green)) => {
                        table.suspects.extend(suspects(&blue, &green));
                        table.passed(range.upto, count(blue.len()), count(green.len()));
                    }
                    // Rows came meanwhile.
                    None => open.push((range, None)),
                }
                continue;
            }
            let middle = self
                .sides
                .nth_key(side, compared, &range, most / 2, limit)
                .await?;
            let Some(middle) = middle.filter(|middle| Some(middle) != range.upto.as_ref()) else {
                // Rows went meanwhile.
                open.push((range, None));
                continue;
            };
            let right = Range {
                after: Some(middle.clone()),
                upto: range.upto,
            };
            let left = Range {
                after: range.after,
                upto: Some(middle),
            };
            open.push((right, None));
            open.push((left, None));
        }
        Err(Stop::Unknown(
            "a range changes faster than its differences can be found".to_owned(),
        ))
    }

    /// Waits while a server is too busy or too late. `false`: this call has no time for that.
    async fn wait_until_quiet(&mut self) -> Result<bool, Stop> {
        let limits = self.request.limits;
        let most = Duration::from_secs(u64::from(limits.pause_seconds_max));
        let begun = Instant::now();
        loop {
            let (blue, green) = tokio::try_join!(
                replication::pressure(&mut self.sides.blue),
                replication::pressure(&mut self.sides.green)
            )?;
            let busy = limits
                .too_much(self.sides.blue.site(), &blue)
                .or_else(|| limits.too_much(self.sides.green.site(), &green));
            let Some(busy) = busy else {
                return Ok(true);
            };
            if begun.elapsed() >= most {
                return Err(Stop::Unknown(format!(
                    "paused for {} s and stopped, to spare the databases: {busy}",
                    limits.pause_seconds_max
                )));
            }
            if self.left() < self.patience() + PAUSE {
                return Ok(false);
            }
            sleep(PAUSE).await;
        }
    }

    /// Makes the next attempt better: fewer rows after a time-out, new connections after anything. The error is why not.
    async fn recover(
        &mut self,
        table: &mut TableProgress,
        error: DatabaseError,
    ) -> Result<(), String> {
        let why = format!("{error}: {}", error.source);
        if error.trouble == Trouble::Timeout {
            let Some(fewer) = fewer_rows(table.chunk_rows) else {
                return Err(why);
            };
            table.chunk_rows = fewer;
            self.lead = match self.lead {
                Color::Blue => Color::Green,
                Color::Green => Color::Blue,
            };
        } else if !error.trouble.may_pass() {
            return Err(why);
        }
        self.reopened = self.reopened.saturating_add(1);
        if self.reopened > REOPENED_MAX {
            return Err(why);
        }
        sleep(PAUSE).await;
        self.sides = self
            .databases
            .open_both(self.pair, self.until)
            .await
            .map_err(|error| format!("{error}: {}", error.source))?;
        Ok(())
    }

    /// How long a statement may take.
    pub(super) fn patience(&self) -> Duration {
        let chunk = Duration::from_millis(u64::from(self.request.limits.chunk_ms));
        chunk.saturating_mul(PATIENCE).max(PATIENCE_MIN)
    }

    /// What is left of this call's time.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
