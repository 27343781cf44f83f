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

/// What is wrong with a chain of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The entry's hash is not that of its fields: one of them was changed.
    Altered,
    /// The entry does not name the hash of the one before it: that one was exchanged.
    Unlinked,
    /// One or more entries before it are missing.
    Gap,
    /// It is the first one ever, and names one before it.
    NotFirst,
    /// It is the state's last transition, and is missing.
    Missing,
    /// It is the state's last transition, and its hash is not the one that the state names.
    NotHead,
}

impl Flaw {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Altered => "its hash is not that of its fields",
            Self::Unlinked => "it does not name the hash of the entry before it",
            Self::Gap => "entries before it are missing",
            Self::NotFirst => "it is the first entry and names one before it",
            Self::Missing => "the state names it, and it is missing",
            Self::NotHead => "the state names another hash for it",
        }
    }
}

/// Where a chain of entries is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal is broken at generation {generation}: {}", flaw.as_str())]
pub struct BrokenChain {
    /// Generation of the first entry that does not fit.
    pub generation: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
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

/// Checks consecutive entries, the oldest first: each hash, and that each names the one before it. Where the oldest is the
/// first one ever, it must name [`FIRST_HASH`]; of an older one than the oldest nothing is known.
///
/// # Errors
/// The first entry that does not fit.
pub fn verify(entries: &[Entry]) -> Result<(), BrokenChain> {
    let mut before: Option<&Entry> = None;
    for entry in entries {
        if let Some(flaw) = entry.flaw(before) {
            return Err(BrokenChain {
                generation: entry.generation,
                flaw,
            });
        }
        before = Some(entry);
    }
    Ok(())
}

/// As [`verify`], and that the entries lead to a state: the entry of its `generation` is there, and has the hash that the
/// state names, its `journal_head`. So entries that were cut off at the end are noticed, too. Younger ones may follow.
///
/// # Errors
/// The first entry that does not fit.
pub fn verify_to(entries: &[Entry], generation: u64, head: &str) -> Result<(), BrokenChain> {
    verify(entries)?;
    if generation == 0 {
        return Ok(());
    }
    let flaw = match entries.iter().find(|entry| entry.generation == generation) {
        None => Flaw::Missing,
        Some(entry) if entry.hash != head => Flaw::NotHead,
        Some(_) => return Ok(()),
    };
    Err(BrokenChain { generation, flaw })
}

impl Entry {
    fn flaw(&self, before: Option<&Self>) -> Option<Flaw> {
        if self.digest() != self.hash {
            return Some(Flaw::Altered);
        }
        match before {
            None if self.generation == 1 && self.previous_hash != FIRST_HASH => {
                Some(Flaw::NotFirst)
            }
            None => None,
            Some(before) if Some(self.generation) != before.generation.checked_add(1) => {
                Some(Flaw::Gap)
            }
            Some(before) => (self.previous_hash != before.hash).then_some(Flaw::Unlinked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Observation, Trigger, Versions, step};
    use super::*;

    /// A journal of four entries, and the state that it led to.
    fn journal() -> (Vec<Entry>, State) {
        let mut state = State::new(Environment::Blue, Versions::default());
        let mut entries = Vec::new();
        for generation in 1..=4 {
            let seen = Observation::of(Trigger::Tick);
            let mut decision = step(&state, generation, &seen);
            decision.next.generation = generation;
            entries.push(Entry::of(&state, &mut decision, "tick", generation));
            state = decision.next;
        }
        (entries, state)
    }

    fn flaw(entries: &[Entry], state: &State) -> Option<(u64, Flaw)> {
        let broken = verify_to(entries, state.generation, &state.journal_head).err()?;
        Some((broken.generation, broken.flaw))
    }

    #[test]
    fn a_whole_chain_holds_and_so_does_its_end() {
        let (entries, state) = journal();
        let holds = |entries: &[Entry], generation, head: &str| {
            assert_eq!(verify_to(entries, generation, head), Ok(()));
        };
        holds(&entries, 4, &state.journal_head);
        holds(&entries[2..], 4, &state.journal_head);
        // One came between the two readings.
        holds(&entries, 3, &entries[2].hash);
        holds(&[], 0, FIRST_HASH);
    }

    #[test]
    fn every_kind_of_tampering_is_found_where_it_is() {
        let (entries, state) = journal();
        let changed = |index: usize, change: fn(&mut Entry)| {
            let mut entries = entries.clone();
            change(&mut entries[index]);
            flaw(&entries, &state)
        };
        let why = |entry: &mut Entry| entry.why.push('!');
        let forged = |entry: &mut Entry| {
            entry.why.push('!');
            entry.hash = entry.digest();
        };
        let unlinked = |entry: &mut Entry| {
            entry.previous_hash = "0".repeat(64);
            entry.hash = entry.digest();
        };
        assert_eq!(changed(1, why), Some((2, Flaw::Altered)));
        assert_eq!(changed(1, forged), Some((3, Flaw::Unlinked)));
        assert_eq!(changed(2, unlinked), Some((3, Flaw::Unlinked)));
        assert_eq!(changed(3, forged), Some((4, Flaw::NotHead)));
        let not_first = |entry: &mut Entry| {
            entry.previous_hash = "1".repeat(64);
            entry.hash = entry.digest();
        };
        assert_eq!(changed(0, not_first), Some((1, Flaw::NotFirst)));
        let mut gap = entries.clone();
        gap.remove(1);
        assert_eq!(flaw(&gap, &state), Some((3, Flaw::Gap)));
        assert_eq!(flaw(&entries[..3], &state), Some((4, Flaw::Missing)));
        let told = verify(&gap).unwrap_err().to_string();
        assert!(
            told.contains("generation 3: entries before it are missing"),
            "{told}"
        );
    }
}
