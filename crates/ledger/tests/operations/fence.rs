//! The fence is set once, stands, and is never taken back by an older order; wherever whoever sets it dies.

use std::time::{Duration, Instant};

use cutover_domain::parity::{FenceOrder, FenceOutcome, FenceRow};
use cutover_domain::payment::Color;
use cutover_ledger::operations::Databases;
use cutover_ports::parity::{DatabaseError, Fence as _, FenceAnswer, SchemaUpgrade as _, Trouble};
use cutover_testkit::Proxy;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::world::{BUDGET, Kind, World};

on_both_engines!(
    an_order_is_applied_once_and_an_older_one_is_refused,
    an_order_holds_wherever_its_answer_is_lost,
    payments_that_are_being_written_are_waited_for_but_not_for_ever,
    payments_without_a_pause_do_not_keep_the_fence_open,
    of_two_orders_at_once_the_newer_stands,
    a_ledger_without_its_schema_is_told,
);

async fn ledger(kind: Kind) -> World {
    let world = World::new(kind);
    world.let_write("blue");
    Databases::default()
        .upgrade(&world.site("blue"), None, BUDGET)
        .await
        .unwrap();
    world
}

fn order(epoch: i64, blue: bool, green: bool) -> FenceOrder {
    FenceOrder { epoch, blue, green }
}

async fn set(world: &World, order: FenceOrder) -> Result<FenceAnswer, DatabaseError> {
    Databases::default()
        .set_fence(&world.site("blue"), &order, BUDGET)
        .await
}

fn rows(order: FenceOrder) -> Vec<FenceRow> {
    let row = |color| FenceRow {
        color,
        may_write: order.may_write(color),
        epoch: order.epoch,
    };
    vec![row(Color::Blue), row(Color::Green)]
}

fn stands(world: &World) -> String {
    world.blue(world.either(
        "SELECT color, may_write, epoch FROM cutover_epoch ORDER BY color",
        "SELECT color, may_write::int, epoch FROM cutover_epoch ORDER BY color",
    ))
}

async fn an_order_is_applied_once_and_an_older_one_is_refused(kind: Kind) {
    let world = ledger(kind).await;
    assert_eq!(stands(&world), "blue\t1\t0\ngreen\t1\t0");
    let retire = order(7, true, false);
    for outcome in [
        FenceOutcome::Applied,
        FenceOutcome::Stood,
        FenceOutcome::Stood,
    ] {
        let answer = set(&world, retire).await.unwrap();
        assert_eq!((answer.outcome, answer.stands), (outcome, rows(retire)));
        assert_eq!(stands(&world), "blue\t1\t7\ngreen\t0\t7");
    }
    for (refused, outcome) in [
        (order(6, true, true), FenceOutcome::Older { stored: 7 }),
        (
            order(7, false, true),
            FenceOutcome::Contradicts { stored: 7 },
        ),
    ] {
        let answer = set(&world, refused).await.unwrap();
        assert_eq!((answer.outcome, answer.stands), (outcome, rows(retire)));
        assert_eq!(stands(&world), "blue\t1\t7\ngreen\t0\t7");
    }
    // Rows that someone removed come back.
    world.blue("DELETE FROM cutover_epoch WHERE color = 'green'");
    assert_eq!(
        set(&world, retire).await.unwrap().outcome,
        FenceOutcome::Applied
    );
    assert_eq!(stands(&world), "blue\t1\t7\ngreen\t0\t7");
}

async fn an_order_holds_wherever_its_answer_is_lost(kind: Kind) {
    let world = ledger(kind).await;
    let mut points = 0;
    for lost in 0..40 {
        let proxy = Proxy::start(world.blue_server.port()).await;
        proxy.lose_after(lost);
        let order = order(100 + i64::from(lost), lost % 2 == 0, lost % 2 == 1);
        let site = world.site_at("blue", proxy.port());
        let answer = Databases::default().set_fence(&site, &order, BUDGET).await;
        if !proxy.has_lost() {
            break;
        }
        points += 1;
        let answer = answer.unwrap_or_else(|error| panic!("{lost}: {error}: {:?}", error.source));
        assert!(answer.outcome.holds(), "{lost}: {answer:?}");
        assert_eq!(answer.stands, rows(order), "{lost}");
        let [blue, green] = [order.blue, order.green].map(u8::from);
        let epoch = order.epoch;
        assert_eq!(
            stands(&world),
            format!("blue\t{blue}\t{epoch}\ngreen\t{green}\t{epoch}")
        );
    }
    assert!(points >= 5, "{points} answers were lost, one at a time");
}

