//! How far a comparison has come. It can be stored and taken up again, by another invocation on another machine.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::load::CHUNK_ROWS_FIRST;
use super::rows::{DifferingRow, KeyText};

/// The form that is stored. A comparison that was begun in another form is begun anew.
pub const FORM: u8 = 1;

/// How far a comparison has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// [`FORM`] of whoever stored it.
    pub form: u8,
    /// The tables, in the order in which they are compared.
    pub tables: Vec<TableProgress>,
}

/// How far the comparison of a table has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableProgress {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub state: TableState,
    /// Rows that were read in blue.
    pub blue_rows: u64,
    /// Rows that were read in green.
    pub green_rows: u64,
    /// Chunks that were compared.
    pub chunks: u64,
    /// How long it took so far, in ms, pauses included.
    pub ms: u64,
    /// The key up to which it has been read, if any.
    pub after: Option<KeyText>,
    /// Whether it has been read to its end: only second looks are left.
    pub read_all: bool,
    /// Rows of the next chunk.
    pub chunk_rows: u32,
    /// Rows that differed at the first look.
    pub suspects: BTreeSet<KeyText>,
    /// Rows that differ. Named up to a bound.
    pub differing: Vec<DifferingRow>,
}

/// What is known of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
pub enum TableState {
    /// It is being compared, or its turn has not come.
    Open,
    /// Every row was compared, and none differs.
    Equal,
    /// Rows differ. With `true` these are all; with `false` there may be more: the comparison ended with the last that is
    /// named.
    Differs(bool),
    /// It can't be compared, and why: nothing is known of its rows.
    Unvalidated(String),
    /// Its comparison did not come to an end, and why.
    Unknown(String),
}

/// What a finished comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every table is equal, and there is one at least.
    Equal,
    /// A table differs.
    Differs,
    /// No table is known to differ, but of one nothing is known, or it is unvalidated, or no table was compared.
    Unknown,
}

impl Progress {
    /// A comparison that has not begun.
    #[must_use]
    pub fn of(tables: impl IntoIterator<Item = String>) -> Self {
        let tables = tables.into_iter().map(TableProgress::new).collect();
        Self { form: FORM, tables }
    }

    /// Whether it can be taken up by this program.
    #[must_use]
    pub fn can_go_on(&self) -> bool {
        self.form == FORM
    }

    /// Whether nothing is left to compare.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.tables.iter().all(|t| t.state != TableState::Open)
    }

    /// What it says so far; an unfinished one is [`Verdict::Unknown`] unless a difference is known already.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let differs = |t: &TableProgress| {
            matches!(t.state, TableState::Differs(_)) || !t.differing.is_empty()
        };
        if self.tables.iter().any(differs) {
            return Verdict::Differs;
        }
        let equal = |t: &TableProgress| t.state == TableState::Equal;
        if self.tables.is_empty() || !self.tables.iter().all(equal) {
            return Verdict::Unknown;
        }
        Verdict::Equal
    }
}

impl TableProgress {
    fn new(name: String) -> Self {
        Self {
            name,
            state: TableState::Open,
            blue_rows: 0,
            green_rows: 0,
            chunks: 0,
            ms: 0,
            after: None,
            read_all: false,
            chunk_rows: CHUNK_ROWS_FIRST,
            suspects: BTreeSet::new(),
            differing: Vec::new(),
        }
    }

    /// A chunk was compared: it reaches up to `upper`, or to the end of the table.
    pub fn passed(&mut self, upper: Option<KeyText>, blue_rows: u64, green_rows: u64) {
        self.blue_rows = self.blue_rows.saturating_add(blue_rows);
        self.green_rows = self.green_rows.saturating_add(green_rows);
        self.chunks = self.chunks.saturating_add(1);
        match upper {
            Some(key) => self.after = Some(key),
            None => self.read_all = true,
        }
    }

    /// All rows were read and all suspects looked at again.
    pub fn close(&mut self) {
        self.state = if self.differing.is_empty() {
            TableState::Equal
        } else {
            TableState::Differs(true)
        };
    }

    /// In words, for a report: one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let rows = if self.blue_rows == self.green_rows {
            format!("{} rows", self.blue_rows)
        } else {
            format!(
                "{} rows in blue and {} in green",
                self.blue_rows, self.green_rows
            )
        };
        let name = &self.name;
        match &self.state {
            TableState::Open => format!("{name}: {rows} compared so far"),
            TableState::Equal => format!("{name}: equal, {rows}"),
            TableState::Differs(all) => {
                let least = if *all { "" } else { "at least " };
                let shown: Vec<String> = self
                    .differing
                    .iter()
                    .map(|row| format!("[{}] {}", row.key, row.how.in_words()))
                    .collect();
                let count = shown.len();
                let noun = if count == 1 {
                    "row differs"
                } else {
                    "rows differ"
                };
                format!(
                    "{name}: {least}{count} {noun} ({rows} read): {}",
                    shown.join("; ")
                )
            }
            TableState::Unvalidated(why) => format!("{name}: not validated: {why}"),
            TableState::Unknown(why) => format!("{name}: not known: {why} ({rows} read)"),
        }
    }
}

impl super::rows::Difference {
    /// For a report.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::MissingInBlue => "is missing in blue",
            Self::MissingInGreen => "is missing in green",
            Self::Values => "has other values",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::Difference;
    use super::*;

    fn progress(states: &[TableState]) -> Progress {
        let mut progress = Progress::of((0..states.len()).map(|i| format!("t{i}")));
        for (table, state) in progress.tables.iter_mut().zip(states) {
            table.state = state.clone();
        }
        progress
    }

    #[test]
    fn only_tables_that_were_all_compared_are_equal() {
        let unvalidated = TableState::Unvalidated("no key".to_owned());
        let unknown = TableState::Unknown("too busy".to_owned());
        for (states, finished, verdict) in [
            (vec![], true, Verdict::Unknown),
            (vec![TableState::Equal], true, Verdict::Equal),
            (
                vec![TableState::Equal, TableState::Open],
                false,
                Verdict::Unknown,
            ),
            (vec![TableState::Equal, unvalidated], true, Verdict::Unknown),
            (
                vec![TableState::Equal, unknown.clone()],
                true,
                Verdict::Unknown,
            ),
            (
                vec![unknown, TableState::Differs(true)],
                true,
                Verdict::Differs,
            ),
            (
                vec![TableState::Open, TableState::Differs(false)],
                false,
                Verdict::Differs,
            ),
        ] {
            let progress = progress(&states);
            assert_eq!(progress.is_finished(), finished, "{states:?}");
            assert_eq!(progress.verdict(), verdict, "{states:?}");
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let mut before = progress(&[
            TableState::Differs(false),
            TableState::Unvalidated("no key".to_owned()),
            TableState::Open,
        ]);
        before.tables[2].passed(Some(vec!["6B".to_owned(), "1".to_owned()]), 10, 9);
        before.tables[2]
            .suspects
            .insert(vec!["6A".to_owned(), "2".to_owned()]);
        before.tables[0].differing.push(DifferingRow {
            key: "id=7".to_owned(),
            how: Difference::Values,
        });
        let text = serde_json::to_string(&before).unwrap();
        let after: Progress = serde_json::from_str(&text).unwrap();
        assert_eq!(after, before);
        assert!(after.can_go_on());
        assert_eq!(
            after.tables[0].summary(),
            "t0: at least 1 row differs (0 rows read): [id=7] has other values"
        );
        assert_eq!(
            after.tables[2].summary(),
            "t2: 10 rows in blue and 9 in green compared so far"
        );
    }
}
