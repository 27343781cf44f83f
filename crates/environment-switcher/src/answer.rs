//! What commands are answered with.

use std::time::Duration;

use cutover_domain::switch::{Entry, Environment, Phase, Seen, State, Weights, verify, verify_to};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::executor::Outcome;

/// The answer to a command; with `error` if it was refused.
#[must_use]
pub fn status(outcome: &Outcome, now_ms: u64, tick: Duration) -> Value {
    let state = &outcome.state;
    let migration = state.migration.as_ref();
    let verified: Map<String, Value> = outcome
        .routers
        .iter()
        .map(|router| {
            let weights = match &router.seen {
                Seen::Split(split) => weights(*split),
                Seen::Foreign(_) | Seen::Absent | Seen::Unreadable(_) => Value::Null,
            };
            (router.router.clone(), weights)
        })
        .collect();
    let step = migration
        .and_then(|m| m.step)
        .map_or(0, |index| index.saturating_add(1));
    let mut answer = json!({
        "migrationId": migration.map(|m| m.id.as_str()),
        "phase": state.phase,
        "activeEnvironment": state.active,
        "weights": weights(state.intended),
        "verifiedWeights": verified,
        "step": step,
        "steps": migration.map_or(0, |m| m.steps.len()),
        "generation": state.generation,
        "nextActionAt": next_action_ms(state, now_ms, tick).map(rfc3339),
        "decision": outcome.decision,
    });
    for (name, told) in [
        ("pending", pending(outcome)),
        ("fence", fence(state)),
        ("drill", drill(state)),
        ("error", error(outcome)),
    ] {
        if let Some(told) = told {
            answer = with(answer, name, told);
        }
    }
    answer
}

/// Routers whose change was read back and is not in effect yet, and why.
fn pending(outcome: &Outcome) -> Option<Value> {
    let pending: Map<String, Value> = outcome
        .routers
        .iter()
        .filter_map(|router| Some((router.router.clone(), json!(router.pending.as_ref()?))))
        .collect();
    (!pending.is_empty()).then_some(Value::Object(pending))
}

/// Who may write to the ledgers, once a migration has ordered that, and whether every ledger confirmed it.
fn fence(state: &State) -> Option<Value> {
    let order = state.fence?;
    let may_write = json!({"blue": order.may_write.blue, "green": order.may_write.green});
    Some(json!({"epoch": order.epoch, "mayWrite": may_write, "stands": order.stands}))
}

/// The last drill, if there was one.
fn drill(state: &State) -> Option<Value> {
    let drill = state.drill.as_ref()?;
    Some(json!({
        "alarm": drill.alarm,
        "startedAt": rfc3339(drill.started_at_ms),
        "seenAt": drill.seen_at_ms.and_then(rfc3339),
        "by": drill.by,
        "outcome": drill.outcome,
        "restored": drill.restored,
    }))
}

fn error(outcome: &Outcome) -> Option<Value> {
    let refusal = outcome.refusal.as_ref()?;
    Some(json!({"code": refusal.code, "message": refusal.message}))
}

/// An answer with one more member.
#[must_use]
pub fn with(answer: Value, name: &str, value: Value) -> Value {
    let mut answer = answer;
    if let Value::Object(fields) = &mut answer {
        fields.insert(name.to_owned(), value);
    }
    answer
}

/// The answer to `history`: the status, the entries, the oldest first, and whether their chain holds; up to the `state`
/// that is stored, where these are the newest entries of all, and then `head` is what the state says of the last.
#[must_use]
pub fn history(status: Value, entries: &[Entry], state: Option<&State>) -> Value {
    let verified = match state {
        Some(state) => verify_to(entries, state.generation, &state.journal_head),
        None => verify(entries),
    };
    let mut answer = with(status, "verified", json!(verified.is_ok()));
    if let Err(broken) = verified {
        let told = json!({"generation": broken.generation, "why": broken.flaw.as_str()});
        answer = with(answer, "brokenAt", told);
    }
    if let Some(state) = state {
        let head = json!({"generation": state.generation, "hash": state.journal_head});
        answer = with(answer, "head", head);
    }
    with(answer, "entries", entries.iter().map(entry).collect())
}

/// One journal entry on the wire.
#[must_use]
pub fn entry(entry: &Entry) -> Value {
    json!({
        "generation": entry.generation,
        "at": rfc3339(entry.at_ms),
        "atMs": entry.at_ms,
        "migrationId": entry.migration_id,
        "trigger": entry.trigger,
        "from": entry.from,
        "to": entry.to,
        "action": entry.action,
        "why": entry.why,
        "evidence": entry.evidence,
        "previousHash": entry.previous_hash,
        "hash": entry.hash,
    })
}

/// When something happens next: the end of a bake, else the next tick where one has something to finish.
fn next_action_ms(state: &State, now_ms: u64, tick: Duration) -> Option<u64> {
    let tick_ms = u64::try_from(tick.as_millis()).unwrap_or(u64::MAX);
    let next_tick_ms = now_ms.saturating_add(tick_ms);
    let is_unfinished = state.intent.is_some()
        || matches!(state.phase, Phase::Validating | Phase::RollingBack)
        || state.fence.is_some_and(|order| !order.stands)
        || state.drill.as_ref().is_some_and(|drill| !drill.restored);
    state
        .due_at_ms()
        .or_else(|| is_unfinished.then_some(next_tick_ms))
}

fn weights(weights: Weights) -> Value {
    json!({
        "blue": weights.of(Environment::Blue),
        "green": weights.of(Environment::Green),
    })
}

/// Milliseconds since the epoch as RFC 3339 in UTC; `null` beyond the year 9999.
pub(crate) fn rfc3339(at_ms: u64) -> Option<String> {
    let nanoseconds = i128::from(at_ms).checked_mul(1_000_000)?;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}
