//! Statements, and quoting.

use std::fmt;

use zeroize::Zeroizing;

/// Whose server it is, by what it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// MySQL, Aurora MySQL, Percona Server.
    MySql,
    /// MariaDB.
    MariaDb,
    /// PostgreSQL, Aurora PostgreSQL.
    Postgres,
}

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Whose.
    pub flavour: Flavour,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
}

impl Server {
    /// A server of a version.
    #[must_use]
    pub fn new(flavour: Flavour, version: (u16, u16, u16)) -> Self {
        Self { flavour, version }
    }

    /// Reads `SELECT VERSION()` of MySQL and MariaDB: `8.0.39`, `10.11.6-MariaDB-0+deb12u1`, `5.5.5-10.4.2-MariaDB`.
    #[must_use]
    pub fn of_mysql_version(said: &str) -> Self {
        let is_mariadb = said.to_ascii_lowercase().contains("mariadb");
        let flavour = if is_mariadb {
            Flavour::MariaDb
        } else {
            Flavour::MySql
        };
        // Older MariaDB servers put a version before their own, for the sake of old replicas.
        let said = said.strip_prefix("5.5.5-").unwrap_or(said);
        Self::new(flavour, version(said))
    }

    /// Reads `SHOW server_version` of PostgreSQL: `15.6 (Debian 15.6-0+deb12u1)`, `16beta1`.
    #[must_use]
    pub fn of_postgres_version(said: &str) -> Self {
        Self::new(Flavour::Postgres, version(said))
    }

    /// Whether an account can have two passwords at once: MySQL from 8.0.14, MariaDB from 10.4 (`IDENTIFIED VIA ... OR`).
    #[must_use]
    pub fn has_dual_passwords(self) -> bool {
        match self.flavour {
            Flavour::MySql => self.version >= (8, 0, 14),
            Flavour::MariaDb => self.version >= (10, 4, 3),
            Flavour::Postgres => false,
        }
    }
}

/// The leading numbers of a version; what is missing is 0.
fn version(text: &str) -> (u16, u16, u16) {
    let mut numbers = text.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// A statement. Its text may hold a password or a hash, and cannot be printed; what it does can.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it does, for errors: it names no user.
    pub what: &'static str,
    text: Zeroizing<String>,
}

impl Statement {
    /// A statement.
    #[must_use]
    pub fn new(what: &'static str, text: String) -> Self {
        Self {
            what,
            text: Zeroizing::new(text),
        }
    }

    /// Its text: for the server, never to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Statement").field(&self.what).finish()
    }
}

/// A name in backticks, which MySQL and MariaDB read the same in every `sql_mode`.
#[must_use]
pub fn mysql_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a hexadecimal literal, which needs no escapes.
#[must_use]
pub fn mysql_hex(text: &str) -> String {
    format!("0x{}", hex::encode(text))
}

/// A text literal for sessions whose `sql_mode` has NO_BACKSLASH_ESCAPES, and for those alone.
#[must_use]
pub fn mysql_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name for PostgreSQL.
#[must_use]
pub fn postgres_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal for PostgreSQL sessions with `standard_conforming_strings = on`.
#[must_use]
pub fn postgres_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_what_they_say() {
        let mysql = Server::of_mysql_version;
        assert_eq!(mysql("8.0.39"), Server::new(Flavour::MySql, (8, 0, 39)));
        assert_eq!(mysql("8.4.3-log"), Server::new(Flavour::MySql, (8, 4, 3)));
        let debian = mysql("10.11.6-MariaDB-0+deb12u1");
        assert_eq!(debian, Server::new(Flavour::MariaDb, (10, 11, 6)));
        let old = mysql("5.5.5-10.3.39-MariaDB");
        assert_eq!(old, Server::new(Flavour::MariaDb, (10, 3, 39)));
        let postgres = Server::of_postgres_version("16beta1 (Debian)");
        assert_eq!(postgres, Server::new(Flavour::Postgres, (16, 0, 0)));
    }

    #[test]
    fn two_passwords_need_a_server_that_has_them() {
        for (said, dual) in [
            ("8.0.13", false),
            ("8.0.14", true),
            ("8.4.0", true),
            ("5.7.44", false),
            ("10.3.39-MariaDB", false),
            ("10.11.6-MariaDB", true),
            ("unknown", false),
        ] {
            assert_eq!(
                Server::of_mysql_version(said).has_dual_passwords(),
                dual,
                "{said}"
            );
        }
    }

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        for (name, mysql, postgres) in [
            ("app", "`app`", "\"app\""),
            ("a`b", "`a``b`", "\"a`b\""),
            ("a\"b", "`a\"b`", "\"a\"\"b\""),
            ("a'b", "`a'b`", "\"a'b\""),
            ("a\\", "`a\\`", "\"a\\\""),
            ("x TO y", "`x TO y`", "\"x TO y\""),
            ("\u{1f642}", "`\u{1f642}`", "\"\u{1f642}\""),
        ] {
            assert_eq!(mysql_name(name), mysql);
            assert_eq!(postgres_name(name), postgres);
        }
        assert_eq!(mysql_hex("a'\\"), "0x61275c");
        assert_eq!(mysql_literal("a'\\"), "'a''\\'");
        assert_eq!(postgres_literal("a'\\"), "'a''\\'");
    }

    #[test]
    fn a_statement_does_not_show_its_text() {
        let statement = Statement::new("change the password", "IDENTIFIED BY 'hunter2'".to_owned());
        assert!(!format!("{statement:?}").contains("hunter2"));
    }
}
