//! The catalog of MySQL and MariaDB.

use cutover_domain::parity::schema::{Column, Key, Kind};
use cutover_ports::parity::DatabaseError;

use super::catalog::{READ, Raw, at, text_at};
use super::session::{Dialect, Session, TextRow};

const COLUMNS: &str = "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.COLUMN_TYPE, c.DATA_TYPE, c.IS_NULLABLE, c.COLUMN_DEFAULT, \
     c.CHARACTER_SET_NAME, c.COLLATION_NAME, c.EXTRA, c.GENERATION_EXPRESSION \
     FROM information_schema.COLUMNS c JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME) \
     WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' \
     ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION";

/// A row per column of a key. `COLUMN_NAME` is NULL for an expression.
const KEYS: &str = "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE, COLLATION \
     FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() \
     ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX";

const TABLES: &str = "SELECT TABLE_NAME, 'storage engine', ENGINE FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' \
     UNION ALL SELECT TABLE_NAME, 'default collation', TABLE_COLLATION FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'";

const FOREIGN_KEYS: &str = "SELECT k.TABLE_NAME, CONCAT('foreign key ', k.CONSTRAINT_NAME), \
     CONCAT('(', GROUP_CONCAT(k.COLUMN_NAME ORDER BY k.ORDINAL_POSITION), ') references ', MIN(k.REFERENCED_TABLE_NAME), \
     ' (', GROUP_CONCAT(k.REFERENCED_COLUMN_NAME ORDER BY k.ORDINAL_POSITION), ')') \
     FROM information_schema.KEY_COLUMN_USAGE k \
     WHERE k.TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL \
     GROUP BY k.TABLE_NAME, k.CONSTRAINT_NAME";

const TRIGGERS: &str = "SELECT EVENT_OBJECT_TABLE, CONCAT('trigger ', TRIGGER_NAME), \
     CONCAT(ACTION_TIMING, ' ', EVENT_MANIPULATION, ' ', ACTION_STATEMENT) \
     FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()";

/// MariaDB's names of checks are unique in a table only, and it says the table.
const CHECKS_MARIADB: &str = "SELECT TABLE_NAME, CONCAT('check ', CONSTRAINT_NAME), CHECK_CLAUSE \
     FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()";
const CHECKS_MYSQL: &str = "SELECT t.TABLE_NAME, CONCAT('check ', c.CONSTRAINT_NAME), c.CHECK_CLAUSE \
     FROM information_schema.CHECK_CONSTRAINTS c \
     JOIN information_schema.TABLE_CONSTRAINTS t USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME) \
     WHERE c.CONSTRAINT_SCHEMA = DATABASE() AND t.CONSTRAINT_TYPE = 'CHECK'";

pub(crate) async fn read(session: &mut Session) -> Result<Raw, DatabaseError> {
    let columns = session
        .rows(READ, COLUMNS)
        .await?
        .iter()
        .map(column)
        .collect();
    let keys = keys(&session.rows(READ, KEYS).await?);
    let checks = match session.dialect() {
        Dialect::MariaDb => CHECKS_MARIADB,
        _ => CHECKS_MYSQL,
    };
    let mut rules = Vec::new();
    for statement in [TABLES, FOREIGN_KEYS, TRIGGERS, checks] {
        let rows = session.rows(READ, statement).await?;
        rules.extend(
            rows.iter()
                .map(|r| (text_at(r, 0), text_at(r, 1), text_at(r, 2))),
        );
    }
    Ok(Raw {
        columns,
        keys,
        rules,
    })
}

