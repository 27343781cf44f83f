//! The database secret: JSON with `engine`, `host`, `port`, `username`, `password`, `dbname` and optional `ssl`.

use cutover_ports::payment::SecretText;
use serde::Deserialize;

/// Database engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// MySQL 8, Aurora MySQL.
    #[serde(alias = "aurora-mysql")]
    Mysql,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL, Aurora PostgreSQL.
    #[serde(alias = "postgresql", alias = "aurora-postgresql")]
    Postgres,
}

/// Where and as whom to log in. The password cannot be printed.
#[derive(Clone)]
pub struct Credentials {
    /// Which protocol is spoken.
    pub engine: Engine,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub username: String,
    /// Password.
    pub password: SecretText,
    /// Database.
    pub dbname: String,
    /// Whether the connection is encrypted and the server's certificate verified. Only `"ssl": false` turns it off.
    pub ssl: bool,
}

/// A secret that holds no credentials. The message never repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database secret is no JSON object with engine, host, port, username, password and dbname"
)]
pub struct NoCredentials;

#[derive(Deserialize)]
struct Wire {
    engine: Engine,
    host: Option<String>,
    port: Option<Number>,
    username: String,
    password: String,
    dbname: String,
    ssl: Option<Flag>,
}

/// Secrets written by hand or by other tools have numbers and booleans as text too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u16),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Text(String),
}

impl Credentials {
    /// Reads a secret; `endpoint` (`host` or `host:port`) takes the place of the host that it names.
    ///
    /// # Errors
    /// [`NoCredentials`].
    pub fn parse(secret: &SecretText, endpoint: Option<&str>) -> Result<Self, NoCredentials> {
        let wire: Wire = serde_json::from_str(secret.expose()).map_err(|_| NoCredentials)?;
        let (host, port) = match endpoint {
            Some(endpoint) => match endpoint.rsplit_once(':') {
                Some((host, port)) => (
                    Some(host.to_owned()),
                    Some(port.parse().map_err(|_| NoCredentials)?),
                ),
                None => (Some(endpoint.to_owned()), None),
            },
            None => (wire.host, None),
        };
        let port = match (port, wire.port) {
            (Some(port), _) | (None, Some(Number::Number(port))) => port,
            (None, Some(Number::Text(text))) => text.parse().map_err(|_| NoCredentials)?,
            (None, None) => wire.engine.default_port(),
        };
        Ok(Self {
            engine: wire.engine,
            host: host.filter(|host| !host.is_empty()).ok_or(NoCredentials)?,
            port,
            username: wire.username,
            password: SecretText::new(wire.password),
            dbname: wire.dbname,
            ssl: match wire.ssl {
                Some(Flag::Bool(ssl)) => ssl,
                Some(Flag::Text(text)) => text != "false",
                None => true,
            },
        })
    }
}

impl Engine {
    fn default_port(self) -> u16 {
        match self {
            Self::Mysql | Self::Mariadb => 3306,
            Self::Postgres => 5432,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(secret: &str, endpoint: Option<&str>) -> Option<(String, u16, bool)> {
        Credentials::parse(&SecretText::new(secret.to_owned()), endpoint)
            .ok()
            .map(|c| (c.host, c.port, c.ssl))
    }

    const SECRET: &str =
        r#"{"engine":"mysql","host":"db","port":3307,"username":"u","password":"p","dbname":"d"}"#;

    #[test]
    fn tls_is_on_unless_the_secret_says_otherwise() {
        assert_eq!(parse(SECRET, None), Some(("db".to_owned(), 3307, true)));
        for (ssl, on) in [
            ("false", false),
            ("\"false\"", false),
            ("true", true),
            ("\"no\"", true),
            ("null", true),
        ] {
            let secret = SECRET.replace("\"dbname\"", &format!("\"ssl\":{ssl},\"dbname\""));
            assert_eq!(parse(&secret, None).map(|c| c.2), Some(on), "{ssl}");
        }
    }

    #[test]
    fn an_endpoint_takes_the_place_of_the_host() {
        assert_eq!(
            parse(SECRET, Some("other")),
            Some(("other".to_owned(), 3307, true))
        );
        assert_eq!(
            parse(SECRET, Some("other:99")),
            Some(("other".to_owned(), 99, true))
        );
        let hostless = SECRET.replace("\"host\":\"db\",\"port\":3307,", "");
        assert_eq!(
            parse(&hostless, Some("other")),
            Some(("other".to_owned(), 3306, true))
        );
        assert_eq!(parse(&hostless, None), None);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        for bad in [
            "",
            "hunter2",
            "{}",
            &SECRET.replace("mysql", "oracle"),
            &SECRET.replace("3307", "99999"),
        ] {
            assert_eq!(parse(bad, None), None, "{bad}");
        }
        assert!(!NoCredentials.to_string().contains("hunter2"));
    }
}
