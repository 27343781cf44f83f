//! Operators' commands, from the wire to the domain.

use cutover_domain::switch::{
    BAKE_SECONDS_MAX, By, Command, Environment, OnDrift, Start, Step, Strategy, Trigger, Versions,
};
use serde_json::{Map, Value};

use crate::event::{Event, id_from, version};
use crate::strict_json::{Fields, repeated_field};

/// Every command.
pub const ACTIONS: [&str; 10] = [
    "start", "plan", "status", "history", "pause", "resume", "promote", "rollback", "tick", "drill",
];

/// Seconds at 100 % where a start does not say.
pub const BAKE_SECONDS: u64 = 300;

/// Seconds that a migration may take beyond its steps where a start does not say.
const HOLD_SECONDS: u64 = 3600;

/// The longest migration, in seconds: thirty days.
const MAX_SECONDS_MAX: u64 = 30 * 24 * 3600;

/// The largest exposure budget, in payments and in seconds: more bounds nothing.
const EXPOSED_MAX: u64 = 1_000_000_000;

/// Longest operator or reason, in characters.
const TEXT_MAX: usize = 256;

/// Longest name of an alarm (CloudWatch's own limit).
const ALARM_MAX: usize = 255;

const STRATEGIES: &str = "an object {\"type\":\"all-at-once\"}, {\"type\":\"canary\",\"percent\",\"bakeSeconds\"}, \
     {\"type\":\"linear\",\"stepPercent\",\"intervalSeconds\"} or {\"type\":\"steps\",\"steps\":[{\"percent\",\"bakeSeconds\"}]}";

/// Reads a command: an object with the member `action`. What can't be carried out becomes [`Event::Refused`].
pub(crate) fn read(text: &str, map: &Map<String, Value>, request_id: &str) -> Event {
    let action = map.get("action").and_then(Value::as_str);
    let Some(action) = action.filter(|action| ACTIONS.contains(action)) else {
        let message = format!("unknown action: it takes {}", ACTIONS.join(", "));
        return refused("unknown_command", message);
    };
    if let Some(repeated) = repeated_field(text) {
        return refused("invalid_command", format!("{action}: {repeated}"));
    }
    let mut fields = Fields::new("", map);
    let event = understood(action, &mut fields, request_id);
    let problems = fields.finish();
    match event {
        Some(event) if problems.is_empty() => event,
        _ => refused(
            "invalid_command",
            format!("{action}: {}", problems.join("; ")),
        ),
    }
}

fn refused(code: &'static str, message: String) -> Event {
    Event::Refused { code, message }
}

/// The event, if nothing that it needs is missing or wrong; what is wrong is noted in `fields`.
fn understood(action: &str, fields: &mut Fields<'_>, request_id: &str) -> Option<Event> {
    let _action = fields.text("action");
    let by = by(fields);
    let ordered = |command| Some(Event::Trigger(Trigger::Command(command, by.clone())));
    match action {
        "start" => ordered(Command::Start(start(fields, request_id)?)),
        "plan" => Some(Event::Plan(start(fields, request_id)?, by)),
        "status" => Some(Event::Status),
        "history" => Some(Event::History {
            migration_id: fields.parsed("migrationId", migration_id),
        }),
        "pause" => ordered(Command::Pause),
        "resume" => ordered(Command::Resume),
        "promote" => ordered(Command::Promote),
        "rollback" => ordered(Command::RollBack),
        "tick" => Some(Event::Trigger(Trigger::Tick)),
        "drill" => ordered(Command::Drill {
            alarm: fields.parsed("alarm", alarm_name),
        }),
        _ => None,
    }
}

fn by(fields: &mut Fields<'_>) -> By {
    By {
        operator: fields.parsed("operator", said),
        reason: fields.parsed("reason", said),
    }
}

