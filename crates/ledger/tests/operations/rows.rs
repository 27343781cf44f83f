//! Differences that others overlook are found, and nothing else.

use std::sync::Arc;

use cutover_domain::parity::TableState;
use cutover_testkit::MariaDb;

use crate::world::{Kind, Server, World, differing, request, small_chunks};

on_both_engines!(
    every_kind_of_difference_is_found_and_no_other,
    every_type_is_compared_exactly,
    rows_are_found_by_keys_of_every_type,
    other_collations_of_the_same_text_are_no_difference,
    what_can_not_be_compared_is_not_equal,
    a_side_that_has_far_more_rows_is_not_too_much,
);

/// A table of 500 rows on both sides.
fn filled(world: &World) {
    let (bytes, moment) = (
        world.either("VARBINARY(40)", "BYTEA"),
        world.either("DATETIME(6)", "TIMESTAMP(6)"),
    );
    world.both(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(40), b VARCHAR(40), cents DECIMAL(20,2) NOT NULL, \
         bin {bytes}, at {moment} NOT NULL, again VARCHAR(9) NOT NULL)"
    ));
    let bin = world.either("UNHEX(SHA1(n))", "sha224(n::text::bytea)");
    let at = world.either(
        "'2026-11-20 10:00:00.123456' + INTERVAL n SECOND",
        "'2026-11-20 10:00:00.123456'::timestamp + n * interval '1 second'",
    );
    world.both(&format!(
        "INSERT INTO t SELECT n, CONCAT('a', n), CONCAT('b', n), n * 1.01, {bin}, {at}, 'the same' FROM {}",
        world.numbers(500)
    ));
}

