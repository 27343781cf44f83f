//! Whose payment it is, and under which key: together they name the session, for ever.

use std::fmt;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::text;

/// Characters of a caller's part of a scope; a longer one is replaced by its hash.
const CALLER_CHARS_MAX: usize = 200;
/// Characters of an idempotency key.
pub const KEY_CHARS_MAX: usize = 255;

/// Who a payment belongs to. Keys and transaction ids are unique within a scope.
///
/// Printable ASCII without spaces and `#`, at most 202 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(String);

impl Scope {
    /// The scope of an authenticated caller if there is one, else of a merchant, else the public one.
    #[must_use]
    pub fn new(caller: Option<&str>, merchant_id: Option<&str>) -> Self {
        match (caller, merchant_id) {
            (Some(caller), _) => Self(format!("u:{}", encode_caller(caller))),
            (None, Some(merchant)) => Self(format!("m:{merchant}")),
            (None, None) => Self("public".to_owned()),
        }
    }

    /// A scope as it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text that is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Percent-encodes what must not stand in a scope, so that no two callers share one. A long caller becomes `~` and its
/// SHA-256: `~` itself is encoded, so no caller can claim another's hash.
fn encode_caller(caller: &str) -> String {
    let mut encoded = String::with_capacity(caller.len());
    for byte in caller.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'#' | b'%' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    if encoded.len() > CALLER_CHARS_MAX {
        encoded = format!("~{}", hex::encode(Sha256::digest(caller.as_bytes())));
    }
    encoded
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An idempotency key: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

/// Why an idempotency key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Wrong length or characters.
    #[error("must be 1 to {KEY_CHARS_MAX} printable ASCII characters, bare or as a quoted string")]
    Format,
    /// It holds what looks like a card number.
    #[error("must not hold a card number")]
    CardNumber,
}

impl IdempotencyKey {
    /// Reads the `Idempotency-Key` header: bare, or a string of RFC 8941 (`"..."` with `\"` and `\\`).
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(header: &str) -> Result<Self, KeyError> {
        let header = header.trim_matches([' ', '\t']);
        let key = if header.starts_with('"') {
            unquote(header).ok_or(KeyError::Format)?
        } else {
            header.to_owned()
        };
        let printable = key.bytes().all(|b| matches!(b, b' '..=b'~'));
        if key.is_empty() || key.len() > KEY_CHARS_MAX || !printable {
            Err(KeyError::Format)
        } else if text::holds_card_number(&key) {
            Err(KeyError::CardNumber)
        } else {
            Ok(Self(key))
        }
    }

    /// A key as it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The key itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn unquote(header: &str) -> Option<String> {
    let inner = header.strip_prefix('"')?.strip_suffix('"')?;
    let mut key = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => key.push(c),
        }
    }
    // A lone quote is both prefix and suffix only if the header is one character long.
    (header.len() >= 2).then_some(key)
}

/// The key of a session: `<scope>#<key>`. A scope holds no `#`, so the first one ends it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(String);

impl SessionId {
    /// The session of a key in a scope.
    #[must_use]
    pub fn new(scope: &Scope, key: &IdempotencyKey) -> Self {
        Self(format!("{}#{}", scope.0, key.0))
    }

    /// An id as it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text that is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 hex digits of its SHA-256: names the log object without showing the id.
    #[must_use]
    pub fn short_hash(&self) -> String {
        let mut digest = hex::encode(Sha256::digest(self.0.as_bytes()));
        digest.truncate(16);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_scope_can_be_taken_for_another() {
        let scope = |caller, merchant| Scope::new(caller, merchant).0;
        assert_eq!(scope(Some("alice"), Some("shop")), "u:alice");
        assert_eq!(scope(None, Some("shop")), "m:shop");
        assert_eq!(scope(None, None), "public");
        assert_eq!(scope(Some("a#b"), None), "u:a%23b");
        assert_eq!(scope(Some("a%23b"), None), "u:a%2523b");
        assert_eq!(scope(Some(""), None), "u:");
        assert_eq!(scope(Some("ü"), None), "u:%C3%BC");
        let long = "x".repeat(3000);
        assert_eq!(scope(Some(&long), None).len(), 67);
        assert_ne!(scope(Some(&long), None), scope(Some(&long[1..]), None));
    }

    #[test]
    fn keys_are_bare_or_quoted() {
        let key = |h: &str| IdempotencyKey::parse(h).map(|k| k.0);
        assert_eq!(key("abc"), Ok("abc".to_owned()));
        assert_eq!(key(" \"a b\" "), Ok("a b".to_owned()));
        assert_eq!(key(r#""a\"b\\c""#), Ok(r#"a"b\c"#.to_owned()));
        for bad in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b\"",
            "\"a\\x\"",
            "ä",
            "a\tb",
            &"x".repeat(256),
        ] {
            assert_eq!(key(bad), Err(KeyError::Format), "{bad}");
        }
        assert_eq!(key("4242 4242 4242 4242"), Err(KeyError::CardNumber));
    }

    proptest! {
        #[test]
        fn different_callers_and_keys_have_different_sessions(
            a in "[a#%~ü]{0,6}", b in "[a#%~ü]{0,6}", k in "[a#]{1,4}", l in "[a#]{1,4}",
        ) {
            let id = |caller: &str, key: &str| {
                let key = IdempotencyKey::parse(key).unwrap();
                SessionId::new(&Scope::new(Some(caller), None), &key)
            };
            prop_assert_eq!(id(&a, &k) == id(&b, &l), a == b && k == l);
        }
    }
}
