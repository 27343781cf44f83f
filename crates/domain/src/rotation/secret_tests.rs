use super::super::names::name_fits_server;
use super::super::sql::{Flavour, Server};
use super::*;

const SECRET: &str = r#"{"engine":"mysql","host":"db","port":3307,"username":"app","password":"first","dbname":"pay","note":{"kept":[1]}}"#;

fn secret(changes: &[(&str, Value)]) -> Result<DatabaseSecret, SecretProblem> {
    let mut fields: Map<String, Value> = serde_json::from_str(SECRET).unwrap();
    for (name, value) in changes {
        fields.insert((*name).to_owned(), value.clone());
    }
    DatabaseSecret::parse(&Value::Object(fields).to_string())
}

fn named(engine: &str, username: &str) -> Result<DatabaseSecret, SecretProblem> {
    secret(&[("engine", engine.into()), ("username", username.into())])
}

#[test]
fn unknown_keys_survive_and_nothing_but_the_password_changes() {
    let current = secret(&[]).unwrap();
    let next = current
        .successor(
            Strategy::SingleUser,
            &Password::new("a\"\\'\u{1f642}".to_owned()),
        )
        .unwrap();
    let mut expected: Value = serde_json::from_str(SECRET).unwrap();
    expected["password"] = "a\"\\'\u{1f642}".into();
    assert_eq!(serde_json::from_str::<Value>(&next).unwrap(), expected);
    let pending = DatabaseSecret::parse(&next).unwrap();
    assert_eq!(
        current.tampered(&pending, Strategy::SingleUser),
        Vec::<&str>::new()
    );
}

#[test]
fn users_take_turns() {
    for (current, next, original) in [
        ("app", "app_clone", "app"),
        ("app_clone", "app", "app"),
        ("_clone", "_clone_clone", "_clone"),
    ] {
        let secret = named("mysql", current).unwrap();
        assert_eq!(secret.next_username(Strategy::AlternatingUsers), next);
        assert_eq!(secret.next_username(Strategy::SingleUser), current);
        assert_eq!(secret.original_username(), original);
    }
}

#[test]
fn every_difference_that_matters_is_named() {
    let current = secret(&[]).unwrap();
    for (field, value) in [
        ("engine", Value::from("mariadb")),
        ("host", "evil".into()),
        ("port", 3308.into()),
        ("dbname", "other".into()),
        ("username", "root".into()),
        ("ssl", false.into()),
        ("masterarn", "arn:other".into()),
    ] {
        let changes = [(field, value), ("password", "second".into())];
        let pending = secret(&changes).unwrap();
        assert_eq!(current.tampered(&pending, Strategy::SingleUser), [field]);
    }
    // What the server never sees may differ.
    let noted = secret(&[("note", 2.into()), ("password", "second".into())]).unwrap();
    assert_eq!(
        current.tampered(&noted, Strategy::SingleUser),
        Vec::<&str>::new()
    );
    let same = current.tampered(&current, Strategy::SingleUser);
    assert_eq!(same, ["password (it is the current one)"]);
    // An alternating user must be the other one.
    let fields = current.tampered(&noted, Strategy::AlternatingUsers);
    assert_eq!(fields, ["username"]);
}

#[test]
fn the_master_must_be_of_the_same_server() {
    let app = secret(&[]).unwrap();
    let master = [
        ("username", Value::from("admin")),
        ("dbname", "mysql".into()),
    ];
    assert_eq!(app.elsewhere(&secret(&master).unwrap()), Vec::<&str>::new());
    let other = secret(&[("host", "other".into()), ("port", 1.into())]).unwrap();
    assert_eq!(app.elsewhere(&other), ["host", "port"]);
}