async fn payments_that_are_being_written_are_waited_for_but_not_for_ever(kind: Kind) {
    let world = ledger(kind).await;
    let hold = |seconds: &str| {
        let statements = format!(
            "BEGIN; SELECT color FROM cutover_epoch WHERE color = 'blue' {}; SELECT {}({seconds}); ROLLBACK",
            world.either("LOCK IN SHARE MODE", "FOR SHARE"),
            world.either("SLEEP", "pg_sleep"),
        );
        let world = world.clone();
        spawn_blocking(move || world.blue(&statements))
    };
    let reader = hold("1.2");
    sleep(Duration::from_millis(400)).await;
    let begun = Instant::now();
    let answer = set(&world, order(1, false, true)).await.unwrap();
    assert_eq!(answer.outcome, FenceOutcome::Applied);
    assert!(
        begun.elapsed() > Duration::from_millis(400),
        "it waited: {:?}",
        begun.elapsed()
    );
    reader.await.unwrap();

    let reader = hold("6");
    sleep(Duration::from_millis(400)).await;
    let begun = Instant::now();
    let budget = Duration::from_secs(3);
    let site = world.site("blue");
    let late = Databases::default()
        .set_fence(&site, &order(2, true, true), budget)
        .await;
    assert_eq!(late.map_err(|error| error.trouble), Err(Trouble::Timeout));
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    reader.await.unwrap();
    assert_eq!(stands(&world), "blue\t0\t1\ngreen\t1\t1");
    assert_eq!(
        set(&world, order(2, true, true)).await.unwrap().outcome,
        FenceOutcome::Applied
    );
}

/// Sixteen sessions that hold the row shared, one after the other: there is no moment at which none does.
async fn payments_without_a_pause_do_not_keep_the_fence_open(kind: Kind) {
    let world = ledger(kind).await;
    let payments = world.either(
        "DELIMITER //\nBEGIN NOT ATOMIC DECLARE till DATETIME(3) DEFAULT NOW(3) + INTERVAL 6 SECOND; \
         WHILE NOW(3) < till DO START TRANSACTION; \
         SELECT color INTO @seen FROM cutover_epoch WHERE color = 'blue' LOCK IN SHARE MODE; \
         DO SLEEP(0.02); COMMIT; END WHILE; END //\n",
        "DO $$ DECLARE till TIMESTAMPTZ := clock_timestamp() + interval '6 seconds'; \
         BEGIN WHILE clock_timestamp() < till LOOP \
         PERFORM color FROM cutover_epoch WHERE color = 'blue' FOR SHARE; \
         PERFORM pg_sleep(0.02); COMMIT; END LOOP; END $$",
    );
    let payers: Vec<_> = (0..16)
        .map(|_| {
            let world = world.clone();
            let payments = payments.to_owned();
            spawn_blocking(move || world.blue(&payments))
        })
        .collect();
    sleep(Duration::from_millis(1_500)).await;
    for epoch in 1..=5 {
        let begun = Instant::now();
        let answer = set(&world, order(epoch, epoch % 2 == 0, true))
            .await
            .unwrap();
        assert_eq!(answer.outcome, FenceOutcome::Applied);
        assert!(
            begun.elapsed() < Duration::from_millis(1_500),
            "{:?}",
            begun.elapsed()
        );
    }
    assert!(
        payers.iter().all(|payer| !payer.is_finished()),
        "they paid all the time"
    );
    for payer in payers {
        payer.await.unwrap();
    }
}

async fn of_two_orders_at_once_the_newer_stands(kind: Kind) {
    let world = ledger(kind).await;
    let mut met = 0;
    for round in 1..=40 {
        let (older, newer) = (
            order(round * 2, true, false),
            order(round * 2 + 1, false, true),
        );
        let (first, second) = tokio::join!(set(&world, older), set(&world, newer));
        let (first, second) = (first.unwrap().outcome, second.unwrap().outcome);
        assert_eq!(second, FenceOutcome::Applied);
        match first {
            FenceOutcome::Applied => {}
            FenceOutcome::Older { .. } => met += 1,
            other => panic!("{other:?}"),
        }
        let epoch = newer.epoch;
        assert_eq!(
            stands(&world),
            format!("blue\t0\t{epoch}\ngreen\t1\t{epoch}")
        );
    }
    println!("{kind:?}: the older one came second {met} times");
}

async fn a_ledger_without_its_schema_is_told(kind: Kind) {
    let world = World::new(kind);
    world.let_write("blue");
    let begun = Instant::now();
    let error = set(&world, order(1, true, true)).await.unwrap_err();
    assert_eq!(error.trouble, Trouble::Missing);
    assert!(
        error.to_string().contains("set the fence in blue"),
        "{error}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "it is not tried again"
    );
}
