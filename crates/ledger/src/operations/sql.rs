//! How names, values and rows are written in each engine's SQL.
//!
//! # The canonical form of a row
//!
//! Two rows have the same form only if every column has the same value, byte by byte: case, trailing spaces, NULL against
//! empty, the cents of a DECIMAL. No form is a part of another, so no two columns can be taken for one.
//!
//! - MySQL and MariaDB: per column `N` for NULL; numbers and times as text that ends with `;` (they hold no `;`); everything
//!   else as its length in bytes, `:` and its bytes. Text is taken in its own character set if both sides have the same,
//!   else in UTF-8; never by a collation. (`HEX()` is not used for numbers: on a MariaDB DECIMAL it drops the cents.)
//! - PostgreSQL: the server's own binary form of the row (`record_send`): per column its type, its length or -1 for NULL,
//!   and its bytes. It is exact for floats and times, and needs half the time of text.
//!
//! A chunk is told by its count of rows, and by the sums of the first and second 64 bits of each row's SHA-256. Sums, not
//! XOR: a pair of equal rows does not cancel out.

use cutover_domain::parity::key::{ComparedColumn, ComparedTable};
use cutover_domain::parity::rows::KeyText;
use cutover_domain::parity::schema::Kind;

use super::session::Dialect;

/// A value that can't be written: it is no value of its column's type. Keys come from a store, and are not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored key is not one of this table")]
pub(crate) struct BadKey;

