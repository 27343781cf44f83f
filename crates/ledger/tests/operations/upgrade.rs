//! The ledger's schema is made once, whoever asks how often, and goes on where it broke off.

use std::time::Duration;

use cutover_domain::parity::upgrade::NoUpgrade;
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{SchemaUpgrade as _, UpgradeError, Upgraded};
use cutover_testkit::Proxy;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::world::{BUDGET, Kind, World};

on_both_engines!(
    a_schema_is_made_once,
    versions_come_one_by_one_and_are_never_taken_back,
    an_upgrade_goes_on_wherever_it_broke_off,
    upgrades_at_the_same_time_are_one,
    a_schema_that_was_made_by_hand_is_taken_over,
);

fn writable(kind: Kind) -> World {
    let world = World::new(kind);
    world.let_write("blue");
    world
}

async fn upgrade(world: &World, version: Option<u32>) -> Result<Upgraded, UpgradeError> {
    Databases::default()
        .upgrade(&world.site("blue"), version, BUDGET)
        .await
}

fn upgraded(from: u32, to: u32, applied: &[&str]) -> Upgraded {
    Upgraded {
        from,
        to,
        applied: applied.iter().map(|name| (*name).to_owned()).collect(),
    }
}

const BOTH: [&str; 2] = ["001-payments.sql", "002-cutover-epoch.sql"];

/// What the schema is, and what it holds.
fn state(world: &World) -> String {
    world.blue(
        "SELECT version, name, LENGTH(digest) FROM cutover_schema ORDER BY version; \
         SELECT color, epoch FROM cutover_epoch ORDER BY color; SELECT COUNT(*) FROM payments",
    )
}

const WHOLE: &str = "1\t001-payments.sql\t64\n2\t002-cutover-epoch.sql\t64\nblue\t0\ngreen\t0\n0";

async fn a_schema_is_made_once(kind: Kind) {
    let world = writable(kind);
    assert_eq!(upgrade(&world, None).await.unwrap(), upgraded(0, 2, &BOTH));
    assert_eq!(state(&world), WHOLE);
    for _again in 0..2 {
        assert_eq!(upgrade(&world, None).await.unwrap(), upgraded(2, 2, &[]));
    }
    // What was decided since stays.
    world.blue("UPDATE cutover_epoch SET epoch = 9; DELETE FROM cutover_schema");
    assert_eq!(upgrade(&world, None).await.unwrap(), upgraded(0, 2, &BOTH));
    assert_eq!(world.blue("SELECT MIN(epoch) FROM cutover_epoch"), "9");
}

async fn versions_come_one_by_one_and_are_never_taken_back(kind: Kind) {
    let world = writable(kind);
    assert_eq!(
        upgrade(&world, Some(1)).await.unwrap(),
        upgraded(0, 1, &BOTH[..1])
    );
    assert_eq!(
        upgrade(&world, Some(2)).await.unwrap(),
        upgraded(1, 2, &BOTH[1..])
    );
    let refused = |wanted| {
        let world = &world;
        async move {
            match upgrade(world, wanted).await {
                Err(UpgradeError::Refused(why)) => why,
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(
        refused(Some(1)).await,
        NoUpgrade::Downgrade {
            stored: 2,
            wanted: 1
        }
    );
    assert_eq!(
        refused(Some(3)).await,
        NoUpgrade::NotBuiltIn {
            wanted: 3,
            newest: 2
        }
    );
    // A newer program was here.
    world.blue(&format!(
        "INSERT INTO cutover_schema (version, name, digest) VALUES (3, '003-next.sql', '{}')",
        "0".repeat(64)
    ));
    assert_eq!(
        refused(None).await,
        NoUpgrade::Downgrade {
            stored: 3,
            wanted: 2
        }
    );
    // Another one was, with other statements under the same number.
    world.blue(&format!(
        "DELETE FROM cutover_schema WHERE version = 3; \
         UPDATE cutover_schema SET digest = '{}' WHERE version = 2",
        "0".repeat(64)
    ));
    assert_eq!(refused(None).await, NoUpgrade::Changed { number: 2 });
}

async fn an_upgrade_goes_on_wherever_it_broke_off(kind: Kind) {
    let mut points = 0;
    for lost in 0..40 {
        let world = writable(kind);
        let proxy = Proxy::start(world.blue_server.port()).await;
        proxy.lose_after(lost);
        let site = world.site_at("blue", proxy.port());
        let broken = Databases::default().upgrade(&site, None, BUDGET).await;
        if !proxy.has_lost() {
            assert!(broken.is_ok());
            break;
        }
        points += 1;
        assert!(
            matches!(broken, Err(UpgradeError::Database(_))),
            "{lost}: {broken:?}"
        );
        // The server may need a moment to notice that the other one is gone.
        let again = upgrade(&world, None)
            .await
            .unwrap_or_else(|error| panic!("{lost}: {error:?}"));
        assert_eq!(again.to, 2, "{lost}");
        assert_eq!(state(&world), WHOLE, "{lost}");
    }
    assert!(points >= 8, "{points} answers were lost, one at a time");
}

async fn upgrades_at_the_same_time_are_one(kind: Kind) {
    let world = writable(kind);
    let all = tokio::join!(
        upgrade(&world, None),
        upgrade(&world, None),
        upgrade(&world, None),
        upgrade(&world, None)
    );
    let all = [
        all.0.unwrap(),
        all.1.unwrap(),
        all.2.unwrap(),
        all.3.unwrap(),
    ];
    let applied: usize = all.iter().map(|upgraded| upgraded.applied.len()).sum();
    assert_eq!(applied, 2, "{all:?}");
    assert!(all.iter().all(|upgraded| upgraded.to == 2));

    let name = world.database("blue");
    let lock = match kind {
        Kind::MariaDb => {
            format!("SELECT GET_LOCK(CONCAT('cutover_schema ', MD5('{name}')), 0), SLEEP(4)")
        }
        Kind::Postgres => {
            "SELECT pg_advisory_lock(hashtext('cutover_schema')), pg_sleep(4)".to_owned()
        }
    };
    let holding = world.clone();
    let held = spawn_blocking(move || holding.blue(&lock));
    sleep(Duration::from_millis(500)).await;
    let busy = Databases::default()
        .upgrade(&world.site("blue"), None, Duration::from_secs(3))
        .await;
    assert!(
        matches!(&busy, Err(UpgradeError::Busy { site }) if site == "blue"),
        "{busy:?}"
    );
    held.await.unwrap();
}

async fn a_schema_that_was_made_by_hand_is_taken_over(kind: Kind) {
    let world = writable(kind);
    let folder = format!(
        "{}/../../infra/schema/{}",
        env!("CARGO_MANIFEST_DIR"),
        world.either("mysql", "postgres")
    );
    for file in BOTH {
        world.blue(&std::fs::read_to_string(format!("{folder}/{file}")).unwrap());
    }
    if kind == Kind::Postgres {
        world.blue(&format!(
            "ALTER TABLE payments OWNER TO {0}_blue; ALTER TABLE cutover_epoch OWNER TO {0}_blue",
            world.database("blue").trim_end_matches("_blue")
        ));
    }
    assert_eq!(upgrade(&world, None).await.unwrap(), upgraded(0, 2, &BOTH));
    assert_eq!(state(&world), WHOLE);
}
