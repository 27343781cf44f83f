//! An account of MySQL or MariaDB: its name, and what `SHOW CREATE USER` says of it.

use std::collections::BTreeMap;

use super::mysql_text::{Kind, Token, Unreadable, tokens};
use super::sql::{Flavour, mysql_name};

const WHAT: &str = "an account";
/// Limits that are always given, so that a limit that the original does not have is taken away.
const LIMITS: [&str; 4] = [
    "MAX_QUERIES_PER_HOUR",
    "MAX_UPDATES_PER_HOUR",
    "MAX_CONNECTIONS_PER_HOUR",
    "MAX_USER_CONNECTIONS",
];
/// MariaDB's own.
const STATEMENT_TIME: &str = "MAX_STATEMENT_TIME";

/// A user and a host part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// User name, as it is.
    pub user: String,
    /// Host part: a pattern such as `%`.
    pub host: String,
}

impl Account {
    /// For statements.
    #[must_use]
    pub fn quoted(&self) -> String {
        format!("{}@{}", mysql_name(&self.user), mysql_name(&self.host))
    }

    /// Reads `CURRENT_USER()`: the account that the server took the login for. A user name may hold `@`, a host cannot.
    #[must_use]
    pub fn of_current_user(said: &str) -> Option<Self> {
        let (user, host) = said.rsplit_once('@')?;
        Some(Self {
            user: user.to_owned(),
            host: host.to_owned(),
        })
    }
}

/// What an account has besides its rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Authentication plugins; none means the server's own for accounts without a password.
    pub plugins: Vec<String>,
    /// What follows REQUIRE: `NONE`, `SSL`, `SUBJECT '...'`.
    pub requirement: String,
    /// Limits, all of [`LIMITS`], and MariaDB's own one.
    limits: BTreeMap<String, String>,
    /// Roles that are on from the login, as printed; MySQL says so here, MariaDB among the grants.
    pub default_role: Option<String>,
    /// Password and lock options, as printed.
    options: String,
}

impl Attributes {
    /// Reads `SHOW CREATE USER`.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse(printed: &str, flavour: Flavour) -> Result<Self, Unreadable> {
        let tokens = tokens(printed, WHAT)?;
        let after_name = name_end(&tokens).ok_or(Unreadable(WHAT))?;
        let (plugins, after_auth) = plugins(&tokens, after_name)?;
        let rest = tokens.get(after_auth..).unwrap_or_default();
        let options_at = rest.iter().position(starts_options).unwrap_or(rest.len());
        let (clauses, options) = rest.split_at(options_at);
        let limits_at = clauses
            .iter()
            .position(|t| t.is_word("WITH"))
            .unwrap_or(clauses.len());
        let (clauses, limits) = clauses.split_at(limits_at);
        let require_at = clauses
            .iter()
            .position(|t| t.is_word("REQUIRE"))
            .unwrap_or(clauses.len());
        let (role, requirement) = clauses.split_at(require_at);
        let default_role = match role {
            [] => None,
            [default, word, roles @ ..] if default.is_word("DEFAULT") && word.is_word("ROLE") => {
                Some(raw(printed, roles))
            }
            _ => return Err(Unreadable(WHAT)),
        };
        let requirement = match requirement {
            [] => "NONE".to_owned(),
            [_require, what @ ..] => raw(printed, what),
        };
        Ok(Self {
            plugins,
            requirement,
            limits: read_limits(limits, flavour)?,
            default_role,
            options: read_options(printed, options, flavour),
        })
    }

    /// Whether everything but the password is the same.
    #[must_use]
    pub fn same_besides_password(&self, other: &Self) -> bool {
        (&self.requirement, &self.limits, &self.options)
            == (&other.requirement, &other.limits, &other.options)
    }

    /// What follows `ALTER USER <account>` to give another account all of them but the password and the roles.
    #[must_use]
    pub fn clauses(&self) -> String {
        let limits: Vec<String> = self
            .limits
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let (requirement, options) = (&self.requirement, &self.options);
        let clauses = format!("REQUIRE {requirement} WITH {} {options}", limits.join(" "));
        clauses.trim_end().to_owned()
    }
}

