//! The actions of a listener or rule of an Application Load Balancer: what they say of the split, and the same with
//! another split.
//!
//! Actions are replaced whole by the service, so everything that is not the switch's to decide is handed back as it was
//! read: authentication before the forward, the order, other target groups (at weight 0, so that they get nothing).

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, TargetGroupStickinessConfig, TargetGroupTuple,
};
use cutover_domain::switch::{Environment, Order, Seen};

use crate::shares;

/// Weights are 0 to 999 and only their ratio counts: the percents themselves are exact, and read best in the console.
const SCALE: u8 = 1;

/// The target group of each environment, by ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Groups {
    pub(crate) blue: String,
    pub(crate) green: String,
}

impl Groups {
    pub(crate) fn of(&self, environment: Environment) -> &str {
        match environment {
            Environment::Blue => &self.blue,
            Environment::Green => &self.green,
        }
    }

    fn environment(&self, arn: &str) -> Option<Environment> {
        [Environment::Blue, Environment::Green]
            .into_iter()
            .find(|environment| self.of(*environment) == arn)
    }
}

/// Whether an action answers or forwards the request: there is exactly one such, the last. Others come before it.
fn is_routing(action: &Action) -> bool {
    matches!(
        action.r#type,
        Some(ActionTypeEnum::Forward | ActionTypeEnum::Redirect | ActionTypeEnum::FixedResponse)
    )
}

/// The target groups of a forward and their weights. The short form names one group and no weight.
fn targets(forward: &Action) -> Vec<(&str, i64)> {
    let listed = forward
        .forward_config()
        .map(ForwardActionConfig::target_groups);
    match listed {
        Some(groups) if !groups.is_empty() => groups
            .iter()
            .map(|group| {
                let weight = i64::from(group.weight().unwrap_or(1));
                (group.target_group_arn().unwrap_or_default(), weight)
            })
            .collect(),
        _ => forward
            .target_group_arn()
            .map(|arn| (arn, 1))
            .into_iter()
            .collect(),
    }
}

/// How long clients are held on the group that they met first, if they are.
fn stickiness(forward: &Action) -> Option<&TargetGroupStickinessConfig> {
    forward
        .forward_config()
        .and_then(ForwardActionConfig::target_group_stickiness_config)
        .filter(|stickiness| stickiness.enabled() == Some(true))
}

/// What the actions do with the traffic.
pub(crate) fn seen(actions: &[Action], groups: &Groups) -> Seen {
    let Some(action) = actions.iter().find(|action| is_routing(action)) else {
        return Seen::Foreign("there is no action that forwards".to_owned());
    };
    if action.r#type != Some(ActionTypeEnum::Forward) {
        let kind = action.r#type.as_ref().map_or("none", |kind| kind.as_str());
        return Seen::Foreign(format!("the action is {kind}, not forward"));
    }
    let targets = targets(action);
    let others = targets
        .iter()
        .find(|(arn, weight)| *weight > 0 && groups.environment(arn).is_none());
    if let Some((other, weight)) = others {
        return Seen::Foreign(format!("target group {other} with weight {weight}"));
    }
    let weight = |environment| {
        let of = |(arn, _): &&(&str, i64)| *arn == groups.of(environment);
        targets.iter().find(of).map_or(0, |(_, weight)| *weight)
    };
    // Stickiness beats weights: a client that was given to a group stays there, even at weight 0.
    let holds = stickiness(action).is_some()
        && targets
            .iter()
            .any(|(arn, weight)| *weight == 0 && groups.environment(arn).is_some());
    if holds {
        return Seen::Foreign(
            "stickiness holds clients on a target group whose weight is 0".to_owned(),
        );
    }
    match shares::percents(weight(Environment::Blue), weight(Environment::Green)) {
        Ok(weights) => Seen::Split(weights),
        Err(why) => Seen::Foreign(why),
    }
}

