//! JSON numbers that fit no machine number.

use zeroize::Zeroizing;

/// Bytes of a number that certainly fits: 18 digits, or 15 with a sign, a point and a small exponent.
const LEN_SAFE: usize = 18;

/// The same text with each number that may be too large for a float put as `0.5`, blanks behind it so that nothing moves;
/// `None` if there is none. Only what the grammar of RFC 8259, section 6, allows is touched: wrong text stays wrong.
pub(super) fn without_huge(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const STAND_IN: &[u8] = b"0.5";
    let mut replaced = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut any = false;
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let len = match first {
            b'"' => string_len(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|b| is_number_byte(**b)).count(),
            _ => 1,
        };
        let Some((token, behind)) = rest.split_at_checked(len.max(1)) else {
            replaced.extend_from_slice(rest);
            break;
        };
        if first != b'"' && may_be_huge(token) && is_number(token) {
            any = true;
            replaced.extend_from_slice(STAND_IN);
            replaced.extend(token.iter().skip(STAND_IN.len()).map(|_| b' '));
        } else {
            replaced.extend_from_slice(token);
        }
        rest = behind;
    }
    any.then_some(replaced)
}

fn is_number_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

fn may_be_huge(token: &[u8]) -> bool {
    token.len() > LEN_SAFE || (token.len() > 2 && token.iter().any(|b| matches!(b, b'e' | b'E')))
}

/// Bytes of the string that `text` begins with, quotes included; all of it if it does not end.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(token: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with(b"0")) {
        return false;
    }
    let mut rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let len = digits(fraction);
        if len == 0 {
            return false;
        }
        rest = fraction.get(len..).unwrap_or_default();
    }
    let Some((b'e' | b'E', exponent)) = rest.split_first() else {
        return rest.is_empty();
    };
    let exponent = match exponent.split_first() {
        Some((b'+' | b'-', digits)) => digits,
        _ => exponent,
    };
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Option<String> {
        without_huge(text.as_bytes()).map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn only_whole_numbers_outside_strings_are_replaced() {
        assert_eq!(
            replaced(r#"{"a":1e400}"#).as_deref(),
            Some(r#"{"a":0.5  }"#)
        );
        assert_eq!(replaced("[-1E+9,7]").as_deref(), Some("[0.5  ,7]"));
        for text in [
            r#""1e400""#,
            r#""\"1e400""#,
            "1234567890",
            "01e400",
            "1e",
            "1.e400",
            "",
            "\"",
        ] {
            assert_eq!(replaced(text), None, "{text}");
        }
    }
}
