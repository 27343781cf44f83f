//! A comparison is interrupted and taken up again, and spares the databases.

use std::time::{Duration, Instant};

use cutover_domain::parity::{Limits, Progress, TableState, Verdict};
use tokio::time::timeout;

use crate::world::{BUDGET, Kind, World, differing, request, small_chunks};

on_both_engines!(
    a_comparison_goes_on_where_it_ended,
    a_comparison_that_died_is_taken_up_again,
    a_busy_database_is_left_alone,
    a_stored_key_is_not_trusted,
);

fn filled(world: &World, rows: u32) {
    world.both(&format!(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(40)); CREATE TABLE u (id INT PRIMARY KEY); \
         INSERT INTO t SELECT n, CONCAT('a', n) FROM {}; INSERT INTO u VALUES (1)",
        world.numbers(rows)
    ));
}

/// What is stored between two calls.
fn stored(progress: &Progress) -> Progress {
    serde_json::from_str(&serde_json::to_string(progress).unwrap()).unwrap()
}

async fn a_comparison_goes_on_where_it_ended(kind: Kind) {
    let world = World::new(kind);
    filled(&world, 20_000);
    world.green("UPDATE t SET a = 'x' WHERE id IN (3, 19999)");
    let mut request = request("t", small_chunks(100));
    request.tables.push("u".to_owned());
    // A call ends when what is left of its time is less than a statement may take: 4 s. A second look needs a little more.
    let budget = Duration::from_millis(4_200);
    let budget_of = |progress: &Progress| {
        if progress.tables[0].read_all {
            Duration::from_secs(8)
        } else {
            budget
        }
    };
    let mut progress = world.compare_once(&request, None, budget).await;
    let mut calls = 1;
    while !progress.is_finished() {
        assert!(calls < 200, "{progress:?}");
        let before = progress.tables[0].blue_rows;
        progress = world
            .compare_once(&request, Some(stored(&progress)), budget_of(&progress))
            .await;
        assert!(progress.tables[0].blue_rows >= before);
        calls += 1;
    }
    assert!(calls > 2, "it was interrupted: {calls}");
    let [t, u] = &progress.tables[..] else {
        panic!("{progress:?}");
    };
    assert_eq!(t.state, TableState::Differs(true));
    assert_eq!(
        differing(t),
        ["id=19999 has other values", "id=3 has other values"]
    );
    assert_eq!(
        (t.blue_rows, t.green_rows),
        (20_000, 20_000),
        "no row is read twice"
    );
    assert_eq!(u.state, TableState::Equal);
    assert_eq!(progress.verdict(), Verdict::Differs);
}

async fn a_comparison_that_died_is_taken_up_again(kind: Kind) {
    let world = World::new(kind);
    filled(&world, 5_000);
    world.blue("DELETE FROM t WHERE id = 4321");
    let request = request("t", small_chunks(100));
    let first = world
        .compare_once(&request, None, Duration::from_millis(4_150))
        .await;
    for ms in [30, 60, 120] {
        let died = world.compare_once(&request, Some(first.clone()), BUDGET);
        let _nothing_is_kept = timeout(Duration::from_millis(ms), died).await;
    }
    let last = world.compare_once(&request, Some(first), BUDGET).await;
    let table = &last.tables[0];
    assert_eq!(differing(table), ["id=4321 is missing in blue"]);
    assert_eq!((table.blue_rows, table.green_rows), (4_999, 5_000));
}

async fn a_busy_database_is_left_alone(kind: Kind) {
    let world = World::new(kind);
    filled(&world, 10);
    let limits = Limits {
        threads_running_max: 0,
        pause_seconds_max: 1,
        ..small_chunks(100)
    };
    let begun = Instant::now();
    let found = world.compare("t", limits).await;
    let TableState::Unknown(why) = &found.state else {
        panic!("{found:?}");
    };
    assert!(
        why.starts_with("paused for 1 s and stopped, to spare the databases: blue runs "),
        "{why}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((found.blue_rows, found.chunks), (0, 0));
}

/// What is stored may come from anywhere: it never gets into a statement.
async fn a_stored_key_is_not_trusted(kind: Kind) {
    let world = World::new(kind);
    filled(&world, 10);
    let request = request("t", small_chunks(100));
    for key in [
        vec!["1 OR 1=1".to_owned()],
        vec!["1".to_owned(), "2".to_owned()],
        vec![],
        vec![String::new()],
    ] {
        let mut progress = Progress::of(["t".to_owned()]);
        progress.tables[0].after = Some(key);
        let found = world.compare_once(&request, Some(progress), BUDGET).await;
        assert_eq!(
            found.tables[0].state,
            TableState::Unknown("the stored key is not one of this table".to_owned())
        );
    }
    // Of another form: it is begun anew.
    let mut old = Progress::of(["gone".to_owned()]);
    old.form = 0;
    let found = world.compare_once(&request, Some(old), BUDGET).await;
    assert_eq!(found.verdict(), Verdict::Equal);
}
