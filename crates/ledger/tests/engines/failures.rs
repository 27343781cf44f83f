//! What goes wrong between the function and its database, and what is known of the effect then.

use std::time::{Duration, Instant};

use cutover_domain::payment::Color;
use cutover_ports::payment::{Applied, Ledger as _, Readiness};
use cutover_testkit::Proxy;

use crate::world::{BUDGET, Kind, World, claim, ledger_of, post, post_within, recorded};

on_both_engines!(
    a_lost_answer_is_settled_by_sending_again,
    when_every_answer_is_lost_the_effect_is_unknown,
    a_server_that_cannot_be_reached_wrote_nothing,
    a_silent_server_is_given_up_in_time,
    a_connection_that_lay_idle_is_not_used_again,
    a_rotated_password_is_read_again_once,
    a_read_only_server_is_left_and_wrote_nothing,
    a_lock_that_is_not_given_is_given_up_by_the_server,
    no_error_and_no_log_shows_a_password_or_a_row,
);

async fn a_lost_answer_is_settled_by_sending_again(kind: Kind) {
    let world = World::new(kind);
    let proxy = Proxy::start(world.port()).await;
    let ledger = world.ledger_at(proxy.port());
    let warm = claim("warm", "t-warm");
    assert_eq!(
        post(&ledger, &warm, Color::Blue).await,
        recorded(&warm, Color::Blue)
    );

    proxy.lose(1);
    let lost = claim("lost", "t-lost");
    assert_eq!(
        post(&ledger, &lost, Color::Blue).await,
        recorded(&lost, Color::Blue)
    );
    assert_eq!(world.count(), 2);
    assert_eq!(proxy.connections(), 2);
}

async fn when_every_answer_is_lost_the_effect_is_unknown(kind: Kind) {
    let world = World::new(kind);
    let proxy = Proxy::start(world.port()).await;
    let ledger = world.ledger_at(proxy.port());
    let warm = claim("warm", "t-warm");
    assert_eq!(
        post(&ledger, &warm, Color::Blue).await,
        recorded(&warm, Color::Blue)
    );

    proxy.lose(1_000);
    let lost = post(&ledger, &claim("lost", "t-lost"), Color::Blue).await;
    assert_eq!(lost.map_err(|(applied, _)| applied), Err(Applied::Unknown));
    assert_eq!(world.count(), 2);
}

async fn a_server_that_cannot_be_reached_wrote_nothing(kind: Kind) {
    let world = World::new(kind);
    // Bound and not listening: whoever connects is refused.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let refused = post(&world.ledger_at(port), &claim("k", "t"), Color::Blue).await;
    assert_eq!(refused.map_err(|(applied, _)| applied), Err(Applied::No));
}