async fn every_kind_of_difference_is_found_and_no_other(kind: Kind) {
    let world = World::new(kind);
    filled(&world);
    let equal = world.compare("t", small_chunks(100)).await;
    assert_eq!(equal.state, TableState::Equal);
    assert_eq!((equal.blue_rows, equal.green_rows), (500, 500));
    assert!(equal.chunks >= 5, "{}", equal.chunks);

    let zero = world.either("CONCAT(bin, X'00')", "bin || '\\x00'");
    let microsecond = world.either(
        "at + INTERVAL 1 MICROSECOND",
        "at + interval '1 microsecond'",
    );
    let blue = [
        // Null and what it may be taken for.
        "UPDATE t SET a = NULL WHERE id IN (30, 31)",
        // The same letters, parted otherwise.
        "UPDATE t SET a = 'x:1', b = 'y' WHERE id = 50",
        "UPDATE t SET a = 'ab', b = 'c' WHERE id = 51",
        "UPDATE t SET a = NULL, b = 'N' WHERE id = 52",
    ];
    let green = [
        "UPDATE t SET a = CONCAT(a, ' ') WHERE id = 10".to_owned(),
        "UPDATE t SET a = UPPER(a) WHERE id = 20".to_owned(),
        "UPDATE t SET a = '' WHERE id = 30".to_owned(),
        "UPDATE t SET a = 'N' WHERE id = 31".to_owned(),
        "UPDATE t SET cents = cents + 0.01 WHERE id = 40".to_owned(),
        "UPDATE t SET a = 'x', b = '1:y' WHERE id = 50".to_owned(),
        "UPDATE t SET a = 'a', b = 'bc' WHERE id = 51".to_owned(),
        "UPDATE t SET a = 'N', b = NULL WHERE id = 52".to_owned(),
        format!("UPDATE t SET bin = {zero} WHERE id = 60"),
        format!("UPDATE t SET at = {microsecond} WHERE id = 61"),
        // Two rows that exchange a value: each sum of a column stays.
        "UPDATE t SET a = CASE id WHEN 70 THEN 'a71' ELSE 'a70' END WHERE id IN (70, 71)".to_owned(),
        // A cent from one to the other.
        "UPDATE t SET cents = cents + CASE id WHEN 80 THEN 0.01 ELSE -0.01 END WHERE id IN (80, 81)"
            .to_owned(),
        "DELETE FROM t WHERE id = 500".to_owned(),
    ];
    world.blue(&blue.join(";"));
    world.green(&green.join(";"));
    // A pair that is the same but for its key: XOR of anything but whole rows would not see it.
    let pair = "SELECT id + 1000, a, b, cents, bin, at, again FROM t WHERE id = 90 \
         UNION ALL SELECT id + 1001, a, b, cents, bin, at, again FROM t WHERE id = 90";
    world.green(&format!("INSERT INTO t {pair}"));

    let other = "has other values";
    let mut expected: Vec<String> = [10, 20, 30, 31, 40, 50, 51, 52, 60, 61, 70, 71, 80, 81]
        .iter()
        .map(|id| format!("id={id} {other}"))
        .collect();
    expected.extend(
        [
            "id=500 is missing in green",
            "id=1090 is missing in blue",
            "id=1091 is missing in blue",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    for limits in [small_chunks(100), small_chunks(100_000)] {
        let found = world.compare("t", limits).await;
        assert_eq!(found.state, TableState::Differs(true));
        let mut seen = differing(&found);
        seen.sort();
        assert_eq!(seen, expected);
        assert_eq!((found.blue_rows, found.green_rows), (500, 501));
    }
}

/// A column of each type, and two values that are nearly the same.
const MARIADB_TYPES: &[(&str, &str, &str)] = &[
    ("TINYINT UNSIGNED", "255", "254"),
    (
        "BIGINT UNSIGNED",
        "18446744073709551615",
        "18446744073709551614",
    ),
    ("BIGINT", "-9223372036854775808", "-9223372036854775807"),
    ("BIT(9)", "b'100000000'", "b'100000001'"),
    (
        "DECIMAL(65,30)",
        "0.000000000000000000000000000001",
        "0.000000000000000000000000000002",
    ),
    ("FLOAT", "16777216", "16777218"),
    ("DOUBLE", "0.1e0 + 0.2e0", "0.3e0"),
    ("CHAR(10)", "'ä'", "'a'"),
    ("VARCHAR(10) CHARACTER SET latin1", "'ä'", "'ä '"),
    ("TEXT CHARACTER SET utf16", "'🙂'", "'🙃'"),
    (
        "LONGTEXT",
        "REPEAT('x', 70000)",
        "CONCAT(REPEAT('x', 69999), 'y')",
    ),
    ("VARBINARY(10)", "X'00FF'", "X'FF00'"),
    ("BLOB", "X''", "X'00'"),
    ("DATE", "'2026-11-20'", "'2026-11-21'"),
    (
        "DATETIME(3)",
        "'2026-11-20 10:00:00.001'",
        "'2026-11-20 10:00:00.002'",
    ),
    (
        "TIMESTAMP(6) NULL",
        "'2026-11-20 10:00:00.000001'",
        "'2026-11-20 10:00:00.000002'",
    ),
    ("TIME(2)", "'-10:00:00.01'", "'-10:00:00.02'"),
    ("YEAR", "2026", "2027"),
    ("ENUM('a', 'b')", "'a'", "'b'"),
    ("SET('a', 'b')", "'a,b'", "'b'"),
    ("JSON", "'{\"a\":1}'", "'{\"a\":2}'"),
    ("INET6", "'::1'", "'::2'"),
];

const POSTGRES_TYPES: &[(&str, &str, &str)] = &[
    ("SMALLINT", "1", "2"),
    ("BIGINT", "-9223372036854775808", "-9223372036854775807"),
    ("NUMERIC", "'0.1'", "'0.10'"),
    (
        "NUMERIC(20,2)",
        "12345678901234567.01",
        "12345678901234567.02",
    ),
    ("REAL", "16777216", "16777218"),
    ("DOUBLE PRECISION", "0.1::float8 + 0.2::float8", "0.3"),
    ("CHAR(10)", "'ä'", "'a'"),
    ("VARCHAR(10)", "'ä'", "'ä '"),
    ("TEXT", "repeat('x', 70000)", "repeat('x', 69999) || 'y'"),
    ("BYTEA", "'\\x00ff'", "'\\xff00'"),
    ("BOOLEAN", "TRUE", "FALSE"),
    ("DATE", "'2026-11-20'", "'infinity'"),
    (
        "TIMESTAMP(3)",
        "'2026-11-20 10:00:00.001'",
        "'2026-11-20 10:00:00.002'",
    ),
    (
        "TIMESTAMPTZ",
        "'2026-11-20 10:00:00.000001+01'",
        "'2026-11-20 10:00:00.000002+01'",
    ),
    ("TIME", "'10:00:00.000001'", "'10:00:00.000002'"),
    ("TIMETZ", "'10:00:00+01'", "'09:00:00+00'"),
    ("INTERVAL", "'1 month'", "'30 days'"),
    (
        "UUID",
        "'00000000-0000-0000-0000-000000000001'",
        "'00000000-0000-0000-0000-000000000002'",
    ),
    ("JSON", "'{\"a\": 1}'", "'{\"a\":1}'"),
    ("JSONB", "'{\"a\":1}'", "'{\"a\":2}'"),
    ("INT[]", "'{1,NULL}'", "'{1,0}'"),
    ("TEXT[]", "'{\"a,b\"}'", "'{a,b}'"),
    ("INET", "'10.0.0.1'", "'10.0.0.2'"),
    ("MOOD", "'glad'", "'sad'"),
];

/// A row per column, in which only that one differs.
async fn every_type_is_compared_exactly(kind: Kind) {
    let world = World::new(kind);
    let types = match kind {
        Kind::MariaDb => MARIADB_TYPES,
        Kind::Postgres => POSTGRES_TYPES,
    };
    if kind == Kind::Postgres {
        // Types of one's own have other numbers in each database.
        world.green("CREATE TYPE other AS ENUM ('x')");
        world.both("CREATE TYPE mood AS ENUM ('glad', 'sad')");
    }
    let columns: Vec<String> = types
        .iter()
        .enumerate()
        .map(|(i, (t, ..))| format!("c{i} {t}"))
        .collect();
    let values: Vec<String> = types
        .iter()
        .map(|(_, value, _)| (*value).to_owned())
        .collect();
    world.both(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, {})",
        columns.join(", ")
    ));
    for id in 0..=types.len() {
        world.both(&format!(
            "INSERT INTO t VALUES ({id}, {})",
            values.join(", ")
        ));
    }
    let equal = world.compare("t", small_chunks(1_000)).await;
    assert_eq!(equal.state, TableState::Equal);
    for (i, (_, _, other)) in types.iter().enumerate() {
        world.green(&format!("UPDATE t SET c{i} = {other} WHERE id = {i}"));
    }
    let found = world.compare("t", small_chunks(1_000)).await;
    let expected: Vec<String> = (0..types.len())
        .map(|id| format!("id={id} has other values"))
        .collect();
    let mut seen = differing(&found);
    seen.sort_by_key(|row| {
        row.split([' ', '='])
            .nth(1)
            .and_then(|id| id.parse::<u32>().ok())
    });
    assert_eq!(seen, expected);
}

