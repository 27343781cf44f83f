//! The world and the executor of a simulation.

use cutover_domain::switch::{Environment, Policy, Versions, Weights};
use cutover_ports::switch::{CountReader, Fence, ReplicationReader, Router, Validator};
use environment_switcher::executor::Executor;

use crate::cloud::{Cloud, Kind, NOW_MS, Route};
use crate::dice::Dice;
use crate::ports::SimRouter;
use crate::rules::{Configured, LAG_SECONDS_MAX, guards_of};

/// One to three routers, of different kinds.
pub fn routes(dice: &mut Dice) -> Vec<Route> {
    let kinds = [Kind::Revision, Kind::Unconditional, Kind::Delayed];
    let names = ["revision", "unconditional", "delayed"];
    let first = dice.below(3);
    let count = 1 + dice.below(3);
    (0..count)
        .map(|offset| (first + offset) % 3)
        .map(|index| Route {
            name: names[index].to_owned(),
            kind: kinds[index],
            weights: Weights::all(Environment::Blue),
            base: Environment::Blue,
            marker: None,
            revision: 1,
            changes: Vec::new(),
            down_until_ms: 0,
            is_foreign: false,
        })
        .collect()
}

/// The real executor, on this cloud.
pub fn executor(cloud: &Cloud, configured: Configured, has_fence: bool) -> Executor {
    let mut routers: Vec<SimRouter> = cloud
        .inner()
        .routes
        .iter()
        .enumerate()
        .map(|(index, route)| SimRouter {
            cloud: cloud.clone(),
            index,
            name: route.name.clone(),
            kind: route.kind,
        })
        .collect();
    routers.sort_by_key(Router::effect_seconds);
    let routers = routers
        .into_iter()
        .map(|router| -> Box<dyn Router> { Box::new(router) });
    let guards = [Environment::Blue, Environment::Green].map(|of| (of, guards_of(of)));
    Executor {
        routers: routers.collect(),
        alarms: Box::new(cloud.clone()),
        guards: guards.into(),
        validator: configured
            .validator
            .then(|| -> Box<dyn Validator> { Box::new(cloud.clone()) }),
        replication: configured
            .replication
            .then(|| -> Box<dyn ReplicationReader> { Box::new(cloud.clone()) }),
        counts: configured
            .counts
            .then(|| -> Box<dyn CountReader> { Box::new(cloud.clone()) }),
        fence: has_fence.then(|| -> Box<dyn Fence> { Box::new(cloud.clone()) }),
        tester: Some(Box::new(cloud.clone())),
        policy: Policy {
            max_lag_seconds: LAG_SECONDS_MAX,
            ..Policy::default()
        },
        store: Box::new(cloud.clone()),
        notifiers: vec![Box::new(cloud.clone())],
        versions: Versions {
            blue: Some("1".to_owned()),
            green: Some("2".to_owned()),
        },
        clock: || NOW_MS.get(),
    }
}
