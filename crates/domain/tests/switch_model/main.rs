//! The switch, explored exhaustively: the production `step`, carried out by up to two invocations at once.
//!
//! Every interleaving of these is visited: triggers in any order, lost, late or twice; two invocations at once; a crash
//! between any two calls; a stored state or a router write of which the answer is lost; alarms that flip; operators; time.
//! What is checked are the contract's rules. Each is then broken once, outside the production function, to show that the
//! checker would notice.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod model;
mod mutants;
mod rules;
mod world;

use model::{Hands, SwitchModel};
use stateright::{Checker, Model};

fn explore(with_validator: bool) {
    let model = SwitchModel::new(cutover_domain::switch::step, Hands::PROPER, with_validator);
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!(
        "switch model, validator {with_validator}: {} states, {} unique, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
    );
    assert!(
        checker.unique_state_count() > 100_000,
        "the model is too small to show anything"
    );
    checker.assert_properties();
}

#[test]
fn every_rule_holds_in_every_state() {
    explore(false);
}

#[test]
fn every_rule_holds_in_every_state_with_a_validator() {
    explore(true);
}
