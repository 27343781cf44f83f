//! The rights of an account of MySQL or MariaDB, and the difference of two.

use std::collections::{BTreeMap, BTreeSet};

use super::mysql_account::Account;
use super::mysql_text::{Token, Unreadable, tokens};
use super::sql::{Flavour, Statement};

const WHAT: &str = "a right";
const ALL: &str = "ALL PRIVILEGES";

/// A right on something, for one column where it is for columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    name: String,
    column: Option<String>,
}

impl Right {
    fn all() -> Self {
        Self {
            name: ALL.to_owned(),
            column: None,
        }
    }

    fn text(&self) -> String {
        match &self.column {
            Some(column) => format!("{} ({column})", self.name),
            None => self.name.clone(),
        }
    }
}

/// What is granted on one thing: everything, a database, a table, a routine, another account (PROXY).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OnThing {
    rights: BTreeSet<Right>,
    grant_option: bool,
}

/// Every right of an account, as `SHOW GRANTS` says it. Things are kept as the server quotes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    things: BTreeMap<String, OnThing>,
    /// MySQL's partial revokes: exceptions from a global right.
    exceptions: BTreeMap<String, BTreeSet<Right>>,
    /// Roles, and whether they may be handed on.
    roles: BTreeMap<String, bool>,
    /// MariaDB's one default role.
    default_role: Option<String>,
}

impl Grants {
    /// Reads the rows of `SHOW GRANTS`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse<'a>(rows: impl IntoIterator<Item = &'a str>) -> Result<Self, Unreadable> {
        let mut grants = Self::default();
        for row in rows {
            grants.read(row)?;
        }
        Ok(grants)
    }

    fn read(&mut self, row: &str) -> Result<(), Unreadable> {
        let tokens = tokens(row, WHAT)?;
        let [verb, rest @ ..] = tokens.as_slice() else {
            return Err(Unreadable(WHAT));
        };
        if verb.is_word("GRANT") {
            let to = position(rest, "TO").ok_or(Unreadable(WHAT))?;
            let (given, tail) = rest.split_at(to);
            match position(given, "ON") {
                Some(on) => {
                    let (rights, thing) = given.split_at(on);
                    let entry = self.things.entry(raw(row, thing.get(1..))).or_default();
                    entry.rights.extend(read_rights(row, rights)?);
                    entry.grant_option |= ends_with(tail, "GRANT");
                }
                None => {
                    for role in given.split(|t| t.is_mark(",")) {
                        self.roles
                            .insert(raw(row, Some(role)), ends_with(tail, "ADMIN"));
                    }
                }
            }
            return Ok(());
        }
        if verb.is_word("REVOKE") {
            let from = position(rest, "FROM").ok_or(Unreadable(WHAT))?;
            let on = position(rest, "ON").ok_or(Unreadable(WHAT))?;
            let rights = rest.get(..on).unwrap_or_default();
            let thing = raw(row, rest.get(on + 1..from));
            let entry = self.exceptions.entry(thing).or_default();
            entry.extend(read_rights(row, rights)?);
            return Ok(());
        }
        if let [set, default, role, tail @ ..] = tokens.as_slice()
            && set.is_word("SET")
            && default.is_word("DEFAULT")
            && role.is_word("ROLE")
        {
            let end = position(tail, "FOR").unwrap_or(tail.len());
            self.default_role = Some(raw(row, tail.get(..end)));
            return Ok(());
        }
        Err(Unreadable(WHAT))
    }

    /// The statements that turn the rights of `account`, which are `self`, into `wanted`.
    #[must_use]
    pub fn become_like(
        &self,
        wanted: &Self,
        account: &Account,
        flavour: Flavour,
    ) -> Vec<Statement> {
        let account = account.quoted();
        let mut statements = Vec::new();
        let things: BTreeSet<&String> = self.things.keys().chain(wanted.things.keys()).collect();
        for thing in things {
            let none = OnThing::default();
            let has = self.things.get(thing).unwrap_or(&none);
            let wants = wanted.things.get(thing).unwrap_or(&none);
            statements.extend(settle(thing, has, wants, &account));
        }
        statements.extend(self.settle_exceptions(wanted, &account));
        statements.extend(self.settle_roles(wanted, &account, flavour));
        statements
    }

    fn settle_exceptions(&self, wanted: &Self, account: &str) -> Vec<Statement> {
        let lifted = missing(&self.exceptions, &wanted.exceptions).map(|(thing, right)| {
            let text = format!("GRANT {right} ON {thing} TO {account}");
            Statement::new("lift an exception from a right", text)
        });
        let made = missing(&wanted.exceptions, &self.exceptions).map(|(thing, right)| {
            let text = format!("REVOKE {right} ON {thing} FROM {account}");
            Statement::new("make an exception from a right", text)
        });
        lifted.chain(made).collect()
    }

    fn settle_roles(&self, wanted: &Self, account: &str, flavour: Flavour) -> Vec<Statement> {
        let mut statements = Vec::new();
        for (role, admin) in &self.roles {
            match wanted.roles.get(role) {
                None => statements.push(Statement::new(
                    "revoke a role",
                    format!("REVOKE {role} FROM {account}"),
                )),
                // Neither server takes the option away alone in one form that both know.
                Some(false) if *admin => statements.push(Statement::new(
                    "revoke a role that may be handed on",
                    format!("REVOKE {role} FROM {account}"),
                )),
                Some(_) => {}
            }
        }
        for (role, admin) in &wanted.roles {
            if self.roles.get(role) != Some(admin) {
                let option = if *admin { " WITH ADMIN OPTION" } else { "" };
                let text = format!("GRANT {role} TO {account}{option}");
                statements.push(Statement::new("grant a role", text));
            }
        }
        if flavour == Flavour::MariaDb && self.default_role != wanted.default_role {
            let role = wanted.default_role.as_deref().unwrap_or("NONE");
            let text = format!("SET DEFAULT ROLE {role} FOR {account}");
            statements.push(Statement::new("set the default role", text));
        }
        statements
    }
}

