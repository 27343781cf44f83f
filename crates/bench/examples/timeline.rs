//! Prints when each call of a first payment began and ended: where the time of a cold start goes.
//!
//! ```text
//! cargo run --release -p cutover-bench --example timeline -- target/release/payment-validation
//! ```

use std::path::Path;
use std::time::Duration;

use cutover_bench::statistics::ms;
use cutover_bench::{payment, sandbox::Sandbox, subject::Subject, world::World};

fn main() {
    let binary = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "target/release/payment-validation".to_owned());
    cutover_bench::block_on(first_payment(Path::new(&binary)));
}

async fn first_payment(binary: &Path) {
    let world = World::start(Duration::from_millis(3)).await;
    let subject = Subject::function("subject", binary);
    let sandbox = Sandbox::start(&world, &subject).await.unwrap();
    let answer = sandbox.invoke(&payment::event("order-1")).await.unwrap();
    println!(
        "init {:.1} ms, first payment {:.1} ms",
        ms(sandbox.init),
        ms(answer.took)
    );
    let begun = answer.seen.calls.iter().map(|call| call.begun).min();
    for call in &answer.seen.calls {
        let since = |at| begun.map_or(0.0, |begun| ms(at - begun));
        println!(
            "{:>10} {:6.2} to {:6.2}",
            format!("{:?}", call.place),
            since(call.begun),
            since(call.ended)
        );
    }
    sandbox.stop().await;
}