#[test]
fn every_wrong_field_is_told_and_no_value_is() {
    let told = secret(&[
        ("engine", "oracle-hunter2".into()),
        ("host", "".into()),
        ("port", 0.into()),
        ("ssl", 1.into()),
        ("dbname", 5.into()),
        ("password", "x".repeat(300).into()),
    ])
    .unwrap_err()
    .to_string();
    for part in [
        "engine takes",
        "host takes",
        "port takes",
        "ssl takes",
        "dbname takes",
        "password takes",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hunter2") && !told.contains("xx"), "{told}");
    for bad in ["", "hunter2", "[]", "{}"] {
        let told = DatabaseSecret::parse(bad).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_is_optional_has_a_default() {
    let plain = r#"{"engine":"postgres","host":"db","username":"u","password":"p"}"#;
    let secret = DatabaseSecret::parse(plain).unwrap();
    assert_eq!(
        (secret.port, secret.dbname.as_deref(), secret.ssl),
        (5432, None, true)
    );
    assert_eq!(secret.own_strategy(), Strategy::SingleUser);
    let master = self::secret(&[("masterarn", "arn".into())]).unwrap();
    assert_eq!(master.own_strategy(), Strategy::AlternatingUsers);
}

#[test]
fn tls_is_off_only_where_the_secret_says_false() {
    for (ssl, on) in [
        (Value::Bool(false), false),
        (Value::from("false"), false),
        (Value::from("no"), true),
        (Value::Null, true),
        (Value::Bool(true), true),
    ] {
        assert_eq!(secret(&[("ssl", ssl.clone())]).unwrap().ssl, on, "{ssl}");
    }
}

#[test]
fn a_proxy_is_refused_and_a_cluster_is_not() {
    for (host, refused) in [
        ("app.proxy-abc123.us-east-1.rds.amazonaws.com", true),
        (
            "ro.endpoint.proxy-abc123.us-east-1.rds.amazonaws.com.",
            true,
        ),
        ("APP.PROXY-ABC.cn-north-1.rds.amazonaws.com.cn", true),
        ("db.cluster-abc123.us-east-1.rds.amazonaws.com", false),
        ("proxy-1.internal", false),
        ("proxy-1.abc.us-east-1.rds.amazonaws.com", false),
    ] {
        let parsed = secret(&[("host", host.into())]);
        let proxied = matches!(parsed, Err(SecretProblem::Proxied));
        assert_eq!(proxied, refused, "{host}");
    }
}

#[test]
fn names_have_the_length_of_their_engine() {
    // The suffix counts: what fits once need not fit with it.
    let successor = |engine: &str, name: &str| {
        named(engine, name)
            .unwrap()
            .successor(Strategy::AlternatingUsers, &Password::new("p".to_owned()))
            .map(|_| ())
    };
    assert!(successor("postgres", &"x".repeat(57)).is_ok());
    assert!(successor("postgres", &"x".repeat(58)).is_err());
    // Bytes for PostgreSQL, characters for the others.
    assert!(successor("postgres", &"\u{fc}".repeat(29)).is_err());
    assert!(successor("mariadb", &"\u{fc}".repeat(122)).is_ok());
    assert!(successor("mariadb", &"\u{fc}".repeat(123)).is_err());
    let mysql = Server::new(Flavour::MySql, (8, 0, 36));
    assert!(name_fits_server(mysql, &"\u{fc}".repeat(32)).is_ok());
    assert!(name_fits_server(mysql, &"x".repeat(33)).is_err());
    let mariadb = Server::new(Flavour::MariaDb, (10, 11, 0));
    assert!(name_fits_server(mariadb, &"x".repeat(33)).is_ok());
}

#[test]
fn four_byte_characters_are_for_postgres_alone() {
    assert!(named("postgres", "\u{1f642}").is_ok());
    for engine in ["mysql", "mariadb"] {
        let refused = named(engine, "\u{1f642}").unwrap_err();
        assert_eq!(refused, SecretProblem::Name(NameProblem::FourBytes));
    }
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let shown = format!(
        "{:?} {:?}",
        secret(&[]).unwrap(),
        Password::new("first".to_owned())
    );
    assert!(
        !shown.contains("first") && !shown.contains("app"),
        "{shown}"
    );
}
