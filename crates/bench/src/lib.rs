//! The bench: a Lambda Runtime API, the services that a payment calls, and processes that are measured between them.
//!
//! Everything that a subject talks to is here, in one thread of one process, and counts what it is asked:
//!
//! - [`world`]: the services and the database, as one.
//! - [`cloud`]: DynamoDB, S3, Secrets Manager, and what a switch needs of Lambda and CloudWatch, over HTTPS, each on a port of
//!   its own, with a set delay per call.
//! - [`database`]: a real MariaDB with TLS, behind a proxy that delays each round trip.
//! - [`runtime_api`]: what a function polls for events and answers to.
//! - [`sandbox`]: one process of a subject; what it takes to start, to answer, and in CPU time and memory.
//! - [`subject`]: which processes are compared.
//! - [`journal`]: calls and connections as the services saw them.
//! - [`measure`], [`functions`]: a run of payments, and of the other functions; [`report`], [`targets`], [`table`], [`plot`]:
//!   what is told of it.
//!
//! ```no_run
//! # use cutover_bench::{payment, sandbox::Sandbox, subject::Subject, world::World};
//! # use std::{path::Path, time::Duration};
//! cutover_bench::block_on(async {
//!     let world = World::start(Duration::from_millis(3)).await;
//!     let subject = Subject::function("cutover", Path::new("target/release/payment-validation"));
//!     let sandbox = Sandbox::start(&world, &subject).await.unwrap();
//!     let answer = sandbox.invoke(&payment::event("order-1")).await.unwrap();
//!     assert_eq!(payment::status(&answer.body), Some(201));
//!     println!("{:?}, {} calls", answer.took, answer.seen.calls.len());
//!     sandbox.stop().await;
//! });
//! ```

pub mod cloud;
pub mod database;
pub mod functions;
pub mod http;
pub mod journal;
pub mod machine;
pub mod measure;
pub mod mysql_wire;
pub mod package;
pub mod payment;
pub mod plot;
pub mod precise;
pub mod process;
pub mod report;
pub mod runtime_api;
pub mod sandbox;
pub mod statistics;
pub mod subject;
pub mod table;
pub mod targets;
pub mod tls;
pub mod world;

/// Runs `work` on one thread, which everything in this crate needs: its parts share memory without locks.
///
/// # Panics
/// If the system gives no event queue.
pub fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("an event queue");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
