//! The journal: an entry per generation, each bound to the one before it by a hash.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Decision, Evidence, Phase, State, Verb};

/// What the first entry names as the hash before it.
pub const FIRST_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The generation that it led to.
    pub generation: u64,
    /// When it was decided, in milliseconds since the epoch.
    pub at_ms: u64,
    /// The migration that it belongs to.
    pub migration_id: Option<String>,
    /// What led to it.
    pub trigger: String,
    /// The phase before.
    pub from: Phase,
    /// The phase after.
    pub to: Phase,
    /// What was decided.
    pub action: Verb,
    /// Why.
    pub why: String,
    /// What was seen.
    pub evidence: Vec<Evidence>,
    /// Hash of the entry before.
    pub previous_hash: String,
    /// SHA-256, in hex, of all fields above as a JSON array in this order.
    pub hash: String,
}

/// Where a chain of entries is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal is broken at generation {generation}")]
pub struct BrokenChain {
    /// Generation of the first entry that does not fit.
    pub generation: u64,
}

impl Entry {
    /// The entry of a decision; binds it into the decision's next state.
    #[must_use]
    pub fn of(before: &State, decision: &mut Decision, trigger: &str, now_ms: u64) -> Self {
        let next = &mut decision.next;
        let mut entry = Self {
            generation: next.generation,
            at_ms: now_ms,
            migration_id: next.migration.as_ref().map(|m| m.id.clone()),
            trigger: trigger.to_owned(),
            from: before.phase,
            to: next.phase,
            action: decision.verb,
            why: decision.why.clone(),
            evidence: decision.evidence.clone(),
            previous_hash: before.journal_head.clone(),
            hash: String::new(),
        };
        entry.hash = entry.digest();
        next.journal_head.clone_from(&entry.hash);
        entry
    }

    fn digest(&self) -> String {
        let fields = serde_json::json!([
            self.generation,
            self.at_ms,
            self.migration_id,
            self.trigger,
            self.from,
            self.to,
            self.action,
            self.why,
            self.evidence,
            self.previous_hash
        ]);
        digest(&fields.to_string())
    }
}

/// SHA-256 of a text, in hex.
#[must_use]
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Checks consecutive entries, the oldest first: each hash, and that each names the one before it.
///
/// # Errors
/// The first entry that does not fit.
pub fn verify(entries: &[Entry]) -> Result<(), BrokenChain> {
    let mut before: Option<&Entry> = None;
    for entry in entries {
        let follows = before.is_none_or(|before| {
            entry.previous_hash == before.hash
                && Some(entry.generation) == before.generation.checked_add(1)
        });
        if !follows || entry.digest() != entry.hash {
            return Err(BrokenChain {
                generation: entry.generation,
            });
        }
        before = Some(entry);
    }
    Ok(())
}