/// Types of keys, and the key of row `n` (from 1).
const MARIADB_KEYS: &[(&str, &str)] = &[
    ("k BIGINT UNSIGNED", "18446744073709551615 - n"),
    ("k DECIMAL(30,10)", "n * -0.0000000001"),
    (
        "k DATETIME(3)",
        "'2026-11-20' + INTERVAL n * 1000 MICROSECOND",
    ),
    (
        "k VARCHAR(40) COLLATE utf8mb4_general_ci",
        "CONCAT('Ä', n, '🙂')",
    ),
    (
        "k VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
        "CONCAT('Ä', n)",
    ),
    ("k CHAR(10)", "CONCAT(n, 'x')"),
    ("k VARBINARY(40)", "UNHEX(SHA1(n))"),
    (
        "a VARCHAR(9) CHARACTER SET ascii, k VARBINARY(9), c INT",
        "CONCAT('s', n % 3), CONCAT(n DIV 7), n",
    ),
];
const POSTGRES_KEYS: &[(&str, &str)] = &[
    ("k BIGINT", "-9223372036854775807 + n"),
    ("k NUMERIC(30,10)", "n * -0.0000000001"),
    (
        "k TIMESTAMPTZ",
        "'2026-11-20'::timestamptz + n * interval '1 microsecond'",
    ),
    ("k DATE", "'2026-11-20'::date + n"),
    ("k VARCHAR(40)", "CONCAT('Ä', n, '🙂')"),
    ("k TEXT COLLATE \"und-x-icu\"", "CONCAT('ä', n)"),
    ("k CHAR(10)", "CONCAT(n, 'x')"),
    ("k BYTEA", "sha256(n::text::bytea)"),
    ("k UUID", "md5(n::text)::uuid"),
    (
        "a VARCHAR(9), k BYTEA, c INT",
        "CONCAT('s', n % 3), (n / 7)::text::bytea, n",
    ),
];

