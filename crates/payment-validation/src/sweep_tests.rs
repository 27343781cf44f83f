use super::*;
use crate::hash_keys::HashKeys;
use crate::pay::Failure;
use cutover_domain::payment::session::State;
use cutover_domain::payment::sweep::ROLLED_FORWARD_FOR;
use cutover_domain::payment::{Code, Color, Effect, Json, Order, Rules};
use cutover_lambda::clock;
use cutover_ports::payment::fakes::{FakeLedger, FakeLog, FakeSecrets, FakeSessions, Fault};

type World = Payments<FakeSessions, FakeLedger, FakeLog, FakeSecrets>;

const FAULTS: [Fault; 3] = [Fault::Refused, Fault::LostBefore, Fault::LostAfter];

fn world() -> World {
    let secrets = FakeSecrets::default();
    secrets
        .texts
        .borrow_mut()
        .insert("hash".to_owned(), "ab".repeat(32));
    Payments {
        color: Color::Blue,
        environment: "dev-payment-ab12cd34".to_owned(),
        sessions: FakeSessions::default(),
        ledger: FakeLedger::default(),
        log: FakeLog::default(),
        hash_keys: HashKeys::new(secrets, "hash".to_owned()),
    }
}

fn deadline() -> Deadline {
    Deadline::new(clock::now_ms() + 10_000, Duration::from_millis(300))
}

async fn pay(world: &World, key: &str) -> Result<u16, (Code, Effect)> {
    let body = br#"{"transactionId":"t-1","userId":"u","amount":100,"currency":"EUR",
        "paymentMethod":{"type":"token","token":"tok"}}"#;
    let Ok(json) = Json::parse(body) else {
        panic!("JSON");
    };
    let Ok(order) = Order::read(&json, Some(key), None, &Rules::default(), now()) else {
        panic!("an order");
    };
    let mut hops = Hops::default();
    let paying = world.pay(order, format!("client {key}"), deadline(), &mut hops);
    let paid = paying.await.map(|paid| paid.response.status);
    paid.map_err(|Failure { problem, .. }| (problem.code, problem.effect))
}

/// An attempt that died with its claim, or after ledger and log were written; its lease ended `ago`.
async fn dead(world: &World, written: bool, ago: Duration) {
    let fault = if written {
        Fault::LostAfter
    } else {
        Fault::LostBefore
    };
    world.ledger.faults.plan([Some(fault)]);
    world.sessions.faults.plan([None, Some(Fault::LostBefore)]);
    pay(world, "k").await.unwrap_err();
    end_lease(world, ago);
}

fn end_lease(world: &World, ago: Duration) {
    let ago_ms = u64::try_from(ago.as_millis()).unwrap();
    for session in world.sessions.items.borrow_mut().values_mut() {
        if let State::Processing { lease_until } = &mut session.state {
            *lease_until = Timestamp::from_ms(clock::now_ms() - ago_ms);
        }
    }
}

/// Lets the claims be so old that they are not rolled forward.
fn forget(world: &World) {
    let by = u64::try_from(ROLLED_FORWARD_FOR.as_millis()).unwrap() + 1_000;
    for session in world.sessions.items.borrow_mut().values_mut() {
        session.claim.created_at = Timestamp::from_ms(session.claim.created_at.ms() - by);
    }
}

async fn sweep(world: &World) -> Sweep {
    // A random id in the function: each sweep has its own.
    let owner = format!("sweeper {:?}", std::time::Instant::now());
    world.sweep(&owner, deadline()).await
}

fn states(world: &World) -> Vec<State> {
    let items = world.sessions.items.borrow();
    items
        .values()
        .map(|session| session.state.clone())
        .collect()
}

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(61);

#[tokio::test]
async fn a_dead_payment_is_finished_once_whether_its_row_was_written_or_not() {
    for written in [false, true] {
        let world = world();
        dead(&world, written, SECOND).await;
        let report = sweep(&world).await;
        assert_eq!((report.swept, report.finished, report.failures), (1, 1, 0));
        assert!(matches!(states(&world)[..], [State::Completed(_)]));
        assert_eq!(world.ledger.rows.borrow().len(), 1);
        assert_eq!(world.log.objects.borrow().len(), 1);
        assert_eq!(sweep(&world).await.swept, 0, "there is nothing left to do");
        assert_eq!(
            pay(&world, "k").await,
            Ok(201),
            "the client gets its receipt"
        );
    }
}

#[tokio::test]
async fn a_running_attempt_is_left_alone() {
    let world = world();
    dead(&world, false, SECOND).await;
    for session in world.sessions.items.borrow_mut().values_mut() {
        let lease_until = now().plus(Duration::from_secs(20));
        session.state = State::Processing { lease_until };
    }
    assert_eq!(sweep(&world).await.swept, 0);
    assert!(world.ledger.rows.borrow().is_empty());
}

#[tokio::test]
async fn the_other_color_s_sessions_are_left_to_it_for_a_minute() {
    let mut world = world();
    dead(&world, true, SECOND).await;
    world.color = Color::Green;
    assert_eq!(sweep(&world).await.swept, 0);
    end_lease(&world, LONG);
    assert_eq!(sweep(&world).await.finished, 1);
    let receipts = world.ledger.rows.borrow();
    assert!(
        receipts
            .values()
            .all(|(_, receipt)| receipt.color == Color::Blue)
    );
}

