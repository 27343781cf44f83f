//! Walking the members of a JSON object: each known one once, every mistake noted with its path.

use super::finding::{self, Findings};
use super::json::Json;
use super::text;

/// An object being read. Unknown and duplicate members are noted when it is opened.
pub(super) struct Fields<'a> {
    path: &'a str,
    object: &'a Json,
}

/// Bounds of a text field, in characters.
#[derive(Clone, Copy)]
pub(super) struct TextRule {
    /// At least.
    pub(super) min: usize,
    /// At most.
    pub(super) max: usize,
    /// Which characters, and how to say so.
    pub(super) allowed: (fn(char) -> bool, &'static str),
}

/// Free text without control characters.
pub(super) const PLAIN: (fn(char) -> bool, &str) =
    (text::is_plain, "printable characters without controls");
/// Identifiers.
pub(super) const ID: (fn(char) -> bool, &str) = (text::is_id, "A-Z a-z 0-9 _ . -");

impl<'a> Fields<'a> {
    /// Opens an object whose members are `known`. Anything but an object is noted, and has no members.
    pub(super) fn open(
        path: &'a str,
        object: &'a Json,
        known: &[&str],
        findings: &mut Findings,
    ) -> Self {
        if let Json::Object(members) = object {
            for (name, _) in members {
                if !known.contains(&name.as_str()) {
                    let field = finding::path(path, name);
                    findings.add(&field, "unknown_field", "is not a field of this object");
                }
            }
            note_duplicates(path, members, findings);
        } else {
            let message = format!("must be an object, not {}", object.kind());
            findings.add(path, "wrong_type", message);
        }
        Self { path, object }
    }

    fn path_of(&self, name: &str) -> String {
        finding::path(self.path, name)
    }

    /// A member that may be absent.
    pub(super) fn get(&self, name: &str) -> Option<(String, &'a Json)> {
        Some((self.path_of(name), self.object.member(name)?))
    }

    /// A member that must be there.
    pub(super) fn required(
        &self,
        name: &str,
        findings: &mut Findings,
    ) -> Option<(String, &'a Json)> {
        let found = self.get(name);
        if found.is_none() && matches!(self.object, Json::Object(_)) {
            findings.add(&self.path_of(name), "required", "is required");
        }
        found
    }

    /// A text member that must be there and keep the rule.
    pub(super) fn required_text(
        &self,
        name: &str,
        rule: TextRule,
        findings: &mut Findings,
    ) -> Option<&'a str> {
        let (path, value) = self.required(name, findings)?;
        checked_text(&path, value, rule, findings)
    }

    /// A text member that may be absent; if it is there, it keeps the rule.
    pub(super) fn optional_text(
        &self,
        name: &str,
        rule: TextRule,
        findings: &mut Findings,
    ) -> Option<&'a str> {
        let (path, value) = self.get(name)?;
        checked_text(&path, value, rule, findings)
    }
}

/// Notes each name that stands more than once, once.
pub(super) fn note_duplicates(path: &str, members: &[(String, Json)], findings: &mut Findings) {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let mut noted = None;
    for pair in names.windows(2) {
        if let [first, second] = pair
            && first == second
            && noted != Some(first)
        {
            noted = Some(first);
            let field = finding::path(path, first);
            findings.add(&field, "duplicate_field", "stands more than once");
        }
    }
}

/// A string, or a finding.
pub(super) fn text_of<'a>(path: &str, value: &'a Json, findings: &mut Findings) -> Option<&'a str> {
    let text = value.text();
    if text.is_none() {
        let message = format!("must be a string, not {}", value.kind());
        findings.add(path, "wrong_type", message);
    }
    text
}

/// A string that keeps the rule and holds no card number, or findings.
pub(super) fn checked_text<'a>(
    path: &str,
    value: &'a Json,
    rule: TextRule,
    findings: &mut Findings,
) -> Option<&'a str> {
    let text = text_of(path, value, findings)?;
    keeps_rule(path, text, rule, findings).then_some(text)
}

/// Whether text keeps the rule and holds no card number; notes what it breaks.
pub(super) fn keeps_rule(path: &str, text: &str, rule: TextRule, findings: &mut Findings) -> bool {
    let chars = text.chars().count();
    let (allowed, which) = rule.allowed;
    let mut fine = true;
    if chars < rule.min {
        let message = format!("must have at least {} characters", rule.min);
        findings.add(path, "too_short", message);
        fine = false;
    }
    if chars > rule.max {
        let message = format!("must have at most {} characters", rule.max);
        findings.add(path, "too_long", message);
        fine = false;
    }
    if !text.chars().all(allowed) {
        let message = format!("must have no other characters than {which}");
        findings.add(path, "bad_characters", message);
        fine = false;
    }
    if text::holds_card_number(text) {
        let message = "must not hold a card number: only paymentMethod.number may";
        findings.add(path, "card_number_in_text", message);
        fine = false;
    }
    fine
}