async fn rows_are_found_by_keys_of_every_type(kind: Kind) {
    const ROWS: u32 = 400;
    let world = World::new(kind);
    let keys = match kind {
        Kind::MariaDb => MARIADB_KEYS,
        Kind::Postgres => POSTGRES_KEYS,
    };
    let mut checked = 0;
    for (i, (columns, key)) in keys.iter().enumerate() {
        let names: Vec<&str> = columns
            .split(", ")
            .filter_map(|column| column.split(' ').next())
            .collect();
        let table = format!("t{i}");
        world.both(&format!(
            "CREATE TABLE {table} ({columns}, v INT NOT NULL, PRIMARY KEY ({})); \
             INSERT INTO {table} SELECT {key}, n FROM {}",
            names.join(", "),
            world.numbers(ROWS)
        ));
        world.green(&format!(
            "UPDATE {table} SET v = -1 WHERE v = 123; DELETE FROM {table} WHERE v = {ROWS}"
        ));
        let found = world.compare(&table, small_chunks(70)).await;
        assert_eq!(
            found.state,
            TableState::Differs(true),
            "{columns}: {found:?}"
        );
        let mut how: Vec<String> = differing(&found)
            .iter()
            .filter_map(|row| Some(row.split_once("s ")?.1.to_owned()))
            .collect();
        how.sort();
        assert_eq!(
            found.differing.len(),
            2,
            "{columns}: {:?}",
            differing(&found)
        );
        assert_eq!((found.blue_rows, found.green_rows), (400, 399), "{columns}");
        checked += 1;
    }
    assert_eq!(checked, keys.len());
}

