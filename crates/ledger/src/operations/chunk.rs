//! A range of rows on both sides: its sums, its rows, and the keys that bound it.

use std::time::{Duration, Instant};

use cutover_domain::parity::key::ComparedTable;
use cutover_domain::parity::rows::{KeyText, Rows};
use cutover_domain::payment::Color;
use cutover_ports::parity::{DatabaseError, Trouble};

use super::session::{Session, TextRow};
use super::sql::{self, BadKey};

/// Rows that are looked up by their keys at once.
const LOOKUP_MAX: usize = 32;

/// Why a table's comparison can't go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A database failed.
    Database(DatabaseError),
    /// Whatever is tried: why, in words.
    Unknown(String),
}

impl From<DatabaseError> for Stop {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<BadKey> for Stop {
    fn from(error: BadKey) -> Self {
        Self::Unknown(error.to_string())
    }
}

/// A range: after one key, up to and with another; without a bound where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) after: Option<KeyText>,
    pub(crate) upto: Option<KeyText>,
}

/// What a side says of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Its rows.
    pub(crate) rows: u64,
    /// Sums of the first and the second 64 bits of the rows' hashes, as the server writes them.
    lanes: [String; 2],
}

/// A session on each side.
pub(crate) struct Sides {
    pub(crate) blue: Session,
    pub(crate) green: Session,
}

const COMPARE: &str = "compare rows";

impl Sides {
    fn get(&mut self, color: Color) -> &mut Session {
        match color {
            Color::Blue => &mut self.blue,
            Color::Green => &mut self.green,
        }
    }

    /// The sums of a range in blue and green, read at the same time, and how many ms the slower one took.
    pub(crate) async fn sums(
        &mut self,
        table: &ComparedTable,
        range: &Range,
        limit: Duration,
    ) -> Result<(Sum, Sum, u32), Stop> {
        let statement = |session: &Session, key_name: &str| {
            let dialect = session.dialect();
            let condition = sql::range(dialect, table, range.after.as_ref(), range.upto.as_ref())?;
            Ok::<_, BadKey>(sql::checksum(dialect, table, key_name, &condition))
        };
        let in_blue = statement(&self.blue, &table.key_in_blue)?;
        let in_green = statement(&self.green, &table.key_in_green)?;
        let begun = Instant::now();
        let (blue, green) = tokio::join!(
            self.blue.rows_within(COMPARE, &in_blue, limit),
            self.green.rows_within(COMPARE, &in_green, limit)
        );
        let took_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        let blue = sum(&self.blue, blue?)?;
        let green = sum(&self.green, green?)?;
        Ok((blue, green, took_ms))
    }

    /// The key of the `nth` row (from 1) of a range on one side.
    pub(crate) async fn nth_key(
        &mut self,
        side: Color,
        table: &ComparedTable,
        range: &Range,
        nth: u64,
        limit: Duration,
    ) -> Result<Option<KeyText>, Stop> {
        let session = self.get(side);
        let dialect = session.dialect();
        let condition = sql::range(dialect, table, range.after.as_ref(), range.upto.as_ref())?;
        let key_name = key_name(table, side);
        let statement = sql::nth_key(dialect, table, key_name, &condition, nth);
        let rows = session.rows_within(COMPARE, &statement, limit).await?;
        rows.into_iter()
            .next()
            .map(|row| key_of(session, row))
            .transpose()
            .map_err(Stop::from)
    }

    /// The rows of a range in blue and green; `None` if a side has more than `most`.
    pub(crate) async fn rows(
        &mut self,
        table: &ComparedTable,
        range: &Range,
        most: usize,
        limit: Duration,
    ) -> Result<Option<(Rows, Rows)>, Stop> {
        let list = |session: &Session, key_name: &str| {
            let dialect = session.dialect();
            let condition = sql::range(dialect, table, range.after.as_ref(), range.upto.as_ref())?;
            let one_more = most.saturating_add(1);
            Ok::<_, BadKey>(sql::list(dialect, table, key_name, &condition, one_more))
        };
        let in_blue = list(&self.blue, &table.key_in_blue)?;
        let in_green = list(&self.green, &table.key_in_green)?;
        let (blue, green) = self.listed(&in_blue, &in_green, limit).await?;
        let fits = blue.len() <= most && green.len() <= most;
        Ok(fits.then_some((blue, green)))
    }

    /// The rows with those keys in blue and green.
    pub(crate) async fn look_up(
        &mut self,
        table: &ComparedTable,
        keys: &[KeyText],
        limit: Duration,
    ) -> Result<(Rows, Rows), Stop> {
        let (mut blue, mut green) = (Rows::new(), Rows::new());
        for some in keys.chunks(LOOKUP_MAX) {
            let look_up = |session: &Session, key_name: &str| {
                sql::look_up(session.dialect(), table, key_name, some)
            };
            let in_blue = look_up(&self.blue, &table.key_in_blue)?;
            let in_green = look_up(&self.green, &table.key_in_green)?;
            let (more_blue, more_green) = self.listed(&in_blue, &in_green, limit).await?;
            blue.extend(more_blue);
            green.extend(more_green);
        }
        Ok((blue, green))
    }

    async fn listed(
        &mut self,
        in_blue: &str,
        in_green: &str,
        limit: Duration,
    ) -> Result<(Rows, Rows), Stop> {
        let (blue, green) = tokio::join!(
            self.blue.rows_within(COMPARE, in_blue, limit),
            self.green.rows_within(COMPARE, in_green, limit)
        );
        let (blue, green) = (blue?, green?);
        Ok((hashes(&self.blue, blue)?, hashes(&self.green, green)?))
    }
}

fn key_name(table: &ComparedTable, side: Color) -> &str {
    match side {
        Color::Blue => &table.key_in_blue,
        Color::Green => &table.key_in_green,
    }
}

fn unreadable(session: &Session) -> DatabaseError {
    session.error(COMPARE, Trouble::Other, "an answer that can't be read")
}

fn too_long(session: &Session, rows: u64) -> Stop {
    Stop::Unknown(format!(
        "{rows} rows in {} are too long to be hashed by the server (max_allowed_packet)",
        session.site()
    ))
}

fn sum(session: &Session, rows: Vec<TextRow>) -> Result<Sum, Stop> {
    let row = rows.into_iter().next().unwrap_or_default();
    let mut values = row.into_iter();
    let mut count = || {
        let count = values.next().flatten()?;
        count.parse::<u64>().ok()
    };
    let (Some(rows), Some(hashed)) = (count(), count()) else {
        return Err(unreadable(session).into());
    };
    if hashed != rows {
        return Err(too_long(session, rows.saturating_sub(hashed)));
    }
    // The sum of nothing is NULL.
    let mut lane = || values.next().flatten().unwrap_or_default();
    let lanes = [lane(), lane()];
    Ok(Sum { rows, lanes })
}

fn key_of(session: &Session, row: TextRow) -> Result<KeyText, DatabaseError> {
    row.into_iter()
        .collect::<Option<KeyText>>()
        .ok_or_else(|| unreadable(session))
}

/// Rows of key and hash; the hash is the last column.
fn hashes(session: &Session, rows: Vec<TextRow>) -> Result<Rows, Stop> {
    let mut hashes = Rows::new();
    for mut row in rows {
        let Some(Some(hash)) = row.pop() else {
            return Err(too_long(session, 1));
        };
        hashes.insert(key_of(session, row)?, hash);
    }
    Ok(hashes)
}
