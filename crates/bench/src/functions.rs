//! The other functions: a tick of the switch while it bakes, and a rotation.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cloud::control_plane::{ALARMS, ALIAS, FUNCTION};
use crate::database::{DATABASE, PASSWORD};
use crate::journal::Place;
use crate::measure::MeasureError;
use crate::sandbox::{Answer, Sandbox};
use crate::statistics::{median, ms, rounded};
use crate::subject::Subject;
use crate::world::World;

/// Ticks of a process after its first.
const TICKS: usize = 20;
/// What the switch has given to the candidate when it is measured, in percent.
const SHARE: u8 = 10;
const ROTATED: &str = "bench/rotated";
const ROTATED_USER: &str = "rotated_app";
/// The steps of a rotation.
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// A function at a delay.
#[derive(Debug, Clone, Serialize)]
pub struct FunctionRow {
    /// What is done.
    pub what: &'static str,
    /// What a call takes, nominally.
    pub delay_ms: f64,
    /// Processes that it was done by.
    pub processes: usize,
    /// Start of a process to its first poll, median.
    pub init_ms: f64,
    /// The first time, connections included, median.
    pub first_ms: f64,
    /// The times after it, median; nothing of a rotation, which a process does once.
    pub warm_ms: Option<f64>,
    /// CPU time of one, median: of those after the first, where there are any.
    pub cpu_ms: f64,
    /// Calls of AWS in one.
    pub calls: usize,
    /// Round trips to the database in one.
    pub database_trips: usize,
    /// The longest chain of either.
    pub hops: usize,
    /// Connections to AWS and the database of the first.
    pub connections: [usize; 2],
    /// Most memory that was ever resident, median.
    pub peak_rss_mb: f64,
}

/// What one process came to.
struct Done {
    init: Duration,
    first: Duration,
    warm: Vec<Duration>,
    cpu: Duration,
    last: Vec<Answer>,
    connections: Vec<Place>,
    peak_kb: u64,
}

/// Measures the ticks of a switch that waits for its next step, by `processes` processes.
///
/// # Errors
/// It does not answer as a switch does that bakes.
pub async fn ticks(
    world: &World,
    subject: &Subject,
    processes: usize,
    delay: Duration,
) -> Result<FunctionRow, MeasureError> {
    let subject = switch(subject);
    let mut all = Vec::new();
    for _ in 0..processes {
        world.clear();
        world.set_delay(Duration::ZERO);
        let begun = Sandbox::start(world, &subject).await?;
        let start = json!({
            "action": "start", "to": "green", "operator": "bench",
            "strategy": {"type": "linear", "stepPercent": SHARE, "intervalSeconds": 3600},
        });
        // The first tick after the start shifts the first step; all that come for an hour hold.
        for event in [&start, &json!({"action": "tick"})] {
            answered(&begun, &subject, event).await?;
        }
        begun.stop().await;
        let share = world.cloud.alias().share();
        if (share - f64::from(SHARE)).abs() > 0.01 {
            return Err(unlike(&subject, format!("it gave {share} % to green")));
        }
        world.set_delay(delay);
        all.push(tick_process(world, &subject).await?);
    }
    Ok(row(
        "a tick of environment-switcher that bakes",
        delay,
        &all,
    ))
}

async fn tick_process(world: &World, subject: &Subject) -> Result<Done, MeasureError> {
    let sandbox = Sandbox::start(world, subject).await?;
    let tick = json!({"action": "tick"});
    let first = answered(&sandbox, subject, &tick).await?;
    let before = sandbox.cpu();
    let mut warm = Vec::new();
    for _ in 0..TICKS {
        warm.push(answered(&sandbox, subject, &tick).await?);
    }
    let ticks = u32::try_from(TICKS).unwrap_or(u32::MAX);
    let mut connections = sandbox.at_init.connections.clone();
    connections.extend(&first.seen.connections);
    let done = Done {
        init: sandbox.init,
        first: first.took,
        cpu: sandbox.cpu().saturating_sub(before) / ticks,
        connections,
        peak_kb: sandbox.memory().map_or(0, |memory| memory.peak_kb),
        last: warm.pop().into_iter().collect(),
        warm: warm.iter().map(|answer| answer.took).collect(),
    };
    sandbox.stop().await;
    Ok(done)
}

fn switch(subject: &Subject) -> Subject {
    let routers = json!([{
        "type": "lambda-alias", "functionName": FUNCTION, "alias": ALIAS, "blueVersion": "1", "greenVersion": "2",
    }]);
    let [blue, slow_blue, green, slow_green] = ALARMS;
    let alarms = json!({"blue": [blue, slow_blue], "green": [green, slow_green]});
    subject
        .clone()
        .with("STATE_TABLE", "bench-switch")
        .with("ROUTERS", &routers.to_string())
        .with("ALARMS", &alarms.to_string())
}