async fn other_collations_of_the_same_text_are_no_difference(kind: Kind) {
    let world = World::new(kind);
    let (in_blue, in_green) = match kind {
        Kind::MariaDb => (
            "VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci",
            "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ),
        Kind::Postgres => ("VARCHAR(40) COLLATE \"C\"", "TEXT COLLATE \"und-x-icu\""),
    };
    let (number, other) = world
        .either("INT,BIGINT", "INT,BIGINT")
        .split_once(',')
        .unwrap();
    world.blue(&format!(
        "CREATE TABLE t (id {number} PRIMARY KEY, a {in_blue})"
    ));
    world.green(&format!(
        "CREATE TABLE t (id {other} PRIMARY KEY, a {in_green})"
    ));
    world.both(&format!(
        "INSERT INTO t SELECT n, CONCAT('Größe ', n) FROM {}",
        world.numbers(300)
    ));
    assert_eq!(
        world.compare("t", small_chunks(100)).await.state,
        TableState::Equal
    );
    world.green("UPDATE t SET a = 'grösse 7' WHERE id = 7");
    let found = world.compare("t", small_chunks(100)).await;
    assert_eq!(differing(&found), ["id=7 has other values"]);
}

async fn what_can_not_be_compared_is_not_equal(kind: Kind) {
    let world = World::new(kind);
    let (in_blue, in_green) = match kind {
        Kind::MariaDb => ("COLLATE utf8mb4_bin", "COLLATE utf8mb4_general_ci"),
        Kind::Postgres => ("COLLATE \"C\"", "COLLATE \"und-x-icu\""),
    };
    world.both("CREATE TABLE no_key (id INT); CREATE TABLE null_key (id INT UNIQUE)");
    world.blue(&format!(
        "CREATE TABLE sorted (id VARCHAR(9) {in_blue} PRIMARY KEY)"
    ));
    world.green(&format!(
        "CREATE TABLE sorted (id VARCHAR(9) {in_green} PRIMARY KEY)"
    ));
    world.blue("CREATE TABLE scale (id INT PRIMARY KEY, n DECIMAL(9,2)); CREATE TABLE lonely (id INT PRIMARY KEY)");
    world.green("CREATE TABLE scale (id INT PRIMARY KEY, n DECIMAL(9,3))");
    for (table, why) in [
        ("no_key", "it has no primary or unique key"),
        ("null_key", "takes NULL"),
        ("sorted", "is ordered by"),
        ("scale", "column n is of type"),
        ("lonely", "it is missing in green"),
        ("none", "there is no such table"),
    ] {
        let found = world.compare(table, small_chunks(100)).await;
        let TableState::Unvalidated(said) = &found.state else {
            panic!("{table}: {found:?}");
        };
        assert!(said.contains(why), "{table}: {said}");
    }
    // All of them, if none is named.
    let everything = request("no_key", small_chunks(100));
    let everything = cutover_ports::parity::ParityRequest {
        tables: Vec::new(),
        ..everything
    };
    let all = world
        .compare_once(&everything, None, crate::world::BUDGET)
        .await;
    assert_eq!(all.tables.len(), 5);
    assert_eq!(all.verdict(), cutover_domain::parity::Verdict::Unknown);
}

/// The server makes NULL of what is longer than a packet may be: equal NULLs are no equal rows.
#[tokio::test]
async fn rows_that_the_server_can_not_hash_are_not_equal() {
    let db = MariaDb::start_with(&["--max-allowed-packet=1M".to_owned()]);
    let server = Server::MariaDb(Arc::new(db));
    let world = World::on(server.clone(), server);
    world.both(
        "CREATE TABLE t (id INT PRIMARY KEY, a LONGTEXT, b LONGTEXT); \
         INSERT INTO t VALUES (1, 'a', 'b'), (2, REPEAT('a', 600000), REPEAT('b', 600000))",
    );
    let found = world.compare("t", small_chunks(100)).await;
    let TableState::Unknown(why) = &found.state else {
        panic!("{found:?}");
    };
    assert_eq!(
        why,
        "1 rows in blue are too long to be hashed by the server (max_allowed_packet)"
    );
}

async fn a_side_that_has_far_more_rows_is_not_too_much(kind: Kind) {
    let world = World::new(kind);
    world.both("CREATE TABLE t (id INT PRIMARY KEY)");
    world.green(&format!(
        "INSERT INTO t SELECT n FROM {}",
        world.numbers(20_000)
    ));
    let found = world.compare("t", small_chunks(1_000)).await;
    assert_eq!(found.state, TableState::Differs(false));
    assert_eq!(found.differing.len(), 50);
    assert_eq!(differing(&found)[0], "id=1 is missing in blue");
}
