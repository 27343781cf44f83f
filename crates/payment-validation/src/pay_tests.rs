use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;
use cutover_domain::payment::record::LogObject;
use cutover_domain::payment::session::LEASE_SLACK;
use cutover_domain::payment::{Json, Rules};
use cutover_ports::payment::fakes::{FakeLedger, FakeLog, FakeSecrets, FakeSessions, Fault};

type World = Payments<FakeSessions, FakeLedger, FakeLog, FakeSecrets>;
type Told = (Code, Effect);

fn world() -> World {
    let secrets = FakeSecrets {
        texts: RefCell::new(BTreeMap::from([("hash".to_owned(), "ab".repeat(32))])),
        ..FakeSecrets::default()
    };
    Payments {
        color: Color::Blue,
        environment: "dev-payment-ab12cd34".to_owned(),
        sessions: FakeSessions::default(),
        ledger: FakeLedger::default(),
        log: FakeLog::default(),
        hash_keys: HashKeys::new(secrets, "hash".to_owned()),
    }
}

fn order(transaction_id: &str, key: Option<&str>, amount: i64) -> Order {
    let body = format!(
        r#"{{"transactionId":"{transaction_id}","userId":"u","amount":{amount},"currency":"EUR",
        "paymentMethod":{{"type":"token","token":"tok"}}}}"#
    );
    let Ok(json) = Json::parse(body.as_bytes()) else {
        panic!("JSON");
    };
    let Ok(order) = Order::read(&json, key, None, &Rules::default(), now()) else {
        panic!("an order");
    };
    order
}

async fn pay_as(world: &World, order: Order, owner: &str) -> Result<Paid, Told> {
    let deadline = Deadline::new(clock::now_ms() + 10_000, Duration::from_millis(300));
    world
        .pay(order, owner.to_owned(), deadline, &mut Hops::default())
        .await
        .map_err(|failure| (failure.problem.code, failure.problem.effect))
}

async fn pay(world: &World) -> Result<Paid, Told> {
    pay_as(world, order("t-1", None, 100), "first").await
}

async fn retry(world: &World) -> Result<Paid, Told> {
    pay_as(world, order("t-1", None, 100), "second").await
}

/// Row, object and session of the payment `t-1`, and that there is exactly one of each.
fn assert_paid_once(world: &World) {
    assert_eq!(world.ledger.rows.borrow().len(), 1);
    assert_eq!(world.log.objects.borrow().len(), 1);
    let items = world.sessions.items.borrow();
    assert_eq!(items.len(), 1);
    assert!(
        items
            .values()
            .all(|s| matches!(s.state, State::Completed(_)))
    );
}

fn let_lease_end(world: &World) {
    for session in world.sessions.items.borrow_mut().values_mut() {
        if let State::Processing { lease_until } = &mut session.state {
            *lease_until = Timestamp::from_ms(lease_until.ms() - 60_000);
        }
    }
}

#[tokio::test]
async fn the_first_time_pays_and_the_second_replays_by_either_color() {
    let mut world = world();
    let first = pay(&world).await.unwrap();
    assert_eq!((first.response.status, first.replayed), (201, false));
    world.color = Color::Green;
    let again = retry(&world).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.response, first.response);
    assert_paid_once(&world);
}

#[tokio::test]
async fn another_request_under_the_key_is_refused_and_the_first_stands() {
    let world = world();
    pay(&world).await.unwrap();
    let other = pay_as(&world, order("t-1", None, 200), "second").await;
    assert_eq!(other, Err((Code::IdempotencyKeyReused, Effect::None)));
    assert_paid_once(&world);
}

#[tokio::test]
async fn a_transaction_id_under_another_key_is_refused_each_time() {
    let world = world();
    pay(&world).await.unwrap();
    for owner in ["second", "third"] {
        let other = pay_as(&world, order("t-1", Some("other"), 100), owner).await;
        assert_eq!(other, Err((Code::TransactionExists, Effect::None)));
    }
    assert_eq!(world.ledger.rows.borrow().len(), 1);
}

#[tokio::test]
async fn a_transaction_id_is_refused_by_the_claim_whatever_ledger_the_other_key_went_to() {
    for (first, second) in [(None, Some("k")), (Some("k"), None), (Some("k"), Some("l"))] {
        let mut world = world();
        pay_as(&world, order("t-1", first, 100), "first")
            .await
            .unwrap();
        // The other color, whose ledger has not yet got the row.
        world.color = Color::Green;
        world.ledger = FakeLedger::default();
        for owner in ["second", "third"] {
            let other = pay_as(&world, order("t-1", second, 100), owner).await;
            assert_eq!(other, Err((Code::TransactionExists, Effect::None)));
        }
        assert!(
            world.ledger.rows.borrow().is_empty(),
            "it was not even asked"
        );
        assert_eq!(world.log.objects.borrow().len(), 1, "nothing to be marked");
        assert_eq!(
            world.sessions.items.borrow().len(),
            1,
            "no claim was left behind"
        );
    }
}

