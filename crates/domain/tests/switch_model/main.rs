//! The switch, explored exhaustively: the production `step`, carried out by several invocations at once.
//!
//! Every interleaving of these is visited: triggers in any order, lost, late or twice; several invocations at once; a
//! crash between any two calls; a stored state, a router write or a fence of which the answer is lost, or that lands
//! late; routers out of reach; changes that take effect later; alarms, counts and replication lags that change; strangers;
//! operators; stack updates and their rollback; time. What is checked are the contract's rules. Each is then broken once,
//! outside the production function, to show that the checker would notice.
//!
//! `CUTOVER_MODEL=large` explores larger setups too; they take many minutes.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests"
)]

mod asks;
mod model;
mod mutants;
mod rules;
mod setups;
mod world;

use model::{Hands, SwitchModel};
use setups::Setup;
use stateright::{Checker, Model};

/// Explores a setup whole; too few states would show nothing.
fn explore(setup: Setup, states_min: usize) {
    let model = SwitchModel::new(cutover_domain::switch::step, Hands::PROPER, setup);
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!(
        "switch model, {}: {} states, {} unique, depth {}",
        setup.name,
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
    );
    assert!(
        checker.unique_state_count() > states_min,
        "the model is too small to show anything"
    );
    checker.assert_properties();
}

#[test]
fn every_rule_holds_with_two_operators() {
    explore(setups::OPERATORS, 1_000);
}

#[test]
fn every_rule_holds_with_a_validator() {
    explore(setups::VALIDATOR, 1_000);
}

#[test]
fn every_rule_holds_with_counts() {
    explore(setups::COUNTS, 1_000);
}

#[test]
fn every_rule_holds_with_two_routers() {
    explore(setups::ROUTERS, 1_000);
}

#[test]
fn every_rule_holds_with_a_router_that_takes_effect_later() {
    explore(setups::DELAYED, 1_000);
}

#[test]
fn every_rule_holds_with_a_fence_and_replication() {
    explore(setups::FENCE, 1_000);
    explore(setups::FENCE_AGAIN, 1_000);
}

#[test]
fn every_rule_holds_with_a_stranger() {
    explore(setups::STRANGER, 1_000);
    explore(setups::STRANGER_HOLD, 1_000);
}

#[test]
fn every_rule_holds_with_stack_updates() {
    explore(setups::STACK, 1_000);
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test is no function: it has no configuration"
)]
fn every_rule_holds_in_larger_setups() {
    if std::env::var("CUTOVER_MODEL").is_ok_and(|size| size == "large") {
        for setup in setups::LARGE {
            explore(*setup, 1_000);
        }
    }
}