/// An identifier.
pub(crate) fn ident(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::MySql | Dialect::MariaDb => format!("`{}`", name.replace('`', "``")),
        Dialect::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A text, whatever it holds.
pub(crate) fn text(dialect: Dialect, value: &str) -> String {
    match dialect {
        Dialect::MySql | Dialect::MariaDb => format!("_utf8mb4 X'{}'", hex::encode(value)),
        // A constant, which is compared by the column's collation; a function's result has one of its own.
        Dialect::Postgres => {
            let escaped: Vec<String> = value
                .chars()
                .map(|c| format!("\\+{:06x}", u32::from(c)))
                .collect();
            let escaped = escaped.concat();
            format!("U&'{escaped}'")
        }
    }
}

/// The SHA-256 of a row's canonical form: in hexadecimal, on PostgreSQL in bytes.
fn row_hash(dialect: Dialect, table: &ComparedTable) -> String {
    let columns = table.columns.iter();
    match dialect {
        Dialect::MySql | Dialect::MariaDb => {
            // Binary first: what follows is taken as bytes, and no two character sets are mixed.
            let forms: Vec<String> = columns.map(|column| mysql_form(dialect, column)).collect();
            format!(
                "SHA2(CONCAT(CAST('' AS BINARY), {}), 256)",
                forms.join(", ")
            )
        }
        Dialect::Postgres => {
            let values: Vec<String> = columns.map(postgres_value).collect();
            format!("sha256(record_send(ROW({})))", values.join(", "))
        }
    }
}

/// The same in hexadecimal.
fn row_hash_text(dialect: Dialect, table: &ComparedTable) -> String {
    let hash = row_hash(dialect, table);
    match dialect {
        Dialect::MySql | Dialect::MariaDb => hash,
        Dialect::Postgres => format!("encode({hash}, 'hex')"),
    }
}

fn mysql_form(dialect: Dialect, column: &ComparedColumn) -> String {
    let name = ident(dialect, &column.name);
    let form = match column.kind {
        Kind::Integer if column.type_name.starts_with("bit") => format!("{name} + 0, ';'"),
        Kind::Integer | Kind::Decimal | Kind::Time => format!("{name}, ';'"),
        // A FLOAT's own text is rounded; that of the same number as DOUBLE is exact.
        Kind::Float => format!("{name} + 0e0, ';'"),
        Kind::Text if !column.same_charset => {
            let text = format!("CONVERT({name} USING utf8mb4)");
            format!("LENGTH({text}), ':', {text}")
        }
        // An ENUM or SET is its text.
        Kind::Other if column.charset.is_some() && column.same_charset => {
            format!("LENGTH({name}), ':', {name}")
        }
        Kind::Other => {
            let text = format!("CAST({name} AS CHAR CHARACTER SET utf8mb4)");
            format!("LENGTH({text}), ':', {text}")
        }
        _ => format!("LENGTH({name}), ':', {name}"),
    };
    if !column.nullable {
        return form;
    }
    // IF and not IFNULL: a form that is NULL for its length (max_allowed_packet) must not be taken for a NULL.
    format!("IF({name} IS NULL, 'N', CONCAT(CAST('' AS BINARY), {form}))")
}

fn postgres_value(column: &ComparedColumn) -> String {
    let name = ident(Dialect::Postgres, &column.name);
    match column.kind {
        // So that int against bigint, or varchar against text, is no difference of the rows.
        Kind::Integer => format!("{name}::int8"),
        Kind::Text | Kind::Other | Kind::Unknown => format!("{name}::text"),
        Kind::Decimal | Kind::Float | Kind::Bytes | Kind::Time | Kind::Uuid => name,
    }
}

/// Where a table is read, with the key that chunks go by.
fn from(dialect: Dialect, table: &ComparedTable, key_name: &str) -> String {
    let name = ident(dialect, &table.name);
    match dialect {
        Dialect::MySql | Dialect::MariaDb => {
            format!("{name} AS r FORCE INDEX ({})", ident(dialect, key_name))
        }
        Dialect::Postgres => format!("{name} AS r"),
    }
}

/// One statement: how many rows a range has, how many of them could be hashed, and the two sums.
pub(crate) fn checksum(
    dialect: Dialect,
    table: &ComparedTable,
    key_name: &str,
    condition: &str,
) -> String {
    let (hash, from) = (row_hash(dialect, table), from(dialect, table, key_name));
    match dialect {
        // LIMIT keeps the optimizer from hashing each row once per use of `h`.
        Dialect::MySql | Dialect::MariaDb => format!(
            "SELECT COUNT(*), COUNT(h), SUM(CAST(CONV(SUBSTR(h, 1, 16), 16, 10) AS UNSIGNED)), \
             SUM(CAST(CONV(SUBSTR(h, 17, 16), 16, 10) AS UNSIGNED)) \
             FROM (SELECT {hash} AS h FROM {from} WHERE {condition} LIMIT 18446744073709551615) AS chunk"
        ),
        // OFFSET 0 does the same. The order is that of the key's index, which the planner might not take else: it knows
        // nothing of how few rows lie between two keys of several columns.
        Dialect::Postgres => format!(
            "SELECT count(*), count(h), sum(('x' || substr(h, 1, 16))::bit(64)::bigint), \
             sum(('x' || substr(h, 17, 16))::bit(64)::bigint) \
             FROM (SELECT encode(substr({hash}, 1, 16), 'hex') AS h FROM {from} WHERE {condition} \
             ORDER BY {} OFFSET 0) AS chunk",
            order(dialect, table)
        ),
    }
}

/// One statement: the key of the `nth` row (from 1) of a range.
pub(crate) fn nth_key(
    dialect: Dialect,
    table: &ComparedTable,
    key_name: &str,
    condition: &str,
    nth: u64,
) -> String {
    format!(
        "SELECT {} FROM {} WHERE {condition} ORDER BY {} LIMIT 1 OFFSET {}",
        key_texts(dialect, table),
        from(dialect, table, key_name),
        order(dialect, table),
        nth.saturating_sub(1)
    )
}

/// The key's columns, to order by. Of the row: a name alone would be that of the text that is selected, and texts of numbers
/// sort otherwise.
fn order(dialect: Dialect, table: &ComparedTable) -> String {
    let columns = table.key.iter();
    let order: Vec<String> = columns
        .map(|column| format!("r.{}", ident(dialect, &column.name)))
        .collect();
    order.join(", ")
}

/// One statement: key and hash of the rows of a range, `limit` at most.
pub(crate) fn list(
    dialect: Dialect,
    table: &ComparedTable,
    key_name: &str,
    condition: &str,
    limit: usize,
) -> String {
    format!(
        "{} ORDER BY {} LIMIT {limit}",
        rows_where(dialect, table, key_name, condition),
        order(dialect, table)
    )
}

fn rows_where(dialect: Dialect, table: &ComparedTable, key_name: &str, condition: &str) -> String {
    format!(
        "SELECT {}, {} FROM {} WHERE {condition}",
        key_texts(dialect, table),
        row_hash_text(dialect, table),
        from(dialect, table, key_name)
    )
}

/// One statement: key and hash of the rows with those keys. A collation may take several keys for one.
pub(crate) fn look_up(
    dialect: Dialect,
    table: &ComparedTable,
    key_name: &str,
    keys: &[KeyText],
) -> Result<String, BadKey> {
    let each = keys.iter().map(|key| {
        let equal = literals(dialect, table, key)?
            .into_iter()
            .map(|(name, value)| format!("{name} = {value}"));
        Ok(equal.collect::<Vec<_>>().join(" AND "))
    });
    let each = each.collect::<Result<Vec<_>, BadKey>>()?;
    Ok(match dialect {
        Dialect::MySql | Dialect::MariaDb => {
            let any: Vec<String> = each.iter().map(|equal| format!("({equal})")).collect();
            rows_where(dialect, table, key_name, &any.join(" OR "))
        }
        // An OR would need a bitmap of rows, and those are switched off.
        Dialect::Postgres => {
            let rows = each
                .iter()
                .map(|equal| rows_where(dialect, table, key_name, equal));
            rows.collect::<Vec<_>>().join(" UNION ALL ")
        }
    })
}

/// The key's columns as texts that [`literal`] takes: digits, or hexadecimal.
fn key_texts(dialect: Dialect, table: &ComparedTable) -> String {
    let text = |column: &ComparedColumn| {
        let name = ident(dialect, &column.name);
        match (dialect, column.kind) {
            (Dialect::Postgres, Kind::Text) => {
                format!("encode(convert_to({name}::text, 'UTF8'), 'hex')")
            }
            (Dialect::Postgres, Kind::Bytes) => format!("encode({name}, 'hex')"),
            (Dialect::Postgres, _) => format!("{name}::text"),
            (_, Kind::Text | Kind::Bytes) => format!("HEX({name})"),
            (_, Kind::Integer) if column.type_name.starts_with("bit") => format!("{name} + 0"),
            _ => format!("CAST({name} AS CHAR)"),
        }
    };
    let texts: Vec<String> = table.key.iter().map(text).collect();
    texts.join(", ")
}

/// A value of a key's column, from the text that [`key_texts`] wrote.
fn literal(dialect: Dialect, column: &ComparedColumn, value: &str) -> Result<String, BadKey> {
    let all = |allowed: fn(char) -> bool| value.chars().all(allowed);
    let valid = match column.kind {
        Kind::Text | Kind::Bytes => value.len().is_multiple_of(2) && all(|c| c.is_ascii_hexdigit()),
        Kind::Integer | Kind::Decimal => {
            let digits = value.strip_prefix('-').unwrap_or(value);
            !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        }
        Kind::Time | Kind::Uuid => {
            !value.is_empty() && all(|c| c.is_ascii_alphanumeric() || " :.+-".contains(c))
        }
        Kind::Float | Kind::Other | Kind::Unknown => false,
    };
    if !valid {
        return Err(BadKey);
    }
    let type_name = &column.type_name;
    Ok(match (dialect, column.kind) {
        (_, Kind::Integer) => value.to_owned(),
        (Dialect::Postgres, Kind::Text) => {
            let bytes = hex::decode(value).map_err(|_| BadKey)?;
            let value = String::from_utf8(bytes).map_err(|_| BadKey)?;
            format!("{}::{type_name}", text(dialect, &value))
        }
        (Dialect::Postgres, Kind::Bytes) => format!("'\\x{value}'::bytea"),
        (Dialect::Postgres, Kind::Decimal) => format!("{value}::numeric"),
        (Dialect::Postgres, _) => format!("'{value}'::{type_name}"),
        (_, Kind::Text) => {
            let charset = column.charset.as_deref().unwrap_or("binary");
            if !charset.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(BadKey);
            }
            format!("_{charset} X'{value}'")
        }
        (_, Kind::Bytes) => format!("X'{value}'"),
        // Digits with a point are an exact number in MySQL too.
        (_, Kind::Decimal) => value.to_owned(),
        (_, _) => format!("'{value}'"),
    })
}

