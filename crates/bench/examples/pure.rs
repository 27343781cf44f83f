//! What is computed for a payment and for a switch, without a wire: time and allocations of each part.
//!
//! `make bench` runs it. The decoder of events is compiled into it by path: so the benchmark needs nothing that speaks to AWS.

// A benchmark that cannot set up its input has no result.
#![allow(clippy::unwrap_used, clippy::panic)]
// Of what is compiled in by path only a part is used.
#![allow(dead_code, unreachable_pub)]

#[path = "../../payment-validation/src/event.rs"]
mod event;
#[path = "../../payment-validation/src/event_http.rs"]
mod event_http;
#[path = "../../payment-validation/src/percent.rs"]
mod percent;

use std::collections::BTreeMap;

use cutover_domain::parity::rows::{Rows, suspects};
use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::{HashKey, Json, Order, Rules, Timestamp};
use cutover_domain::switch::{
    AlarmState, By, Command, Environment, GuardReading, Observation, OnDrift, RouterReading, Seen,
    Start, State, Step, Trigger, Versions, Weights, step,
};
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use event::Event;

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

/// 2026-11-20T12:00:00Z.
const NOW_MS: u64 = 1_795_176_000_000;

fn main() {
    divan::main();
}

const REST: &str = include_str!("../../../events/payment-validation/rest-payment.json");
const HTTP: &str = include_str!("../../../events/payment-validation/http-payment.json");
const ALB: &str = include_str!("../../../events/payment-validation/alb-payment.json");
const DIRECT: &str = include_str!("../../../events/payment-validation/direct-payment.json");

/// An event, from its text to what is asked for.
#[divan::bench(args = ["rest", "http", "alb", "direct"])]
fn read_event(bencher: Bencher<'_, '_>, name: &str) {
    let text = match name {
        "rest" => REST,
        "http" => HTTP,
        "alb" => ALB,
        _ => DIRECT,
    };
    // As Lambda delivers it.
    let text = serde_json::from_str::<serde_json::Value>(text)
        .unwrap()
        .to_string();
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| Event::read(black_box(&text)).is_ok());
}

fn body() -> Vec<u8> {
    match Event::read(REST) {
        Ok(Event::Http(request)) => request.body.unwrap().to_vec(),
        _ => panic!("the sample is a request"),
    }
}

fn order(body: &[u8]) -> Order {
    let json = Json::parse(body).unwrap();
    let read = Order::read(
        &json,
        None,
        None,
        &Rules::default(),
        Timestamp::from_ms(NOW_MS),
    );
    read.unwrap_or_else(|problem| panic!("{problem:?}"))
}

/// A body, from its bytes to JSON, strictly.
#[divan::bench]
fn parse_body(bencher: Bencher<'_, '_>) {
    let body = body();
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| Json::parse(black_box(&body)).is_ok());
}

/// JSON to a payment that keeps every rule: card, currency, amount, text.
#[divan::bench]
fn validate(bencher: Bencher<'_, '_>) {
    let json = Json::parse(&body()).unwrap();
    let (rules, now) = (Rules::default(), Timestamp::from_ms(NOW_MS));
    bencher.bench(|| Order::read(black_box(&json), None, None, &rules, now).is_ok());
}

/// The keyed hashes of card and request.
#[divan::bench]
fn fingerprint(bencher: Bencher<'_, '_>) {
    let body = body();
    let key: HashKey = "5e".repeat(32).parse().unwrap();
    bencher
        .with_inputs(|| order(&body))
        .bench_values(|order| order.request.seal(&key));
}

#[divan::bench(args = ["AED", "EUR", "ZWG", "XXX"])]
fn currency(code: &str) -> Option<Currency> {
    Currency::find(black_box(code))
}

fn guard(name: &str) -> GuardReading {
    GuardReading {
        name: name.to_owned(),
        state: AlarmState::Ok,
        actions_enabled: true,
        doubt: None,
        detection_seconds: Some(60),
    }
}

fn observation(trigger: Trigger, green_percent: u8) -> Observation {
    let guards =
        |color: &str| ["errors", "latency", "silence"].map(|of| guard(&format!("{color}-{of}")));
    Observation {
        routers: vec![RouterReading {
            router: "lambda-alias".to_owned(),
            seen: Seen::Split(Weights::share(Environment::Green, green_percent)),
            revision: Some("r-1".to_owned()),
            marker: None,
            base: None,
            takes_versions: false,
            pending: None,
            needs_change: false,
        }],
        guards: BTreeMap::from([
            (Environment::Blue, guards("blue").to_vec()),
            (Environment::Green, guards("green").to_vec()),
        ]),
        ..Observation::of(trigger)
    }
}

fn started() -> State {
    let start = Start {
        migration_id: "m-1".to_owned(),
        to: Environment::Green,
        steps: [5, 25, 50, 100]
            .map(|percent| Step {
                percent,
                bake_seconds: 60,
            })
            .to_vec(),
        max_seconds: 3600,
        on_drift: OnDrift::Repair,
        versions: Versions::default(),
        max_exposed_payments: None,
        max_exposed_seconds: None,
    };
    let trigger = Trigger::Command(Command::Start(start), By::default());
    let idle = State::new(Environment::Blue, Versions::default());
    let state = step(&idle, NOW_MS, &observation(trigger, 0)).next;
    assert!(
        state.migration.is_some(),
        "the migration has begun: {:?}",
        state.phase
    );
    state
}

/// A tick of the switch while a migration runs, and an alarm that takes it back.
#[divan::bench(args = ["tick", "alarm"])]
fn switch_step(bencher: Bencher<'_, '_>, trigger: &str) {
    let state = started();
    let trigger = match trigger {
        "tick" => Trigger::Tick,
        _ => Trigger::Alarm {
            name: "green-errors".to_owned(),
            state: AlarmState::Alarm,
            at_ms: Some(NOW_MS),
        },
    };
    let seen = observation(trigger, 0);
    bencher.bench(|| step(black_box(&state), NOW_MS + 1000, &seen));
}

/// Which of a thousand hashed rows differ between two ledgers. The servers hash; what arrives is compared here.
#[divan::bench]
fn compare_rows(bencher: Bencher<'_, '_>) {
    let blue: Rows = (0..1000_u32)
        .map(|row| {
            (
                vec!["m:shop".to_owned(), format!("key-{row:06}")],
                format!("{row:064x}"),
            )
        })
        .collect();
    let mut green = blue.clone();
    let _missing = green.pop_first();
    bencher.bench(|| suspects(black_box(&blue), black_box(&green)));
}