fn start(fields: &mut Fields<'_>, request_id: &str) -> Option<Start> {
    fields.missing("to", "`blue` or `green`");
    fields.missing("strategy", STRATEGIES);
    let to = fields.parsed("to", environment);
    let id = fields.parsed("migrationId", migration_id);
    let bake_seconds = fields.whole("bakeSeconds", 0..=BAKE_SECONDS_MAX);
    let steps = steps(fields, bake_seconds.unwrap_or(BAKE_SECONDS));
    let max_seconds = fields.whole("maxSeconds", 1..=MAX_SECONDS_MAX);
    let on_drift = fields.parsed("onDrift", on_drift);
    let versions = versions(fields);
    let max_exposed_payments = fields.whole("maxExposedPayments", 1..=EXPOSED_MAX);
    let max_exposed_seconds = fields.whole("maxExposedSeconds", 1..=EXPOSED_MAX);
    let steps = steps?;
    let planned = steps.iter().fold(HOLD_SECONDS, |sum, step| {
        sum.saturating_add(step.bake_seconds)
    });
    Some(Start {
        migration_id: id.unwrap_or_else(|| id_from("m", request_id)),
        to: to?,
        steps,
        max_seconds: max_seconds.unwrap_or(planned.min(MAX_SECONDS_MAX)),
        on_drift: on_drift.unwrap_or_default(),
        versions,
        max_exposed_payments,
        max_exposed_seconds,
    })
}

fn steps(fields: &mut Fields<'_>, bake_seconds: u64) -> Option<Vec<Step>> {
    let mut inner = fields.object("strategy")?;
    let strategy = strategy(&mut inner);
    fields.close(inner);
    match strategy?.steps(bake_seconds) {
        Ok(steps) => Some(steps),
        Err(problem) => {
            fields.problem(problem.to_string());
            None
        }
    }
}

fn strategy(fields: &mut Fields<'_>) -> Option<Strategy> {
    fields.missing("type", STRATEGIES);
    let kind = fields.text("type")?;
    match kind {
        "all-at-once" => Some(Strategy::AllAtOnce),
        "canary" => step(fields).map(Strategy::Canary),
        "linear" => {
            let step_percent = percent(fields, "stepPercent");
            let interval_seconds = seconds(fields, "intervalSeconds");
            Some(Strategy::Linear {
                step_percent: step_percent?,
                interval_seconds: interval_seconds?,
            })
        }
        "steps" => {
            fields.missing("steps", "a JSON list of objects");
            let mut steps = Vec::new();
            for mut inner in fields.objects("steps")? {
                steps.push(step(&mut inner));
                fields.close(inner);
            }
            steps
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Strategy::Steps)
        }
        other => {
            fields.problem(format!(
                "strategy.type is {other:.40?}: it takes {STRATEGIES}"
            ));
            None
        }
    }
}

fn step(fields: &mut Fields<'_>) -> Option<Step> {
    let percent = percent(fields, "percent");
    let bake_seconds = seconds(fields, "bakeSeconds");
    Some(Step {
        percent: percent?,
        bake_seconds: bake_seconds?,
    })
}

fn percent(fields: &mut Fields<'_>, name: &'static str) -> Option<u8> {
    fields.missing(name, "a whole number from 1 to 100");
    fields
        .whole(name, 1..=100)
        .and_then(|percent| u8::try_from(percent).ok())
}

fn seconds(fields: &mut Fields<'_>, name: &'static str) -> Option<u64> {
    fields.missing(name, "seconds");
    fields.whole(name, 0..=BAKE_SECONDS_MAX)
}

fn versions(fields: &mut Fields<'_>) -> Versions {
    let Some(mut inner) = fields.object("versions") else {
        return Versions::default();
    };
    let versions = Versions {
        blue: inner.parsed("blue", published),
        green: inner.parsed("green", published),
    };
    fields.close(inner);
    versions
}

fn published(text: &str) -> Result<String, String> {
    version(text).map_err(|_told| "the number of a published version, or its ARN".to_owned())
}

fn environment(text: &str) -> Result<Environment, String> {
    match text {
        "blue" => Ok(Environment::Blue),
        "green" => Ok(Environment::Green),
        _ => Err("`blue` or `green`".to_owned()),
    }
}

fn on_drift(text: &str) -> Result<OnDrift, String> {
    match text {
        "repair" => Ok(OnDrift::Repair),
        "hold" => Ok(OnDrift::Hold),
        _ => Err("`repair` or `hold`".to_owned()),
    }
}

fn said(text: &str) -> Result<String, String> {
    printable(text, TEXT_MAX)
}

fn alarm_name(text: &str) -> Result<String, String> {
    printable(text, ALARM_MAX)
}

fn printable(text: &str, max: usize) -> Result<String, String> {
    let is_long = text.is_empty() || text.chars().count() > max;
    if is_long || text.chars().any(char::is_control) {
        return Err(format!("1 to {max} printable characters"));
    }
    Ok(text.to_owned())
}

fn migration_id(text: &str) -> Result<String, String> {
    let is_id = (1..=64).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if is_id {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 of A-Z a-z 0-9 _ . -".to_owned())
    }
}