#[tokio::test]
async fn a_color_that_may_not_write_takes_nothing_over_and_the_live_one_finishes() {
    let mut world = world();
    dead(&world, false, LONG).await;
    let before = world.sessions.items.borrow().clone();
    world.ledger.fenced.borrow_mut().insert(Color::Blue);
    assert_eq!(sweep(&world).await.idle, Some("fenced"));
    world.ledger.read_only.set(true);
    assert_eq!(sweep(&world).await.idle, Some("read_only"));
    assert_eq!(*world.sessions.items.borrow(), before);
    world.ledger.read_only.set(false);
    world.color = Color::Green;
    assert_eq!(sweep(&world).await.finished, 1);
}

#[tokio::test]
async fn an_old_payment_is_voided_and_a_slow_attempt_cannot_write_it() {
    let world = world();
    dead(&world, false, SECOND).await;
    forget(&world);
    let slow = world
        .sessions
        .items
        .borrow()
        .values()
        .next()
        .unwrap()
        .claim
        .clone();
    let report = sweep(&world).await;
    assert_eq!((report.voided, report.orphans, report.finished), (1, 1, 0));
    assert_eq!(states(&world), [State::Voided]);
    let posted = world
        .post(&slow, deadline(), &mut Hops::default(), Meanwhile::idle())
        .await;
    assert_eq!(
        posted.posting,
        cutover_domain::payment::settle::Posting::Voided
    );
    assert!(world.ledger.rows.borrow().is_empty());
    let voided = Err((Code::PaymentVoided, Effect::None));
    assert_eq!(pay(&world, "k").await, voided);
    assert!(!Code::PaymentVoided.retryable());
    // Even once the session is forgotten.
    world.sessions.items.borrow_mut().clear();
    assert_eq!(pay(&world, "k").await, voided);
    let taken = Err((Code::TransactionExists, Effect::None));
    assert_eq!(pay(&world, "another key").await, taken);
}

#[tokio::test]
async fn an_old_payment_with_a_row_is_finished_not_voided() {
    let world = world();
    dead(&world, true, SECOND).await;
    forget(&world);
    let report = sweep(&world).await;
    assert_eq!((report.voided, report.orphans, report.finished), (0, 0, 1));
    assert!(matches!(states(&world)[..], [State::Completed(_)]));
}

#[tokio::test]
async fn a_payment_whose_transaction_id_is_taken_is_given_back_and_its_object_marked() {
    let world = world();
    dead(&world, false, SECOND).await;
    let stale = world.sessions.items.borrow().clone();
    world.sessions.items.borrow_mut().clear();
    pay(&world, "other").await.unwrap();
    world.sessions.items.borrow_mut().extend(stale);
    let report = sweep(&world).await;
    assert_eq!((report.swept, report.orphans, report.finished), (1, 1, 0));
    assert!(states(&world).contains(&State::Released));
    assert_eq!(world.ledger.rows.borrow().len(), 1);
    let keys = world.log.objects.borrow();
    assert_eq!(
        keys.keys().filter(|key| key.ends_with(".voided")).count(),
        1
    );
}

/// Whatever call of a sweep fails, in whatever way, a later sweep comes to the same end.
#[tokio::test]
async fn a_sweep_that_fails_is_made_good_by_the_next() {
    for old in [false, true] {
        for fault in FAULTS {
            for place in 0..9 {
                let world = world();
                dead(&world, false, SECOND).await;
                if old {
                    forget(&world);
                }
                let session_calls = (0..place).map(|_| None).chain([Some(fault)]);
                match place {
                    0 | 1 => world.ledger.faults.plan(session_calls),
                    2 => world.log.faults.plan([Some(fault)]),
                    // Queries, then read, take over and end, wherever the session's shard is.
                    _ => world
                        .sessions
                        .faults
                        .plan((0..19).map(move |call| (call % 6 == place - 3).then_some(fault))),
                }
                let first = sweep(&world).await;
                for _ in 0..3 {
                    end_lease(&world, LONG);
                    sweep(&world).await;
                }
                let told = format!("old {old}, {fault:?} at {place}: {first:?}");
                let rows = world.ledger.rows.borrow().len();
                let tombstones = world.ledger.tombstones.borrow().len();
                assert_eq!(
                    (rows, tombstones),
                    if old { (0, 1) } else { (1, 0) },
                    "{told}"
                );
                let settled = states(&world)
                    .iter()
                    .all(|state| !matches!(state, State::Processing { .. }));
                assert!(settled, "{told}");
            }
        }
    }
}

#[tokio::test]
async fn a_ledger_that_is_down_keeps_the_sweep_from_taking_over() {
    let world = world();
    dead(&world, false, SECOND).await;
    let before = world.sessions.items.borrow().clone();
    world.ledger.faults.plan([Some(Fault::LostBefore)]);
    let report = sweep(&world).await;
    assert_eq!((report.swept, report.failures), (0, 1));
    assert!(report.cause.is_some());
    assert_eq!(*world.sessions.items.borrow(), before);
}
