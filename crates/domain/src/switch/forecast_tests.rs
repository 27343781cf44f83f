use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{AlarmState, GuardReading, Trigger, Versions};
use super::*;

const ALIAS: RouterPath<'_> = RouterPath {
    name: "lambda-alias:pay:live",
    effect_seconds: 1,
};

const DNS: RouterPath<'_> = RouterPath {
    name: "route53:Z1:pay.example.com:A",
    effect_seconds: 120,
};

fn guard(name: &str, detection_seconds: u64, is_polled: bool) -> GuardPath<'_> {
    GuardPath {
        name,
        detection_seconds: Some(detection_seconds),
        is_polled,
    }
}

fn worst(guards: &[GuardPath<'_>], routers: &[RouterPath<'_>]) -> WorstCase {
    WorstCase::of(&Paths {
        guards,
        routers,
        tick_seconds: 60,
        retry_seconds: RETRY_SECONDS,
    })
}

fn seconds(worst: &WorstCase) -> Vec<(&'static str, u64)> {
    let parts = worst.parts.iter();
    parts
        .map(|part| (part.name.as_str(), part.seconds))
        .collect()
}

#[test]
fn an_alias_with_polled_guards_is_within_the_limit() {
    let case = worst(
        &[guard("errors", 60, true), guard("latency", 120, true)],
        &[ALIAS],
    );
    assert_eq!(
        seconds(&case),
        [
            ("detection", 120),
            ("ingestion", 60),
            ("tick", 60),
            ("retries", 48),
            ("effect", 1)
        ]
    );
    assert_eq!((case.total_seconds(), case.refusal()), (289, None));
}

#[test]
fn the_slowest_guard_is_the_one_that_is_heard_of_last() {
    let case = worst(
        &[guard("proved", 100, false), guard("polled", 60, true)],
        &[ALIAS],
    );
    assert!(case.parts[0].source.contains("polled"), "{case:?}");
    assert_eq!(case.total_seconds(), 60 + 60 + 60 + 48 + 1);
}

#[test]
fn dns_with_polled_guards_is_refused_and_a_drill_mends_it() {
    let told = worst(&[guard("errors", 60, true)], &[ALIAS, DNS])
        .refusal()
        .unwrap();
    for part in [
        "348 s",
        "300 s",
        "detection 60 s (alarm errors",
        "ingestion 60 s",
        "tick 60 s (alarm errors is only polled)",
        "retries 48 s",
        "effect 120 s (router route53:Z1",
        "Change tick: prove the event of alarm errors by a drill (saves up to 60 s)",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(
        worst(&[guard("errors", 60, false)], &[ALIAS, DNS]).refusal(),
        None
    );
}

#[test]
fn the_advice_is_the_change_that_is_enough() {
    let told = worst(&[guard("errors", 300, true)], &[ALIAS])
        .refusal()
        .unwrap();
    assert!(
        told.contains("Change detection: shorten the period"),
        "{told}"
    );
    let told = worst(
        &[guard("errors", 10, false)],
        &[RouterPath {
            effect_seconds: 360,
            ..DNS
        }],
    );
    let told = told.refusal().unwrap();
    assert!(told.contains("Change effect: lower the TTL"), "{told}");
    let nothing = WorstCase::of(&Paths {
        guards: &[guard("errors", 10, false)],
        routers: &[RouterPath {
            effect_seconds: 0,
            ..DNS
        }],
        tick_seconds: 60,
        retry_seconds: 900,
    });
    assert!(nothing.refusal().unwrap().contains("No part"));
}

#[test]
fn what_is_not_known_is_refused() {
    let unknown = GuardPath {
        detection_seconds: None,
        ..guard("errors", 0, false)
    };
    for (case, told) in [
        (
            worst(&[unknown, guard("b", 10, false)], &[ALIAS]),
            "alarm errors",
        ),
        (worst(&[], &[ALIAS]), "no guard"),
        (worst(&[guard("b", 10, false)], &[]), "no router"),
    ] {
        let refusal = case.refusal().unwrap();
        assert!(refusal.contains(told), "{refusal}");
    }
}

#[test]
fn only_a_drill_whose_event_arrived_spares_the_tick() {
    let mut seen = Observation::of(Trigger::Tick);
    seen.guards = BTreeMap::from([(
        Environment::Green,
        ["errors", "heartbeat"]
            .map(|name| GuardReading {
                name: name.to_owned(),
                state: AlarmState::Ok,
                actions_enabled: true,
                doubt: None,
                detection_seconds: Some(60),
            })
            .to_vec(),
    )]);
    seen.effect_seconds = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 120)]);
    let mut state = State::new(Environment::Blue, Versions::default());
    for (proved, total) in [
        (&["another"][..], 348),
        (&["errors"], 348),
        (&["errors", "heartbeat"], 288),
    ] {
        state.proved = proved.iter().map(|name| (*name).to_owned()).collect();
        let case = worst_case(&state, &seen, Environment::Green);
        assert_eq!(case.total_seconds(), total, "{proved:?}");
    }
    assert!(
        worst_case(&state, &seen, Environment::Blue)
            .refusal()
            .is_some()
    );
}

