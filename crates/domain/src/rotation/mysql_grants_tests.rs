use super::*;

fn grants(rows: &[&str]) -> Grants {
    Grants::parse(rows.iter().copied()).unwrap()
}

fn clone() -> Account {
    Account {
        user: "app_clone".to_owned(),
        host: "%".to_owned(),
    }
}

fn difference(has: &[&str], wants: &[&str], flavour: Flavour) -> Vec<String> {
    let statements = grants(has).become_like(&grants(wants), &clone(), flavour);
    statements
        .iter()
        .map(|s| {
            s.expose()
                .replace(" TO `app_clone`@`%`", " +")
                .replace(" FROM `app_clone`@`%`", " -")
        })
        .collect()
}

fn mariadb(has: &[&str], wants: &[&str]) -> Vec<String> {
    difference(has, wants, Flavour::MariaDb)
}

#[test]
fn nothing_is_done_where_nothing_differs() {
    let of = |user: &str| {
        vec![
            format!(
                "GRANT SELECT, PROCESS ON *.* TO `{user}`@`%` IDENTIFIED BY PASSWORD '*{user}' WITH GRANT OPTION MAX_USER_CONNECTIONS 3"
            ),
            format!("GRANT SELECT, INSERT (`a`, `b`) ON `pay`.`t` TO `{user}`@`%`"),
            format!("GRANT EXECUTE ON PROCEDURE `pay`.`p` TO `{user}`@`%`"),
            format!("GRANT `r` TO `{user}`@`%` WITH ADMIN OPTION"),
            format!("SET DEFAULT ROLE `r` FOR `{user}`@`%`"),
        ]
    };
    let (has, wants) = (of("app_clone"), of("app"));
    let has: Vec<&str> = has.iter().map(String::as_str).collect();
    let wants: Vec<&str> = wants.iter().map(String::as_str).collect();
    assert_eq!(mariadb(&has, &wants), Vec::<String>::new());
}

#[test]
fn rights_are_granted_and_revoked_at_every_level() {
    let wants = [
        "GRANT PROCESS ON *.* TO `app`@`%`",
        "GRANT SELECT ON `pay`.* TO `app`@`%`",
        "GRANT SELECT, UPDATE (`a`) ON `pay`.`t` TO `app`@`%`",
        "GRANT EXECUTE ON FUNCTION `pay`.`f` TO `app`@`%`",
    ];
    let has = [
        "GRANT USAGE ON *.* TO `app_clone`@`%`",
        "GRANT SELECT, DELETE ON `pay`.* TO `app_clone`@`%`",
        "GRANT SELECT, UPDATE (`b`) ON `pay`.`t` TO `app_clone`@`%`",
        "GRANT EXECUTE ON PROCEDURE `pay`.`p` TO `app_clone`@`%`",
    ];
    assert_eq!(
        mariadb(&has, &wants),
        [
            "GRANT PROCESS ON *.* +",
            "GRANT EXECUTE ON FUNCTION `pay`.`f` +",
            "REVOKE EXECUTE ON PROCEDURE `pay`.`p` -",
            "REVOKE DELETE ON `pay`.* -",
            "REVOKE UPDATE (`b`) ON `pay`.`t` -",
            "GRANT UPDATE (`a`) ON `pay`.`t` +",
        ]
    );
}

#[test]
fn the_grant_option_comes_and_goes_with_the_original() {
    let with = ["GRANT SELECT ON `pay`.* TO `app`@`%` WITH GRANT OPTION"];
    let without = ["GRANT SELECT ON `pay`.* TO `app`@`%`"];
    assert_eq!(
        mariadb(&without, &with),
        ["GRANT USAGE ON `pay`.* + WITH GRANT OPTION"]
    );
    assert_eq!(
        mariadb(&with, &without),
        ["REVOKE GRANT OPTION ON `pay`.* -"]
    );
}

#[test]
fn all_privileges_are_taken_apart() {
    let all = ["GRANT ALL PRIVILEGES ON `pay`.* TO `app`@`%`"];
    let some = ["GRANT SELECT ON `pay`.* TO `app`@`%`"];
    assert_eq!(mariadb(&some, &all), ["GRANT ALL PRIVILEGES ON `pay`.* +"]);
    assert_eq!(
        mariadb(&all, &some),
        [
            "REVOKE ALL PRIVILEGES ON `pay`.* -",
            "GRANT SELECT ON `pay`.* +"
        ]
    );
}

