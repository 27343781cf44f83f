//! What a database secret says, what its successor says, and what must not differ between the two.

use std::fmt;

use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::names::{NameProblem, name_fits};

/// What the second of two alternating users is called: the first one's name and this.
pub const ALTERNATE_SUFFIX: &str = "_clone";

/// Bytes of a password. More is no password, but an attempt to fill something up.
const PASSWORD_BYTES_MAX: usize = 256;

/// A password. It cannot be printed, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password's text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text: for who logs in with it, never to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// What the secret calls the engine. What the server says of itself decides what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `mysql`, `aurora-mysql`.
    Mysql,
    /// `mariadb`.
    Mariadb,
    /// `postgres`, `postgresql`, `aurora-postgresql`.
    Postgres,
}

impl Engine {
    fn named(name: &str) -> Option<Self> {
        match name {
            "mysql" | "aurora-mysql" => Some(Self::Mysql),
            "mariadb" => Some(Self::Mariadb),
            "postgres" | "postgresql" | "aurora-postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// As a secret writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgres => "postgres",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgres => 5432,
        }
    }
}

/// How users take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One user, whose password changes.
    SingleUser,
    /// Two users with the same rights; each rotation gives the other one a new password.
    AlternatingUsers,
}

impl Strategy {
    /// As configured and logged.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SingleUser => "single-user",
            Self::AlternatingUsers => "alternating-users",
        }
    }
}

/// A secret that cannot be rotated. No message repeats any value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// No JSON object.
    #[error(
        "it is no JSON object with engine, host, username and password (and port, dbname, ssl, masterarn where they apply)"
    )]
    NoObject,
    /// Fields that are missing or wrong, with what they take.
    #[error("{}", .0.join("; "))]
    Fields(Vec<&'static str>),
    /// A user name that the engine cannot keep.
    #[error("{0}")]
    Name(#[from] NameProblem),
    /// The host is that of an RDS Proxy.
    #[error(
        "its host is an RDS Proxy: a password cannot be changed through one; name the database's own endpoint"
    )]
    Proxied,
}

/// A database secret. Fields that are not ours are kept for its successor.
#[derive(Clone)]
pub struct DatabaseSecret {
    fields: Map<String, Value>,
    /// Engine.
    pub engine: Engine,
    /// Name or address of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub username: String,
    /// Password.
    pub password: Password,
    /// Database.
    pub dbname: Option<String>,
    /// Whether TLS is on and the server verified: off only if the secret says false.
    pub ssl: bool,
    /// ARN or name of the secret of the user who may change others.
    pub masterarn: Option<String>,
}

impl fmt::Debug for DatabaseSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSecret").finish_non_exhaustive()
    }
}

impl Drop for DatabaseSecret {
    fn drop(&mut self) {
        if let Some(Value::String(password)) = self.fields.get_mut("password") {
            password.zeroize();
        }
    }
}

