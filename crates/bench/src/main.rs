//! `make bench`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot set itself up has failed"
)]
use cutover_bench::{payment, sandbox::Sandbox, subject::Subject, world::World};
use std::time::Duration;
fn main() {
    cutover_bench::block_on(async {
        let world = World::start(Duration::from_millis(3)).await;
        for (name, path) in [
            ("empty", "target/debug/empty"),
            ("floor", "target/debug/floor"),
            ("cutover", "target/debug/payment-validation"),
        ] {
            let subject = Subject::function(name, std::path::Path::new(path));
            let sandbox = Sandbox::start(&world, &subject).await.unwrap();
            println!("{name} init {:?}", sandbox.init);
            for i in 0..5 {
                let before = sandbox.cpu();
                let answer = sandbox
                    .invoke(&payment::event(&format!("order-{i}")))
                    .await
                    .unwrap();
                sandbox.settled().await;
                println!(
                    "{:?} calls {} hops {} conns {:?} cpu {:?} {}",
                    answer.took,
                    answer.seen.calls.len(),
                    answer.seen.hops(),
                    answer.seen.connections,
                    sandbox.cpu() - before,
                    String::from_utf8_lossy(&answer.body)
                );
            }
            println!("{:?} {:?}", sandbox.memory(), world.payments());
            sandbox.stop().await;
            world.clear();
        }
    });
}
