//! Percent-encoding, as in paths and queries that nobody decoded on the way.

/// The text that `encoded` stands for (RFC 3986, section 2.1). What is no escape stays, and so does all of a text whose
/// bytes would be no UTF-8.
#[must_use]
pub(crate) fn decode(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if first == b'%' => hex(*high, *low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(first));
        let taken = if escaped.is_some() { 2 } else { 0 };
        rest = after.get(taken..).unwrap_or_default();
    }
    String::from_utf8(bytes).unwrap_or_else(|_| encoded.to_owned())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
    Some(digit(high)? * 16 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once() {
        for (encoded, text) in [
            ("shop-7", "shop-7"),
            ("shop%2D7", "shop-7"),
            ("shop%2d7%", "shop-7%"),
            ("%zz%4", "%zz%4"),
            ("%252D", "%2D"),
            ("%C3%BC", "ü"),
            ("%ff", "%ff"),
            ("", ""),
        ] {
            assert_eq!(decode(encoded), text, "{encoded}");
        }
    }
}
