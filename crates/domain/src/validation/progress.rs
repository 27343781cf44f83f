//! A validation that is longer than one invocation: what each invocation hands on, and whether there is a next one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::check::{Check, Finding};

/// Invocations that one validation may take. Lambda ends chains of functions that call themselves at about 16; four of 15
/// minutes fill the longest ServiceTimeout.
pub const INVOCATIONS_MAX: u32 = 12;

/// Invocations in a row that may come no further: one may meet a busy database, or lack the time for a part of the rows.
pub const STALLED_MAX: u32 = 3;

/// Longest token of a check, in bytes: a DynamoDB item takes 400 kB.
pub const TOKEN_BYTES_MAX: usize = 128 * 1024;

/// What is handed on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// When the first invocation began, in milliseconds since the epoch.
    pub began_ms: u64,
    /// How many invocations ended without an answer.
    pub invocations: u32,
    /// The invocation that works on it.
    pub owner: String,
    /// Until when it may (milliseconds since the epoch): its deadline. Zero once it handed on.
    pub lease_until_ms: u64,
    /// Checks that ended.
    pub done: Vec<Finding>,
    /// Where each of the others stopped, in its own words.
    pub tokens: BTreeMap<Check, String>,
    /// How many invocations in a row came no further.
    #[serde(default)]
    pub stalled: u32,
}

/// What an invocation does with a checkpoint that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It goes on from there: this is what it writes first.
    Mine(Checkpoint),
    /// Another invocation works on it until then (milliseconds since the epoch).
    Theirs {
        /// When its lease ends.
        until_ms: u64,
    },
}

impl Checkpoint {
    /// Whether `owner` may go on from what stands. A repeated delivery has the id of the invocation that died: Lambda
    /// repeats an event only after it ended.
    #[must_use]
    pub fn claim(stands: Option<Self>, owner: &str, now_ms: u64, deadline_ms: u64) -> Claim {
        let mut checkpoint = stands.unwrap_or_else(|| Self {
            began_ms: now_ms,
            ..Self::default()
        });
        if checkpoint.lease_until_ms > now_ms && checkpoint.owner != owner {
            return Claim::Theirs {
                until_ms: checkpoint.lease_until_ms,
            };
        }
        owner.clone_into(&mut checkpoint.owner);
        checkpoint.lease_until_ms = deadline_ms;
        Claim::Mine(checkpoint)
    }

    /// What is handed on after this invocation, or why there is no next one. `window_ms` is how long CloudFormation waits.
    ///
    /// # Errors
    /// Why it can't go on, in words.
    pub fn hand_on(
        mut self,
        done: Vec<Finding>,
        tokens: BTreeMap<Check, String>,
        now_ms: u64,
        window_ms: u64,
    ) -> Result<Self, String> {
        let invocations = self.invocations.saturating_add(1);
        if invocations >= INVOCATIONS_MAX {
            return Err(format!("not finished within {INVOCATIONS_MAX} invocations"));
        }
        let worked_ms = now_ms.saturating_sub(self.began_ms);
        if worked_ms >= window_ms {
            return Err(format!(
                "not finished within the {} s of the ServiceTimeout",
                window_ms / 1000
            ));
        }
        if let Some((check, _)) = tokens
            .iter()
            .find(|(_, token)| token.len() > TOKEN_BYTES_MAX)
        {
            return Err(format!(
                "where {check} stopped takes too many bytes to be kept"
            ));
        }
        self.stalled = if tokens == self.tokens {
            self.stalled.saturating_add(1)
        } else {
            0
        };
        if self.stalled >= STALLED_MAX {
            return Err(format!(
                "{STALLED_MAX} invocations in a row came no further"
            ));
        }
        self.invocations = invocations;
        self.lease_until_ms = 0;
        self.owner.clear();
        self.done = done;
        self.tokens = tokens;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> BTreeMap<Check, String> {
        BTreeMap::from([(Check::DataParity, text.to_owned())])
    }

    fn claimed(stands: Option<Checkpoint>, owner: &str, now_ms: u64) -> Checkpoint {
        match Checkpoint::claim(stands, owner, now_ms, now_ms + 900_000) {
            Claim::Mine(checkpoint) => checkpoint,
            Claim::Theirs { until_ms } => panic!("it is another's until {until_ms}"),
        }
    }

    #[test]
    fn only_one_invocation_works_at_a_time() {
        let first = claimed(None, "a", 1_000);
        assert_eq!((first.began_ms, first.lease_until_ms), (1_000, 901_000));
        let other = Checkpoint::claim(Some(first.clone()), "b", 2_000, 3_000);
        assert_eq!(other, Claim::Theirs { until_ms: 901_000 });
        // The same event again: the invocation before is dead.
        assert_eq!(claimed(Some(first.clone()), "a", 60_000).began_ms, 1_000);
        assert_eq!(claimed(Some(first), "b", 901_000).owner, "b");
    }

    #[test]
    fn what_is_handed_on_is_free_for_the_next() {
        let first = claimed(None, "a", 1_000);
        let handed = first
            .hand_on(Vec::new(), tokens("row 5"), 500_000, 3_600_000)
            .unwrap();
        assert_eq!((handed.invocations, handed.lease_until_ms), (1, 0));
        let second = claimed(Some(handed), "b", 500_100);
        assert_eq!(second.tokens, tokens("row 5"));
    }

    #[test]
    fn there_is_an_end_to_it() {
        let hand_on = |checkpoint: Checkpoint, token: &str, now_ms| {
            checkpoint.hand_on(Vec::new(), tokens(token), now_ms, 3_600_000)
        };
        let mut checkpoint = claimed(None, "a", 0);
        let mut handed = 0;
        while let Ok(next) = hand_on(checkpoint.clone(), &handed.to_string(), 1_000) {
            checkpoint = next;
            handed += 1;
        }
        assert_eq!(handed, INVOCATIONS_MAX - 1);
        let first = claimed(None, "a", 0);
        assert!(
            hand_on(first.clone(), "x", 3_600_000)
                .unwrap_err()
                .contains("3600 s")
        );
        let huge = "x".repeat(TOKEN_BYTES_MAX + 1);
        assert!(
            hand_on(first.clone(), &huge, 1)
                .unwrap_err()
                .contains("too many bytes")
        );
        let mut stuck = hand_on(first, "x", 1).unwrap();
        for _ in 1..STALLED_MAX {
            stuck = hand_on(stuck, "x", 2).unwrap();
        }
        assert!(
            hand_on(stuck.clone(), "x", 3)
                .unwrap_err()
                .contains("no further")
        );
        assert_eq!(hand_on(stuck, "y", 3).unwrap().stalled, 0);
    }

    #[test]
    fn a_checkpoint_survives_its_text() {
        let checkpoint = claimed(None, "a", 1_000)
            .hand_on(Vec::new(), tokens("row \"5\""), 2_000, 3_000_000)
            .unwrap();
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert_eq!(
            serde_json::from_str::<Checkpoint>(&text).unwrap(),
            checkpoint
        );
    }
}
