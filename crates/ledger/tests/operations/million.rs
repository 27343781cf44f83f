//! One changed cent among many rows. The same is run on a million rows by `make bench`.

use std::time::Instant;

use cutover_domain::parity::{Limits, TableState};

use crate::world::{Kind, World, differing};

on_both_engines!(one_changed_cent_is_found);

const ROWS: u32 = 200_000;

async fn one_changed_cent_is_found(kind: Kind) {
    let world = World::new(kind);
    world.both(
        "CREATE TABLE t (scope VARCHAR(40) NOT NULL, k VARCHAR(40) NOT NULL, cents DECIMAL(20,2) NOT NULL, \
         note VARCHAR(80) NULL, PRIMARY KEY (scope, k))",
    );
    world.both(&format!(
        "INSERT INTO t SELECT CONCAT('m:shop', n % 20), CONCAT('k-', n), n * 0.01, \
         CASE n % 5 WHEN 0 THEN NULL ELSE CONCAT('order ', n) END FROM {}",
        world.numbers(ROWS)
    ));
    if kind == Kind::Postgres {
        world.both("ANALYZE t");
    }
    let begun = Instant::now();
    let limits = Limits {
        threads_running_max: 1_000,
        ..Limits::default()
    };
    let equal = world.compare("t", limits).await;
    assert_eq!(equal.state, TableState::Equal);
    assert_eq!(
        (equal.blue_rows, equal.green_rows),
        (u64::from(ROWS), u64::from(ROWS))
    );
    world.green("UPDATE t SET cents = cents - 0.01 WHERE scope = 'm:shop17' AND k = 'k-123457'");
    let found = world.compare("t", limits).await;
    assert_eq!(found.state, TableState::Differs(true));
    assert_eq!(
        differing(&found),
        ["scope=m:shop17, k=k-123457 has other values"]
    );
    println!("{kind:?}: {ROWS} rows twice in {:?}", begun.elapsed());
}
