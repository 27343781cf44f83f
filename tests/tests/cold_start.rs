//! The first payment of a sandbox: what it needs before it can write is fetched side by side.

use std::sync::Arc;
use std::time::Duration;

use cutover_tests::database::Engine;
use cutover_tests::payer::{Answer, attempt, payment};
use cutover_tests::wire::{Call, Seen};
use cutover_tests::world::World;

/// Long enough to see what overlaps.
const DELAY: Duration = Duration::from_millis(80);
/// At one endpoint for all services: one for each secret, and one that the claim and the object use besides. And the ledger's.
const CONNECTIONS_MAX: u32 = 4;

fn first(seen: &[Seen], call: Call) -> Seen {
    let found = seen.iter().find(|seen| seen.call == call);
    *found.unwrap_or_else(|| panic!("no {call:?}: {seen:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_connects_to_its_ledger_while_it_claims() {
    for engine in Engine::ALL {
        let world = World::start(engine).await;
        let function = world.function("blue", &Arc::default()).await;
        function.wire.delay(DELAY);
        let said = attempt(&function.sandbox, &payment("cold")).await;
        let answer = Answer::read(&said.expect("an answer in time")).expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.body);

        let seen = function.wire.take_seen();
        let [hash_key, secret, login, claim, insert] = [
            Call::HashSecret,
            Call::DatabaseSecret,
            Call::OtherSql,
            Call::Claim,
            Call::Insert,
        ]
        .map(|call| first(&seen, call));
        assert!(
            secret.began < hash_key.ended && hash_key.began < secret.ended,
            "both secrets at once: {seen:?}"
        );
        assert!(
            login.began < claim.ended,
            "the login does not wait for the claim: {seen:?}"
        );
        assert!(claim.ended <= insert.began, "no effect before the claim");
        for call in [Call::HashSecret, Call::DatabaseSecret, Call::Insert] {
            let count = seen.iter().filter(|seen| seen.call == call).count();
            assert_eq!(count, 1, "{call:?} once");
        }
        assert!(function.wire.connections() <= CONNECTIONS_MAX);
        world.stop().await;
    }
}
