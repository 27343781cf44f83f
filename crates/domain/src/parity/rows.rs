//! Which rows of a range differ, and what a second look at them means.
//!
//! Rows are told by their key and by the SHA-256 of their canonical form. The two sides are never read at the same moment,
//! and replication takes its time: a difference of the first look is a suspicion. It is one when the same two rows still
//! differ after everything that was written before the first look has arrived on the other side.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A row's key: a text per column of the key, as the adapter writes it.
pub type KeyText = Vec<String>;

/// The rows of a range: by key, the hash of each.
pub type Rows = BTreeMap<KeyText, String>;

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// Green has it, blue has not.
    MissingInBlue,
    /// Blue has it, green has not.
    MissingInGreen,
    /// Both have it, with other values.
    Values,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferingRow {
    /// Its key, readable: `scope=m:shop, idempotency_key=k-1`. Cut where it is long.
    pub key: String,
    /// How it differs.
    pub how: Difference,
}

/// The keys whose rows are not the same on both sides, in order of the keys.
#[must_use]
pub fn suspects(blue: &Rows, green: &Rows) -> Vec<KeyText> {
    let keys: BTreeSet<&KeyText> = blue.keys().chain(green.keys()).collect();
    keys.into_iter()
        .filter(|key| blue.get(*key) != green.get(*key))
        .cloned()
        .collect()
}

/// What a second look says of a suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is the same now: it was under way.
    Same,
    /// It differs, and neither side has changed since the first look.
    Differs(Difference),
    /// It differs, but it was changed between the looks: look again.
    Moving,
}

/// Compares two looks at a suspect. Between them, what was written before the first has arrived on the other side.
#[must_use]
pub fn settle(
    key: &KeyText,
    (blue_before, green_before): (&Rows, &Rows),
    (blue, green): (&Rows, &Rows),
) -> Settled {
    let (in_blue, in_green) = (blue.get(key), green.get(key));
    // One side has now what the other had before: a row that changes often, and arrives.
    let arrived = in_green.is_some() && in_green == blue_before.get(key)
        || in_blue.is_some() && in_blue == green_before.get(key);
    if in_blue == in_green || arrived {
        return Settled::Same;
    }
    if in_blue != blue_before.get(key) || in_green != green_before.get(key) {
        return Settled::Moving;
    }
    Settled::Differs(match (in_blue, in_green) {
        (None, _) => Difference::MissingInBlue,
        (_, None) => Difference::MissingInGreen,
        (Some(_), Some(_)) => Difference::Values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Rows {
        rows.iter()
            .map(|(key, hash)| (vec![(*key).to_owned()], (*hash).to_owned()))
            .collect()
    }

    #[test]
    fn suspects_are_missing_rows_and_other_values() {
        let blue = rows(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let green = rows(&[("b", "2"), ("c", "4"), ("d", "5")]);
        let found: Vec<String> = suspects(&blue, &green).concat();
        assert_eq!(found, ["a", "c", "d"]);
        assert!(suspects(&blue, &blue).is_empty());
    }

    #[test]
    fn what_changed_between_the_looks_is_no_difference_yet() {
        let key = vec!["a".to_owned()];
        let (none, one, two) = (rows(&[]), rows(&[("a", "1")]), rows(&[("a", "2")]));
        for (before, after, settled) in [
            ((&one, &none), (&one, &one), Settled::Same),
            ((&one, &none), (&none, &none), Settled::Same),
            (
                (&one, &none),
                (&one, &none),
                Settled::Differs(Difference::MissingInGreen),
            ),
            (
                (&none, &one),
                (&none, &one),
                Settled::Differs(Difference::MissingInBlue),
            ),
            (
                (&one, &two),
                (&one, &two),
                Settled::Differs(Difference::Values),
            ),
            ((&one, &none), (&two, &none), Settled::Moving),
            ((&one, &none), (&one, &two), Settled::Moving),
            ((&one, &none), (&two, &one), Settled::Same),
            ((&one, &two), (&two, &none), Settled::Same),
            ((&one, &none), (&none, &two), Settled::Moving),
        ] {
            assert_eq!(settle(&key, before, after), settled);
        }
    }
}
