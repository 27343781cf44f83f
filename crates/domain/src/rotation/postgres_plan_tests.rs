use super::super::postgres_settings::value;
use super::super::sql::Flavour;
use super::*;

const PG15: Server = Server {
    flavour: Flavour::Postgres,
    version: (15, 6, 0),
};

fn text_row(cells: &[&str]) -> Row {
    cells.iter().map(|cell| Some((*cell).to_owned())).collect()
}

fn role_row(name: &str, flags: [&str; 6], limit: &str) -> Row {
    let mut row = text_row(&[name, "f"]);
    row.extend(text_row(&flags));
    row.push(Some(limit.to_owned()));
    row.push(None);
    row
}

const PLAIN: [&str; 6] = ["t", "f", "f", "t", "f", "f"];

fn roles(rows: &[Row], settings: &[Row], groups: &[Row]) -> BTreeMap<String, Role> {
    read_roles(rows, settings, groups).unwrap()
}

fn plan(server: Server, roles: &BTreeMap<String, Role>, things: &OwnThings) -> Vec<String> {
    let pair = Pair {
        original: "app",
        wants: &roles["app"],
        alternate: "app_clone",
        has: roles.get("app_clone"),
    };
    act_as(server, pair, things, "SCRAM")
        .iter()
        .map(|statement| statement.expose().to_owned())
        .collect()
}

#[test]
fn a_new_user_becomes_a_member_and_acts_as_the_original() {
    let mut flags = PLAIN;
    flags[2] = "t";
    let settings = [Row::from([
        Some("app".to_owned()),
        None,
        Some("statement_timeout=5s".to_owned()),
    ])];
    let roles = roles(&[role_row("app", flags, "7")], &settings, &[]);
    assert_eq!(
        plan(PG15, &roles, &OwnThings::default()),
        [
            "BEGIN",
            "CREATE ROLE \"app_clone\" LOGIN",
            "ALTER ROLE \"app_clone\" PASSWORD 'SCRAM'",
            "ALTER ROLE \"app_clone\" CREATEDB CONNECTION LIMIT 7",
            "GRANT \"app\" TO \"app_clone\"",
            "ALTER ROLE \"app_clone\" SET \"role\" TO 'app'",
            "ALTER ROLE \"app_clone\" SET \"statement_timeout\" TO '5s'",
        ]
    );
}

#[test]
fn a_user_that_is_right_gets_a_password_and_nothing_else() {
    let rows = [
        role_row("app", PLAIN, "-1"),
        role_row("app_clone", PLAIN, "-1"),
    ];
    let settings = [Row::from([
        Some("app_clone".to_owned()),
        None,
        Some("role=app".to_owned()),
    ])];
    let groups = [text_row(&["app_clone", "app"])];
    let roles = roles(&rows, &settings, &groups);
    let expected = ["BEGIN", "ALTER ROLE \"app_clone\" PASSWORD 'SCRAM'"];
    assert_eq!(plan(PG15, &roles, &OwnThings::default()), expected);
    let newer = Server::new(Flavour::Postgres, (16, 0, 0));
    let grant = "GRANT \"app\" TO \"app_clone\" WITH INHERIT TRUE, SET TRUE";
    assert!(plan(newer, &roles, &OwnThings::default()).contains(&grant.to_owned()));
}

#[test]
fn what_the_user_has_of_its_own_is_taken_away() {
    let mut flags = PLAIN;
    flags[5] = "t";
    let rows = [
        role_row("app", PLAIN, "-1"),
        role_row("app_clone", flags, "3"),
    ];
    let settings = [
        Row::from([
            Some("app_clone".to_owned()),
            None,
            Some("role=app".to_owned()),
        ]),
        text_row(&["app_clone", "pay", "work_mem=1MB"]),
        Row::from([
            Some("app_clone".to_owned()),
            None,
            Some("app.x=1".to_owned()),
        ]),
    ];
    let groups = [
        text_row(&["app_clone", "app"]),
        text_row(&["app_clone", "boss"]),
    ];
    let things = OwnThings {
        rights: BTreeSet::from([("TABLE".to_owned(), "public.t".to_owned())]),
        owns: true,
    };
    assert_eq!(
        plan(PG15, &roles(&rows, &settings, &groups), &things),
        [
            "BEGIN",
            "ALTER ROLE \"app_clone\" PASSWORD 'SCRAM'",
            "ALTER ROLE \"app_clone\" NOBYPASSRLS CONNECTION LIMIT -1",
            "REVOKE \"boss\" FROM \"app_clone\"",
            "ALTER ROLE \"app_clone\" RESET \"app\".\"x\"",
            "ALTER ROLE \"app_clone\" IN DATABASE \"pay\" RESET \"work_mem\"",
            "REASSIGN OWNED BY \"app_clone\" TO \"app\"",
            "REVOKE ALL ON TABLE public.t FROM \"app_clone\"",
        ]
    );
}

#[test]
fn an_owner_role_of_the_original_is_that_of_both() {
    let settings = [Row::from([
        Some("app".to_owned()),
        None,
        Some("role=owner".to_owned()),
    ])];
    let roles = roles(
        &[role_row("app", PLAIN, "-1")],
        &settings,
        &[text_row(&["app", "owner"])],
    );
    let plan = plan(PG15, &roles, &OwnThings::default());
    assert!(
        plan.contains(&"ALTER ROLE \"app_clone\" SET \"role\" TO 'owner'".to_owned()),
        "{plan:?}"
    );
}

#[test]
fn a_list_is_quoted_name_by_name() {
    let of = |name: &str, setting: &str| {
        value(&Setting {
            database: None,
            name: name.to_owned(),
            value: setting.to_owned(),
        })
    };
    assert_eq!(of("search_path", "\"$user\", public"), "'$user', 'public'");
    assert_eq!(of("search_path", "\"a, \"\"b\", c"), "'a, \"b', 'c'");
    assert_eq!(of("search_path", "\"\""), "''");
    assert_eq!(of("application_name", "a, b'"), "'a, b'''");
}

#[test]
fn what_is_not_known_is_not_guessed() {
    assert!(read_roles(&[text_row(&["app"])], &[], &[]).is_err());
    let rows = [role_row("app", PLAIN, "-1")];
    assert!(read_roles(&rows, &[text_row(&["other", "d", "a=b"])], &[]).is_err());
    assert!(read_own_things(&[text_row(&["TABLE"])]).is_err());
}
