//! The world of a scenario, and what may happen to it.

use std::cell::Cell;
use std::time::Duration;

use cutover_domain::switch::{
    AlarmState, Capacity, CountsReading, Direction, Environment, Lag, LagReading, Tally,
    Validation, Weights,
};
use cutover_lambda::{Deadline, clock};
use cutover_ports::switch::fakes::{Kind, Route, World};
use environment_switcher::executor::Executor;

use crate::world::{executor, healthy, soon, versions};

thread_local! {
    /// The session's clock, in milliseconds since the epoch.
    static NOW_MS: Cell<u64> = const { Cell::new(0) };
}

/// 2026-11-20T12:00:00Z.
const START_MS: u64 = 1_795_176_000_000;

/// A switch and its world.
pub struct Session {
    pub world: World,
    pub executor: Executor,
}

impl Session {
    pub fn new() -> Self {
        NOW_MS.set(START_MS);
        let world = healthy();
        let mut executor = executor(&world);
        executor.clock = Self::now_ms;
        executor.versions = versions();
        world.inner().route = Some(Route {
            weights: Weights::all(Environment::Blue),
            base: Environment::Blue,
            marker: None,
            revision: 1,
        });
        Self { world, executor }
    }

    pub fn now_ms() -> u64 {
        NOW_MS.get()
    }

    /// Whether the next invocation dies before its end.
    pub fn dies(&self) -> bool {
        self.world.inner().calls_left.is_some()
    }

    /// A process that dies never answers: it is not waited for.
    pub fn deadline(&self) -> Deadline {
        if self.dies() {
            Deadline::new(clock::now_ms() + 50, Duration::ZERO)
        } else {
            soon()
        }
    }

    /// Something happens to the world.
    pub fn happen(&mut self, words: &[&str]) {
        match words {
            ["wait", seconds] => NOW_MS.set(NOW_MS.get() + number(seconds) * 1_000),
            ["with", what] => self.configure(what),
            ["with", "router", name, kind] => {
                let kind = match *kind {
                    "plain" => Kind::Plain,
                    "delayed" => Kind::Delayed,
                    other => panic!("no kind of a router: {other}"),
                };
                let router = self.world.other(name, kind);
                self.executor.routers.push(Box::new(router));
            }
            ["alarm", name, state] => self.world.alarm(name, alarm(state)),
            ["alarm", name, "is", "deleted"] => {
                self.world.inner().alarms.remove(*name);
            }
            ["alarm", name, "is", "silenced"] => {
                let silenced = (AlarmState::Ok, false);
                self.world
                    .inner()
                    .alarms
                    .insert((*name).to_owned(), silenced);
            }
            ["someone", "sets", "green", "to", percent] => {
                let percent = u8::try_from(number(percent)).unwrap();
                self.world
                    .tamper(Weights::share(Environment::Green, percent));
            }
            ["router", "fake:live", "is", state] => self.world.inner().router_down = is_down(state),
            ["router", name, "is", state] => self.router(name, state),
            ["invocations", "die", "after", calls, "calls"] => {
                let calls = usize::try_from(number(calls)).unwrap();
                self.world.inner().calls_left = Some(calls);
            }
            ["invocations", "live"] => self.world.inner().calls_left = None,
            _ => self.is_read(words),
        }
    }

    fn configure(&mut self, what: &str) {
        let world = || Box::new(self.world.clone());
        match what {
            "validator" => self.executor.validator = Some(world()),
            "replication" => self.executor.replication = Some(world()),
            "counts" => self.executor.counts = Some(world()),
            "fence" => self.executor.fence = Some(world()),
            "drills" => self.executor.tester = Some(world()),
            other => panic!("nothing to be configured: {other}"),
        }
    }

    fn router(&self, name: &str, state: &str) {
        let mut inner = self.world.inner();
        let route = inner.others.get_mut(name).unwrap();
        match state {
            "unreadable" => route.reads_fail = true,
            "unwritable" => route.writes_fail = true,
            "up" => (route.reads_fail, route.writes_fail) = (false, false),
            "in-effect" => route.settle(),
            other => panic!("no state of a router: {other}"),
        }
    }

    /// Something reads otherwise from now on.
    fn is_read(&self, words: &[&str]) {
        let mut inner = self.world.inner();
        match words {
            ["validation", "passes"] => inner.validation = Some(Validation::Passed),
            ["validation", "fails:", why @ ..] => {
                inner.validation = Some(Validation::Failed(why.join(" ")));
            }
            ["validation", "is", "unknown:", why @ ..] => {
                inner.validation = Some(Validation::Unknown(why.join(" ")));
            }
            ["lag", blue_to_green, green_to_blue] => {
                let reading = |direction: Direction, lag: &str| LagReading {
                    task: format!("task-{}", direction.as_str()),
                    direction,
                    lag: match lag {
                        "stopped" => Lag::Stopped("a table has an error".to_owned()),
                        "unknown" => Lag::Unknown("no datapoint".to_owned()),
                        seconds => Lag::Seconds(number(seconds)),
                    },
                };
                inner.replication = vec![
                    reading(Direction::BlueToGreen, blue_to_green),
                    reading(Direction::GreenToBlue, green_to_blue),
                ];
            }
            ["blue", "is", capacity] => {
                let capacity = match *capacity {
                    "ready" => Capacity::Ready,
                    "idle" => Capacity::Idle,
                    "short" => Capacity::Short,
                    other => panic!("no capacity: {other}"),
                };
                inner.capacity.insert(Environment::Blue, capacity);
            }
            ["counts", "missing"] => inner.counts = None,
            [
                "counts",
                "blue",
                blue,
                "green",
                green,
                "money",
                money,
                "in",
                seconds,
            ] => {
                inner.counts = Some(CountsReading::Counts {
                    baseline: tally(blue),
                    candidate: tally(green),
                    money: Some(number(money)),
                    window_seconds: number(seconds),
                });
            }
            ["fence", "is", state] => inner.fence_down = is_down(state),
            ["alarms", "are", state] => inner.alarms_down = is_down(state),
            other => panic!("nothing of a scenario: {other:?}"),
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// `failed/all`.
fn tally(text: &str) -> Tally {
    let (failures, requests) = text.split_once('/').unwrap();
    Tally {
        requests: number(requests),
        failures: number(failures),
    }
}

fn is_down(state: &str) -> bool {
    match state {
        "down" => true,
        "up" => false,
        other => panic!("neither up nor down: {other}"),
    }
}

/// By CloudWatch's names.
pub fn alarm(state: &str) -> AlarmState {
    match state {
        "OK" => AlarmState::Ok,
        "ALARM" => AlarmState::Alarm,
        "INSUFFICIENT_DATA" => AlarmState::InsufficientData,
        other => panic!("no state of an alarm: {other}"),
    }
}