impl DatabaseSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// Every field that is wrong, at once.
    pub fn parse(text: &str) -> Result<Self, SecretProblem> {
        let fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| SecretProblem::NoObject)?;
        let mut wrong = Vec::new();
        let mut need = |name: &str, takes: &'static str| match fields.get(name) {
            Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => {
                Some(text.clone())
            }
            _ => {
                wrong.push(takes);
                None
            }
        };
        let host = need("host", "host takes a name or address");
        let username = need("username", "username takes a text that is not empty");
        let password = need("password", "password takes a text that is not empty")
            .map(Password::new)
            .filter(|password| password.expose().len() <= PASSWORD_BYTES_MAX);
        let engine = need("engine", ENGINE_TAKES).map(|name| Engine::named(&name));
        if engine == Some(None) {
            wrong.push(ENGINE_TAKES);
        }
        let dbname = optional_text(&fields, "dbname");
        let masterarn = optional_text(&fields, "masterarn");
        let port = port(&fields);
        let ssl = ssl(&fields);
        let checks = [
            (dbname.is_none(), "dbname takes a text"),
            (masterarn.is_none(), "masterarn takes the ARN of a secret"),
            (port.is_none(), "port takes a number from 1 to 65535"),
            (ssl.is_none(), "ssl takes true or false"),
            (
                fields.contains_key("password") && password.is_none(),
                "password takes 1 to 256 bytes without NUL",
            ),
        ];
        wrong.extend(checks.into_iter().filter(|c| c.0).map(|c| c.1));
        let (Some(host), Some(username), Some(password), Some(Some(engine))) =
            (host, username, password, engine)
        else {
            return Err(SecretProblem::Fields(wrong));
        };
        let (Some(dbname), Some(masterarn), Some(port), Some(ssl)) = (dbname, masterarn, port, ssl)
        else {
            return Err(SecretProblem::Fields(wrong));
        };
        if is_proxy(&host) {
            return Err(SecretProblem::Proxied);
        }
        name_fits(engine, &username)?;
        Ok(Self {
            engine,
            host,
            port: port.unwrap_or_else(|| engine.default_port()),
            username,
            password,
            dbname,
            ssl,
            masterarn,
            fields,
        })
    }

    /// The strategy that `auto` stands for: two users where there is someone who may change both.
    #[must_use]
    pub fn own_strategy(&self) -> Strategy {
        match self.masterarn {
            Some(_) => Strategy::AlternatingUsers,
            None => Strategy::SingleUser,
        }
    }

    /// The user of the version after this one.
    #[must_use]
    pub fn next_username(&self, strategy: Strategy) -> String {
        match strategy {
            Strategy::SingleUser => self.username.clone(),
            Strategy::AlternatingUsers => match self.username.strip_suffix(ALTERNATE_SUFFIX) {
                Some(original) if !original.is_empty() => original.to_owned(),
                _ => format!("{}{ALTERNATE_SUFFIX}", self.username),
            },
        }
    }

    /// The text of the version after this one: another password, the next user, and everything else as it is.
    ///
    /// # Errors
    /// The next user's name does not fit the engine.
    pub fn successor(
        &self,
        strategy: Strategy,
        password: &Password,
    ) -> Result<Zeroizing<String>, NameProblem> {
        let username = self.next_username(strategy);
        name_fits(self.engine, &username)?;
        let mut next = self.clone();
        next.fields.insert("username".to_owned(), username.into());
        next.fields
            .insert("password".to_owned(), password.expose().into());
        let text = serde_json::to_string(&next.fields).unwrap_or_default();
        Ok(Zeroizing::new(text))
    }

    /// The names of fields in which `pending` is not the successor of this version. A password must not be sent anywhere
    /// else than where the current one is good.
    #[must_use]
    pub fn tampered(&self, pending: &Self, strategy: Strategy) -> Vec<&'static str> {
        let mut differs = self.elsewhere(pending);
        let checks = [
            (self.dbname != pending.dbname, "dbname"),
            (self.next_username(strategy) != pending.username, "username"),
            (self.ssl != pending.ssl, "ssl"),
            (self.masterarn != pending.masterarn, "masterarn"),
            // Not tampering, but no rotation either.
            (
                strategy == Strategy::SingleUser && self.password == pending.password,
                "password (it is the current one)",
            ),
        ];
        differs.extend(checks.into_iter().filter(|c| c.0).map(|c| c.1));
        differs
    }

    /// Whether `other` says the same, field by field.
    #[must_use]
    pub fn is_copied_by(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// The names of fields by which `other` is of another server.
    #[must_use]
    pub fn elsewhere(&self, other: &Self) -> Vec<&'static str> {
        [
            (self.engine != other.engine, "engine"),
            (self.host != other.host, "host"),
            (self.port != other.port, "port"),
        ]
        .into_iter()
        .filter(|c| c.0)
        .map(|c| c.1)
        .collect()
    }

    /// The first of the two alternating users: the one whose rights count.
    #[must_use]
    pub fn original_username(&self) -> &str {
        match self.username.strip_suffix(ALTERNATE_SUFFIX) {
            Some(original) if !original.is_empty() => original,
            _ => &self.username,
        }
    }
}

const ENGINE_TAKES: &str = "engine takes mysql, mariadb or postgres";

/// Absent, null and empty are none; anything but text is wrong.
#[expect(clippy::option_option, reason = "wrong, absent, there")]
fn optional_text(fields: &Map<String, Value>, name: &str) -> Option<Option<String>> {
    match fields.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.contains('\0') => None,
        Some(Value::String(text)) => Some(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => None,
    }
}

/// As payment-validation reads it: a number, or one in a text.
#[expect(clippy::option_option, reason = "wrong, absent, there")]
fn port(fields: &Map<String, Value>) -> Option<Option<u16>> {
    let number = match fields.get("port") {
        None | Some(Value::Null) => return Some(None),
        Some(Value::Number(number)) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    number.filter(|&port| port > 0).map(Some)
}

/// As payment-validation reads it: only false, or its name, turns TLS off.
fn ssl(fields: &Map<String, Value>) -> Option<bool> {
    match fields.get("ssl") {
        None | Some(Value::Null) => Some(true),
        Some(Value::Bool(ssl)) => Some(*ssl),
        Some(Value::String(text)) => Some(text != "false"),
        Some(_) => None,
    }
}

/// `<name>.proxy-<id>.<region>.rds.amazonaws.com`, and its read-only endpoints.
fn is_proxy(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let of_rds = host.ends_with(".rds.amazonaws.com") || host.ends_with(".rds.amazonaws.com.cn");
    of_rds
        && host
            .split('.')
            .skip(1)
            .any(|label| label.starts_with("proxy-"))
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
