//! Text that fits: findings hold what services say, and CloudFormation takes 4096 bytes.

/// What a shortened text ends with.
const CUT: &str = "...";

/// The text without what JSON would have to escape or a page could take for markup's begin: control characters become
/// spaces, quotes and backslashes their harmless likes. So its bytes are its bytes in JSON too.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect()
}

/// At most `chars` characters of the text, its end marked where it was cut.
#[must_use]
pub fn shortened(text: &str, chars: usize) -> String {
    if text.chars().nth(chars).is_none() {
        return text.to_owned();
    }
    let kept = chars.saturating_sub(CUT.len());
    text.chars().take(kept).chain(CUT.chars()).collect()
}

/// At most `bytes` bytes of the text, cut between two characters, its end marked where it was cut.
#[must_use]
pub fn within_bytes(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let most = bytes.saturating_sub(CUT.len());
    let mut used = 0_usize;
    let mut short: String = text
        .chars()
        .take_while(|c| {
            used = used.saturating_add(c.len_utf8());
            used <= most
        })
        .collect();
    if short.len().saturating_add(CUT.len()) <= bytes {
        short.push_str(CUT);
    }
    short
}

/// Names in a row, at most `most` of them, and how many more there are.
#[must_use]
pub fn listed<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(most);
    if more == 0 {
        shown.join(", ")
    } else {
        format!("{} and {more} more", shown.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_is_marked() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abc...");
        assert_eq!(within_bytes("\u{20ac}\u{20ac}\u{20ac}", 8), "\u{20ac}...");
        assert_eq!(within_bytes("abc", 2), "");
        assert_eq!(listed(&["a", "b", "c"], 2), "a, b and 1 more");
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_it_may_be(text in ".{0,200}", bytes in 0_usize..200) {
            prop_assert!(within_bytes(&text, bytes).len() <= bytes);
            let plain = plain(&text);
            prop_assert_eq!(serde_json::to_string(&plain).unwrap().len(), plain.len() + 2);
        }
    }
}
