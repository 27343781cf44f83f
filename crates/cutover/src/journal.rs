//! `cutover verify-journal`: checks the journal's hash chain here, not where it is kept.

use std::fmt::Write as _;

use cutover_domain::switch::{BrokenChain, Entry, verify, verify_to};
use serde::Deserialize as _;
use serde_json::Value;

/// Characters of a hash that the table shows.
const HASH_SHOWN: usize = 12;

/// Characters of a column of text that the table shows.
const TEXT_SHOWN: usize = 24;

/// A journal, as the switch answered it.
#[derive(Debug)]
pub struct Journal {
    entries: Vec<Entry>,
    /// Generation and hash that the stored state names as its last; only of a whole journal.
    head: Option<(u64, String)>,
}

impl Journal {
    /// Reads the answer to `history`.
    ///
    /// # Errors
    /// What of it can't be read.
    pub fn read(answer: &Value) -> Result<Self, String> {
        let entries = answer
            .get("entries")
            .and_then(Value::as_array)
            .ok_or("the answer has no list `entries`")?;
        let entries = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| {
                Entry::deserialize(entry).map_err(|error| format!("entries[{index}]: {error}"))
            })
            .collect::<Result<Vec<Entry>, String>>()?;
        let head = answer.get("head").and_then(|head| {
            let hash = head.get("hash")?.as_str()?.to_owned();
            Some((head.get("generation")?.as_u64()?, hash))
        });
        Ok(Self { entries, head })
    }

    /// Whether the chain holds.
    ///
    /// # Errors
    /// Where it is broken.
    pub fn verify(&self) -> Result<(), BrokenChain> {
        match &self.head {
            Some((generation, hash)) => verify_to(&self.entries, *generation, hash),
            None => verify(&self.entries),
        }
    }

    /// The entries, a line each, the broken one marked.
    #[must_use]
    pub fn table(&self) -> String {
        let broken = self.verify().err().map(|broken| broken.generation);
        let mut table = format!(
            "{:>10}  {:<13}  {:<TEXT_SHOWN$}  {:<TEXT_SHOWN$}  {:<26}  {:<HASH_SHOWN$}\n",
            "generation", "at (ms)", "migration", "trigger", "phase", "hash"
        );
        for entry in &self.entries {
            let mark = if broken == Some(entry.generation) {
                "  << broken"
            } else {
                ""
            };
            let migration = entry.migration_id.as_deref().unwrap_or("-");
            let phase = format!("{} -> {}", entry.from, entry.to);
            let _written = writeln!(
                table,
                "{:>10}  {:<13}  {:<TEXT_SHOWN$}  {:<TEXT_SHOWN$}  {phase:<26}  {:<HASH_SHOWN$}{mark}",
                entry.generation,
                entry.at_ms,
                cut(migration, TEXT_SHOWN),
                cut(&entry.trigger, TEXT_SHOWN),
                cut(&entry.hash, HASH_SHOWN),
            );
        }
        table
    }

    /// What was verified, or where the chain is broken, in one sentence.
    ///
    /// # Errors
    /// The sentence, if it is broken or there is nothing to verify.
    pub fn verdict(&self) -> Result<String, String> {
        self.verify().map_err(|broken| broken.to_string())?;
        let (Some(first), Some(last)) = (self.entries.first(), self.entries.last()) else {
            return match &self.head {
                Some((0, _)) => Ok("there is no journal yet: nothing was ever decided".to_owned()),
                _ => Err("there are no entries to verify".to_owned()),
            };
        };
        let before = if first.generation > 1 {
            "; what is older was not answered"
        } else {
            ""
        };
        let end = if self.head.is_some() {
            ", up to the stored state"
        } else {
            ""
        };
        Ok(format!(
            "generations {} to {} verified{end}{before}",
            first.generation, last.generation
        ))
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use cutover_domain::switch::{Environment, Observation, State, Trigger, Versions, step};
    use serde_json::json;

    use super::*;

    /// The answer to `history` of a switch with three transitions.
    fn answer() -> Value {
        let mut state = State::new(Environment::Blue, Versions::default());
        let mut entries = Vec::new();
        for generation in 1..=3 {
            let mut decision = step(&state, 0, &Observation::of(Trigger::Tick));
            decision.next.generation = generation;
            entries.push(Entry::of(&state, &mut decision, "tick", 1_800_000_000_000));
            state = decision.next;
        }
        json!({
            "phase": "idle",
            "entries": entries,
            "head": {"generation": state.generation, "hash": state.journal_head},
        })
    }

    #[test]
    fn a_whole_journal_is_verified_up_to_the_state() {
        let journal = Journal::read(&answer()).unwrap();
        let verdict = journal.verdict().unwrap();
        assert_eq!(
            verdict,
            "generations 1 to 3 verified, up to the stored state"
        );
        assert_eq!(journal.table().lines().count(), 4);
        assert!(!journal.table().contains("broken"));
    }

    #[test]
    fn a_changed_word_and_a_missing_end_are_found() {
        let mut changed = answer();
        changed["entries"][1]["why"] = json!("nothing of note");
        let journal = Journal::read(&changed).unwrap();
        assert!(journal.verdict().unwrap_err().contains("generation 2"));
        let marked = journal.table();
        assert!(
            marked.lines().nth(2).unwrap().ends_with("<< broken"),
            "{marked}"
        );
        let mut cut = answer();
        cut["entries"].as_array_mut().unwrap().pop();
        let told = Journal::read(&cut).unwrap().verdict().unwrap_err();
        assert!(
            told.contains("generation 3") && told.contains("missing"),
            "{told}"
        );
    }

    #[test]
    fn an_excerpt_says_what_it_does_not_cover() {
        let mut excerpt = answer();
        excerpt["entries"].as_array_mut().unwrap().remove(0);
        excerpt.as_object_mut().unwrap().remove("head");
        let verdict = Journal::read(&excerpt).unwrap().verdict().unwrap();
        assert_eq!(
            verdict,
            "generations 2 to 3 verified; what is older was not answered"
        );
    }

    #[test]
    fn an_answer_that_is_none_is_no_journal() {
        assert!(Journal::read(&json!({"phase": "idle"})).is_err());
        let told = Journal::read(&json!({"entries": [{"generation": 1}]})).unwrap_err();
        assert!(told.contains("entries[0]"), "{told}");
        let empty = Journal::read(&json!({"entries": []})).unwrap();
        assert!(empty.verdict().is_err(), "nothing is not verified");
    }
}
