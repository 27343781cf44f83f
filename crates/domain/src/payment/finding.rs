//! What is wrong with a request: a field, a stable code, a sentence.

use serde::Serialize;

use super::text;

/// Findings that one answer lists. A body of nothing but unknown fields must not make a huge answer.
pub const FINDINGS_MAX: usize = 100;

/// One thing wrong with a request. It never repeats a value: that may hold a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The path of the field, for example `paymentMethod.number`; empty for the whole body.
    pub field: String,
    /// A stable code, for example `required`.
    pub code: &'static str,
    /// A sentence for a person.
    pub message: String,
}

/// Findings in the order in which they were made.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Notes a finding, up to [`FINDINGS_MAX`].
    pub fn add(&mut self, field: &str, code: &'static str, message: impl Into<String>) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(Finding {
                field: field.to_owned(),
                code,
                message: message.into(),
            });
        }
    }

    /// Whether anything was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}

/// The path of member `name` under `parent`, fit to be shown: a name comes from the caller, and may be long, unprintable
/// or a card number.
#[must_use]
pub fn path(parent: &str, name: &str) -> String {
    const NAME_CHARS_MAX: usize = 64;
    let mut shown: String = name
        .chars()
        .take(NAME_CHARS_MAX)
        .map(|c| if text::is_plain(c) { c } else { '?' })
        .collect();
    // What is cut off may be what made the rest look like a random id.
    if text::holds_card_number(name) || text::holds_card_number(&shown) {
        "(hidden)".clone_into(&mut shown);
    }
    if parent.is_empty() {
        shown
    } else {
        format!("{parent}.{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_no_card_number_and_nothing_unprintable() {
        assert_eq!(path("metadata", "order"), "metadata.order");
        assert_eq!(path("", "4242 4242 4242 4242"), "(hidden)");
        assert_eq!(path("", "a\nb\u{202e}c"), "a?b?c");
        assert_eq!(path("", &"x".repeat(1000)).len(), 64);
        let cut = format!("{}4242424242424242cc0424243", "x".repeat(44));
        assert_eq!(path("", &cut), "(hidden)");
    }
}
