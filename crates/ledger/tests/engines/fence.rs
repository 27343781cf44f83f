//! The fence: once the change that retires a color is committed, no row of that color is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cutover_domain::payment::Color;
use cutover_domain::payment::settle::Posting;
use tokio::task::{LocalSet, spawn_blocking};
use tokio::time::sleep;

use crate::world::{Kind, World, claim, post, recorded, until};

on_both_engines!(
    a_color_that_may_not_write_writes_nothing,
    a_payment_waits_for_a_change_that_is_under_way,
    no_write_of_a_retired_color_lands_after_the_flip,
);

const RETIRE: &str =
    "UPDATE cutover_epoch SET may_write = FALSE, epoch = epoch + 1 WHERE color = 'blue'";
const LET_WRITE: &str =
    "UPDATE cutover_epoch SET may_write = TRUE, epoch = epoch + 1 WHERE color = 'blue'";
const COUNT: &str = "SELECT COUNT(*) FROM payments WHERE color = 'blue'";

/// A trigger that makes each INSERT take 5 ms between reading the fence and committing: what is only unlikely without it
/// is certain with it.
pub(crate) fn slow_inserts(world: &World) -> &'static str {
    world.either(
        "CREATE TRIGGER slow BEFORE INSERT ON payments FOR EACH ROW SET @slept = SLEEP(0.005)",
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN PERFORM pg_sleep(0.005); RETURN NEW; END $$; \
         CREATE TRIGGER slow BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION slow()",
    )
}

/// The change as the schema says that it is made.
fn flip(world: &World, change: &str) -> String {
    let (alone, locked) = (
        change.to_owned(),
        format!("BEGIN; LOCK TABLE cutover_epoch IN EXCLUSIVE MODE; {change}; COMMIT"),
    );
    world.either(&alone, &locked).to_owned()
}

async fn a_color_that_may_not_write_writes_nothing(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let early = claim("early", "t-early");
    assert_eq!(
        post(&ledger, &early, Color::Blue).await,
        recorded(&early, Color::Blue)
    );
    world.sql(RETIRE);

    let late = claim("late", "t-late");
    assert_eq!(post(&ledger, &late, Color::Blue).await, Ok(Posting::Fenced));
    // What was written in time stays so, whoever asks.
    assert_eq!(
        post(&ledger, &early, Color::Blue).await,
        recorded(&early, Color::Blue)
    );
    assert_eq!(
        post(&ledger, &late, Color::Green).await,
        recorded(&late, Color::Green)
    );

    world.sql("DELETE FROM cutover_epoch");
    let unknown = claim("unknown", "t-unknown");
    assert_eq!(
        post(&ledger, &unknown, Color::Green).await,
        Ok(Posting::Fenced)
    );
}

async fn a_payment_waits_for_a_change_that_is_under_way(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let warm = claim("warm", "t-warm");
    post(&ledger, &warm, Color::Blue).await.unwrap();
    let wait = world.either("SELECT SLEEP(0.8)", "SELECT pg_sleep(0.8)");
    let (kept, changed) = (claim("k-0", "t-0"), claim("k-1", "t-1"));
    for (end, claim, answer) in [
        ("ROLLBACK", &kept, recorded(&kept, Color::Blue)),
        ("COMMIT", &changed, Ok(Posting::Fenced)),
    ] {
        let change = format!("BEGIN; {RETIRE}; {wait}; {end}");
        let change = world.hold_fence(change).await;
        let begun = Instant::now();
        assert_eq!(post(&ledger, claim, Color::Blue).await, answer);
        assert!(begun.elapsed() > Duration::from_millis(50), "it waited");
        change.await.unwrap();
    }
    assert_eq!(ledger.connections_opened(), 1);
}

/// What the writers saw.
#[derive(Default)]
struct Seen {
    stop: Cell<bool>,
    blue: Cell<u32>,
    green: Cell<u32>,
    refused: Cell<u32>,
}

async fn write(world: World, id: u32, color: Color, seen: Rc<Seen>) {
    let ledger = world.ledger();
    for i in 0..100_000_u32 {
        if seen.stop.get() {
            return;
        }
        let name = format!("w{id}-{i}");
        let count = match (post(&ledger, &claim(&name, &name), color).await, color) {
            (Ok(Posting::Recorded(_)), Color::Blue) => &seen.blue,
            (Ok(Posting::Recorded(_)), Color::Green) => &seen.green,
            (Ok(Posting::Fenced), Color::Blue) => &seen.refused,
            other => panic!("{other:?}"),
        };
        count.set(count.get() + 1);
    }
}

async fn no_write_of_a_retired_color_lands_after_the_flip(kind: Kind) {
    const ROUNDS: u32 = 4;
    let world = World::new(kind);
    world.sql(slow_inserts(&world));
    let ask = |statements: String| {
        let world = world.clone();
        async move {
            spawn_blocking(move || world.sql(&statements))
                .await
                .unwrap()
        }
    };
    let seen = Rc::new(Seen::default());
    let flips = async {
        let mut rows = 0_u32;
        for round in 0..ROUNDS {
            let blue = seen.blue.get();
            until(|| seen.blue.get() > blue + 20).await;
            let refused = seen.refused.get();
            // Counted by the session that made the change, right after the commit.
            let at_flip = ask(format!("{}; {COUNT}", flip(&world, RETIRE))).await;
            until(|| seen.refused.get() > refused + 50).await;
            sleep(Duration::from_millis(100)).await;
            assert_eq!(ask(COUNT.to_owned()).await, at_flip, "round {round}");
            let at_flip = at_flip.parse().unwrap();
            assert!(at_flip > rows, "blue wrote before");
            rows = at_flip;
            if round + 1 < ROUNDS {
                ask(flip(&world, LET_WRITE)).await;
            }
        }
        seen.stop.set(true);
        rows
    };
    let writers = LocalSet::new();
    for id in 0..12 {
        let color = if id < 8 { Color::Blue } else { Color::Green };
        writers.spawn_local(write(world.clone(), id, color, Rc::clone(&seen)));
    }
    let rows = writers.run_until(flips).await;
    writers.await;
    assert_eq!(seen.blue.get(), rows, "each row was answered, and no other");
    assert_eq!(ask(COUNT.to_owned()).await, rows.to_string());
    assert_eq!(world.count(), rows + seen.green.get());
    assert!(seen.green.get() > 50, "the other color wrote all the time");
}
