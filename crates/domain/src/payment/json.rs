//! JSON read strictly: duplicate members are kept (to be refused), whole numbers are told from others, depth and size are
//! bounded, and text is wiped when it is dropped.
//!
//! `serde_json::Value` does none of this: the last of two equal members wins silently, and `1.0` becomes a number like 1.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use super::json_number;

/// Objects and arrays within each other.
pub const DEPTH_MAX: u32 = 8;
/// Values in one document.
pub const VALUES_MAX: u32 = 2_000;

/// A JSON value. Not `Debug`: it may hold a card number.
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent that fits 64 bits.
    Integer(i128),
    /// Any other number.
    Fraction,
    /// A string, wiped when it is dropped.
    Text(Zeroizing<String>),
    /// An array.
    Array(Vec<Json>),
    /// An object, with its members in order, duplicates included.
    Object(Vec<(String, Json)>),
}

/// Why a text was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON text in UTF-8 (RFC 8259).
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1; 0 at the end of a line.
        column: usize,
    },
    /// Deeper than [`DEPTH_MAX`].
    #[error("objects and arrays nest deeper than {DEPTH_MAX}")]
    TooDeep,
    /// More values than [`VALUES_MAX`].
    #[error("more than {VALUES_MAX} values")]
    TooMany,
}

impl Json {
    /// Reads one JSON text.
    ///
    /// # Errors
    /// [`JsonError`]; its message holds nothing of the text.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        match Self::parse_once(text) {
            // The grammar bounds no number: `1e400` is JSON, and no float.
            Err(error @ JsonError::Syntax { .. }) => {
                json_number::without_huge(text).map_or(Err(error), |text| Self::parse_once(&text))
            }
            read => read,
        }
    }

    fn parse_once(text: &[u8]) -> Result<Self, JsonError> {
        let bounds = Bounds {
            values_left: Cell::new(VALUES_MAX),
            exceeded: Cell::new(None),
        };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let root = Node {
            bounds: &bounds,
            depth_left: DEPTH_MAX,
        };
        root.deserialize(&mut deserializer)
            .and_then(|json| deserializer.end().map(|()| json))
            .map_err(|error| {
                bounds.exceeded.get().unwrap_or(JsonError::Syntax {
                    line: error.line(),
                    column: error.column(),
                })
            })
    }

    /// What it is, for a message: `a string`, `an object`...
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Fraction => "a number with fraction or exponent, or too large",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The first member of that name, if this is an object that has one.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Bounds {
    values_left: Cell<u32>,
    exceeded: Cell<Option<JsonError>>,
}

impl Bounds {
    fn exceed<E: serde::de::Error>(&self, error: JsonError) -> E {
        self.exceeded.set(Some(error));
        E::custom(error)
    }
}

#[derive(Clone, Copy)]
struct Node<'b> {
    bounds: &'b Bounds,
    depth_left: u32,
}

impl Node<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(self.bounds.exceed(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        match self.bounds.values_left.get().checked_sub(1) {
            Some(left) => self.bounds.values_left.set(left),
            None => return Err(self.bounds.exceed(JsonError::TooMany)),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Fraction)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((name, map.next_value_seed(inner)?));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> Option<JsonError> {
        Json::parse(text.as_bytes()).err()
    }

    #[test]
    fn duplicates_are_kept() {
        let Ok(Json::Object(members)) = Json::parse(br#"{"a":1,"a":2}"#) else {
            panic!("an object");
        };
        assert_eq!(members.len(), 2);
    }

    #[test]
    fn only_whole_numbers_are_integers() {
        for (text, integer) in [
            ("1", true),
            ("-1", true),
            ("18446744073709551615", true),
            ("1.0", false),
            ("1e2", false),
            ("-0", false),
            ("18446744073709551616", false),
            ("1E0", false),
            ("1e400", false),
            ("-1e400", false),
            ("1.5E+999", false),
            ("[\"1e400\\\\\", 1e400]", false),
            (&"9".repeat(400), false),
        ] {
            let json = Json::parse(text.as_bytes());
            assert_eq!(matches!(json, Ok(Json::Integer(_))), integer, "{text}");
            assert!(json.is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "{\"a\"}",
            "{a:1}",
            "[1,]",
            "01",
            "+1",
            ".5",
            "1.",
            "NaN",
            "Infinity",
            "'a'",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"a\nb\"",
            "{} {}",
            "{}x",
            "nul",
            "\u{feff}{}",
            "\"\\x\"",
            "1e400x",
            "01e400",
            "1e400 1",
            "1e",
            "\"1e400",
        ] {
            assert!(
                matches!(error(text), Some(JsonError::Syntax { .. })),
                "{text}"
            );
        }
        assert!(Json::parse(b"\"\xff\"").is_err());
        assert!(Json::parse(b"\"\xed\xa0\x80\"").is_err());
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(error(&nested(8)), None);
        assert_eq!(error(&nested(9)), Some(JsonError::TooDeep));
        assert_eq!(error(&nested(100_000)), Some(JsonError::TooDeep));
        let many = format!("[{}1]", "1,".repeat(2_000));
        assert_eq!(error(&many), Some(JsonError::TooMany));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in any::<Vec<u8>>()) {
            let read = Json::parse(&bytes);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() || read.is_err());
        }

        #[test]
        fn json_like_text_is_judged_as_by_serde_json(text in r#"[\[\]{}:,"a-c0-9.e\\ -]{0,24}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(Json::parse(text.as_bytes()).is_ok(), theirs || matches!(error(&text), Some(JsonError::TooDeep)));
        }
    }
}
