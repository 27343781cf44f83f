//! The key by which a table is read in chunks, or why it can't be.
//!
//! A chunk is a range of key values, and has to be the same range on both sides: so both must order the key alike. Text is
//! ordered by its collation, and PostgreSQL takes most collations from the operating system, where the same name may sort
//! otherwise after an upgrade (PostgreSQL manual, 24.2.2). What can't be chunked is said to be unvalidated, never equal.

use super::schema::{Column, Key, Kind, TableSchema};

/// A column as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedColumn {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: Kind,
    /// Its type in blue.
    pub type_name: String,
    /// Its character set in blue.
    pub charset: Option<String>,
    /// Its collation in blue.
    pub collation: Option<String>,
    /// Whether both sides store the same bytes for the same text.
    pub same_charset: bool,
    /// Whether a side may hold NULL in it.
    pub nullable: bool,
}

/// A table that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparedTable {
    /// Its name.
    pub name: String,
    /// All columns, in blue's order: the other side is read in this order too.
    pub columns: Vec<ComparedColumn>,
    /// The key's columns in its order.
    pub key: Vec<ComparedColumn>,
    /// The key's name in blue.
    pub key_in_blue: String,
    /// The key's name in green.
    pub key_in_green: String,
}

/// How a table is compared.
///
/// # Errors
/// In words, why it can't be.
pub fn compared(blue: &TableSchema, green: &TableSchema) -> Result<ComparedTable, String> {
    let columns = compared_columns(blue, green)?;
    let mut whys = Vec::new();
    let mut candidates: Vec<&Key> = blue.keys.iter().filter(|key| key.unique).collect();
    // The primary key first: rows lie in its order, or it is at least what the application means.
    candidates.sort_by_key(|key| (!key.primary, key.columns.len()));
    for key in candidates {
        match usable(key, blue, green, &columns) {
            Ok((key_columns, in_green)) => {
                return Ok(ComparedTable {
                    name: blue.name.clone(),
                    columns,
                    key: key_columns,
                    key_in_blue: key.name.clone(),
                    key_in_green: in_green.to_owned(),
                });
            }
            Err(why) => whys.push(format!("{}: {why}", key.name)),
        }
    }
    if whys.is_empty() {
        return Err("it has no primary or unique key".to_owned());
    }
    Err(format!("no key of it will do ({})", whys.join("; ")))
}

fn compared_columns(
    blue: &TableSchema,
    green: &TableSchema,
) -> Result<Vec<ComparedColumn>, String> {
    if blue.columns.len() != green.columns.len() {
        return Err(format!(
            "it has {} columns in blue and {} in green",
            blue.columns.len(),
            green.columns.len()
        ));
    }
    blue.columns
        .iter()
        .map(|column| {
            let name = &column.name;
            let other = green.columns.iter().find(|other| other.name == *name);
            let other = other.ok_or_else(|| format!("column {name} is missing in green"))?;
            if column.kind == Kind::Unknown {
                return Err(format!(
                    "column {name} is of type {}, which is not known here",
                    column.type_name
                ));
            }
            if !comparable(column, other) {
                return Err(format!(
                    "column {name} is of type {} in blue and {} in green",
                    column.type_name, other.type_name
                ));
            }
            Ok(ComparedColumn {
                name: name.clone(),
                kind: column.kind,
                type_name: column.type_name.clone(),
                charset: column.charset.clone(),
                collation: column.collation.clone(),
                same_charset: column.charset == other.charset,
                nullable: column.nullable || other.nullable,
            })
        })
        .collect()
}

/// Whether equal values of both have the same canonical form.
fn comparable(blue: &Column, green: &Column) -> bool {
    blue.kind == green.kind
        && match blue.kind {
            Kind::Integer | Kind::Text | Kind::Bytes => true,
            // The digits after the point are part of the form.
            _ => blue.type_name == green.type_name,
        }
}

/// The columns of a key that both sides have and order alike, and its name in green.
fn usable<'a>(
    key: &Key,
    blue: &TableSchema,
    green: &'a TableSchema,
    columns: &[ComparedColumn],
) -> Result<(Vec<ComparedColumn>, &'a str), String> {
    if !key.whole || key.columns.is_empty() {
        return Err("it does not hold whole values of all rows".to_owned());
    }
    let mut found = Vec::new();
    for name in &key.columns {
        let of = |table: &TableSchema| table.columns.iter().find(|c| c.name == *name).cloned();
        let compared = columns.iter().find(|column| column.name == *name);
        let (Some(in_blue), Some(in_green), Some(compared)) = (of(blue), of(green), compared)
        else {
            return Err(format!("column {name} is not known"));
        };
        if in_blue.nullable || in_green.nullable {
            return Err(format!("column {name} takes NULL"));
        }
        ordered_alike(&in_blue, &in_green)?;
        found.push(compared.clone());
    }
    let other = green
        .keys
        .iter()
        .find(|other| other.unique && other.whole && other.columns == key.columns);
    let other = other.ok_or("green has no such key")?;
    Ok((found, &other.name))
}

/// Collations that order by the bytes, whatever the system.
const BYTEWISE: [&str; 4] = ["C", "POSIX", "ucs_basic", "C.UTF-8"];