#[tokio::test]
async fn a_transaction_id_that_was_given_back_is_free_for_another_key() {
    for (first, second) in [(None, Some("k")), (Some("k"), None), (Some("k"), Some("l"))] {
        let world = world();
        world.ledger.faults.plan([Some(Fault::Refused)]);
        let told = pay_as(&world, order("t-1", first, 100), "first").await;
        assert_eq!(told, Err((Code::LedgerUnavailable, Effect::None)));
        assert!(
            !pay_as(&world, order("t-1", second, 100), "second")
                .await
                .unwrap()
                .replayed
        );
        let late = pay_as(&world, order("t-1", first, 100), "third").await;
        assert_eq!(late, Err((Code::TransactionExists, Effect::None)));
        assert_eq!(world.ledger.rows.borrow().len(), 1);
    }
}

#[tokio::test]
async fn a_running_attempt_is_waited_for() {
    let world = world();
    world.ledger.faults.plan([Some(Fault::LostBefore)]);
    // The attempt dies with its claim: neither ledger nor yield was told.
    world.sessions.faults.plan([None, Some(Fault::LostBefore)]);
    assert_eq!(
        pay(&world).await,
        Err((Code::LedgerUnavailable, Effect::Unknown))
    );
    assert_eq!(
        retry(&world).await,
        Err((Code::PaymentInProgress, Effect::Unknown))
    );
    let_lease_end(&world);
    assert!(!retry(&world).await.unwrap().replayed);
    assert_paid_once(&world);
}

