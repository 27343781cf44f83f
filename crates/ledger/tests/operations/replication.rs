//! Two servers that replicate while payments are written: what is under way is no difference, and what is one is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_domain::parity::{TableProgress, TableState};
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{LinkState, ReplicaStatus as _};
use cutover_testkit::{MariaDb, Postgres};
use tokio::task::spawn_blocking;

use crate::world::{BUDGET, Server, World, differing, small_chunks};

/// How long rows are compared while others are written: they are for 15 s.
const COMPARED: Duration = Duration::from_secs(5);

const TABLE: &str =
    "CREATE TABLE t (id BIGINT PRIMARY KEY, who VARCHAR(9) NOT NULL, v BIGINT NOT NULL)";

/// Compares again and again until the writers are done. None of the answers may be a difference, or not known.
async fn compare_while(world: &World, writers: &[tokio::task::JoinHandle<String>]) -> u32 {
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < COMPARED {
        let found = world.compare("t", small_chunks(300)).await;
        assert_eq!(found.state, TableState::Equal, "{:?}", differing(&found));
        rounds += 1;
    }
    assert!(
        writers.iter().all(|writer| !writer.is_finished()),
        "they wrote all the time"
    );
    rounds
}

/// Waits until a comparison says so.
async fn until(world: &World, holds: impl Fn(&TableProgress) -> bool) -> TableProgress {
    let begun = Instant::now();
    loop {
        let found = world.compare("t", small_chunks(300)).await;
        if holds(&found) {
            return found;
        }
        assert!(begun.elapsed() < BUDGET, "{found:?}");
    }
}

#[tokio::test]
async fn mariadb_both_ways() {
    let start =
        |number| Server::MariaDb(Arc::new(MariaDb::start_with(&MariaDb::replicating(number))));
    let world = World::on(start(1), start(2));
    let (Server::MariaDb(blue), Server::MariaDb(green)) = (&world.blue_server, &world.green_server)
    else {
        panic!("they are");
    };
    // What is set up on each apart does not travel.
    for db in [blue, green] {
        db.sql("mysql", "RESET MASTER");
    }
    green.replicate_from(blue);
    blue.replicate_from(green);
    world.blue(TABLE);
    world.blue(&format!(
        "INSERT INTO t SELECT n, 'first', 0 FROM {}",
        world.numbers(3_000)
    ));
    until(&world, |found| {
        found.state == TableState::Equal && found.blue_rows == 3_000
    })
    .await;

    // Each writes rows of its own, and changes and removes some of them.
    let churn = "DELIMITER //\nBEGIN NOT ATOMIC DECLARE i BIGINT DEFAULT 0; DECLARE till DATETIME(3) DEFAULT NOW(3) + INTERVAL 15 SECOND; \
         WHILE NOW(3) < till DO SET i = i + 1; \
         INSERT INTO t VALUES (10000 + i * 2 + OFFSET, 'OWNER', i); \
         UPDATE t SET v = v + 1 WHERE id = 1 + MOD(i, 500) * 2 + OFFSET; \
         IF MOD(i, 20) = 0 THEN UPDATE t SET v = v + 1 WHERE id = 1001 + OFFSET; END IF; DO SLEEP(0.002); \
         IF MOD(i, 3) = 0 THEN DELETE FROM t WHERE id = 10000 + i + OFFSET AND who = 'OWNER'; END IF; \
         END WHILE; END //\n";
    let writer = |color: &'static str, offset: &str| {
        let world = world.clone();
        let statements = churn.replace("OFFSET", offset).replace("OWNER", color);
        spawn_blocking(move || match color {
            "blue" => world.blue(&statements),
            _ => world.green(&statements),
        })
    };
    let writers = [writer("blue", "0"), writer("green", "1")];
    let rounds = compare_while(&world, &writers).await;
    assert!(rounds >= 2, "{rounds}");

    // A real difference, while rows are still written.
    world.green("SET SESSION sql_log_bin = 0; UPDATE t SET who = 'wrong' WHERE id = 2222");
    let found = until(&world, |found| !found.differing.is_empty()).await;
    assert_eq!(differing(&found), ["id=2222 has other values"]);
    for writer in writers {
        writer.await.unwrap();
    }

    let links = Databases::default()
        .links(&world.site("green"), BUDGET)
        .await
        .unwrap();
    assert!(
        matches!(links[0].state, LinkState::Running { lag_seconds: 0..30 }),
        "{links:?}"
    );
    // A stream that stands still: rows that it owes are neither equal nor different.
    world.green("STOP SLAVE");
    let links = Databases::default()
        .links(&world.site("green"), BUDGET)
        .await
        .unwrap();
    assert!(matches!(links[0].state, LinkState::Stopped(_)), "{links:?}");
    world.blue("INSERT INTO t VALUES (-1, 'late', 0)");
    let found = world.compare("t", small_chunks(300)).await;
    let TableState::Unknown(why) = &found.state else {
        panic!("{found:?}");
    };
    assert!(
        why.contains("replication into green has not brought"),
        "{why}"
    );
}

