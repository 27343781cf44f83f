//! Operator sessions: `tests/scenarios/<name>.txt` is played, `<name>.out` is what the switch must say to it.
//!
//! Each line is a command of an operator (JSON, or its bare name), or something that happens to the world; `#` begins a
//! comment. To write the `.out` files anew after a change, run with `UPDATE_SCENARIOS=1` and read the difference.

use std::fmt::Write as _;
use std::path::PathBuf;

use cutover_domain::switch::{Seen, Trigger};
use environment_switcher::answer;
use environment_switcher::event::Event;
use environment_switcher::executor::{ExecutorError, Outcome};
use serde_json::Value;

use crate::scenario_world::{Session, alarm};

impl Session {
    /// Plays one line; what is answered, if anything is.
    async fn play(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["event", name, state] => {
                let trigger = Trigger::Alarm {
                    name: (*name).to_owned(),
                    state: alarm(state),
                    at_ms: Some(Session::now_ms()),
                };
                self.run(trigger).await
            }
            [
                action @ ("tick" | "status" | "history" | "pause" | "resume" | "promote"
                | "rollback" | "drill"),
            ] => self.command(&format!("{{\"action\":\"{action}\"}}")).await,
            _ if line.starts_with('{') => self.command(line).await,
            _ => {
                self.happen(&words);
                String::new()
            }
        }
    }

    async fn command(&self, json: &str) -> String {
        match Event::read(json, "r-1").unwrap() {
            Event::Trigger(trigger) => self.run(trigger).await,
            Event::Plan(start, by) => {
                let planned = self
                    .executor
                    .plan(start, by, self.deadline())
                    .await
                    .unwrap();
                plan(&planned.plan)
            }
            Event::Status => told(&self.executor.look(self.deadline()).await.unwrap()),
            Event::History { migration_id } => {
                let outcome = self.executor.look(self.deadline()).await.unwrap();
                let history = self
                    .executor
                    .history(migration_id.as_deref(), 200, self.deadline());
                let entries = history.await.unwrap();
                let state = migration_id.is_none().then_some(&outcome.state);
                history_table(&answer::history(
                    Value::Object(serde_json::Map::new()),
                    &entries,
                    state,
                ))
            }
            Event::Refused { code, message } => format!("  refused  {code}: {message}\n"),
            other => panic!("no command of a session: {other:?}"),
        }
    }

    async fn run(&self, trigger: Trigger) -> String {
        let outcome = match self.executor.run(trigger, self.deadline()).await {
            Ok(outcome) => outcome,
            Err(ExecutorError::OutOfTime) if self.dies() => {
                return "  (the process is dead)\n".to_owned();
            }
            Err(error) => return format!("  failed   {error}\n"),
        };
        told(&outcome)
    }
}

/// A decision and where it left the switch, in two lines.
fn told(outcome: &Outcome) -> String {
    let (state, mut text) = (&outcome.state, String::new());
    let decision = &outcome.decision;
    let verb = serde_json::to_value(decision.action).unwrap();
    let why = &decision.why;
    writeln!(text, "  {}: {why}", verb.as_str().unwrap()).unwrap();
    if let Some(refusal) = &outcome.refusal {
        writeln!(text, "  refused: {}", refusal.code).unwrap();
    }
    let (phase, active) = (state.phase.as_str(), state.active.as_str());
    let generation = state.generation;
    write!(
        text,
        "    {phase:<12} | generation {generation:>2} | active {active:<5}"
    )
    .unwrap();
    for router in &outcome.routers {
        let seen = match &router.seen {
            Seen::Split(weights) => weights.to_string(),
            Seen::Unreadable(why) => format!("unreadable: {why}"),
            other => format!("{other:?}"),
        };
        let pending = router.pending.as_ref().map(|why| format!(" ({why})"));
        write!(
            text,
            " | {}: {seen}{}",
            router.router,
            pending.unwrap_or_default()
        )
        .unwrap();
    }
    text.push('\n');
    for fault in &outcome.faults {
        writeln!(text, "    fault: {fault}").unwrap();
    }
    text
}

fn plan(plan: &Value) -> String {
    let mut text = String::new();
    let string = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned)
    };
    for check in plan["checks"].as_array().unwrap() {
        let mark = if check["ok"] == true { "ok " } else { "NOT" };
        writeln!(
            text,
            "  {mark}  {:<34}  {}",
            string(&check["name"]),
            string(&check["state"])
        )
        .unwrap();
    }
    writeln!(
        text,
        "  at                    percent  bake s  expected  newly exposed (payments, s)"
    )
    .unwrap();
    for step in plan["timeline"].as_array().unwrap() {
        writeln!(
            text,
            "  {}  {:>7}  {:>6}  {:>8}  {}, {}",
            string(&step["at"]),
            string(&step["percent"]),
            string(&step["bakeSeconds"]),
            string(&step["expectedPayments"]).replace("null", "-"),
            string(&step["newlyExposedPayments"]).replace("null", "-"),
            step["newlyExposedSeconds"],
        )
        .unwrap();
    }
    writeln!(text, "  {}  complete", string(&plan["completesAt"])).unwrap();
    let worst = &plan["worstCase"];
    for part in worst["parts"].as_array().unwrap() {
        let (name, seconds) = (string(&part["name"]), string(&part["seconds"]));
        writeln!(
            text,
            "  {seconds:>4} s  {name:<10}  {}",
            string(&part["source"])
        )
        .unwrap();
    }
    writeln!(
        text,
        "  {:>4} s  worst case, of {} s",
        string(&worst["totalSeconds"]),
        worst["limitSeconds"]
    )
    .unwrap();
    if let Some(why) = plan["exposure"]["stopped"].as_str() {
        writeln!(text, "  stopped  {why}").unwrap();
    }
    if let Some(code) = plan["refusal"]["code"].as_str() {
        writeln!(
            text,
            "  refused  {code}: {}",
            string(&plan["refusal"]["message"])
        )
        .unwrap();
    }
    text
}

fn history_table(history: &Value) -> String {
    let mut text = String::new();
    for entry in history["entries"].as_array().unwrap() {
        let field = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let (from, to) = (field("from"), field("to"));
        let phases = if from == to {
            to
        } else {
            format!("{from} -> {to}")
        };
        let hash: String = field("hash").chars().take(8).collect();
        writeln!(
            text,
            "  {:>3}  {hash}  {:<26}  {phases:<28}  {}: {}",
            entry["generation"].to_string(),
            field("trigger"),
            field("action"),
            field("why")
        )
        .unwrap();
    }
    writeln!(text, "  verified: {}", history["verified"]).unwrap();
    if history["brokenAt"].is_object() {
        writeln!(
            text,
            "  broken at {}: {}",
            history["brokenAt"]["generation"], history["brokenAt"]["why"]
        )
        .unwrap();
    }
    text
}

#[tokio::test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test is no function: it has no configuration"
)]
async fn every_scenario_goes_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() >= 12, "only {} scenarios", files.len());
    for file in files {
        let script = std::fs::read_to_string(&file).unwrap();
        let mut session = Session::new();
        let mut played = String::new();
        for line in script.lines() {
            if line.starts_with('#') || line.is_empty() {
                writeln!(played, "{line}").unwrap();
            } else {
                writeln!(played, "> {line}").unwrap();
                played.push_str(&session.play(line).await);
            }
        }
        let out = file.with_extension("out");
        if std::env::var("UPDATE_SCENARIOS").is_ok() {
            std::fs::write(&out, played).unwrap();
        } else {
            let written = std::fs::read_to_string(&out).unwrap_or_default();
            assert_eq!(played, written, "{}", out.display());
        }
    }
}
