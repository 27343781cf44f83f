//! What tables a database has, and how they are made, as its own catalog says.

use std::collections::BTreeMap;

use cutover_domain::parity::schema::{Column, Key, TableSchema};
use cutover_ports::parity::{DatabaseError, Trouble};

use super::session::{Dialect, Session, TextRow};
use super::{catalog_mysql, catalog_postgres};

/// Tables that are read at most. A ledger has a handful.
const TABLES_MAX: usize = 1_000;

/// The catalog's answers, the table's name first in each.
pub(crate) struct Raw {
    /// Columns, in order.
    pub(crate) columns: Vec<(String, Column)>,
    /// Keys.
    pub(crate) keys: Vec<(String, Key)>,
    /// Checks, foreign keys, triggers and the like: table, name, definition.
    pub(crate) rules: Vec<(String, String, String)>,
}

/// All tables of the session's database (PostgreSQL: of its current schema), by name.
pub(crate) async fn read(session: &mut Session) -> Result<Vec<TableSchema>, DatabaseError> {
    let raw = match session.dialect() {
        Dialect::MySql | Dialect::MariaDb => catalog_mysql::read(session).await?,
        Dialect::Postgres => catalog_postgres::read(session).await?,
    };
    let mut tables: BTreeMap<String, TableSchema> = BTreeMap::new();
    for (name, column) in raw.columns {
        let table = tables.entry(name.clone()).or_insert_with(|| TableSchema {
            name,
            columns: Vec::new(),
            keys: Vec::new(),
            rules: BTreeMap::new(),
        });
        table.columns.push(column);
    }
    if tables.len() > TABLES_MAX {
        return Err(session.error(
            READ,
            Trouble::Other,
            format!("the database has more than {TABLES_MAX} tables: name those to compare in one of its own"),
        ));
    }
    for (name, key) in raw.keys {
        if let Some(table) = tables.get_mut(&name) {
            table.keys.push(key);
        }
    }
    for (name, rule, definition) in raw.rules {
        if let Some(table) = tables.get_mut(&name) {
            table.rules.insert(rule, definition);
        }
    }
    Ok(tables.into_values().collect())
}

/// What is being done, for errors.
pub(crate) const READ: &str = "read the schema";

/// The column of an answer that the statement has at that place.
pub(crate) fn at(row: &TextRow, place: usize) -> Option<&str> {
    row.get(place).and_then(Option::as_deref)
}

/// The same, empty for NULL.
pub(crate) fn text_at(row: &TextRow, place: usize) -> String {
    at(row, place).unwrap_or_default().to_owned()
}