/// Whether the forward is between the two groups, be it among others.
pub(crate) fn names_both(actions: &[Action], groups: &Groups) -> bool {
    let forward = actions.iter().find(|action| is_routing(action));
    let targets = forward.map(targets).unwrap_or_default();
    let names = |environment| {
        let mut named = targets.iter().map(|(arn, _)| *arn);
        named.any(|arn| arn == groups.of(environment))
    };
    names(Environment::Blue) && names(Environment::Green)
}

/// The actions with the order's weights.
pub(crate) fn ordered(actions: &[Action], groups: &Groups, order: &Order) -> Vec<Action> {
    let was = seen(actions, groups);
    let mut next: Vec<Action> = actions.to_vec();
    match next.iter_mut().find(|action| is_routing(action)) {
        Some(action) => *action = forward(action, groups, order, &was),
        None => next.push(forward(&Action::builder().build(), groups, order, &was)),
    }
    for action in &mut next {
        // The secret is never shown, so it can't be handed back: this says that it stays.
        if let Some(oidc) = &mut action.authenticate_oidc_config {
            oidc.client_secret = None;
            oidc.use_existing_client_secret = Some(true);
        }
    }
    next
}

fn forward(action: &Action, groups: &Groups, order: &Order, was: &Seen) -> Action {
    let (blue, green) = shares::weights(order.weights, SCALE);
    // Both are always named, so that the one that gets nothing is health-checked, too.
    let mut tuples = vec![tuple(&groups.blue, blue), tuple(&groups.green, green)];
    let others = targets(action)
        .into_iter()
        .filter(|(arn, _)| groups.environment(arn).is_none());
    tuples.extend(others.map(|(arn, _)| tuple(arn, 0)));
    let mut stickiness = action
        .forward_config()
        .and_then(ForwardActionConfig::target_group_stickiness_config)
        .cloned();
    if let Some(stickiness) = stickiness.as_mut().filter(|_| drops_stickiness(order, was)) {
        stickiness.enabled = Some(false);
    }
    Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .set_order(action.order())
        .forward_config(
            ForwardActionConfig::builder()
                .set_target_groups(Some(tuples))
                .set_target_group_stickiness_config(stickiness)
                .build(),
        )
        .build()
}

/// Whether clients must be let go of the group that they are held on: wherever one gets nothing any more, and wherever
/// traffic is taken from the candidate.
fn drops_stickiness(order: &Order, was: &Seen) -> bool {
    let is_taken_back = match was {
        Seen::Split(weights) => {
            let candidate = order.base.other();
            order.weights.of(candidate) < weights.of(candidate)
        }
        _ => true,
    };
    is_taken_back || shares::sole(order.weights).is_some()
}

fn tuple(arn: &str, weight: i64) -> TargetGroupTuple {
    TargetGroupTuple::builder()
        .target_group_arn(arn)
        // At most 100 times the scale.
        .set_weight(i32::try_from(weight).ok())
        .build()
}

