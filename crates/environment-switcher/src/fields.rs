//! The fields of a JSON object in a variable, each taken once, and every mistake in them noted.
//!
//! A field's value is never repeated in a mistake: a secret may have been put there.

use serde_json::{Map, Value};

/// Longest part of a name that is repeated in a mistake.
const SHOWN_MAX: usize = 40;

/// The fields that are left, and the mistakes so far.
#[derive(Debug)]
pub(crate) struct Fields {
    place: String,
    left: Map<String, Value>,
    taken: Vec<&'static str>,
    mistakes: Vec<String>,
}

impl Fields {
    /// The fields of `value`, which `place` names in mistakes, for example `entry 2 (alb)`.
    ///
    /// # Errors
    /// In words, if it is no object.
    pub(crate) fn of(place: impl Into<String>, value: Value) -> Result<Self, String> {
        let place = place.into();
        match value {
            Value::Object(left) => Ok(Self {
                place,
                left,
                taken: Vec::new(),
                mistakes: Vec::new(),
            }),
            _ => Err(format!("{place} is no JSON object")),
        }
    }

    /// Names the fields more exactly from now on.
    pub(crate) fn rename(&mut self, place: String) {
        self.place = place;
    }

    /// What the fields are called in mistakes.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Notes a mistake that only a look at several fields shows.
    pub(crate) fn mistake(&mut self, what: &str) {
        self.mistakes.push(format!("{}: {what}", self.place));
    }

    /// A field of any kind; `null` counts as left out.
    pub(crate) fn any(&mut self, name: &'static str) -> Option<Value> {
        self.taken.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// A field of any kind that must be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<Value> {
        let value = self.any(name);
        if value.is_none() {
            self.mistake(&format!("{name} is missing"));
        }
        value
    }

    /// A text that may be left out. `fits` says whether it is what `takes` names.
    pub(crate) fn optional(
        &mut self,
        name: &'static str,
        takes: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Option<String> {
        match self.any(name)? {
            Value::String(text) if fits(&text) => Some(text),
            _ => {
                self.mistake(&format!("{name} takes {takes}"));
                None
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn text(
        &mut self,
        name: &'static str,
        takes: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Option<String> {
        if self.left.get(name).is_none_or(Value::is_null) {
            self.taken.push(name);
            self.left.remove(name);
            self.mistake(&format!("{name} is missing: it takes {takes}"));
            return None;
        }
        self.optional(name, takes, fits)
    }

    /// A whole number that may be left out.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.any(name)?;
        let number = value.as_u64().filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = (range.start(), range.end());
            self.mistake(&format!("{name} takes a whole number from {from} to {to}"));
        }
        number
    }

    /// Takes over the mistakes of a part.
    pub(crate) fn absorb<T>(&mut self, part: Result<T, String>) -> Option<T> {
        part.map_err(|why| self.mistakes.push(why)).ok()
    }

    /// What was made of the fields, once all of them are taken.
    ///
    /// # Errors
    /// Every mistake, in words.
    pub(crate) fn finish<T>(mut self, made: Option<T>) -> Result<T, String> {
        let unknown: Vec<String> = self.left.keys().map(|name| shown(name)).collect();
        if !unknown.is_empty() {
            let (unknown, taken) = (unknown.join(", "), self.taken.join(", "));
            self.mistake(&format!("unknown field {unknown}; it takes {taken}"));
        }
        match made {
            Some(made) if self.mistakes.is_empty() => Ok(made),
            _ => Err(self.mistakes.join("; ")),
        }
    }
}

/// A name out of a variable, short enough for a log line.
pub(crate) fn shown(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_MAX)
        .collect()
}

/// Whether a text is an ARN of a service whose resource begins so: `arn:aws:elasticloadbalancing:region:account:listener-rule/app/...`.
pub(crate) fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, of, region, account, rest] = parts.as_slice() else {
        return false;
    };
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    (*arn, *of) == ("arn", service)
        && is_plain(partition)
        && is_plain(region)
        && account.len() == 12
        && account.chars().all(|c| c.is_ascii_digit())
        && rest.len() > resource.len()
        && rest.starts_with(resource)
        && text.len() <= 2048
        && text.chars().all(|c| c.is_ascii_graphic())
}

/// Whether a text is 1 to `most` of A-Z a-z 0-9 and `others`.
pub(crate) fn is_word(text: &str, most: usize, others: &str) -> bool {
    (1..=most).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_noted_and_no_value_is_shown() {
        let value = json!({"a": "hunter2", "n": 0, "x": "hunter2", "y": 1});
        let mut fields = Fields::of("entry 1", value).unwrap();
        assert_eq!(fields.text("a", "a letter", |text| text == "a"), None);
        assert_eq!(fields.text("b", "a letter", |_| true), None);
        assert_eq!(fields.number("n", 1..=9), None);
        let told = fields.finish(Some(())).unwrap_err();
        assert_eq!(
            told,
            "entry 1: a takes a letter; entry 1: b is missing: it takes a letter; \
             entry 1: n takes a whole number from 1 to 9; entry 1: unknown field x, y; it takes a, b, n"
        );
        assert!(Fields::of("entry 1", json!([])).is_err());
    }

    #[test]
    fn arns_are_known_by_their_shape() {
        let is = |text: &str| is_arn(text, "elasticloadbalancing", "targetgroup/");
        assert!(is(
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/blue/73e2"
        ));
        assert!(is(
            "arn:aws-cn:elasticloadbalancing:cn-north-1:000000000000:targetgroup/b/1"
        ));
        for other in [
            "",
            "blue",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/pay/1/2",
            "arn:aws:elasticloadbalancing:eu-central-1:12345:targetgroup/blue/73e2",
            "arn:aws:elasticloadbalancing::123456789012:targetgroup/blue/73e2",
            "arn:aws:lambda:eu-central-1:123456789012:targetgroup/blue/73e2",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/blue 73e2",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
