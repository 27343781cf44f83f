//! The world in memory that the tests share.

use std::collections::BTreeMap;
use std::time::Duration;

use cutover_domain::switch::{AlarmState, Environment, Policy, Versions};
use cutover_lambda::{Deadline, clock};
use cutover_ports::switch::fakes::World;
use environment_switcher::executor::Executor;

pub const GREEN: &str = "errors-green";
pub const BLUE: &str = "errors-blue";

pub fn executor(world: &World) -> Executor {
    Executor {
        routers: vec![Box::new(world.clone())],
        alarms: Box::new(world.clone()),
        guards: BTreeMap::from([
            (Environment::Blue, vec![BLUE.to_owned()]),
            (Environment::Green, vec![GREEN.to_owned()]),
        ]),
        validator: None,
        replication: None,
        counts: None,
        fence: None,
        tester: None,
        policy: Policy::default(),
        store: Box::new(world.clone()),
        notifiers: vec![Box::new(world.clone())],
        versions: Versions::default(),
        clock: clock::now_ms,
    }
}

pub fn healthy() -> World {
    let world = World::default();
    world.alarm(GREEN, AlarmState::Ok);
    world.alarm(BLUE, AlarmState::Ok);
    world
}

pub fn soon() -> Deadline {
    Deadline::new(clock::now_ms() + 5_000, Duration::ZERO)
}

pub fn versions() -> Versions {
    Versions {
        blue: Some("1".to_owned()),
        green: Some("2".to_owned()),
    }
}

pub fn green_share(world: &World) -> u8 {
    world
        .inner()
        .route
        .as_ref()
        .unwrap()
        .weights
        .of(Environment::Green)
}
