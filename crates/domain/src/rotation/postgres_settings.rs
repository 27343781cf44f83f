//! Settings that a role's sessions of PostgreSQL begin with, and the statements that make two roles' the same.

use std::collections::BTreeSet;

use super::postgres_plan::Pair;
use super::sql::{Statement, postgres_literal, postgres_name};

/// Settings that are lists of names. Each name is quoted by itself (as `pg_dump` has it).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// A setting of a role, in one database or in all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// The database; none for all.
    pub database: Option<String>,
    /// Name.
    pub name: String,
    /// Value, as the catalog keeps it.
    pub value: String,
}

/// What makes the second user's settings those of the first, and has its sessions act as the first.
pub(crate) fn settings(pair: &Pair<'_>) -> Vec<Statement> {
    let mut wanted = pair.wants.settings.clone();
    // If the first one's sessions act as a third role, the second one's do so, too.
    let acts_as_other = wanted
        .iter()
        .any(|setting| setting.database.is_none() && setting.name == "role");
    if !acts_as_other {
        wanted.insert(Setting {
            database: None,
            name: "role".to_owned(),
            value: pair.original.to_owned(),
        });
    }
    let none = BTreeSet::new();
    let has = pair.has.map_or(&none, |role| &role.settings);
    let place = |setting: &Setting| {
        let alternate = postgres_name(pair.alternate);
        match &setting.database {
            Some(database) => format!("{alternate} IN DATABASE {}", postgres_name(database)),
            None => alternate,
        }
    };
    let key = |setting: &Setting| (setting.database.clone(), setting.name.clone());
    let kept: BTreeSet<_> = wanted.iter().map(key).collect();
    let mut statements = Vec::new();
    for setting in has.difference(&wanted).filter(|s| !kept.contains(&key(s))) {
        let text = format!(
            "ALTER ROLE {} RESET {}",
            place(setting),
            dotted(&setting.name)
        );
        statements.push(Statement::new("reset a setting", text));
    }
    for setting in wanted.difference(has) {
        let (name, value) = (dotted(&setting.name), value(setting));
        let text = format!("ALTER ROLE {} SET {name} TO {value}", place(setting));
        statements.push(Statement::new("set a setting", text));
    }
    statements
}

/// A setting's name may have a part for its extension: `app.tenant`.
fn dotted(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(postgres_name).collect();
    parts.join(".")
}

pub(crate) fn value(setting: &Setting) -> String {
    let is_list = LISTS.contains(&setting.name.to_ascii_lowercase().as_str());
    let names = is_list.then(|| split_names(&setting.value)).flatten();
    match names {
        Some(names) if !names.is_empty() => {
            let literals: Vec<String> = names.iter().map(|name| postgres_literal(name)).collect();
            literals.join(", ")
        }
        _ => postgres_literal(&setting.value),
    }
}

/// Splits `"$user", public`; none if it is no such list.
fn split_names(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let after = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut after = quoted;
            loop {
                let (part, tail) = after.split_once('"')?;
                name.push_str(part);
                let Some(doubled) = tail.strip_prefix('"') else {
                    after = tail;
                    break;
                };
                name.push('"');
                after = doubled;
            }
            names.push(name);
            after.trim_start()
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            names.push(name.trim_end().to_owned());
            after
        };
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some(names)
}