fn literals(
    dialect: Dialect,
    table: &ComparedTable,
    key: &KeyText,
) -> Result<Vec<(String, String)>, BadKey> {
    if key.len() != table.key.len() {
        return Err(BadKey);
    }
    let pairs = table.key.iter().zip(key);
    pairs
        .map(|(column, value)| {
            Ok((
                ident(dialect, &column.name),
                literal(dialect, column, value)?,
            ))
        })
        .collect()
}

/// The condition of a range: after one key, up to and with another.
pub(crate) fn range(
    dialect: Dialect,
    table: &ComparedTable,
    after: Option<&KeyText>,
    upto: Option<&KeyText>,
) -> Result<String, BadKey> {
    let mut conditions = Vec::new();
    for (key, strict, last) in [(after, ">", ">"), (upto, "<", "<=")] {
        if let Some(key) = key {
            let pairs = literals(dialect, table, key)?;
            conditions.push(beside(dialect, &pairs, strict, last));
        }
    }
    if conditions.is_empty() {
        return Ok("TRUE".to_owned());
    }
    Ok(conditions.join(" AND "))
}

/// `(a, b) > (x, y)`. MySQL uses no index for that form, but for the same written out.
fn beside(dialect: Dialect, pairs: &[(String, String)], strict: &str, last: &str) -> String {
    if dialect == Dialect::Postgres {
        let (names, values): (Vec<&str>, Vec<&str>) =
            pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).unzip();
        return format!("({}) {last} ({})", names.join(", "), values.join(", "));
    }
    let alternatives = pairs.iter().enumerate().map(|(place, (name, value))| {
        let sign = if place + 1 == pairs.len() {
            last
        } else {
            strict
        };
        let mut parts: Vec<String> = pairs
            .iter()
            .take(place)
            .map(|(n, v)| format!("{n} = {v}"))
            .collect();
        parts.push(format!("{name} {sign} {value}"));
        format!("({})", parts.join(" AND "))
    });
    format!("({})", alternatives.collect::<Vec<_>>().join(" OR "))
}

