//! What is remembered of requests: their verdicts, and the properties of the Update that failed last.

use std::time::Duration;

use cutover_lambda::clock;
use cutover_ports::memory::{Memory, MemoryError, NoteKey, Noted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::answer::Verdict;
use crate::event::Request;

/// How long a note is kept: CloudFormation and Lambda repeat a request within hours.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Attempts at a note that another invocation writes at the same time.
const ATTEMPTS_MAX: u32 = 3;

/// A verdict, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    success: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    data: Map<String, Value>,
}

/// How the last Update of a resource ended, by the hash of its properties.
#[derive(Serialize, Deserialize)]
struct LastUpdate {
    properties: String,
    succeeded: bool,
}

/// The verdict of an earlier delivery of the same request.
pub(crate) async fn verdict(
    memory: &dyn Memory,
    request: &Request,
) -> Result<Option<Verdict>, MemoryError> {
    let note = memory.read(&verdict_key(request)).await?;
    let kept = note.and_then(|note| serde_json::from_str::<Kept>(&note.text).ok());
    Ok(kept.map(|kept| {
        if kept.success {
            Verdict::Success(kept.data)
        } else {
            Verdict::Failed(kept.reason)
        }
    }))
}

/// Keeps a verdict, and says which one stands: the first that was kept.
pub(crate) async fn keep(
    memory: &dyn Memory,
    request: &Request,
    verdict: Verdict,
) -> Result<Verdict, MemoryError> {
    let kept = match &verdict {
        Verdict::Success(data) => Kept {
            success: true,
            reason: String::new(),
            data: data.clone(),
        },
        Verdict::Failed(reason) => Kept {
            success: false,
            reason: reason.clone(),
            data: Map::new(),
        },
    };
    let text = serde_json::to_string(&kept).unwrap_or_default();
    let noted = memory
        .write(&verdict_key(request), 0, &text, expiry())
        .await?;
    match noted {
        Noted::Done => Ok(verdict),
        Noted::Refused => Ok(self::verdict(memory, request).await?.unwrap_or(verdict)),
    }
}

/// Whether an Update takes back the one that failed last: its old properties are that one's.
pub(crate) async fn takes_back_a_failure(
    memory: &dyn Memory,
    request: &Request,
) -> Result<bool, MemoryError> {
    let Some(old) = request.properties_hash(true) else {
        return Ok(false);
    };
    let note = memory.read(&last_update_key(request)).await?;
    let last = note.and_then(|note| serde_json::from_str::<LastUpdate>(&note.text).ok());
    Ok(last.is_some_and(|last| !last.succeeded && last.properties == old))
}

/// Notes how an Update ended. One that has only begun counts as failed: it may never end.
pub(crate) async fn note_update(
    memory: &dyn Memory,
    request: &Request,
    succeeded: bool,
) -> Result<(), MemoryError> {
    let Some(properties) = request.properties_hash(false) else {
        return Ok(());
    };
    let last = LastUpdate {
        properties,
        succeeded,
    };
    let text = serde_json::to_string(&last).unwrap_or_default();
    let key = last_update_key(request);
    for _ in 0..ATTEMPTS_MAX {
        let stands = memory.read(&key).await?.map_or(0, |note| note.version);
        if memory.write(&key, stands, &text, expiry()).await? == Noted::Done {
            return Ok(());
        }
    }
    Ok(())
}

fn verdict_key(request: &Request) -> NoteKey {
    NoteKey {
        subject: subject(request),
        name: format!("verdict#{}", hashed(&request.request_id)),
    }
}

fn last_update_key(request: &Request) -> NoteKey {
    NoteKey {
        subject: subject(request),
        name: format!("update#{}", hashed(&request.logical_resource_id)),
    }
}

fn subject(request: &Request) -> String {
    format!("stack#{}", hashed(&request.stack_id))
}

/// Ids come from an event and may be of any length; a key may not.
fn hashed(id: &str) -> String {
    hex::encode(Sha256::digest(id.as_bytes()))
}

fn expiry() -> u64 {
    (clock::now_ms() / 1000).saturating_add(KEPT.as_secs())
}
