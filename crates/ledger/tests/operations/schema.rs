//! Schemas that are not the same are told apart, in words.

use cutover_domain::parity::SchemaFindings;
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{SchemaParity as _, SchemaUpgrade as _};

use crate::world::{BUDGET, Kind, World};

on_both_engines!(the_ledgers_schemas_are_the_same, every_difference_is_named,);

async fn compare(world: &World, tables: &[&str]) -> SchemaFindings {
    let tables: Vec<String> = tables.iter().map(|table| (*table).to_owned()).collect();
    let compared = Databases::default()
        .compare_schemas(&world.pair(), &tables, BUDGET)
        .await;
    compared.unwrap()
}

async fn the_ledgers_schemas_are_the_same(kind: Kind) {
    let world = World::new(kind);
    for color in ["blue", "green"] {
        world.let_write(color);
        Databases::default()
            .upgrade(&world.site(color), None, BUDGET)
            .await
            .unwrap();
    }
    let findings = compare(&world, &[]).await;
    assert_eq!(
        findings.tables,
        ["cutover_epoch", "cutover_schema", "payments"]
    );
    assert_eq!(findings.differences, []);
    assert!(findings.is_parity());
    let none = compare(&world, &["nothing"]).await;
    assert!(!none.is_parity());
}

async fn every_difference_is_named(kind: Kind) {
    let world = World::new(kind);
    let (blue, green) = match kind {
        Kind::MariaDb => (
            "a BIGINT NOT NULL DEFAULT 1, b VARCHAR(9) COLLATE utf8mb4_bin, c DECIMAL(9,2), gone INT, \
             UNIQUE KEY by_a (a), KEY by_b (b), CONSTRAINT positive CHECK (a > 0)",
            "a BIGINT NULL DEFAULT 2, b VARCHAR(9) COLLATE utf8mb4_general_ci, c DECIMAL(9,3), \
             KEY by_a (a), CONSTRAINT positive CHECK (a > 1), added INT",
        ),
        Kind::Postgres => (
            "a BIGINT NOT NULL DEFAULT 1, b VARCHAR(9) COLLATE \"C\", c DECIMAL(9,2), gone INT, \
             CONSTRAINT by_a UNIQUE (a), CONSTRAINT positive CHECK (a > 0)",
            "a BIGINT NULL DEFAULT 2, b VARCHAR(9) COLLATE \"und-x-icu\", c DECIMAL(9,3), \
             CONSTRAINT positive CHECK (a > 1), added INT",
        ),
    };
    world.blue(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, {blue}); CREATE TABLE lonely (id INT PRIMARY KEY)"
    ));
    world.green(&format!("CREATE TABLE t (id INT PRIMARY KEY, {green})"));
    if kind == Kind::Postgres {
        world.blue("CREATE INDEX by_b ON t (b)");
        world.green("CREATE INDEX by_a ON t (a)");
    }
    let findings = compare(&world, &[]).await;
    let said: Vec<String> = findings
        .differences
        .iter()
        .map(ToString::to_string)
        .collect();
    let collation = world.either(
        "t: column b: collation is utf8mb4_bin in blue and utf8mb4_general_ci in green",
        "t: column b: collation is C in blue and und-x-icu in green",
    );
    let (scale, check) = (
        world.either(
            "t: column c: type is decimal(9,2) in blue and decimal(9,3) in green",
            "t: column c: type is numeric(9,2) in blue and numeric(9,3) in green",
        ),
        world.either(
            "t: rule check positive is `a` > 0 in blue and `a` > 1 in green",
            "t: rule check positive is CHECK ((a > 0)) in blue and CHECK ((a > 1)) in green",
        ),
    );
    let mut expected = vec![
        "lonely: the table is missing in green",
        "t: column a: nullability is NOT NULL in blue and NULL in green",
        "t: column a: default is 1 in blue and 2 in green",
        "t: column added is missing in blue",
        collation,
        scale,
        "t: column gone is missing in green",
        "t: key by_a is unique (a) in blue and not unique (a) in green",
        "t: key by_b is missing in green",
        check,
    ];
    let mut said: Vec<&str> = said.iter().map(String::as_str).collect();
    expected.sort_unstable();
    said.sort_unstable();
    assert_eq!(said, expected);
}
