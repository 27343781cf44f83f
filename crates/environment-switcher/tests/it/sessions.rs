//! Operator sessions as golden transcripts: `tests/sessions/*.txt`.
//!
//! Lines that start with `> ` are played, the lines below each are what the switch must say to it. To write them anew
//! after a change, run with `UPDATE_SESSIONS=1` and read the difference.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::PathBuf;

use cutover_domain::switch::{AlarmState, Environment, Seen, Trigger, Weights};
use cutover_ports::switch::fakes::World;
use environment_switcher::event::Event;
use environment_switcher::executor::{Executor, Outcome};

use crate::world::{executor, healthy, soon};

thread_local! {
    /// The session's clock, in milliseconds.
    static NOW_MS: Cell<u64> = const { Cell::new(0) };
}

struct Session {
    world: World,
    executor: Executor,
}

impl Session {
    fn new() -> Self {
        NOW_MS.set(1_800_000_000_000);
        let world = healthy();
        let mut executor = executor(&world);
        executor.clock = || NOW_MS.get();
        executor.versions = crate::world::versions();
        world.inner().route = Some(cutover_ports::switch::fakes::Route {
            weights: Weights::all(Environment::Blue),
            base: Environment::Blue,
            marker: None,
            revision: 1,
        });
        Self { world, executor }
    }

    async fn play(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["wait", seconds] => {
                let seconds: u64 = seconds.parse().unwrap();
                NOW_MS.set(NOW_MS.get() + seconds * 1000);
                String::new()
            }
            ["alarm", name, state] => {
                self.world.alarm(name, alarm(state));
                String::new()
            }
            ["no-alarm", name] => {
                self.world.inner().alarms.remove(*name);
                String::new()
            }
            ["tamper", percent] => {
                let percent = percent.parse().unwrap();
                self.world
                    .tamper(Weights::share(Environment::Green, percent));
                String::new()
            }
            ["router", state] => {
                self.world.inner().router_down = *state == "down";
                String::new()
            }
            ["event", name, state] => {
                let trigger = Trigger::Alarm {
                    name: (*name).to_owned(),
                    state: alarm(state),
                    at_ms: Some(NOW_MS.get()),
                };
                self.run(trigger).await
            }
            _ => match Event::read(line, "r-1").unwrap() {
                Event::Trigger(trigger) => self.run(trigger).await,
                other => format!("{other:?}\n"),
            },
        }
    }

    async fn run(&self, trigger: Trigger) -> String {
        let outcome = self.executor.run(trigger, soon()).await.unwrap();
        told(&outcome)
    }
}

fn told(outcome: &Outcome) -> String {
    let (state, mut text) = (&outcome.state, String::new());
    let decision = &outcome.decision;
    let verb = serde_json::to_value(decision.action).unwrap();
    writeln!(text, "{}: {}", verb.as_str().unwrap(), decision.why).unwrap();
    if let Some(refusal) = &outcome.refusal {
        writeln!(text, "  refused: {}", refusal.code).unwrap();
    }
    let seen = match &outcome.routers[0].seen {
        Seen::Split(weights) => weights.to_string(),
        other => format!("{other:?}"),
    };
    let (generation, phase) = (state.generation, state.phase);
    writeln!(
        text,
        "  generation {generation}, {phase}, active {}, {seen}",
        state.active
    )
    .unwrap();
    text
}

fn alarm(state: &str) -> AlarmState {
    match state {
        "OK" => AlarmState::Ok,
        "ALARM" => AlarmState::Alarm,
        "INSUFFICIENT_DATA" => AlarmState::InsufficientData,
        other => panic!("no state of an alarm: {other}"),
    }
}

#[tokio::test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test is no function: it has no configuration"
)]
async fn every_session_goes_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let written = std::fs::read_to_string(&file).unwrap();
        let session = Session::new();
        let mut played = String::new();
        for line in written.lines() {
            if let Some(command) = line.strip_prefix("> ") {
                writeln!(played, "{line}").unwrap();
                played.push_str(&session.play(command).await);
            } else if line.starts_with('#') || line.is_empty() {
                writeln!(played, "{line}").unwrap();
            }
        }
        if std::env::var("UPDATE_SESSIONS").is_ok() {
            std::fs::write(&file, played).unwrap();
        } else {
            assert_eq!(played, written, "{}", file.display());
        }
    }
}