/// The place after ``CREATE USER `name`@`host` ``.
fn name_end(tokens: &[Token<'_>]) -> Option<usize> {
    match tokens {
        [create, user, name, at, host, ..]
            if create.is_word("CREATE")
                && user.is_word("USER")
                && name.kind == Kind::Quoted
                && at.is_mark("@")
                && host.kind == Kind::Quoted =>
        {
            Some(5)
        }
        _ => None,
    }
}

/// Reads `IDENTIFIED BY PASSWORD '...'`, `IDENTIFIED VIA p USING '...' OR p2 ...`, `IDENTIFIED WITH 'p' AS '...'`.
fn plugins(tokens: &[Token<'_>], start: usize) -> Result<(Vec<String>, usize), Unreadable> {
    let mut plugins = Vec::new();
    let mut at = start;
    while let Some(rest) = tokens.get(at..) {
        match rest {
            [identified, by, password, hash, ..]
                if identified.is_word("IDENTIFIED")
                    && by.is_word("BY")
                    && password.is_word("PASSWORD")
                    && hash.kind == Kind::Quoted =>
            {
                plugins.push("mysql_native_password".to_owned());
                at += 4;
            }
            [identified, with, plugin, ..]
                if identified.is_word("IDENTIFIED")
                    && (with.is_word("VIA") || with.is_word("WITH")) =>
            {
                plugins.push(unquoted(plugin));
                at += 3 + secret_length(tokens.get(at + 3..));
            }
            [or, plugin, ..] if or.is_word("OR") => {
                plugins.push(unquoted(plugin));
                at += 2 + secret_length(tokens.get(at + 2..));
            }
            // A second factor of MySQL.
            [and, ..] if and.is_word("AND") => at += 1,
            _ => return Ok((plugins, at)),
        }
    }
    Err(Unreadable(WHAT))
}

/// Tokens of `USING '...'` or `AS '...'`, if that is what comes.
fn secret_length(rest: Option<&[Token<'_>]>) -> usize {
    match rest {
        Some([using, _secret, ..]) if using.is_word("USING") || using.is_word("AS") => 2,
        _ => 0,
    }
}

fn unquoted(token: &Token<'_>) -> String {
    token.raw.trim_matches(['\'', '`', '"']).to_owned()
}

fn starts_options(token: &Token<'_>) -> bool {
    [
        "PASSWORD",
        "ACCOUNT",
        "FAILED_LOGIN_ATTEMPTS",
        "PASSWORD_LOCK_TIME",
        "COMMENT",
        "ATTRIBUTE",
    ]
    .iter()
    .any(|word| token.is_word(word))
}

fn raw(printed: &str, tokens: &[Token<'_>]) -> String {
    match tokens {
        [first, .., last] => printed.get(first.start..last.end),
        [only] => printed.get(only.start..only.end),
        [] => None,
    }
    .unwrap_or_default()
    .to_owned()
}

fn read_limits(
    tokens: &[Token<'_>],
    flavour: Flavour,
) -> Result<BTreeMap<String, String>, Unreadable> {
    let own = (flavour == Flavour::MariaDb).then_some(STATEMENT_TIME);
    let mut limits: BTreeMap<String, String> = LIMITS
        .into_iter()
        .chain(own)
        .map(|name| (name.to_owned(), "0".to_owned()))
        .collect();
    let mut rest = tokens.get(1..).unwrap_or_default();
    while let [name, after @ ..] = rest {
        // A number may have a point: `1.5` is three tokens.
        let length = after
            .iter()
            .position(|t| t.raw.starts_with("MAX_"))
            .unwrap_or(after.len());
        let (value, next) = after.split_at(length);
        let value: String = value.iter().map(|t| t.raw).collect();
        if !limits.contains_key(name.raw) || value.parse::<f64>().is_err() {
            return Err(Unreadable(WHAT));
        }
        limits.insert(name.raw.to_owned(), value);
        rest = next;
    }
    Ok(limits)
}

/// MySQL prints every option; MariaDB only those that are not the default, which must be named to be restored.
fn read_options(printed: &str, options: &[Token<'_>], flavour: Flavour) -> String {
    if flavour != Flavour::MariaDb {
        return raw(printed, options);
    }
    let locked = options
        .windows(2)
        .any(|pair| matches!(pair, [account, lock] if account.is_word("ACCOUNT") && lock.is_word("LOCK")));
    let account = if locked { "LOCK" } else { "UNLOCK" };
    let expire: Vec<Token<'_>> = options
        .iter()
        .copied()
        .skip_while(|t| !t.is_word("PASSWORD"))
        .take_while(|t| !t.is_word("ACCOUNT"))
        .collect();
    let expire = match expire.as_slice() {
        [] => "PASSWORD EXPIRE DEFAULT".to_owned(),
        some => raw(printed, some),
    };
    format!("ACCOUNT {account} {expire}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mariadb(printed: &str) -> Attributes {
        Attributes::parse(printed, Flavour::MariaDb).unwrap()
    }

    #[test]
    fn mariadb_accounts_are_read() {
        let plain = mariadb("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*AB'");
        assert_eq!(plain.plugins, ["mysql_native_password"]);
        assert_eq!(
            plain.clauses(),
            "REQUIRE NONE WITH MAX_CONNECTIONS_PER_HOUR 0 MAX_QUERIES_PER_HOUR 0 MAX_STATEMENT_TIME 0 \
             MAX_UPDATES_PER_HOUR 0 MAX_USER_CONNECTIONS 0 ACCOUNT UNLOCK PASSWORD EXPIRE DEFAULT"
        );
        let full = mariadb(
            "CREATE USER `a`` TO '`@`10.%` IDENTIFIED VIA mysql_native_password USING '*AB' OR unix_socket \
             REQUIRE SUBJECT '/CN=WITH' ISSUER '/CN=x' WITH MAX_USER_CONNECTIONS 5 MAX_STATEMENT_TIME 1.500000 \
             ACCOUNT LOCK PASSWORD EXPIRE NEVER",
        );
        assert_eq!(full.plugins, ["mysql_native_password", "unix_socket"]);
        assert_eq!(full.requirement, "SUBJECT '/CN=WITH' ISSUER '/CN=x'");
        assert!(full.clauses().contains("MAX_STATEMENT_TIME 1.500000"));
        assert!(
            full.clauses()
                .ends_with("ACCOUNT LOCK PASSWORD EXPIRE NEVER")
        );
        assert!(!full.same_besides_password(&plain));
    }

    #[test]
    fn mysql_accounts_are_read() {
        let options = "PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT \
                       PASSWORD REQUIRE CURRENT DEFAULT FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2";
        let printed = format!(
            "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x244124 DEFAULT ROLE `r`@`%`,`s`@`%` \
             REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 7 {options}"
        );
        let account = Attributes::parse(&printed, Flavour::MySql).unwrap();
        assert_eq!(account.plugins, ["caching_sha2_password"]);
        assert_eq!(account.default_role.as_deref(), Some("`r`@`%`,`s`@`%`"));
        assert_eq!(account.requirement, "SSL");
        let clauses = account.clauses();
        assert!(clauses.contains("MAX_QUERIES_PER_HOUR 7"), "{clauses}");
        assert!(!clauses.contains("MAX_STATEMENT_TIME"), "{clauses}");
        assert!(clauses.ends_with(options), "{clauses}");
    }

    #[test]
    fn another_hash_is_no_difference() {
        let account = |hash: &str| {
            mariadb(&format!(
                "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '{hash}' REQUIRE SSL"
            ))
        };
        assert!(account("*AB").same_besides_password(&account("*CD")));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for printed in [
            "",
            "CREATE ROLE r",
            "CREATE USER app IDENTIFIED BY PASSWORD '*AB'",
            "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*AB' FANCY NEW",
            "CREATE USER `a`@`%` REQUIRE NONE WITH MAX_DREAMS 1",
        ] {
            assert!(
                Attributes::parse(printed, Flavour::MariaDb).is_err(),
                "{printed}"
            );
        }
    }

    #[test]
    fn an_account_is_named_by_the_last_at_sign() {
        let account = Account::of_current_user("a@b@10.%").unwrap();
        assert_eq!(
            (account.user.as_str(), account.host.as_str()),
            ("a@b", "10.%")
        );
        assert_eq!(account.quoted(), "`a@b`@`10.%`");
        assert_eq!(Account::of_current_user("role"), None);
    }
}
