//! The statements by which PostgreSQL takes a new password, and has two users act as one.
//!
//! The second of two alternating users is a member of the first, and its sessions act as the first (`ALTER ROLE ... SET
//! role`). So it has exactly the first one's rights, on whatever either creates, now and later: what it creates belongs to
//! the first. Rights of its own would differ sooner or later, and are taken away. What a session is by its login, and not
//! by the role that it acts as, is copied: attributes, the connection limit, settings.
//!
//! Role statements are transactional: all of it happens, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::mysql_text::Unreadable;
use super::postgres_settings::{Setting, settings};
use super::sql::{Server, Statement, postgres_literal, postgres_name};

/// A row of an answer, in text.
pub type Row = Vec<Option<String>>;

/// Attributes that can be on or off, in the order of [`roles_query`]'s columns, with the words for both.
const FLAGS: [(&str, &str); 6] = [
    ("INHERIT", "NOINHERIT"),
    ("CREATEROLE", "NOCREATEROLE"),
    ("CREATEDB", "NOCREATEDB"),
    ("LOGIN", "NOLOGIN"),
    ("REPLICATION", "NOREPLICATION"),
    ("BYPASSRLS", "NOBYPASSRLS"),
];

/// A role's attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Above all rights: such a role takes no turns.
    pub superuser: bool,
    flags: [bool; 6],
    connection_limit: String,
    valid_until: Option<String>,
    /// Settings that its sessions begin with.
    pub settings: BTreeSet<Setting>,
    /// Roles that it is a direct member of.
    pub member_of: BTreeSet<String>,
}

/// What the alternating user has that it should not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnThings {
    /// Kind and quoted name of what it has rights on in its own name.
    pub rights: BTreeSet<(String, String)>,
    /// Whether it owns anything in this database.
    pub owns: bool,
}

/// Asks for both roles' attributes.
#[must_use]
pub fn roles_query(names: [&str; 2]) -> String {
    format!(
        "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, \
         rolconnlimit, rolvaliduntil FROM pg_catalog.pg_roles WHERE rolname IN ({})",
        list(names)
    )
}

/// Asks for both roles' settings.
#[must_use]
pub fn settings_query(names: [&str; 2]) -> String {
    format!(
        "SELECT r.rolname, d.datname, pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.setrole LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
         WHERE r.rolname IN ({})",
        list(names)
    )
}

/// Asks for both roles' memberships.
#[must_use]
pub fn memberships_query(names: [&str; 2]) -> String {
    format!(
        "SELECT u.rolname, g.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
         JOIN pg_catalog.pg_roles u ON u.oid = m.member WHERE u.rolname IN ({})",
        list(names)
    )
}

/// Asks what a role has rights on in its own name, and whether it owns anything, in this database and what all share.
/// The server quotes the names; `search_path` must be empty, so that it qualifies them all.
#[must_use]
pub fn own_things_query(name: &str) -> String {
    let role = format!(
        "(SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {})",
        postgres_literal(name)
    );
    let on = |kind: &str, name: &str, table: &str, acl: &str| {
        format!(
            "SELECT {kind}, {name} FROM {table}, pg_catalog.aclexplode({acl}) a WHERE a.grantee = {role}"
        )
    };
    let relation = "CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END";
    [
        on(relation, "c.oid::pg_catalog.regclass::text", "pg_catalog.pg_class c", "c.relacl"),
        on(
            "'TABLE'",
            "t.attrelid::pg_catalog.regclass::text",
            "pg_catalog.pg_attribute t",
            "t.attacl",
        ),
        on("'SCHEMA'", "pg_catalog.quote_ident(n.nspname)", "pg_catalog.pg_namespace n", "n.nspacl"),
        on("'DATABASE'", "pg_catalog.quote_ident(d.datname)", "pg_catalog.pg_database d", "d.datacl"),
        on("'ROUTINE'", "p.oid::pg_catalog.regprocedure::text", "pg_catalog.pg_proc p", "p.proacl"),
        on("'TYPE'", "t.oid::pg_catalog.regtype::text", "pg_catalog.pg_type t", "t.typacl"),
        on("'LANGUAGE'", "pg_catalog.quote_ident(l.lanname)", "pg_catalog.pg_language l", "l.lanacl"),
        on(
            "'FOREIGN SERVER'",
            "pg_catalog.quote_ident(s.srvname)",
            "pg_catalog.pg_foreign_server s",
            "s.srvacl",
        ),
        format!(
            "SELECT '', '' FROM pg_catalog.pg_shdepend s WHERE s.deptype = 'o' AND s.refobjid = {role} AND s.dbid IN \
             (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))"
        ),
    ]
    .join(" UNION ")
}

fn list(names: [&str; 2]) -> String {
    names.map(postgres_literal).join(", ")
}

