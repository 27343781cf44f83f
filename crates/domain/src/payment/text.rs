//! Rules for text that a caller may choose: which characters, and no card number in it.

pub use super::card_search::holds_card_number;

/// Whether `c` may stand in free text: no control characters, no bidirectional controls (they let text show other than it
/// is, Unicode TR 36), no line or paragraph separators, no invisible tag characters.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'))
}

/// Whether `c` may stand in an identifier of ours: `A-Z a-z 0-9 _ . -`.
#[must_use]
pub fn is_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_bidi_are_not_plain() {
        for c in [
            '\n',
            '\0',
            '\u{7f}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            assert!(!is_plain(c), "{c:?}");
        }
        assert!("Zahlung für Öl 漢字 🙂".chars().all(is_plain));
    }
}