async fn a_silent_server_is_given_up_in_time(kind: Kind) {
    let world = World::new(kind);
    let proxy = Proxy::start(world.port()).await;
    let ledger = world.ledger_at(proxy.port());
    let warm = claim("warm", "t-warm");
    post(&ledger, &warm, Color::Blue).await.unwrap();
    proxy.be_silent(true);

    // On a connection that stands: within the budget, and within an attempt's own limit.
    let silent = claim("silent", "t-silent");
    let begun = Instant::now();
    let budget = Duration::from_secs(1);
    let unanswered = post_within(budget, &ledger, &silent, Color::Blue).await;
    assert!(
        matches!(unanswered, Err((Applied::Unknown, _))),
        "{unanswered:?}"
    );
    assert!(begun.elapsed() < Duration::from_millis(1_500));

    // On one that is being made, which has its own limit of 3 s: nothing was sent yet.
    let begun = Instant::now();
    let budget = Duration::from_millis(3_500);
    let unanswered = post_within(budget, &ledger, &silent, Color::Blue).await;
    assert!(
        matches!(unanswered, Err((Applied::No, _))),
        "{unanswered:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(4));

    proxy.be_silent(false);
    assert_eq!(
        post(&ledger, &silent, Color::Blue).await,
        recorded(&silent, Color::Blue)
    );
}

async fn a_connection_that_lay_idle_is_not_used_again(kind: Kind) {
    let world = World::new(kind);
    let proxy = Proxy::start(world.port()).await;
    let ledger = world
        .ledger_at(proxy.port())
        .with_idle_max(Duration::from_millis(300));
    let first = claim("first", "t-first");
    post(&ledger, &first, Color::Blue).await.unwrap();
    post(&ledger, &first, Color::Blue).await.unwrap();
    assert_eq!(proxy.connections(), 1, "a fresh one is kept");

    // As after a freeze: whatever became of the old connection, nothing is sent over it.
    tokio::time::sleep(Duration::from_millis(400)).await;
    let second = claim("second", "t-second");
    assert_eq!(
        post(&ledger, &second, Color::Blue).await,
        recorded(&second, Color::Blue)
    );
    assert_eq!(proxy.connections(), 2);
}

async fn a_rotated_password_is_read_again_once(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let before = claim("before", "t-before");
    assert_eq!(
        post(&ledger, &before, Color::Blue).await,
        recorded(&before, Color::Blue)
    );

    // The connection that is kept is cut, and the password that is known no longer works.
    world.change_password("second");
    let secret = world.secret(world.port(), "second");
    ledger
        .secrets()
        .texts
        .borrow_mut()
        .insert("db".to_owned(), secret);
    let after = claim("after", "t-after");
    assert_eq!(
        post(&ledger, &after, Color::Blue).await,
        recorded(&after, Color::Blue)
    );
    assert_eq!(ledger.secrets().reads.get(), 2);

    // A password that is wrong in the secret too is not asked for again and again.
    world.change_password("third");
    let refused = post(&ledger, &claim("never", "t-never"), Color::Blue).await;
    let code = world.either("1045", "28P01");
    assert!(
        matches!(refused, Err((_, ref why)) if why.contains(code)),
        "{refused:?}"
    );
    assert_eq!(ledger.secrets().reads.get(), 3);
}

async fn a_read_only_server_is_left_and_wrote_nothing(kind: Kind) {
    let world = World::alone(kind, None);
    let ledger = world.ledger();
    let before = claim("before", "t-before");
    assert_eq!(
        post(&ledger, &before, Color::Blue).await,
        recorded(&before, Color::Blue)
    );

    world.admin(world.either(
        "SET GLOBAL read_only = 1",
        "ALTER SYSTEM SET default_transaction_read_only = on; SELECT pg_reload_conf()",
    ));
    // PostgreSQL's sessions hear of it by a signal.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let refused = post(&ledger, &claim("during", "t-during"), Color::Blue).await;
    let code = world.either("1290", "25006");
    assert!(
        matches!(refused, Err((Applied::No, ref why)) if why.contains(code)),
        "{refused:?}"
    );
    assert!(ledger.connections_opened() > 1);
    let readiness = ledger.readiness(Color::Blue, BUDGET).await;
    assert_eq!(readiness.unwrap(), Readiness::ReadOnly);

    world.admin(world.either(
        "SET GLOBAL read_only = 0",
        "ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf()",
    ));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = claim("after", "t-after");
    assert_eq!(
        post(&ledger, &after, Color::Blue).await,
        recorded(&after, Color::Blue)
    );
    assert_eq!(world.count(), 2);
}

async fn a_lock_that_is_not_given_is_given_up_by_the_server(kind: Kind) {
    let world = World::new(kind);
    let ledger = world.ledger();
    let warm = claim("warm", "t-warm");
    post(&ledger, &warm, Color::Blue).await.unwrap();
    let wait = world.either("SELECT SLEEP(4.8)", "SELECT pg_sleep(4.8)");
    let change = "UPDATE cutover_epoch SET epoch = 1 WHERE color = 'blue'";
    let hold = format!("BEGIN; {change}; {wait}; COMMIT");
    let hold = world.hold_fence(hold).await;

    // Two attempts end after 2 s each, the third gets the lock. Had the server waited on, the first would have ended
    // after 4 s by our own limit, and its connection with it.
    let claim = claim("k", "t");
    assert_eq!(
        post(&ledger, &claim, Color::Blue).await,
        recorded(&claim, Color::Blue)
    );
    assert_eq!(ledger.connections_opened(), 1);
    hold.await.unwrap();
}

async fn no_error_and_no_log_shows_a_password_or_a_row(kind: Kind) {
    let world = World::alone(kind, None);
    let ledger = world.ledger();
    post(&ledger, &claim("key-51", "id-52"), Color::Blue)
        .await
        .unwrap();
    for (key, id) in [
        ("key-51", "id-52"),
        ("key-53", "id-52"),
        ("key-51", "id-54"),
    ] {
        post(&ledger, &claim(key, id), Color::Blue).await.unwrap();
    }
    let wrong = ledger_of(world.secret(world.port(), "hunter2"), None);
    let unseen = claim("key-55", "id-56");
    let refused = wrong.post(&unseen, Color::Blue, BUDGET).await;
    let refused = format!("{:?}", refused.unwrap_err());
    // A value that does not fit its column.
    let mut long = claim("key-57", "id-58");
    long.environment = "e".repeat(40);
    let too_long = ledger.post(&long, Color::Blue, BUDGET).await.unwrap_err();
    assert_eq!(too_long.applied, Applied::No);
    let said = format!("{refused} {too_long:?} {}", world.log());
    for value in ["hunter2", "key-5", "id-5", "eeee", "Ünal"] {
        assert!(!said.contains(value), "{value}: {said}");
    }
}
