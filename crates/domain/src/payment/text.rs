//! Rules for text that a caller may choose: which characters, how long, and no card number in it.

use super::card;

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

/// Whether text holds what looks like a card number: 12 to 19 digits that pass Luhn and are of a supported brand in a
/// length that the brand allows, with up to two separators between groups of digits. Digits of other scripts count too.
///
/// Digits are looked at in whole groups: a card number inside a longer unbroken run of digits is not searched for, or one
/// in some dozens of ordinary numeric ids would be refused.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    Runs::new(text).any(|run| run.holds_card_number())
}

/// Groups of digits with at most two separators between them.
#[derive(Default)]
struct Run {
    groups: Vec<Vec<u8>>,
}

impl Run {
    fn holds_card_number(&self) -> bool {
        (0..self.groups.len()).any(|first| {
            let mut digits = Vec::with_capacity(card::DIGITS_MAX);
            self.groups.iter().skip(first).any(|group| {
                digits.extend_from_slice(group);
                card::looks_real(&digits)
            })
        })
    }
}

struct Runs<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
}

impl<'a> Runs<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            chars: text.chars().peekable(),
        }
    }
}

/// Groups looked at in one run: 19 single digits, twice over; a longer run starts anew.
const GROUPS_MAX: usize = 40;

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        let mut run = Run::default();
        let mut separators = 0_u8;
        while let Some(&c) = self.chars.peek() {
            match digit(c) {
                Some(d) => {
                    let starts_group = separators > 0 || run.groups.is_empty();
                    if starts_group && run.groups.len() == GROUPS_MAX {
                        return Some(run);
                    }
                    if starts_group {
                        run.groups.push(Vec::new());
                    }
                    separators = 0;
                    if let Some(group) = run.groups.last_mut() {
                        group.push(d);
                    }
                }
                None if run.groups.is_empty() => {}
                None if is_separator(c) && separators < 2 => separators += 1,
                None => {
                    self.chars.next();
                    return Some(run);
                }
            }
            self.chars.next();
        }
        (!run.groups.is_empty()).then_some(run)
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '.' | '_' | '/' | ',' | ':' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{200b}'..='\u{200d}' | '\u{2212}')
}

fn digit(c: char) -> Option<u8> {
    let zero = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        _ => return None,
    };
    u8::try_from(u32::from(c).checked_sub(u32::from(zero))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_numbers_in_text_are_found() {
        for text in [
            "4242424242424242",
            "pay with 4242 4242 4242 4242 please",
            "x4242-4242-4242-4242y",
            "order 12 4242 4242 4242 4242",
            "4242  4242  4242  4242",
            "3782.822463.10005",
            "４２４２４２４２４２４２４２４２",
            "4\u{200b}2424242\u{200b}42424242",
        ] {
            assert!(holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_not_taken_for_a_card_number() {
        for text in [
            "",
            "order 20261120-000417",
            "550e8400-e29b-41d4-a716-446655440000",
            "4242424242424243",
            "0000000000000000",
            "+49 30 901820",
            "2026-11-20T11:19:23.123Z",
            "00004242424242424242",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

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

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_harm(text in any::<String>()) {
            let _found = holds_card_number(&text);
        }

        #[test]
        fn a_card_number_is_found_wherever_it_stands(before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
            let text = [before.as_str(), "4111111111111111", after.as_str()].concat();
            prop_assert!(holds_card_number(&text));
        }
    }
}
