//! JSON objects read strictly: every field is known, given once, of its type and within its range, or it is named.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Characters of a value that an error shows.
const SHOWN_MAX: usize = 40;

/// The fields of one object. Reading notes what is wrong, so that all mistakes are told together.
pub(crate) struct Fields<'a> {
    /// What stands before each field's name in an error: nothing, or `strategy.`.
    path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: impl Into<String>, map: &'a Map<String, Value>) -> Self {
        Self {
            path: path.into(),
            map,
            known: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The value of an optional field. `null` is a value like another, and of the wrong type.
    fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map.get(name)
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Notes that a field must be given and is not.
    pub(crate) fn missing(&mut self, name: &'static str, takes: &str) {
        if !self.map.contains_key(name) {
            let path = &self.path;
            self.problems
                .push(format!("missing field `{path}{name}`: it takes {takes}"));
        }
    }

    fn wrong<T>(&mut self, name: &'static str, value: &Value, takes: &str) -> Option<T> {
        let path = &self.path;
        let shown = shown(value);
        self.problems
            .push(format!("{path}{name} is {shown}: it takes {takes}"));
        None
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.get(name)? {
            Value::String(text) => Some(text),
            other => self.wrong(name, other, "a string"),
        }
    }

    /// A string that `read` understands; its error says what it takes.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(takes) => self.wrong(name, &Value::from(text), &takes),
        }
    }

    /// A whole number within a range. `5.0` and `5e0` are none.
    pub(crate) fn whole(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(name)?;
        match value.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let takes = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong(name, value, &takes)
            }
        }
    }

    /// An object.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<Fields<'a>> {
        let path = format!("{}{name}.", self.path);
        match self.get(name)? {
            Value::Object(map) => Some(Fields::new(path, map)),
            other => self.wrong(name, other, "a JSON object"),
        }
    }

    /// A list of objects.
    pub(crate) fn objects(&mut self, name: &'static str) -> Option<Vec<Fields<'a>>> {
        let list = match self.get(name)? {
            Value::Array(list) => list,
            other => return self.wrong(name, other, "a JSON list of objects"),
        };
        let mut objects = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let path = format!("{}{name}[{index}]", self.path);
            match value {
                Value::Object(map) => objects.push(Fields::new(format!("{path}."), map)),
                other => {
                    let shown = shown(other);
                    self.problem(format!("{path} is {shown}: it takes a JSON object"));
                }
            }
        }
        Some(objects)
    }

    /// Takes over what was wrong within an object of this one, its unknown fields included.
    pub(crate) fn close(&mut self, inner: Fields<'_>) {
        self.problems.extend(inner.finish());
    }

    /// Everything that is wrong: what was noted, and fields that nobody asked for.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let unknown: Vec<&String> = self
            .map
            .keys()
            .filter(|key| !self.known.contains(&key.as_str()))
            .collect();
        let known = self.known.join(", ");
        for key in unknown {
            let path = &self.path;
            self.problems.push(format!(
                "unknown field `{path}{key:.SHOWN_MAX$}`: known are {known}"
            ));
        }
        self.problems
    }
}

/// A value as an error shows it: short, on one line.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > SHOWN_MAX => {
            let start: String = text.chars().take(SHOWN_MAX).collect();
            format!("{start:?}...")
        }
        Value::String(text) => format!("{text:?}"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The first member that an object of the text has twice: of two, a reader would silently take one.
pub(crate) fn repeated_field(text: &str) -> Option<String> {
    let error = serde_json::from_str::<Unique>(text).err()?;
    // Whatever else is wrong with the text, its reader says.
    let told = error.to_string();
    told.starts_with(REPEATED).then_some(told)
}

const REPEATED: &str = "field given twice: ";

/// A JSON value of which only that is kept that no object has a member twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let _value: Self = map.next_value()?;
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("{REPEATED}`{key:.SHOWN_MAX$}`")));
            }
            seen.insert(key);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(value: &Value, read: impl FnOnce(&mut Fields<'_>)) -> String {
        let mut fields = Fields::new("", value.as_object().unwrap());
        read(&mut fields);
        fields.finish().join("; ")
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let value = json!({"a": 5, "b": "x", "c": [], "d": 1.0, "e": null, "f": true});
        let told = problems(&value, |fields| {
            assert_eq!(fields.text("a"), None);
            assert_eq!(fields.whole("b", 1..=9), None);
            assert!(fields.object("c").is_none());
            assert_eq!(fields.whole("d", 1..=9), None);
            assert_eq!(fields.text("e"), None);
            fields.missing("g", "anything");
        });
        for part in [
            "a is 5: it takes a string",
            "b is \"x\": it takes a whole number from 1 to 9",
            "c is a list: it takes a JSON object",
            "d is 1.0: it takes",
            "e is null: it takes a string",
            "missing field `g`: it takes anything",
            "unknown field `f`: known are a, b, c, d, e",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }

    #[test]
    fn what_is_inside_is_told_with_its_path() {
        let value = json!({"steps": [{"percent": 5}, [5], {"x": 1}]});
        let told = problems(&value, |fields| {
            for mut step in fields.objects("steps").unwrap() {
                step.missing("percent", "a percent");
                let _percent = step.whole("percent", 6..=9);
                fields.close(step);
            }
        });
        for part in [
            "steps[1] is a list: it takes a JSON object",
            "steps[0].percent is 5",
            "missing field `steps[2].percent`",
            "unknown field `steps[2].x`",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }

    #[test]
    fn a_long_value_is_cut_and_a_line_break_does_not_break_the_line() {
        let value = json!({"a": "\n".repeat(1_000)});
        let told = problems(&value, |fields| {
            let _number = fields.whole("a", 0..=1);
        });
        assert!(told.len() < 200 && !told.contains('\n'), "{told}");
    }

    #[test]
    fn a_repeated_field_is_found_at_any_depth() {
        assert_eq!(
            repeated_field(r#"{"a":1,"b":[{"c":1},{"c":2.5}],"d":{"a":null}}"#),
            None
        );
        for text in [r#"{"a":1,"b":2,"a":1}"#, r#"{"x":[true,{"a":-1,"a":"b"}]}"#] {
            assert!(repeated_field(text).unwrap().contains("`a`"), "{text}");
        }
        assert_eq!(repeated_field("{"), None, "that is another mistake");
    }
}
