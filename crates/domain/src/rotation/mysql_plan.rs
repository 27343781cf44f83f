//! The statements by which MySQL and MariaDB take a new password, and make one account like another.
//!
//! Each statement commits by itself there (account statements are not transactional), so each is a point at which a
//! rotation may die. None takes away what the current login needs, and each plan is made anew from what is found.

use super::hash::{Salt, mysql_caching_sha2, mysql_native};
use super::mysql_account::{Account, Attributes};
use super::mysql_grants::Grants;
use super::secret::Password;
use super::sql::{Flavour, Server, Statement, mysql_hex, mysql_literal};

/// The two passwords of a change: hashes that the engine keeps are made of them.
#[derive(Debug, Clone, Copy)]
pub struct Passwords<'a> {
    /// The pending version's.
    pub new: &'a Password,
    /// The current version's: it stays good.
    pub old: &'a Password,
}

/// An account whose passwords are not kept in a way that is known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the account logs in by {0}; a rotation knows mysql_native_password, and on MySQL caching_sha2_password, alone"
)]
pub struct UnknownPlugin(pub String);

/// How an account keeps its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// SHA-1 twice.
    Native,
    /// MySQL 8's default.
    CachingSha2,
}

impl Plugin {
    /// What an account uses. A second plugin beside ours would be lost by a change, so it is refused.
    ///
    /// # Errors
    /// [`UnknownPlugin`].
    pub fn of(server: Server, attributes: &Attributes) -> Result<Self, UnknownPlugin> {
        let mut found = Self::default_of(server);
        for plugin in &attributes.plugins {
            found = match plugin.as_str() {
                "mysql_native_password" => Self::Native,
                "caching_sha2_password" if server.flavour == Flavour::MySql => Self::CachingSha2,
                other => return Err(UnknownPlugin(other.to_owned())),
            };
        }
        Ok(found)
    }

    /// What new accounts get.
    #[must_use]
    pub fn default_of(server: Server) -> Self {
        match server.flavour {
            Flavour::MySql if server.version.0 >= 8 => Self::CachingSha2,
            _ => Self::Native,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
        }
    }

    /// The stored form, as a literal.
    fn literal(self, password: &Password, salt: &Salt) -> String {
        match self {
            Self::Native => format!("'{}'", mysql_native(password)),
            Self::CachingSha2 => mysql_hex(&mysql_caching_sha2(password, salt)),
        }
    }
}

/// Both passwords are good afterwards, by hashes.
///
/// MariaDB is told both at once. MySQL keeps what was first as second, whatever it was: so the current password is made
/// the first once more before the new one takes its place. A cancelled rotation may have left another one there, and then
/// a single statement would push the current one out.
#[must_use]
pub fn both(
    server: Server,
    account: &Account,
    plugin: Plugin,
    passwords: Passwords<'_>,
    salts: &[Salt; 2],
) -> Vec<Statement> {
    let [first_salt, second_salt] = salts;
    let account = account.quoted();
    let name = plugin.name();
    let new = plugin.literal(passwords.new, first_salt);
    let old = plugin.literal(passwords.old, second_salt);
    if server.flavour == Flavour::MariaDb {
        let text =
            format!("ALTER USER {account} IDENTIFIED VIA {name} USING {new} OR {name} USING {old}");
        return vec![Statement::new("set both passwords", text)];
    }
    let retain = |what, hash| {
        let text = format!(
            "ALTER USER {account} IDENTIFIED WITH {name} AS {hash} RETAIN CURRENT PASSWORD"
        );
        Statement::new(what, text)
    };
    vec![
        retain("make the current password the first", old),
        retain("set the new password and retain the current one", new),
    ]
}

/// As [`both`], for one's own account on MySQL: with APPLICATION_PASSWORD_ADMIN alone the server takes no hash.
#[must_use]
pub fn both_by_text(passwords: Passwords<'_>) -> Vec<Statement> {
    let retain = |what, password: &Password| {
        let text = format!(
            "ALTER USER USER() IDENTIFIED BY {} RETAIN CURRENT PASSWORD",
            mysql_literal(password.expose())
        );
        Statement::new(what, text)
    };
    vec![
        retain("make the current password the first", passwords.old),
        retain(
            "set the new password and retain the current one",
            passwords.new,
        ),
    ]
}

/// The new password alone, for one's own account: whoever has the old one cannot log in any more.
#[must_use]
pub fn only_new(server: Server, new: &Password) -> Statement {
    let what = "set the new password";
    match server.flavour {
        Flavour::MySql => Statement::new(
            what,
            format!(
                "ALTER USER USER() IDENTIFIED BY {}",
                mysql_literal(new.expose())
            ),
        ),
        // SET PASSWORD takes a hash.
        _ => Statement::new(what, format!("SET PASSWORD = '{}'", mysql_native(new))),
    }
}

