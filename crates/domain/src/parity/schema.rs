//! The tables of a database, and how those of two databases differ, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How a column's values are compared and ordered, whatever its type is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers; ordered alike everywhere.
    Integer,
    /// Exact decimal numbers.
    Decimal,
    /// Binary floating point. No key: what is shown of it may be rounded.
    Float,
    /// Text of a character set, ordered by a collation.
    Text,
    /// Bytes.
    Bytes,
    /// Dates and times without a zone, or moments, which are read in UTC.
    Time,
    /// UUIDs of PostgreSQL.
    Uuid,
    /// What has one text for each value: JSON, arrays, networks, enumerations, booleans. No key.
    Other,
    /// What can't be compared: its type is not known here.
    Unknown,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the server writes it, with lengths; without what has no meaning (a display width).
    pub type_name: String,
    /// What that means for comparing.
    pub kind: Kind,
    /// Whether it takes NULL.
    pub nullable: bool,
    /// Its default as the server writes it.
    pub default: Option<String>,
    /// Character set, where it has one of its own.
    pub charset: Option<String>,
    /// Collation, where it has one.
    pub collation: Option<String>,
    /// Version of the collation, where the server knows one: the same name may sort otherwise after an upgrade.
    pub collation_version: Option<String>,
    /// Everything else that says how a value comes to be: generated, counting up, changed on update.
    pub extra: String,
}

/// A key or an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Whether no two rows have the same values in it.
    pub unique: bool,
    /// Its columns in order. Empty if it is of expressions.
    pub columns: Vec<String>,
    /// Whether it holds whole values of all rows: no prefix, no condition, no expression.
    pub whole: bool,
    /// Its definition as the server writes it, where `columns` do not say all.
    pub definition: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// Its name.
    pub name: String,
    /// Its columns in the order of the table.
    pub columns: Vec<Column>,
    /// Its keys, by name.
    pub keys: Vec<Key>,
    /// Its checks, foreign keys and triggers: names and definitions.
    pub rules: BTreeMap<String, String>,
}

/// One thing that is not the same in both databases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchemaDifference {
    /// The table.
    pub table: String,
    /// What differs, for example `column amount: type is bigint in blue and int in green`.
    pub what: String,
}

impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.table, self.what)
    }
}

/// What a comparison of two schemas found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchemaFindings {
    /// The tables that were compared, by name. None means that nothing was compared, which is no parity.
    pub tables: Vec<String>,
    /// How they differ, by table.
    pub differences: Vec<SchemaDifference>,
}

impl SchemaFindings {
    /// Whether something was compared and nothing differs.
    #[must_use]
    pub fn is_parity(&self) -> bool {
        !self.tables.is_empty() && self.differences.is_empty()
    }
}

/// Compares the tables of blue and green; those that are `wanted`, or all if none is.
#[must_use]
pub fn compare(blue: &[TableSchema], green: &[TableSchema], wanted: &[String]) -> SchemaFindings {
    let by_name = |tables: &'_ [TableSchema]| -> BTreeMap<String, TableSchema> {
        let named = tables.iter().map(|t| (t.name.clone(), t.clone()));
        named.collect()
    };
    let (blue, green) = (by_name(blue), by_name(green));
    let names: BTreeSet<String> = if wanted.is_empty() {
        blue.keys().chain(green.keys()).cloned().collect()
    } else {
        wanted.iter().cloned().collect()
    };
    let mut findings = SchemaFindings::default();
    for name in names {
        let mut notes = Notes {
            table: &name,
            found: &mut findings.differences,
        };
        match (blue.get(&name), green.get(&name)) {
            (Some(blue), Some(green)) => notes.tables(blue, green),
            (Some(_), None) => notes.add("the table is missing in green".to_owned()),
            (None, Some(_)) => notes.add("the table is missing in blue".to_owned()),
            (None, None) => notes.add("there is no such table in blue or green".to_owned()),
        }
        findings.tables.push(name);
    }
    findings
}

struct Notes<'a> {
    table: &'a str,
    found: &'a mut Vec<SchemaDifference>,
}

impl Notes<'_> {
    fn add(&mut self, what: String) {
        self.found.push(SchemaDifference {
            table: self.table.to_owned(),
            what,
        });
    }

    fn tables(&mut self, blue: &TableSchema, green: &TableSchema) {
        self.named("column", &columns(blue), &columns(green), Self::column);
        let order = |table: &TableSchema| -> Vec<String> {
            table.columns.iter().map(|c| c.name.clone()).collect()
        };
        let (in_blue, in_green) = (order(blue), order(green));
        if in_blue != in_green && sorted(&in_blue) == sorted(&in_green) {
            self.add(format!(
                "the columns are in another order: {} in blue and {} in green",
                in_blue.join(", "),
                in_green.join(", ")
            ));
        }
        self.named("key", &keys(blue), &keys(green), Self::value);
        self.named("rule", &blue.rules, &green.rules, Self::value);
    }

    /// Things with a name: missing on a side, or there on both and then told apart by `each`.
    fn named<T>(
        &mut self,
        what: &str,
        blue: &BTreeMap<String, T>,
        green: &BTreeMap<String, T>,
        each: impl Fn(&mut Self, &str, &str, &T, &T),
    ) {
        let names: BTreeSet<&String> = blue.keys().chain(green.keys()).collect();
        for name in names {
            match (blue.get(name), green.get(name)) {
                (Some(blue), Some(green)) => each(self, what, name, blue, green),
                (Some(_), None) => self.add(format!("{what} {name} is missing in green")),
                (None, Some(_)) => self.add(format!("{what} {name} is missing in blue")),
                (None, None) => {}
            }
        }
    }

    fn value(&mut self, what: &str, name: &str, blue: &String, green: &String) {
        if blue != green {
            self.add(format!(
                "{what} {name} is {blue} in blue and {green} in green"
            ));
        }
    }

    fn column(&mut self, what: &str, name: &str, blue: &Column, green: &Column) {
        let null = |column: &Column| if column.nullable { "NULL" } else { "NOT NULL" };
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        let aspects = [
            ("type", blue.type_name.clone(), green.type_name.clone()),
            ("nullability", null(blue).to_owned(), null(green).to_owned()),
            ("default", or_none(&blue.default), or_none(&green.default)),
            (
                "character set",
                or_none(&blue.charset),
                or_none(&green.charset),
            ),
            (
                "collation",
                or_none(&blue.collation),
                or_none(&green.collation),
            ),
            (
                "further definition",
                blue.extra.clone(),
                green.extra.clone(),
            ),
        ];
        for (aspect, blue, green) in aspects {
            if blue != green {
                self.add(format!(
                    "{what} {name}: {aspect} is {} in blue and {} in green",
                    or_empty(&blue),
                    or_empty(&green)
                ));
            }
        }
    }
}

fn or_empty(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn sorted(names: &[String]) -> BTreeSet<&String> {
    names.iter().collect()
}

fn columns(table: &TableSchema) -> BTreeMap<String, Column> {
    let named = table.columns.iter().map(|c| (c.name.clone(), c.clone()));
    named.collect()
}

fn keys(table: &TableSchema) -> BTreeMap<String, String> {
    let named = table
        .keys
        .iter()
        .map(|key| (key.name.clone(), in_words(key)));
    named.collect()
}

fn in_words(key: &Key) -> String {
    let sort = match (key.primary, key.unique) {
        (true, _) => "primary",
        (false, true) => "unique",
        (false, false) => "not unique",
    };
    let mut words = format!("{sort} ({})", key.columns.join(", "));
    if !key.definition.is_empty() {
        words.push(' ');
        words.push_str(&key.definition);
    }
    words
}
