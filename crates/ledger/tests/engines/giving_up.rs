//! What the sweeper needs: tombstones, and the question whether a color could write.

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Color, Receipt};
use cutover_ports::payment::{Found, Ledger as _, Readiness};

use crate::world::{BUDGET, Kind, World, claim, post};

on_both_engines!(
    a_tombstone_and_a_row_exclude_each_other,
    a_slow_attempt_and_a_tombstone_at_once_leave_one_row,
    a_fenced_color_can_neither_write_nor_give_up,
);

/// From a tombstone on no attempt can write the payment, and a row that came first stands.
async fn a_tombstone_and_a_row_exclude_each_other(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let (given_up, made) = (claim("k-1", "t-1"), claim("k-2", "t-2"));
    for _again in 0..2 {
        let voided = ledger.void(&given_up, Color::Blue, BUDGET).await.unwrap();
        assert_eq!(voided, Posting::Voided);
    }
    for color in [Color::Blue, Color::Green] {
        assert_eq!(post(&ledger, &given_up, color).await, Ok(Posting::Voided));
    }
    let taken = post(&ledger, &claim("k-3", "t-1"), Color::Blue).await;
    assert_eq!(taken, Ok(Posting::TransactionExists));
    let found = ledger.find(&given_up.scope, "t-1", BUDGET).await.unwrap();
    assert_eq!(found, Some(Found::Voided));

    post(&ledger, &made, Color::Green).await.unwrap();
    let voided = ledger.void(&made, Color::Blue, BUDGET).await.unwrap();
    let stands = Posting::Recorded(Receipt::of(&made, Color::Green));
    assert_eq!(voided, stands);
    let taken = ledger
        .void(&claim("k-4", "t-2"), Color::Blue, BUDGET)
        .await
        .unwrap();
    assert_eq!(taken, Posting::TransactionExists);
    let count = |status| format!("SELECT COUNT(*) FROM payments WHERE status = '{status}'");
    assert_eq!(world.sql(&count("voided")), "1");
    assert_eq!(world.sql(&count("completed")), "1");
}

/// Of a tombstone and a slow attempt at the same moment exactly one is written, and both are told which.
async fn a_slow_attempt_and_a_tombstone_at_once_leave_one_row(kind: Kind) {
    let world = World::new(kind);
    let (sweeper, slow) = (world.ledger(), world.ledger());
    for n in 0..40 {
        let claim = claim(&format!("k-{n}"), &format!("t-{n}"));
        let (voided, posted) = tokio::join!(
            sweeper.void(&claim, Color::Blue, BUDGET),
            slow.post(&claim, Color::Blue, BUDGET)
        );
        assert_eq!(voided.unwrap(), posted.unwrap(), "round {n}");
    }
    assert_eq!(world.count(), 40);
}

async fn a_fenced_color_can_neither_write_nor_give_up(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let ready = async |color| ledger.readiness(color, BUDGET).await.unwrap();
    assert_eq!(ready(Color::Blue).await, Readiness::Writable);
    world.sql("UPDATE cutover_epoch SET may_write = FALSE WHERE color = 'blue'");
    assert_eq!(ready(Color::Blue).await, Readiness::Fenced);
    assert_eq!(ready(Color::Green).await, Readiness::Writable);
    let voided = ledger.void(&claim("k", "t"), Color::Blue, BUDGET).await;
    assert_eq!(voided.unwrap(), Posting::Fenced);
    world.sql("DELETE FROM cutover_epoch WHERE color = 'blue'");
    assert_eq!(ready(Color::Blue).await, Readiness::Fenced);
    assert_eq!(world.count(), 0);
}