/// The new password alone, for another's account: that of an alternating user, whom nobody uses now.
#[must_use]
pub fn replace(
    account: &Account,
    plugin: Plugin,
    new: &Password,
    server: Server,
    salt: &Salt,
) -> Statement {
    identified(
        "ALTER USER",
        "set the password",
        account,
        plugin,
        new,
        server,
        salt,
    )
}

/// A new account with that password.
#[must_use]
pub fn create(account: &Account, new: &Password, server: Server, salt: &Salt) -> Statement {
    let plugin = Plugin::default_of(server);
    identified(
        "CREATE USER",
        "create the alternating user",
        account,
        plugin,
        new,
        server,
        salt,
    )
}

fn identified(
    verb: &str,
    what: &'static str,
    account: &Account,
    plugin: Plugin,
    new: &Password,
    server: Server,
    salt: &Salt,
) -> Statement {
    let (by, given) = match server.flavour {
        Flavour::MariaDb => ("VIA", "USING"),
        _ => ("WITH", "AS"),
    };
    let (account, name) = (account.quoted(), plugin.name());
    let hash = plugin.literal(new, salt);
    let text = format!("{verb} {account} IDENTIFIED {by} {name} {given} {hash}");
    Statement::new(what, text)
}

/// Keeps an account from logging in, without losing what it is the definer of: its host part is not the original's.
#[must_use]
pub fn lock(account: &Account) -> Statement {
    let text = format!("ALTER USER {} ACCOUNT LOCK", account.quoted());
    Statement::new(
        "lock an account that the original has no counterpart of",
        text,
    )
}

/// Everything that an account is and may do, but its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `SHOW CREATE USER`.
    pub attributes: Attributes,
    /// `SHOW GRANTS`.
    pub grants: Grants,
}

/// Turns `account`, which is as `has` says, into one like `wants`.
#[must_use]
pub fn become_like(
    server: Server,
    account: &Account,
    has: &Description,
    wants: &Description,
) -> Vec<Statement> {
    let mut statements = Vec::new();
    if !has.attributes.same_besides_password(&wants.attributes) {
        let text = format!(
            "ALTER USER {} {}",
            account.quoted(),
            wants.attributes.clauses()
        );
        statements.push(Statement::new(
            "set limits, TLS requirement and options",
            text,
        ));
    }
    statements.extend(
        has.grants
            .become_like(&wants.grants, account, server.flavour),
    );
    if has.attributes.default_role != wants.attributes.default_role {
        let role = wants.attributes.default_role.as_deref().unwrap_or("NONE");
        let text = format!("ALTER USER {} DEFAULT ROLE {role}", account.quoted());
        statements.push(Statement::new("set the default roles", text));
    }
    statements
}

