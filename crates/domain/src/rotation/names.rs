//! Names of users: how long each engine's may be. Nothing is ever cut short.

use super::secret::Engine;
use super::sql::{Flavour, Server};

/// A user name that the engine would cut short, or cannot keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// Too long.
    #[error("the user name of {has} {unit} is longer than the {most} that {engine} keeps")]
    TooLong {
        /// Its length.
        has: usize,
        /// What is counted.
        unit: &'static str,
        /// The longest.
        most: usize,
        /// Whose limit.
        engine: &'static str,
    },
    /// Characters beyond U+FFFF.
    #[error(
        "the user name has a 4-byte character, which MySQL and MariaDB do not keep in account names"
    )]
    FourBytes,
}

/// Whether an engine can keep a name, as far as the secret alone tells. MySQL and MariaDB count characters, PostgreSQL
/// bytes. Under `mysql` a server may turn out to be MariaDB: see [`name_fits_server`].
pub(crate) fn name_fits(engine: Engine, name: &str) -> Result<(), NameProblem> {
    match engine {
        Engine::Mysql | Engine::Mariadb => mysql_name_fits(name, 128, "MariaDB"),
        Engine::Postgres => postgres_name_fits(name),
    }
}

/// Whether this very server can keep a name.
///
/// # Errors
/// [`NameProblem`].
pub fn name_fits_server(server: Server, name: &str) -> Result<(), NameProblem> {
    match server.flavour {
        Flavour::MySql => mysql_name_fits(name, 32, "MySQL"),
        Flavour::MariaDb => mysql_name_fits(name, 128, "MariaDB"),
        Flavour::Postgres => postgres_name_fits(name),
    }
}

fn mysql_name_fits(name: &str, most: usize, engine: &'static str) -> Result<(), NameProblem> {
    if name.chars().any(|c| c.len_utf8() == 4) {
        return Err(NameProblem::FourBytes);
    }
    fits(name.chars().count(), most, "characters", engine)
}

fn postgres_name_fits(name: &str) -> Result<(), NameProblem> {
    fits(name.len(), 63, "bytes", "PostgreSQL")
}

fn fits(
    has: usize,
    most: usize,
    unit: &'static str,
    engine: &'static str,
) -> Result<(), NameProblem> {
    if has > most {
        return Err(NameProblem::TooLong {
            has,
            unit,
            most,
            engine,
        });
    }
    Ok(())
}
