//! Looking for card numbers in text that must hold none.

use zeroize::Zeroizing;

use super::card;

/// Characters between two groups of digits that still make one number: `4242 - 4242`.
const SEPARATORS_MAX: usize = 3;

/// Hexadecimal digits in a row, letters among them, that count as a random id and not as text.
const HEX_ID_MIN: usize = 24;

/// Zeros of the decimal digits of the world's scripts (Unicode general category Nd); nine follow each.
const ZEROS: [char; 38] = [
    '0',
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{ff10}',
    '\u{104a0}',
    '\u{11066}',
    '\u{1d7ce}',
    '\u{1d7d8}',
    '\u{1d7e2}',
    '\u{1d7ec}',
    '\u{1d7f6}',
];

/// Whether text holds what looks like a card number: 12 to 19 digits that pass Luhn and are of a supported brand in a
/// length that the brand allows, with up to three characters between groups of digits that are neither letters nor
/// digits. Digits of other scripts count too.
///
/// Digits are looked at in whole groups: a card number inside a longer unbroken run of digits is not searched for, or one
/// in some dozens of ordinary numeric ids would be refused. For the same reason UUIDs and long hexadecimal ids are passed
/// over: one in some thousands of random ones holds digits that look like a card number.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    // Most texts have not as many digits in all.
    if text
        .chars()
        .filter_map(digit)
        .take(card::DIGITS_MIN)
        .count()
        < card::DIGITS_MIN
    {
        return false;
    }
    let mut digits = Digits::default();
    let mut rest = text;
    let mut inside_hex = false;
    while let Some(c) = rest.chars().next() {
        if !inside_hex && let Some(after) = skip_id(rest) {
            if digits.hold_card_number() {
                return true;
            }
            digits = Digits::default();
            rest = after;
            continue;
        }
        inside_hex = c.is_ascii_hexdigit();
        if !digits.take(c) {
            if digits.hold_card_number() {
                return true;
            }
            digits = Digits::default();
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    digits.hold_card_number()
}

/// Groups of digits with few separators between them.
#[derive(Default)]
struct Digits {
    /// Each 0 to 9.
    values: Zeroizing<Vec<u8>>,
    /// Where groups begin in `values`.
    starts: Vec<usize>,
    /// Separators since the last digit.
    separators: usize,
}

impl Digits {
    /// Takes a character in, unless it ends the groups.
    fn take(&mut self, c: char) -> bool {
        if let Some(value) = digit(c) {
            if self.separators > 0 || self.values.is_empty() {
                self.starts.push(self.values.len());
            }
            self.values.push(value);
            self.separators = 0;
            return true;
        }
        if !self.values.is_empty() {
            self.separators += 1;
        }
        !c.is_alphanumeric() && self.separators <= SEPARATORS_MAX
    }

    fn hold_card_number(&self) -> bool {
        let ends = || self.starts.iter().copied().chain([self.values.len()]);
        self.starts.iter().enumerate().any(|(nth, &start)| {
            ends()
                .skip(nth + 1)
                .take_while(|&end| end - start <= card::DIGITS_MAX)
                .any(|end| self.values.get(start..end).is_some_and(card::looks_real))
        })
    }
}

fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).and_then(|value| u8::try_from(value).ok());
    }
    ZEROS.iter().find_map(|&zero| {
        let value = u32::from(c).checked_sub(u32::from(zero))?;
        u8::try_from(value).ok().filter(|&value| value <= 9)
    })
}

/// What follows the random id that `text` begins with, if it begins with one.
fn skip_id(text: &str) -> Option<&str> {
    let hex = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let len = match uuid_len(text) {
        Some(len) => len,
        None => Some(hex(text)).filter(|&len| len >= HEX_ID_MIN)?,
    };
    let (id, after) = text.split_at_checked(len)?;
    let has_letter = id.bytes().any(|b| b.is_ascii_alphabetic());
    (has_letter && hex(after) == 0).then_some(after)
}

/// The length of the UUID (RFC 9562, section 4) that `text` begins with.
fn uuid_len(text: &str) -> Option<usize> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut rest = text;
    for (nth, len) in GROUPS.into_iter().enumerate() {
        if nth > 0 {
            rest = rest.strip_prefix('-')?;
        }
        let (group, after) = rest.split_at_checked(len)?;
        if !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        rest = after;
    }
    text.len().checked_sub(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_numbers_in_text_are_found() {
        let late = format!("{}4242 4242 4242 4242", "1 ".repeat(60));
        for text in [
            "4242424242424242",
            "pay with 4242 4242 4242 4242 please",
            "x4242-4242-4242-4242y",
            "order 12 4242 4242 4242 4242",
            "4242  4242  4242  4242",
            "4242 - 4242 - 4242 - 4242",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
            "4242*4242|4242+4242",
            "3782.822463.10005",
            "４２４２４２４２４２４２４２４２",
            "𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐𝟒𝟐",
            "4\u{200b}2424242\u{200b}42424242",
            "4242424242424242 123 12/30",
            "4242424242424242abc",
            "550e8400-e29b-41d4-a716-446655440000 4242424242424242",
            "6205500000000000004",
            &late,
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
            // A UUID and a hexadecimal id whose digits pass for a 16-digit and a 13-digit Visa number.
            "a0b1c2d3-e4f5-4242-8424-242424242420",
            "txn_ab4222222222222ef0123456789abcdef",
            "4242424242424243",
            "0000000000000000",
            "+49 30 901820",
            "2026-11-20T11:19:23.123Z",
            "00004242424242424242",
            "4242 and 4242 and 4242 and 4242",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn only_what_has_the_shape_of_a_random_id_is_passed_over() {
        for text in [
            "42424242-4242-4242-8000-000000000000x",
            "a4242424242424242",
            "42424242-4242-4242-0424-24242424242",
        ] {
            assert_eq!(skip_id(text), None, "{text}");
        }
        assert_eq!(skip_id("550e8400-e29b-41d4-a716-446655440000!"), Some("!"));
        assert_eq!(skip_id("0123456789abcdef01234567"), Some(""));
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_harm(text in any::<String>()) {
            let _found = holds_card_number(&text);
        }

        #[test]
        fn a_card_number_is_found_wherever_it_stands(
            before in "[a-z ]{0,20}", after in "[g-z ][a-z ]{0,19}", separator in "[ ./_-]{0,3}",
        ) {
            let number = ["4111", "1111", "1111", "1111"].join(&separator);
            let text = [before.as_str(), number.as_str(), after.as_str()].concat();
            prop_assert!(holds_card_number(&text));
        }

        #[test]
        fn no_uuid_holds_a_card_number(bits in any::<u128>()) {
            let hex = format!("{bits:032x}");
            let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
            prop_assume!(uuid.contains(|c: char| c.is_ascii_alphabetic()));
            prop_assert!(!holds_card_number(&uuid));
            prop_assert!(!holds_card_number(&hex));
        }
    }
}