fn ordered_alike(blue: &Column, green: &Column) -> Result<(), String> {
    let name = &blue.name;
    match blue.kind {
        Kind::Integer | Kind::Decimal | Kind::Bytes | Kind::Time | Kind::Uuid => Ok(()),
        Kind::Text => {
            let (in_blue, in_green) = (&blue.collation, &green.collation);
            if in_blue != in_green || blue.charset != green.charset {
                return Err(format!(
                    "column {name} is ordered by {} in blue and {} in green",
                    in_blue.as_deref().unwrap_or("an unknown collation"),
                    in_green.as_deref().unwrap_or("an unknown collation")
                ));
            }
            let bytewise = in_blue.as_deref().is_some_and(|c| BYTEWISE.contains(&c));
            // A version that is not known may be any.
            let version = blue.collation_version.as_ref();
            if bytewise || (version.is_some() && version == green.collation_version.as_ref()) {
                return Ok(());
            }
            Err(format!(
                "column {name} is ordered by versions of {} that are not known to be the same",
                in_blue.as_deref().unwrap_or("an unknown collation")
            ))
        }
        Kind::Float | Kind::Other | Kind::Unknown => Err(format!(
            "column {name} is of type {}, which is not ordered here",
            blue.type_name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn column(name: &str, kind: Kind) -> Column {
        Column {
            name: name.to_owned(),
            type_name: format!("{kind:?}").to_lowercase(),
            kind,
            nullable: false,
            default: None,
            charset: None,
            collation: (kind == Kind::Text).then(|| "C".to_owned()),
            collation_version: None,
            extra: String::new(),
        }
    }

    fn key(name: &str, columns: &[&str]) -> Key {
        Key {
            name: name.to_owned(),
            primary: name == "primary",
            unique: true,
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            whole: true,
            definition: String::new(),
        }
    }

    fn table() -> TableSchema {
        TableSchema {
            name: "t".to_owned(),
            columns: vec![
                column("id", Kind::Integer),
                column("name", Kind::Text),
                column("ratio", Kind::Float),
            ],
            keys: vec![key("by_name", &["name"]), key("primary", &["id", "name"])],
            rules: BTreeMap::new(),
        }
    }

    #[test]
    fn the_primary_key_is_taken_first() {
        let compared = compared(&table(), &table()).unwrap();
        assert_eq!(compared.key_in_blue, "primary");
        assert_eq!(compared.key.len(), 2);
        assert_eq!(compared.columns.len(), 3);
    }

    fn why(change: impl Fn(&mut TableSchema, &mut TableSchema)) -> String {
        let (mut blue, mut green) = (table(), table());
        change(&mut blue, &mut green);
        compared(&blue, &green).unwrap_err()
    }

    #[test]
    fn a_key_that_both_do_not_order_alike_is_none() {
        let unordered = why(|_, green| green.columns[1].collation = Some("en_US".to_owned()));
        assert_eq!(
            unordered,
            "no key of it will do (primary: column name is ordered by C in blue and en_US in green; \
             by_name: column name is ordered by C in blue and en_US in green)"
        );
        let versions = why(|blue, green| {
            for (table, version) in [(blue, "2.31"), (green, "2.36")] {
                table.columns[1].collation = Some("en_US".to_owned());
                table.columns[1].collation_version = Some(version.to_owned());
            }
        });
        assert!(
            versions.contains("versions of en_US that are not known"),
            "{versions}"
        );
        let unknown = why(|blue, green| {
            for table in [blue, green] {
                table.columns[1].collation = Some("en_US".to_owned());
            }
        });
        assert!(
            unknown.contains("versions of en_US that are not known"),
            "{unknown}"
        );
        let float = why(|blue, _| blue.keys = vec![key("primary", &["ratio"])]);
        assert!(float.contains("not ordered"), "{float}");
        let null = why(|blue, green| {
            for table in [blue, green] {
                table.columns[1].nullable = true;
            }
        });
        assert!(null.contains("takes NULL"), "{null}");
        let none = why(|blue, _| blue.keys.clear());
        assert_eq!(none, "it has no primary or unique key");
        let other = why(|_, green| green.keys.clear());
        assert!(other.contains("green has no such key"), "{other}");
        let prefix = why(|blue, _| blue.keys.iter_mut().for_each(|key| key.whole = false));
        assert!(prefix.contains("whole values"), "{prefix}");
    }

    #[test]
    fn columns_that_have_no_common_form_are_not_compared() {
        let scale = why(|blue, green| {
            for (table, type_name) in [(blue, "decimal(10,2)"), (green, "decimal(10,4)")] {
                table.columns[2].kind = Kind::Decimal;
                table.columns[2].type_name = type_name.to_owned();
            }
        });
        assert_eq!(
            scale,
            "column ratio is of type decimal(10,2) in blue and decimal(10,4) in green"
        );
        let unknown = why(|blue, _| blue.columns[0].kind = Kind::Unknown);
        assert!(unknown.contains("not known"), "{unknown}");
        let fewer = why(|_, green| drop(green.columns.pop()));
        assert_eq!(fewer, "it has 3 columns in blue and 2 in green");
    }
}
