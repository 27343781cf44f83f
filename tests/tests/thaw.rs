//! A sandbox that was frozen: its connections ended one way or another meanwhile, and it was told of none of it. The next
//! payment is made at once, and once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover_tests::database::Engine;
use cutover_tests::payer::{Answer, payment};
use cutover_tests::wire::{Call, Cut};
use cutover_tests::world::{Function, World};

/// Longer than a connection may lie idle, at the ledger and at AWS.
const FREEZE: Duration = Duration::from_secs(31);
/// What an attempt at AWS waits for an answer: who takes less has tried no connection that was dead.
const AT_ONCE: Duration = Duration::from_secs(2);
/// What an invocation may take here.
const INVOCATION: Duration = Duration::from_secs(20);

/// How the other sides end, by name.
const ENDS: [(&str, Option<Cut>); 5] = [
    ("closed", Some(Cut::Close)),
    ("reset", Some(Cut::Reset)),
    ("half-closed", Some(Cut::HalfClose)),
    ("silent", Some(Cut::Silence)),
    // AWS's connections stand.
    ("database-only", None),
];

async fn pay(function: &Function, key: &str) -> Duration {
    let begun = Instant::now();
    let mut pending = function.sandbox.begin(&payment(key), INVOCATION).await;
    let said = pending.wait(INVOCATION).await.expect("an answer in time");
    let answer = Answer::read(&said).expect("an answer");
    assert_eq!(answer.status, 201, "{key}: {}", answer.body);
    assert!(!answer.replayed, "{key}");
    begun.elapsed()
}

fn paid_once(world: &World, function: &Function, key: &str) {
    for call in [Call::Claim, Call::Insert, Call::Object, Call::Complete] {
        assert_eq!(function.wire.done(call), 1, "{key}: {call:?}");
    }
    let rows = tokio::task::block_in_place(|| world.database.rows(key));
    assert_eq!(rows, ["completed"], "{key}");
}

/// Every way at the same time, each with a sandbox of its own, so that the freeze is waited for once.
async fn thaw_all(engine: Engine) {
    let world = World::start(engine).await;
    let mut functions = Vec::new();
    for (name, end) in ENDS {
        let function = world.function("blue", &Arc::default()).await;
        pay(&function, &format!("before-{name}")).await;
        functions.push((name, end, function));
    }
    for (_, end, function) in &functions {
        function.sandbox.pause();
        if let Some(how) = end {
            function.wire.cut(*how);
        }
    }
    tokio::task::block_in_place(|| world.database.end_sessions());
    tokio::time::sleep(FREEZE).await;
    for (name, _, function) in &functions {
        function.wire.take_seen();
        function.sandbox.resume();
        let key = format!("thawed-{name}");
        let took = pay(function, &key).await;
        println!("{}: {name}: {took:?}", engine.name());
        assert!(took < AT_ONCE, "{key}: {took:?}");
        paid_once(&world, function, &key);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_freeze_a_payment_is_made_at_once_and_once() {
    tokio::join!(thaw_all(Engine::MariaDb), thaw_all(Engine::Postgres));
}

/// A freeze that was too short to distrust a connection, on which nobody answers nevertheless: found out by waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_silent_is_given_up_in_time() {
    for engine in Engine::ALL {
        let world = World::start(engine).await;
        let function = world.function("blue", &Arc::default()).await;
        pay(&function, "before").await;
        function.sandbox.pause();
        function.wire.cut(Cut::Silence);
        function.wire.take_seen();
        function.sandbox.resume();
        let took = pay(&function, "silent").await;
        println!("{}: {took:?}", engine.name());
        assert!(took > AT_ONCE, "there was nobody to wait for: {took:?}");
        paid_once(&world, &function, "silent");
        world.stop().await;
    }
}