/// Measures rotations of one user's password, by `processes` processes: four invocations each, one after the other.
///
/// # Errors
/// A step fails, or the secret is none that logs in afterwards.
pub async fn rotations(
    world: &World,
    subject: &Subject,
    processes: usize,
    delay: Duration,
) -> Result<FunctionRow, MeasureError> {
    world.database.sql(&format!(
        "CREATE OR REPLACE USER {ROTATED_USER}@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
         GRANT SELECT, INSERT ON {DATABASE}.* TO {ROTATED_USER}@'%'; GRANT CREATE USER ON *.* TO {ROTATED_USER}@'%'"
    ));
    let credentials = json!({
        "engine": "mariadb", "host": "127.0.0.1", "port": world.database.port(), "username": ROTATED_USER,
        "password": PASSWORD, "dbname": DATABASE,
    });
    let secrets = world.cloud.secrets();
    secrets.set(ROTATED, &credentials.to_string());
    world.set_delay(delay);
    let mut all = Vec::new();
    for number in 0..processes {
        let before = secrets.current(ROTATED);
        let token = format!("{number:08}-0000-4000-8000-00000000000a");
        secrets.begin_rotation(ROTATED, &token);
        all.push(rotation(world, subject, &token).await?);
        if secrets.current(ROTATED) == before {
            return Err(unlike(subject, "the secret is the old one".to_owned()));
        }
    }
    Ok(row(
        "a rotation by secret-rotation, four steps",
        delay,
        &all,
    ))
}

async fn rotation(world: &World, subject: &Subject, token: &str) -> Result<Done, MeasureError> {
    let sandbox = Sandbox::start(world, subject).await?;
    let mut steps = Vec::new();
    for step in STEPS {
        let event = json!({"Step": step, "SecretId": ROTATED, "ClientRequestToken": token});
        steps.push(answered(&sandbox, subject, &event).await?);
    }
    let connections = steps.iter().flat_map(|step| &step.seen.connections);
    let done = Done {
        init: sandbox.init,
        first: steps.iter().map(|step| step.took).sum(),
        warm: Vec::new(),
        cpu: sandbox.cpu(),
        connections: connections.copied().collect(),
        peak_kb: sandbox.memory().map_or(0, |memory| memory.peak_kb),
        last: steps,
    };
    sandbox.stop().await;
    Ok(done)
}

/// One event's answer. One that tells of an error ends the run.
async fn answered(
    sandbox: &Sandbox<'_>,
    subject: &Subject,
    event: &Value,
) -> Result<Answer, MeasureError> {
    let answer = sandbox.invoke(&event.to_string()).await?;
    sandbox.settled().await;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.failed || !body["error"].is_null() || !body["refusal"].is_null() {
        return Err(unlike(subject, format!("it answered {event} with {body}")));
    }
    Ok(answer)
}

fn unlike(subject: &Subject, what: String) -> MeasureError {
    MeasureError::Unequal {
        name: subject.name.clone(),
        what,
    }
}

fn row(what: &'static str, delay: Duration, all: &[Done]) -> FunctionRow {
    let middle =
        |value: &dyn Fn(&Done) -> f64| rounded(median(all.iter().map(value)).unwrap_or_default());
    let last = || all.iter().flat_map(|done| &done.last);
    let calls = || last().flat_map(|answer| &answer.seen.calls);
    let to_ledger = calls().filter(|call| call.place == Place::Ledger).count();
    let each = |count: usize| count.checked_div(all.len()).unwrap_or_default();
    let connected = |ledger: bool| {
        let connections = all.iter().flat_map(|done| &done.connections);
        each(
            connections
                .filter(|place| (**place == Place::Ledger) == ledger)
                .count(),
        )
    };
    FunctionRow {
        what,
        delay_ms: ms(delay),
        processes: all.len(),
        init_ms: middle(&|done| ms(done.init)),
        first_ms: middle(&|done| ms(done.first)),
        warm_ms: median(all.iter().flat_map(|done| &done.warm).copied().map(ms)).map(rounded),
        cpu_ms: middle(&|done| ms(done.cpu)),
        calls: each(calls().count() - to_ledger),
        database_trips: each(to_ledger),
        hops: each(last().map(|answer| answer.seen.hops()).sum()),
        connections: [connected(false), connected(true)],
        peak_rss_mb: middle(&|done| {
            f64::from(u32::try_from(done.peak_kb).unwrap_or(u32::MAX)) * 1024.0 / 1e6
        }),
    }
}