/// A key for a report: `scope=m:shop, id=7`. What is no printable text stays in hexadecimal; what is long is cut.
pub(crate) fn readable(table: &ComparedTable, key: &KeyText) -> String {
    const SHOWN_MAX: usize = 80;
    let parts = table.key.iter().zip(key).map(|(column, value)| {
        let text = match column.kind {
            Kind::Text | Kind::Bytes => hex::decode(value)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .filter(|text| !text.chars().any(char::is_control))
                .unwrap_or_else(|| format!("0x{value}")),
            _ => value.clone(),
        };
        let mut shown: String = text.chars().take(SHOWN_MAX).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        format!("{}={shown}", column.name)
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: Kind, type_name: &str) -> ComparedColumn {
        ComparedColumn {
            name: name.to_owned(),
            kind,
            type_name: type_name.to_owned(),
            charset: Some("ascii".to_owned()),
            collation: None,
            same_charset: true,
            nullable: false,
        }
    }

    fn table() -> ComparedTable {
        let key = vec![
            column("s", Kind::Text, "text"),
            column("n", Kind::Integer, "bigint"),
        ];
        ComparedTable {
            name: "t".to_owned(),
            columns: key.clone(),
            key,
            key_in_blue: "PRIMARY".to_owned(),
            key_in_green: "PRIMARY".to_owned(),
        }
    }

    fn key(s: &str, n: &str) -> KeyText {
        vec![hex::encode(s), n.to_owned()]
    }

    #[test]
    fn a_range_excludes_its_first_key_and_includes_its_last() {
        let (a, b) = (key("a", "1"), key("b", "2"));
        let range = |dialect| range(dialect, &table(), Some(&a), Some(&b)).unwrap();
        assert_eq!(
            range(Dialect::MySql),
            "((`s` > _ascii X'61') OR (`s` = _ascii X'61' AND `n` > 1)) AND \
             ((`s` < _ascii X'62') OR (`s` = _ascii X'62' AND `n` <= 2))"
        );
        assert_eq!(
            range(Dialect::Postgres),
            "(\"s\", \"n\") > (U&'\\+000061'::text, 1) AND (\"s\", \"n\") <= (U&'\\+000062'::text, 2)"
        );
    }

    #[test]
    fn names_and_values_can_not_end_what_holds_them() {
        assert_eq!(ident(Dialect::MariaDb, "a`b"), "`a``b`");
        assert_eq!(ident(Dialect::Postgres, "a\"b"), "\"a\"\"b\"");
        assert_eq!(text(Dialect::Postgres, "'\\"), "U&'\\+000027\\+00005c'");
        for bad in ["1;", "", "-", "1 OR 1", "0x1"] {
            let column = column("n", Kind::Integer, "bigint");
            assert_eq!(literal(Dialect::MySql, &column, bad), Err(BadKey), "{bad}");
        }
        let mut strange = column("s", Kind::Text, "text");
        strange.charset = Some("a b".to_owned());
        assert_eq!(literal(Dialect::MySql, &strange, "61"), Err(BadKey));
        assert_eq!(
            literal(Dialect::Postgres, &strange, "ff"),
            Err(BadKey),
            "no UTF-8"
        );
    }

    #[test]
    fn a_key_is_shown_readable_and_cut() {
        assert_eq!(readable(&table(), &key("m:shop", "7")), "s=m:shop, n=7");
        assert_eq!(
            readable(&table(), &vec!["00ff".to_owned(), "7".to_owned()]),
            "s=0x00ff, n=7"
        );
        let long = readable(&table(), &key(&"é".repeat(200), "7"));
        assert_eq!(long, format!("s={}…, n=7", "é".repeat(80)));
    }
}
