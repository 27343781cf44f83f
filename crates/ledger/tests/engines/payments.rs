//! What a row is worth: written once, found again, compared byte by byte, never over another.

use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Color, Receipt, Scope, Timestamp};
use cutover_ports::payment::{Found, Ledger as _};

use crate::world::{BUDGET, Kind, World, claim, hash, ledger_of, post, recorded};

on_both_engines!(
    a_row_is_written_once_and_is_enough_to_answer_again,
    a_connection_made_beforehand_is_the_one_that_posts,
    attempts_at_the_same_time_write_one_row,
    a_payment_is_found_by_its_transaction_id_in_its_scope_only,
    keys_are_compared_byte_by_byte,
    a_voided_key_is_never_written,
    a_payment_without_card_and_merchant_is_written_too,
);

async fn a_row_is_written_once_and_is_enough_to_answer_again(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let first = claim("k-1", "t-1");
    assert_eq!(
        post(&ledger, &first, Color::Blue).await,
        recorded(&first, Color::Blue)
    );

    // A later claim of the same payment, by the other color: the row's own time and color are answered.
    let mut later = first.clone();
    later.created_at = Timestamp::from_ms(1_795_999_999_999);
    assert_eq!(
        post(&ledger, &later, Color::Green).await,
        recorded(&first, Color::Blue)
    );

    let mut other = first.clone();
    other.fingerprint = hash(2);
    let reused = Posting::KeyReused {
        receipt: Receipt::of(&first, Color::Blue),
        fingerprint: hash(0x80),
    };
    assert_eq!(post(&ledger, &other, Color::Blue).await, Ok(reused));
    let taken = post(&ledger, &claim("k-2", "t-1"), Color::Blue).await;
    assert_eq!(taken, Ok(Posting::TransactionExists));

    assert_eq!(
        world.sql("SELECT COUNT(*), MIN(user_id) FROM payments"),
        "1\tÜnal 🙂"
    );
    assert_eq!(ledger.connections_opened(), 1);
}

async fn a_connection_made_beforehand_is_the_one_that_posts(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    ledger.connect(BUDGET).await;
    ledger.connect(BUDGET).await;
    assert_eq!(ledger.connections_opened(), 1);
    let claim = claim("k", "t");
    assert_eq!(
        post(&ledger, &claim, Color::Blue).await,
        recorded(&claim, Color::Blue)
    );
    assert_eq!(ledger.connections_opened(), 1);
    assert_eq!(ledger.secrets().reads.get(), 1);

    // A login that is refused beforehand: the secret is read again for the post, which says what is wrong with it.
    let wrong = ledger_of(world.secret(world.port(), "hunter2"), None);
    wrong.connect(BUDGET).await;
    let right = world.secret(world.port(), "first");
    let texts = &wrong.secrets().texts;
    texts.borrow_mut().insert("db".to_owned(), right);
    assert_eq!(
        post(&wrong, &claim, Color::Blue).await,
        recorded(&claim, Color::Blue)
    );
    assert_eq!(wrong.connections_opened(), 1);
    assert_eq!(wrong.secrets().reads.get(), 2);
}

async fn attempts_at_the_same_time_write_one_row(kind: Kind) {
    let world = World::new(kind);
    // Each attempt takes its time, so that they meet.
    world.sql(crate::fence::slow_inserts(&world));
    let ledger = world.ledger();
    let claim = claim("k", "t");
    let attempts = tokio::join!(
        post(&ledger, &claim, Color::Blue),
        post(&ledger, &claim, Color::Blue),
        post(&ledger, &claim, Color::Blue),
        post(&ledger, &claim, Color::Blue),
    );
    let all = <[_; 4]>::from(attempts);
    assert_eq!(all, [(); 4].map(|()| recorded(&claim, Color::Blue)));
    assert_eq!(world.count(), 1);
    assert_eq!(ledger.connections_opened(), 4);
}

async fn a_payment_is_found_by_its_transaction_id_in_its_scope_only(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let claim = claim("k-1", "t-1");
    let receipt = Receipt::of(&claim, Color::Blue);
    post(&ledger, &claim, Color::Blue).await.unwrap();
    let found = ledger.find(&claim.scope, "t-1", BUDGET).await.unwrap();
    assert_eq!(found, Some(Found::Completed(receipt)));
    let other = Scope::new(Some("shop"), None);
    for (scope, id) in [
        (&claim.scope, "T-1"),
        (&claim.scope, "t-2"),
        (&other, "t-1"),
    ] {
        assert_eq!(ledger.find(scope, id, BUDGET).await.unwrap(), None);
    }
}

async fn keys_are_compared_byte_by_byte(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    for (i, key) in ["key", "KEY", "\"key \"", "\" key\"", "key%", "ke_"]
        .iter()
        .enumerate()
    {
        let claim = claim(key, &format!("t-{i}"));
        assert_eq!(
            post(&ledger, &claim, Color::Blue).await,
            recorded(&claim, Color::Blue),
            "{key}"
        );
    }
    for id in ["id", "ID", "Id"] {
        let claim = claim(&format!("for-{id}"), id);
        assert_eq!(
            post(&ledger, &claim, Color::Blue).await,
            recorded(&claim, Color::Blue),
            "{id}"
        );
    }
}

async fn a_voided_key_is_never_written(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let hash = |byte: &str| {
        let (mariadb, postgres) = (
            format!("UNHEX(REPEAT('{byte}', 32))"),
            format!("decode(repeat('{byte}', 32), 'hex')"),
        );
        world.either(&mariadb, &postgres).to_owned()
    };
    world.sql(&format!(
        "INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, amount, \
         currency, exponent, paid_with_hash, environment, color, created_at) VALUES ('m:shop', 'k', 't', {}, \
         'voided', 'u', 1, 'EUR', 2, {}, 'dev-payment-ab12cd34', 'blue', now())",
        hash("80"),
        hash("ff")
    ));
    let claim = claim("k", "t");
    assert_eq!(
        post(&ledger, &claim, Color::Blue).await,
        Ok(Posting::Voided)
    );
    let found = ledger.find(&claim.scope, "t", BUDGET).await.unwrap();
    assert_eq!(found, Some(Found::Voided));
}

async fn a_payment_without_card_and_merchant_is_written_too(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let mut claim = claim("k", "t");
    claim.payment.merchant_id = None;
    claim.payment.paid_with.card = None;
    claim.created_at = Timestamp::from_ms(999);
    for _again in 0..2 {
        assert_eq!(
            post(&ledger, &claim, Color::Green).await,
            recorded(&claim, Color::Green)
        );
    }
}