/// Reads the answers to the first three queries.
///
/// # Errors
/// [`Unreadable`].
pub fn read_roles(
    roles: &[Row],
    settings: &[Row],
    memberships: &[Row],
) -> Result<BTreeMap<String, Role>, Unreadable> {
    const WHAT: Unreadable = Unreadable("a role");
    let mut read = BTreeMap::new();
    for row in roles {
        let [
            Some(name),
            Some(superuser),
            flags @ ..,
            Some(limit),
            valid_until,
        ] = row.as_slice()
        else {
            return Err(WHAT);
        };
        let flags: Vec<bool> = flags.iter().map(|f| f.as_deref() == Some("t")).collect();
        let role = Role {
            superuser: superuser == "t",
            flags: flags.try_into().map_err(|_| WHAT)?,
            connection_limit: limit.clone(),
            valid_until: valid_until.clone(),
            settings: BTreeSet::new(),
            member_of: BTreeSet::new(),
        };
        read.insert(name.clone(), role);
    }
    for row in settings {
        let [Some(name), database, Some(setting)] = row.as_slice() else {
            return Err(WHAT);
        };
        let (setting, value) = setting.split_once('=').ok_or(WHAT)?;
        let role: &mut Role = read.get_mut(name).ok_or(WHAT)?;
        role.settings.insert(Setting {
            database: database.clone(),
            name: setting.to_owned(),
            value: value.to_owned(),
        });
    }
    for row in memberships {
        let [Some(name), Some(group)] = row.as_slice() else {
            return Err(WHAT);
        };
        let role: &mut Role = read.get_mut(name).ok_or(WHAT)?;
        role.member_of.insert(group.clone());
    }
    Ok(read)
}

/// Reads the answer to [`own_things_query`].
///
/// # Errors
/// [`Unreadable`].
pub fn read_own_things(rows: &[Row]) -> Result<OwnThings, Unreadable> {
    let mut things = OwnThings::default();
    for row in rows {
        let [Some(kind), Some(name)] = row.as_slice() else {
            return Err(Unreadable("a right"));
        };
        if kind.is_empty() {
            things.owns = true;
        } else {
            things.rights.insert((kind.clone(), name.clone()));
        }
    }
    Ok(things)
}

/// A new password for a role, as the verifier that the server would make of it.
#[must_use]
pub fn set_password(name: &str, verifier: &str) -> Statement {
    let text = format!(
        "ALTER ROLE {} PASSWORD {}",
        postgres_name(name),
        postgres_literal(verifier)
    );
    Statement::new("set the password", text)
}

/// Two alternating users.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The first one's name.
    pub original: &'a str,
    /// The first one.
    pub wants: &'a Role,
    /// The second one's name.
    pub alternate: &'a str,
    /// The second one, if it is there.
    pub has: Option<&'a Role>,
}

/// Turns the second of two users into one that acts as the first, with that password. One transaction.
#[must_use]
pub fn act_as(
    server: Server,
    pair: Pair<'_>,
    things: &OwnThings,
    verifier: &str,
) -> Vec<Statement> {
    let (original, alternate) = (postgres_name(pair.original), postgres_name(pair.alternate));
    let mut statements = vec![Statement::new("begin", "BEGIN".to_owned())];
    if pair.has.is_none() {
        let text = format!("CREATE ROLE {alternate} LOGIN");
        statements.push(Statement::new("create the alternating user", text));
    }
    statements.push(set_password(pair.alternate, verifier));
    let attributes = attributes(pair.wants, pair.has);
    if !attributes.is_empty() {
        let text = format!("ALTER ROLE {alternate} {}", attributes.join(" "));
        statements.push(Statement::new("set attributes", text));
    }
    let none = BTreeSet::new();
    let groups = pair.has.map_or(&none, |role| &role.member_of);
    // From PostgreSQL 16 on a membership has options of its own.
    let options = if server.version.0 >= 16 {
        " WITH INHERIT TRUE, SET TRUE"
    } else {
        ""
    };
    if !groups.contains(pair.original) || !options.is_empty() {
        let text = format!("GRANT {original} TO {alternate}{options}");
        statements.push(Statement::new(
            "make the user a member of the original",
            text,
        ));
    }
    for group in groups.iter().filter(|group| *group != pair.original) {
        let text = format!("REVOKE {} FROM {alternate}", postgres_name(group));
        statements.push(Statement::new("revoke a membership", text));
    }
    statements.extend(settings(&pair));
    if things.owns {
        let text = format!("REASSIGN OWNED BY {alternate} TO {original}");
        statements.push(Statement::new(
            "give what the user owns to the original",
            text,
        ));
    }
    for (kind, name) in &things.rights {
        let text = format!("REVOKE ALL ON {kind} {name} FROM {alternate}");
        statements.push(Statement::new("revoke a right of the user's own", text));
    }
    statements
}

/// What ends the transaction of [`act_as`].
#[must_use]
pub fn commit() -> Statement {
    Statement::new("commit", "COMMIT".to_owned())
}

/// Only what differs is named: some attributes may be named by superusers alone.
fn attributes(wants: &Role, has: Option<&Role>) -> Vec<String> {
    // What CREATE ROLE ... LOGIN makes.
    let fresh = Role {
        superuser: false,
        flags: [true, false, false, true, false, false],
        connection_limit: "-1".to_owned(),
        valid_until: None,
        settings: BTreeSet::new(),
        member_of: BTreeSet::new(),
    };
    let has = has.unwrap_or(&fresh);
    let mut words: Vec<String> = FLAGS
        .iter()
        .zip(wants.flags.iter().zip(has.flags))
        .filter(|(_, (wants, has))| **wants != *has)
        .map(|((on, off), (wants, _))| if *wants { *on } else { *off }.to_owned())
        .collect();
    if wants.connection_limit != has.connection_limit {
        words.push(format!("CONNECTION LIMIT {}", wants.connection_limit));
    }
    if wants.valid_until != has.valid_until {
        let until = wants.valid_until.as_deref().unwrap_or("infinity");
        words.push(format!("VALID UNTIL {}", postgres_literal(until)));
    }
    words
}

#[cfg(test)]
#[path = "postgres_plan_tests.rs"]
mod tests;