fn column(row: &TextRow) -> (String, Column) {
    let type_name = plain_type(&text_at(row, 2));
    let extra = format!("{} {}", text_at(row, 8), text_at(row, 9));
    let extra = extra.replace("DEFAULT_GENERATED", "");
    let column = Column {
        name: text_at(row, 1),
        kind: kind(&text_at(row, 3)),
        type_name,
        nullable: at(row, 4) == Some("YES"),
        // MariaDB writes the word, MySQL leaves it NULL.
        default: at(row, 5).filter(|d| *d != "NULL").map(str::to_owned),
        charset: at(row, 6).map(utf8_by_its_name),
        collation: at(row, 7).map(utf8_by_its_name),
        // Collations are built into the server, and a new one gets a new name.
        collation_version: at(row, 7).map(|_| "built in".to_owned()),
        extra: extra.trim().to_owned(),
    };
    (text_at(row, 0), column)
}

/// Without the display width of whole numbers, which newer versions of MySQL do not show: it has no meaning.
fn plain_type(type_name: &str) -> String {
    let is_integer = ["tinyint", "smallint", "mediumint", "int", "bigint"]
        .iter()
        .any(|name| {
            type_name
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('('))
        });
    match (type_name.split_once('('), type_name.split_once(')')) {
        (Some((name, _)), Some((_, rest))) if is_integer && !rest.contains("zerofill") => {
            format!("{name}{rest}")
        }
        _ => type_name.to_owned(),
    }
}

/// `utf8` is called `utf8mb3` by newer versions.
fn utf8_by_its_name(name: &str) -> String {
    match name.strip_prefix("utf8") {
        Some(rest) if rest.is_empty() || rest.starts_with('_') => format!("utf8mb3{rest}"),
        _ => name.to_owned(),
    }
}

fn kind(data_type: &str) -> Kind {
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "bit" | "year" => Kind::Integer,
        "decimal" => Kind::Decimal,
        "float" | "double" => Kind::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        "date" | "datetime" | "timestamp" | "time" => Kind::Time,
        // An ENUM is ordered by its number and compared by its text: no key.
        "enum" | "set" | "json" | "uuid" | "inet4" | "inet6" => Kind::Other,
        _ => Kind::Unknown,
    }
}

fn keys(rows: &[TextRow]) -> Vec<(String, Key)> {
    let mut keys: Vec<(String, Key)> = Vec::new();
    for row in rows {
        let (table, name) = (text_at(row, 0), text_at(row, 1));
        let known = keys
            .last()
            .is_some_and(|(t, key)| *t == table && key.name == name);
        if !known {
            keys.push((
                table,
                Key {
                    primary: name == "PRIMARY",
                    name,
                    unique: at(row, 2) == Some("0"),
                    columns: Vec::new(),
                    whole: true,
                    definition: String::new(),
                },
            ));
        }
        let Some((_, key)) = keys.last_mut() else {
            continue;
        };
        let (column, prefix) = (at(row, 3), at(row, 4));
        key.columns
            .push(column.unwrap_or("an expression").to_owned());
        if column.is_none() || prefix.is_some() || at(row, 5) != Some("BTREE") {
            key.whole = false;
        }
        let notes = [
            prefix.map(|bytes| format!("prefix of {bytes}")),
            at(row, 5)
                .filter(|index| *index != "BTREE")
                .map(str::to_owned),
            at(row, 6)
                .filter(|order| *order == "D")
                .map(|_| "descending".to_owned()),
        ];
        for note in notes.into_iter().flatten() {
            if !key.definition.is_empty() {
                key.definition.push_str(", ");
            }
            key.definition.push_str(&note);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_versions_write_differently_is_written_alike() {
        for (written, plain) in [
            ("int(11)", "int"),
            ("bigint(20) unsigned", "bigint unsigned"),
            ("int(5) unsigned zerofill", "int(5) unsigned zerofill"),
            ("varchar(64)", "varchar(64)"),
            ("decimal(10,2)", "decimal(10,2)"),
            ("int", "int"),
        ] {
            assert_eq!(plain_type(written), plain);
        }
        assert_eq!(utf8_by_its_name("utf8_bin"), "utf8mb3_bin");
        assert_eq!(utf8_by_its_name("utf8mb4_bin"), "utf8mb4_bin");
    }
}