#[test]
fn steps_come_with_ticks() {
    let steps = [
        Step {
            percent: 5,
            bake_seconds: 90,
        },
        Step {
            percent: 50,
            bake_seconds: 0,
        },
        Step {
            percent: 100,
            bake_seconds: 300,
        },
    ];
    let rate = Rate {
        payments: 1_000,
        seconds: 60,
    };
    let timeline = timeline(1_000, 60, &steps, Some(rate));
    let told: Vec<(u64, u8, Option<u64>)> = timeline
        .milestones
        .iter()
        .map(|m| (m.at_ms, m.percent, m.expected_payments))
        .collect();
    assert_eq!(
        told,
        [
            (61_000, 5, Some(100)),
            (181_000, 50, Some(500)),
            (241_000, 100, Some(5_000))
        ]
    );
    assert_eq!(timeline.completes_at_ms, 541_000);
}

proptest! {
    #[test]
    fn the_parts_add_up_and_no_guard_or_router_is_slower(
        guards in prop::collection::vec((0_u64..2_000, any::<bool>()), 1..6),
        effects in prop::collection::vec(0_u64..2_000, 1..4),
        tick_seconds in 1_u64..600,
        retry_seconds in 0_u64..900,
    ) {
        let paths: Vec<GuardPath<'_>> = guards.iter().map(|(d, polled)| guard("a", *d, *polled)).collect();
        let routers: Vec<RouterPath<'_>> =
            effects.iter().map(|s| RouterPath { name: "r", effect_seconds: *s }).collect();
        let case = WorstCase::of(&Paths { guards: &paths, routers: &routers, tick_seconds, retry_seconds });
        let sum: u64 = case.parts.iter().map(|part| part.seconds).sum();
        prop_assert_eq!(case.total_seconds(), sum);
        prop_assert_eq!(case.refusal().is_some(), sum > ROLLBACK_SECONDS_MAX);
        for (detection, polled) in guards {
            for effect in &effects {
                let one = detection + INGESTION_SECONDS + if polled { tick_seconds } else { 0 } + retry_seconds + effect;
                prop_assert!(one <= sum, "a guard or router is slower than the worst case");
            }
        }
    }

    #[test]
    fn no_bake_is_cut_short_and_none_is_longer_than_a_tick_more(
        steps in prop::collection::vec((1_u8..=100, 0_u64..10_000), 1..20), tick in 1_u64..600
    ) {
        let steps: Vec<Step> =
            steps.into_iter().map(|(percent, bake_seconds)| Step { percent, bake_seconds }).collect();
        let timeline = timeline(0, tick, &steps, None);
        let starts = timeline.milestones.iter().map(|milestone| milestone.at_ms);
        let ends = starts.clone().skip(1).chain([timeline.completes_at_ms]);
        prop_assert_eq!(timeline.milestones.len(), steps.len());
        for ((start, end), step) in starts.zip(ends).zip(&steps) {
            let held = (end - start) / 1_000;
            prop_assert!(held >= step.bake_seconds, "cut short");
            prop_assert!(held <= step.bake_seconds + tick, "longer than a tick more");
        }
    }
}