/// Host parts of a user's accounts. Roles of MariaDB are in the same table, with an empty host part.
#[must_use]
pub fn hosts_query(server: Server, user: &str) -> String {
    let user = mysql_hex(user);
    match server.flavour {
        Flavour::MariaDb => {
            format!(
                "SELECT Host FROM mysql.user WHERE User = {user} AND is_role = 'N' ORDER BY Host"
            )
        }
        _ => format!("SELECT Host FROM mysql.user WHERE User = {user} ORDER BY Host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: Server = Server {
        flavour: Flavour::MySql,
        version: (8, 0, 36),
    };
    const MARIADB: Server = Server {
        flavour: Flavour::MariaDb,
        version: (10, 11, 6),
    };

    fn account() -> Account {
        Account {
            user: "o'neil` TO ".to_owned(),
            host: "%".to_owned(),
        }
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn texts(statements: &[Statement]) -> Vec<&str> {
        statements.iter().map(Statement::expose).collect()
    }

    #[test]
    fn mysql_makes_the_current_password_the_first_before_it_is_retained() {
        let (new, old) = (password("new"), password("old"));
        let passwords = Passwords {
            new: &new,
            old: &old,
        };
        let statements = both(
            MYSQL,
            &account(),
            Plugin::CachingSha2,
            passwords,
            &[[1; 20], [2; 20]],
        );
        let hash = |password: &Password, salt| mysql_hex(&mysql_caching_sha2(password, &salt));
        let expected = |hash: String| {
            format!(
                "ALTER USER `o'neil`` TO `@`%` IDENTIFIED WITH caching_sha2_password AS {hash} RETAIN CURRENT PASSWORD"
            )
        };
        assert_eq!(
            texts(&statements),
            [expected(hash(&old, [2; 20])), expected(hash(&new, [1; 20]))]
        );
        let native = both(
            MYSQL,
            &account(),
            Plugin::Native,
            passwords,
            &[[1; 20], [2; 20]],
        );
        let last = native.last().unwrap().expose();
        assert!(last.contains("mysql_native_password AS '*"), "{last}");
    }

    #[test]
    fn mysql_takes_text_for_ones_own_account_with_quotes_doubled() {
        let (new, old) = (password("n'\\w"), password("old"));
        let passwords = Passwords {
            new: &new,
            old: &old,
        };
        assert_eq!(
            texts(&both_by_text(passwords)),
            [
                "ALTER USER USER() IDENTIFIED BY 'old' RETAIN CURRENT PASSWORD",
                "ALTER USER USER() IDENTIFIED BY 'n''\\w' RETAIN CURRENT PASSWORD",
            ]
        );
        let alone = only_new(MYSQL, &new);
        assert_eq!(alone.expose(), "ALTER USER USER() IDENTIFIED BY 'n''\\w'");
    }

    #[test]
    fn mariadb_is_told_both_hashes_at_once_and_no_text() {
        let (new, old) = (password("new"), password("old"));
        let passwords = Passwords {
            new: &new,
            old: &old,
        };
        let statements = both(
            MARIADB,
            &account(),
            Plugin::Native,
            passwords,
            &[[1; 20], [2; 20]],
        );
        let (first, second) = (mysql_native(&new), mysql_native(&old));
        let expected = format!(
            "ALTER USER `o'neil`` TO `@`%` IDENTIFIED VIA mysql_native_password USING '{first}' OR mysql_native_password USING '{second}'"
        );
        assert_eq!(texts(&statements), [expected]);
        let alone = only_new(MARIADB, &new);
        assert_eq!(alone.expose(), format!("SET PASSWORD = '{first}'"));
    }

    #[test]
    fn accounts_are_created_and_replaced_by_hash() {
        let new = password("new");
        let mysql = create(&account(), &new, MYSQL, &[3; 20]);
        let text = mysql.expose();
        assert!(text.starts_with("CREATE USER `o'neil`` TO `@`%` IDENTIFIED WITH caching_sha2_password AS 0x24412430303524"), "{text}");
        let mariadb = replace(&account(), Plugin::Native, &new, MARIADB, &[3; 20]);
        let text = mariadb.expose();
        assert!(
            text.starts_with(
                "ALTER USER `o'neil`` TO `@`%` IDENTIFIED VIA mysql_native_password USING '*"
            ),
            "{text}"
        );
        assert!(!text.contains("new"));
    }

    #[test]
    fn mysql_default_roles_are_set_after_the_roles_are_granted() {
        let printed = |user: &str, role: &str| {
            format!(
                "CREATE USER `{user}`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24{role} REQUIRE SSL PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"
            )
        };
        let description = |user: &str, role: &str, grants: &[&str]| Description {
            attributes: Attributes::parse(&printed(user, role), Flavour::MySql).unwrap(),
            grants: Grants::parse(grants.iter().copied()).unwrap(),
        };
        let has = description("c", "", &[]);
        let wants = description("o", " DEFAULT ROLE `r`@`%`", &["GRANT `r`@`%` TO `o`@`%`"]);
        let account = Account {
            user: "c".to_owned(),
            host: "%".to_owned(),
        };
        assert_eq!(
            texts(&become_like(MYSQL, &account, &has, &wants)),
            [
                "GRANT `r`@`%` TO `c`@`%`",
                "ALTER USER `c`@`%` DEFAULT ROLE `r`@`%`"
            ]
        );
    }

    #[test]
    fn a_plugin_that_keeps_its_password_otherwise_is_refused() {
        let attributes = |auth: &str| {
            Attributes::parse(&format!("CREATE USER `a`@`%` {auth}"), Flavour::MariaDb).unwrap()
        };
        let both = attributes(
            "IDENTIFIED VIA mysql_native_password USING '*A' OR mysql_native_password USING '*B'",
        );
        assert_eq!(Plugin::of(MARIADB, &both), Ok(Plugin::Native));
        for auth in [
            "IDENTIFIED VIA ed25519 USING 'x'",
            "IDENTIFIED VIA mysql_native_password USING '*A' OR unix_socket",
        ] {
            assert!(Plugin::of(MARIADB, &attributes(auth)).is_err(), "{auth}");
        }
        assert_eq!(Plugin::of(MYSQL, &attributes("")), Ok(Plugin::CachingSha2));
    }
}
