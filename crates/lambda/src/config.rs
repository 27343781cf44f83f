//! Configuration from environment variables: read once, at init, and every mistake reported together.
//!
//! A function reads each variable through [`Vars`], which notes what is wrong and goes on, and then asks
//! [`Vars::finish`] whether it may start. So an operator sees all mistakes of a deployment at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// Exit code of a process whose configuration is wrong (`EX_USAGE` of BSD's sysexits).
pub const EXIT_USAGE: u8 = 64;

/// One wrong variable. The variable's value is never repeated: a secret may have been put there by mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The variable's name.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
    /// What the variable takes.
    pub takes: String,
}

/// Every mistake of a configuration, in the order in which the variables were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Mistake>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(
                f,
                "{} {}: it takes {}",
                mistake.variable, mistake.problem, mistake.takes
            )?;
        }
        Ok(())
    }
}

/// Environment variables, and the mistakes found in them so far.
#[derive(Debug, Default)]
pub struct Vars {
    values: BTreeMap<String, String>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Vars {
    /// The process's own environment. Variables that are not UTF-8 count as absent.
    #[must_use]
    pub fn from_env() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// A variable that must be there. `takes` says what it takes; `parse` says what is wrong with a value.
    ///
    /// On a mistake, the answer is `None` and the mistake is kept for [`Vars::finish`].
    pub fn required<T, E: fmt::Display>(
        &self,
        name: &str,
        takes: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(value) = self.value(name) else {
            self.mistake(name, "is missing", takes);
            return None;
        };
        self.parse(name, value, takes, parse)
    }

    /// A variable that may be absent or empty. See [`Vars::required`].
    pub fn optional<T, E: fmt::Display>(
        &self,
        name: &str,
        takes: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.parse(name, self.value(name)?, takes, parse)
    }

    /// Notes a mistake that only a look at several variables shows.
    pub fn mistake(&self, name: &str, problem: impl fmt::Display, takes: &str) {
        self.mistakes.borrow_mut().push(Mistake {
            variable: name.to_owned(),
            problem: problem.to_string(),
            takes: takes.to_owned(),
        });
    }

    /// # Errors
    /// Every mistake noted so far, if there is one.
    pub fn finish(&self) -> Result<(), ConfigErrors> {
        let mistakes = self.mistakes.borrow();
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(mistakes.clone()))
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    fn parse<T, E: fmt::Display>(
        &self,
        name: &str,
        value: &str,
        takes: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(value)
            .map_err(|problem| self.mistake(name, problem, takes))
            .ok()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Vars {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
            mistakes: RefCell::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: &str) -> Result<u32, &'static str> {
        value.parse().map_err(|_| "is not a whole number")
    }

    #[test]
    fn all_mistakes_are_reported_together_and_no_value_is_shown() {
        let vars = Vars::from_iter([("PORT", "hunter2"), ("EMPTY", "")]);
        assert_eq!(vars.required("PORT", "a port", number), None);
        assert_eq!(vars.required("EMPTY", "a number", number), None);
        assert_eq!(vars.required("ABSENT", "a number", number), None);
        assert_eq!(vars.optional("EMPTY", "a number", number), None);
        let errors = vars.finish().unwrap_err();
        assert_eq!(
            errors.to_string(),
            "PORT is not a whole number: it takes a port; EMPTY is missing: it takes a number; \
             ABSENT is missing: it takes a number"
        );
    }

    #[test]
    fn a_good_configuration_has_no_mistakes() {
        let vars = Vars::from_iter([("PORT", "3306")]);
        assert_eq!(vars.required("PORT", "a port", number), Some(3306));
        assert_eq!(vars.optional("OTHER", "a number", number), None);
        assert_eq!(vars.finish(), Ok(()));
    }
}