#[tokio::test]
async fn postgres_one_way() {
    let start = || Server::Postgres(Arc::new(Postgres::start_replicating(&[])));
    let world = World::on(start(), start());
    world.both(TABLE);
    world.blue("CREATE PUBLICATION everything FOR ALL TABLES");
    world.blue(&format!(
        "INSERT INTO t SELECT n, 'first', 0 FROM {}",
        world.numbers(3_000)
    ));
    let database = world.database("blue");
    let port = world.blue_server.port();
    // The subscriber comes by TCP, where everyone needs a password.
    world.blue("CREATE ROLE subscriber SUPERUSER LOGIN REPLICATION PASSWORD 'first'");
    world.green(&format!(
        "CREATE SUBSCRIPTION from_blue CONNECTION \
         'host=127.0.0.1 port={port} dbname={database} user=subscriber password=first' PUBLICATION everything"
    ));
    until(&world, |found| {
        found.state == TableState::Equal && found.green_rows == 3_000
    })
    .await;

    let churn = "DO $$ DECLARE i BIGINT := 0; till TIMESTAMPTZ := clock_timestamp() + interval '15 seconds'; \
         BEGIN WHILE clock_timestamp() < till LOOP i := i + 1; \
         INSERT INTO t VALUES (10000 + i, 'blue', i); \
         UPDATE t SET v = v + 1 WHERE id = 1 + i % 500; \
         IF i % 20 = 0 THEN UPDATE t SET v = v + 1 WHERE id = 1001; END IF; PERFORM pg_sleep(0.002); \
         IF i % 3 = 0 THEN DELETE FROM t WHERE id = 10000 + i / 2; END IF; \
         COMMIT; END LOOP; END $$";
    let writing = world.clone();
    let writers = [spawn_blocking(move || writing.blue(churn))];
    let rounds = compare_while(&world, &writers).await;
    assert!(rounds >= 2, "{rounds}");
    world.green("UPDATE t SET who = 'wrong' WHERE id = 2222");
    let found = until(&world, |found| !found.differing.is_empty()).await;
    assert_eq!(differing(&found), ["id=2222 has other values"]);
    for writer in writers {
        writer.await.unwrap();
    }

    let links = Databases::default()
        .links(&world.site("green"), BUDGET)
        .await
        .unwrap();
    assert_eq!(links.len(), 1);
    assert!(
        matches!(links[0].state, LinkState::Running { lag_seconds: 0..30 }),
        "{links:?}"
    );
    let none = Databases::default()
        .links(&world.site("blue"), BUDGET)
        .await
        .unwrap();
    assert_eq!(none, []);
    // Its own server ends before the one that it listens to.
    world.green("ALTER SUBSCRIPTION from_blue DISABLE");
}