#[tokio::test]
async fn a_fenced_color_frees_the_claim_for_the_other() {
    let mut world = world();
    world.ledger.fenced.borrow_mut().insert(Color::Blue);
    assert_eq!(pay(&world).await, Err((Code::ColorFenced, Effect::None)));
    let before = world.log.objects.borrow().clone();
    world.color = Color::Green;
    let paid = retry(&world).await.unwrap();
    assert!(paid.response.body.contains(r#""color":"green""#));
    assert_paid_once(&world);
    assert_eq!(*world.log.objects.borrow(), before, "the same log bytes");
}

#[tokio::test]
async fn another_request_under_a_released_key_is_refused() {
    let world = world();
    world.ledger.fenced.borrow_mut().insert(Color::Blue);
    assert_eq!(pay(&world).await, Err((Code::ColorFenced, Effect::None)));
    let other = pay_as(&world, order("t-1", None, 200), "second").await;
    assert_eq!(other, Err((Code::IdempotencyKeyReused, Effect::None)));
}

#[tokio::test]
async fn no_effect_is_promised_only_if_the_claim_was_given_back() {
    for fault in [Fault::Refused, Fault::LostBefore, Fault::LostAfter] {
        let world = world();
        world.ledger.faults.plan([Some(Fault::Refused)]);
        world.sessions.faults.plan([None, Some(fault)]);
        assert_eq!(
            pay(&world).await,
            Err((Code::LedgerUnavailable, Effect::Unknown)),
            "{fault:?}"
        );
    }
    let world = world();
    world.ledger.faults.plan([Some(Fault::Refused)]);
    assert_eq!(
        pay(&world).await,
        Err((Code::LedgerUnavailable, Effect::None))
    );
    assert!(!retry(&world).await.unwrap().replayed);
    assert_paid_once(&world);
}

#[tokio::test]
async fn a_claim_that_was_not_confirmed_is_taken_back() {
    for (fault, give_back, effect) in [
        (Fault::Refused, None, Effect::None),
        (Fault::LostBefore, None, Effect::None),
        (Fault::LostAfter, None, Effect::None),
        (Fault::LostAfter, Some(Fault::LostBefore), Effect::Unknown),
        (Fault::LostBefore, Some(Fault::Refused), Effect::Unknown),
    ] {
        let world = world();
        world.sessions.faults.plan([Some(fault), give_back]);
        let told = pay(&world).await;
        assert_eq!(
            told,
            Err((Code::SessionStoreUnavailable, effect)),
            "{fault:?} {give_back:?}"
        );
        assert!(world.ledger.rows.borrow().is_empty());
        let_lease_end(&world);
        assert!(!retry(&world).await.unwrap().replayed);
        assert_paid_once(&world);
    }
}

#[tokio::test]
async fn a_claim_that_was_not_confirmed_never_touches_another_s() {
    for fault in [Fault::LostBefore, Fault::Refused] {
        let world = world();
        pay(&world).await.unwrap();
        world.sessions.faults.plan([Some(fault)]);
        let told = retry(&world).await;
        assert_eq!(told, Err((Code::SessionStoreUnavailable, Effect::Unknown)));
        assert_paid_once(&world);
    }
}

#[tokio::test]
async fn whatever_call_fails_the_next_attempt_finishes_the_same_payment() {
    let faults = [Fault::Refused, Fault::LostBefore, Fault::LostAfter];
    for fault in faults {
        for place in 0..4 {
            let world = world();
            match place {
                0 => world.sessions.faults.plan([Some(fault)]),
                1 => world.ledger.faults.plan([Some(fault)]),
                2 => world.log.faults.plan([Some(fault)]),
                _ => world.sessions.faults.plan([None, Some(fault)]),
            }
            let (_, effect) = pay(&world).await.unwrap_err();
            let rows = world.ledger.rows.borrow().len();
            match effect {
                Effect::None => assert_eq!(rows, 0, "{fault:?} at {place}"),
                Effect::Committed => assert_eq!(rows, 1, "{fault:?} at {place}"),
                Effect::Unknown => {}
            }
            let_lease_end(&world);
            let paid = retry(&world).await.unwrap();
            assert_eq!(paid.response.status, 201);
            assert_paid_once(&world);
            assert!(retry(&world).await.unwrap().replayed);
        }
    }
}

#[tokio::test]
async fn a_log_that_fails_leaves_the_payment_to_be_finished_soon() {
    let world = world();
    world.log.faults.plan([Some(Fault::Refused)]);
    assert_eq!(
        pay(&world).await,
        Err((Code::TransactionLogUnavailable, Effect::Committed))
    );
    assert_eq!(
        retry(&world).await,
        Err((Code::PaymentInProgress, Effect::Unknown))
    );
    let_lease_end(&world);
    assert!(!retry(&world).await.unwrap().replayed);
    assert_paid_once(&world);
}

#[tokio::test]
async fn a_forgotten_session_is_answered_from_the_ledger() {
    let world = world();
    let first = pay(&world).await.unwrap();
    let mut aged = world.sessions.items.borrow().clone();
    world.sessions.items.borrow_mut().clear();
    // Four days later the first session is forgotten; the row and its object are as old as they are.
    age(&world, &mut aged);
    let again = retry(&world).await.unwrap();
    assert_ne!(again.response, first.response, "the row was aged");
    let keys: Vec<String> = world.log.objects.borrow().keys().cloned().collect();
    let voided = keys.iter().filter(|key| key.ends_with(".voided")).count();
    assert_eq!((keys.len(), voided), (3, 1), "{keys:?}");
    let other = pay_as(&world, order("t-1", None, 200), "third").await;
    assert_eq!(other, Err((Code::IdempotencyKeyReused, Effect::None)));
}

/// Moves row and object four days into the past.
fn age(world: &World, sessions: &mut BTreeMap<String, Session>) {
    let past = Timestamp::from_ms(clock::now_ms() - 4 * 86_400_000);
    for (claim, receipt) in world.ledger.rows.borrow_mut().values_mut() {
        claim.created_at = past;
        receipt.created_at = past;
    }
    let mut objects = world.log.objects.borrow_mut();
    objects.clear();
    for session in sessions.values_mut() {
        let object = LogObject::created_at(&session.claim, past);
        objects.insert(object.key, object.bytes);
    }
}

#[tokio::test]
async fn a_key_that_the_ledger_knows_for_another_request_stays_its_own() {
    let world = world();
    let first = pay(&world).await.unwrap();
    world.sessions.items.borrow_mut().clear();
    let other = pay_as(&world, order("t-1", None, 200), "second").await;
    assert_eq!(other, Err((Code::IdempotencyKeyReused, Effect::None)));
    let again = retry(&world).await.unwrap();
    assert_eq!((again.response, again.replayed), (first.response, true));
}

/// A payment with 400 ms of work left, too few to begin; what its caller is told.
async fn pay_late(world: &World) -> Result<Paid, (Code, Effect)> {
    let deadline = Deadline::new(clock::now_ms() + 700, Duration::from_millis(300));
    let order = order("t-1", None, 100);
    let mut hops = Hops::default();
    world
        .pay(order, "o".to_owned(), deadline, &mut hops)
        .await
        .map_err(|failure| (failure.problem.code, failure.problem.effect))
}

#[tokio::test]
async fn without_time_nothing_is_begun() {
    let world = world();
    let told = pay_late(&world).await.unwrap_err();
    assert_eq!(told, (Code::OutOfTime, Effect::None));
    assert!(world.sessions.items.borrow().is_empty());
}

/// Another attempt may have paid: what this one did not do says nothing of that.
#[tokio::test]
async fn without_time_a_retry_does_not_say_that_nothing_was_paid() {
    let world = world();
    pay(&world).await.unwrap();
    let told = pay_late(&world).await.unwrap_err();
    assert_eq!(told, (Code::OutOfTime, Effect::Unknown));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told_and_asked_for_again() {
    let world = world();
    let secrets = world.hash_keys.secrets();
    secrets.faults.plan([Some(Fault::Refused)]);
    let told = pay(&world).await;
    assert_eq!(told, Err((Code::SecretUnavailable, Effect::None)));
    pay(&world).await.unwrap();
    retry(&world).await.unwrap();
    assert_eq!(world.hash_keys.secrets().reads.get(), 1);
}

#[test]
fn the_lease_outlasts_the_invocation() {
    assert!(LEASE_SLACK > Duration::ZERO && LEASE_SLACK <= Duration::from_secs(10));
}