/// What one has on one thing, turned into what is wanted there.
fn settle(thing: &str, has: &OnThing, wants: &OnThing, account: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let all = Right::all();
    // One of many of `ALL` is revoked by revoking all of them: what is wanted is granted anew.
    let anew = has.rights.contains(&all) && !wants.rights.contains(&all);
    let revoked: Vec<String> = if anew {
        vec![ALL.to_owned()]
    } else if wants.rights.contains(&all) {
        Vec::new()
    } else {
        texts(has.rights.difference(&wants.rights))
    };
    let kept = if anew {
        BTreeSet::new()
    } else {
        has.rights.clone()
    };
    let granted = texts(wants.rights.difference(&kept));
    if !revoked.is_empty() {
        let text = format!("REVOKE {} ON {thing} FROM {account}", revoked.join(", "));
        statements.push(Statement::new("revoke rights", text));
    }
    if has.grant_option && !wants.grant_option {
        let text = format!("REVOKE GRANT OPTION ON {thing} FROM {account}");
        statements.push(Statement::new("revoke the grant option", text));
    }
    let option_is_missing = wants.grant_option && !has.grant_option;
    if !granted.is_empty() || option_is_missing {
        let rights = match granted.as_slice() {
            [] => "USAGE".to_owned(),
            some => some.join(", "),
        };
        let option = if option_is_missing {
            " WITH GRANT OPTION"
        } else {
            ""
        };
        let text = format!("GRANT {rights} ON {thing} TO {account}{option}");
        statements.push(Statement::new("grant rights", text));
    }
    statements
}

fn texts<'a>(rights: impl Iterator<Item = &'a Right>) -> Vec<String> {
    rights.map(Right::text).collect()
}

/// Rights of `left` that `right` does not have.
fn missing<'a>(
    left: &'a BTreeMap<String, BTreeSet<Right>>,
    right: &'a BTreeMap<String, BTreeSet<Right>>,
) -> impl Iterator<Item = (&'a String, String)> {
    left.iter().flat_map(|(thing, rights)| {
        let has = right.get(thing);
        rights
            .iter()
            .filter(move |right| !has.is_some_and(|has| has.contains(right)))
            .map(move |right| (thing, right.text()))
    })
}

/// Where a keyword stands outside of parentheses.
fn position(tokens: &[Token<'_>], word: &str) -> Option<usize> {
    let mut depth = 0_u32;
    tokens.iter().position(|token| {
        if token.is_mark("(") {
            depth += 1;
        } else if token.is_mark(")") {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is_word(word)
    })
}

/// Whether a grant ends with `WITH GRANT OPTION` or `WITH ADMIN OPTION`; limits may follow the former.
fn ends_with(tail: &[Token<'_>], option: &str) -> bool {
    tail.windows(2)
        .any(|pair| matches!(pair, [word, last] if word.is_word(option) && last.is_word("OPTION")))
}

/// Reads `SELECT, UPDATE (a, b), CREATE VIEW`. USAGE is no right.
fn read_rights(row: &str, tokens: &[Token<'_>]) -> Result<Vec<Right>, Unreadable> {
    let mut rights = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        let end = position_of_comma(rest);
        let (item, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let columns_at = item
            .iter()
            .position(|t| t.is_mark("("))
            .unwrap_or(item.len());
        let (name, columns) = item.split_at(columns_at);
        let name = raw(row, Some(name)).to_ascii_uppercase();
        if name.is_empty() {
            return Err(Unreadable(WHAT));
        }
        if name == "USAGE" {
            continue;
        }
        if columns.is_empty() {
            rights.push(Right { name, column: None });
            continue;
        }
        for column in columns.split(|t| t.is_mark(",") || t.is_mark("(") || t.is_mark(")")) {
            if !column.is_empty() {
                rights.push(Right {
                    name: name.clone(),
                    column: Some(raw(row, Some(column))),
                });
            }
        }
    }
    Ok(rights)
}

fn position_of_comma(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_u32;
    let found = tokens.iter().position(|token| {
        if token.is_mark("(") {
            depth += 1;
        } else if token.is_mark(")") {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is_mark(",")
    });
    found.unwrap_or(tokens.len())
}

fn raw(row: &str, tokens: Option<&[Token<'_>]>) -> String {
    let tokens = tokens.unwrap_or_default();
    let bounds = tokens.first().zip(tokens.last());
    let text = bounds.and_then(|(first, last)| row.get(first.start..last.end));
    text.unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "mysql_grants_tests.rs"]
mod tests;