#[test]
fn roles_and_the_default_role_are_rights_too() {
    let has = [
        "GRANT `old` TO `app_clone`@`%`",
        "GRANT `r` TO `app_clone`@`%` WITH ADMIN OPTION",
    ];
    let wants = [
        "GRANT `r` TO `app`@`%`",
        "SET DEFAULT ROLE `r` FOR `app`@`%`",
    ];
    assert_eq!(
        mariadb(&has, &wants),
        [
            "REVOKE `old` -",
            "REVOKE `r` -",
            "GRANT `r` +",
            "SET DEFAULT ROLE `r` FOR `app_clone`@`%`",
        ]
    );
    let none = mariadb(&["SET DEFAULT ROLE `r` FOR `app_clone`@`%`"], &[]);
    assert_eq!(none, ["SET DEFAULT ROLE NONE FOR `app_clone`@`%`"]);
}

#[test]
fn mysql_prints_dynamic_privileges_several_roles_and_partial_revokes() {
    let wants = [
        "GRANT SELECT ON *.* TO `app`@`%`",
        "GRANT APPLICATION_PASSWORD_ADMIN,ROLE_ADMIN ON *.* TO `app`@`%`",
        "REVOKE SELECT ON `mysql`.* FROM `app`@`%`",
        "GRANT `a`@`%`,`b`@`%` TO `app`@`%`",
    ];
    assert_eq!(
        difference(
            &["REVOKE SELECT ON `x`.* FROM `app_clone`@`%`"],
            &wants,
            Flavour::MySql
        ),
        [
            "GRANT APPLICATION_PASSWORD_ADMIN, ROLE_ADMIN, SELECT ON *.* +",
            "GRANT SELECT ON `x`.* +",
            "REVOKE SELECT ON `mysql`.* -",
            "GRANT `a`@`%` +",
            "GRANT `b`@`%` +",
        ]
    );
}

#[test]
fn proxies_and_names_with_keywords_are_kept_as_they_are_quoted() {
    let wants = [
        "GRANT PROXY ON ''@'%' TO 'app'@'%' WITH GRANT OPTION",
        "GRANT SELECT ON `a TO b`.`x ON y` TO ` TO '`@`%`",
        "GRANT SELECT ON `pay\\_ments`.* TO ` TO '`@`%`",
    ];
    assert_eq!(
        mariadb(&[], &wants),
        [
            "GRANT PROXY ON ''@'%' + WITH GRANT OPTION",
            "GRANT SELECT ON `a TO b`.`x ON y` +",
            "GRANT SELECT ON `pay\\_ments`.* +",
        ]
    );
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for row in [
        "",
        "SHOW ME",
        "GRANT SELECT ON *.*",
        "GRANT , ON *.* TO `a`@`%`",
    ] {
        assert_eq!(Grants::parse([row]), Err(Unreadable(WHAT)), "{row}");
    }
}

/// Whatever two accounts have, applying the difference once leaves none: checked on a model of what the server does.
#[test]
fn a_difference_is_settled_by_one_pass() {
    let levels = ["*.*", "`pay`.*", "`pay`.`t`"];
    let rights = [
        "SELECT",
        "INSERT",
        "SELECT, DELETE",
        "ALL PRIVILEGES",
        "USAGE",
    ];
    let options = ["", " WITH GRANT OPTION"];
    let mut all = Vec::new();
    for level in levels {
        for right in rights {
            for option in options {
                all.push(format!("GRANT {right} ON {level} TO `u`@`%`{option}"));
            }
        }
    }
    for has in &all {
        for wants in &all {
            let (has, wants) = (grants(&[has]), grants(&[wants]));
            let mut after = has.clone();
            for statement in has.become_like(&wants, &clone(), Flavour::MariaDb) {
                apply(&mut after, statement.expose());
            }
            after.things.retain(|_, on| *on != OnThing::default());
            let mut expected = wants.clone();
            expected.things.retain(|_, on| *on != OnThing::default());
            assert_eq!(after, expected);
        }
    }
}

fn apply(grants: &mut Grants, statement: &str) {
    if let Some(rest) = statement.strip_prefix("REVOKE ") {
        let (rights, rest) = rest.split_once(" ON ").unwrap();
        let (thing, _) = rest.split_once(" FROM ").unwrap();
        let on = grants.things.get_mut(thing).unwrap();
        match rights {
            "GRANT OPTION" => on.grant_option = false,
            ALL => on.rights.clear(),
            some => on
                .rights
                .retain(|right| !some.split(", ").any(|name| right.name == name)),
        }
    } else {
        grants.read(statement).unwrap();
        // The server shows ALL where all is granted, and nothing beside it.
        for on in grants.things.values_mut() {
            if on.rights.contains(&Right::all()) {
                on.rights = BTreeSet::from([Right::all()]);
            }
        }
    }
}