/// The environment that gets everything, which is the closest that a listener has to a default of its own.
pub(crate) fn base(seen: &Seen) -> Option<Environment> {
    match seen {
        Seen::Split(weights) => shares::sole(*weights),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::AuthenticateOidcActionConfig;
    use cutover_domain::switch::{Versions, Weights};
    use proptest::prelude::*;

    use super::*;

    fn groups() -> Groups {
        Groups {
            blue: "tg/blue".to_owned(),
            green: "tg/green".to_owned(),
        }
    }

    fn order(weights: Weights) -> Order {
        Order {
            generation: 7,
            base: Environment::Blue,
            weights,
            versions: Versions::default(),
            routers: Vec::new(),
        }
    }

    fn green(percent: u8) -> Weights {
        Weights::share(Environment::Green, percent)
    }

    /// A forward to groups, with or without stickiness.
    fn forwards(targets: &[(&str, Option<i32>)], sticky: bool) -> Vec<Action> {
        let mut config = ForwardActionConfig::builder();
        for (arn, weight) in targets {
            let tuple = TargetGroupTuple::builder().target_group_arn(*arn);
            config = config.target_groups(tuple.set_weight(*weight).build());
        }
        if sticky {
            let stickiness = TargetGroupStickinessConfig::builder().enabled(true);
            config = config.target_group_stickiness_config(stickiness.duration_seconds(60).build());
        }
        let forward = Action::builder()
            .r#type(ActionTypeEnum::Forward)
            .order(2)
            .forward_config(config.build())
            .build();
        let login = Action::builder()
            .r#type(ActionTypeEnum::AuthenticateOidc)
            .order(1)
            .authenticate_oidc_config(
                AuthenticateOidcActionConfig::builder()
                    .client_id("pay")
                    .build(),
            )
            .build();
        vec![login, forward]
    }

    #[test]
    fn only_a_split_between_the_two_groups_is_a_split() {
        let groups = groups();
        for (targets, percent) in [
            (vec![("tg/blue", Some(90)), ("tg/green", Some(10))], 10),
            (vec![("tg/green", Some(111)), ("tg/blue", Some(333))], 25),
            (vec![("tg/blue", None)], 0),
            (vec![("tg/blue", Some(0)), ("tg/green", Some(1))], 100),
            (vec![("tg/blue", Some(1)), ("tg/old", Some(0))], 0),
        ] {
            let seen = seen(&forwards(&targets, false), &groups);
            assert_eq!(seen, Seen::Split(green(percent)), "{targets:?}");
        }
        let short = Action::builder()
            .r#type(ActionTypeEnum::Forward)
            .target_group_arn("tg/green")
            .build();
        assert_eq!(seen(&[short], &groups), Seen::Split(green(100)));
        let page = Action::builder().r#type(ActionTypeEnum::FixedResponse);
        for foreign in [
            forwards(&[("tg/old", Some(1))], false),
            forwards(&[("tg/blue", Some(9)), ("tg/old", Some(1))], false),
            forwards(&[("tg/blue", Some(0)), ("tg/green", Some(0))], false),
            forwards(&[("tg/blue", Some(1)), ("tg/green", Some(2))], false),
            forwards(&[("tg/blue", Some(1)), ("tg/green", Some(0))], true),
            vec![page.build()],
            Vec::new(),
        ] {
            assert!(
                matches!(seen(&foreign, &groups), Seen::Foreign(_)),
                "{foreign:?}"
            );
        }
    }

    #[test]
    fn stickiness_is_kept_while_the_candidate_grows_and_dropped_when_it_loses() {
        let enabled = |from: u8, to: u8, base| {
            let targets = [
                ("tg/blue", Some(100 - i32::from(from))),
                ("tg/green", Some(i32::from(from))),
            ];
            let order = Order {
                base,
                ..order(green(to))
            };
            let next = ordered(&forwards(&targets, true), &groups(), &order);
            stickiness(&next[1]).is_some()
        };
        assert!(enabled(10, 25, Environment::Blue), "a step");
        assert!(!enabled(25, 10, Environment::Blue), "a step back");
        assert!(!enabled(25, 0, Environment::Blue), "a rollback");
        assert!(!enabled(25, 100, Environment::Blue), "a promotion");
        assert!(!enabled(75, 90, Environment::Green), "the other way round");
    }

    proptest! {
        #[test]
        fn whatever_was_there_the_order_is_what_reads_back(
            blue in 0..=999_i32, green_was in 0..=999_i32, other in 0..=999_i32, sticky: bool, percent in 0..=100_u8,
        ) {
            let was = forwards(&[("tg/green", Some(green_was)), ("tg/old", Some(other)), ("tg/blue", Some(blue))], sticky);
            let next = ordered(&was, &groups(), &order(green(percent)));
            prop_assert_eq!(seen(&next, &groups()), Seen::Split(green(percent)));
            let total: i64 = targets(&next[1]).iter().map(|(_, weight)| weight).sum();
            prop_assert!((1..=999).contains(&total), "never all zero, and in the service's range");
            prop_assert_eq!(next[1].order(), Some(2));
            let login = next[0].authenticate_oidc_config().unwrap();
            prop_assert_eq!((login.client_id(), login.use_existing_client_secret()), (Some("pay"), Some(true)));
        }
    }
}
