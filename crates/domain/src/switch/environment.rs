//! The two environments and the split of the traffic between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the two environments that may serve production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// The first color.
    Blue,
    /// The second color.
    Green,
}

impl Environment {
    /// The environment that this one is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// The name on the wire: `blue` or `green`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whole percents of the traffic, per environment. They add up to 100, by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawWeights")]
pub struct Weights {
    blue: u8,
    green: u8,
}

/// Weights as they are stored: not yet known to add up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWeights {
    blue: u8,
    green: u8,
}

impl TryFrom<RawWeights> for Weights {
    type Error = &'static str;

    fn try_from(raw: RawWeights) -> Result<Self, Self::Error> {
        if raw.blue.checked_add(raw.green) == Some(100) {
            Ok(Self {
                blue: raw.blue,
                green: raw.green,
            })
        } else {
            Err("weights do not add up to 100")
        }
    }
}

impl Weights {
    /// Everything to one environment.
    #[must_use]
    pub const fn all(environment: Environment) -> Self {
        Self::share(environment, 100)
    }

    /// `percent` to one environment, the rest to the other. More than 100 counts as 100.
    #[must_use]
    pub const fn share(environment: Environment, percent: u8) -> Self {
        let percent = if percent > 100 { 100 } else { percent };
        match environment {
            Environment::Blue => Self {
                blue: percent,
                green: 100 - percent,
            },
            Environment::Green => Self {
                blue: 100 - percent,
                green: percent,
            },
        }
    }

    /// Percent of the traffic that the environment gets.
    #[must_use]
    pub const fn of(self, environment: Environment) -> u8 {
        match environment {
            Environment::Blue => self.blue,
            Environment::Green => self.green,
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blue {} %, green {} %", self.blue, self.green)
    }
}

/// The published version of the function that each environment is, where the router tells them apart by version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versions {
    /// Version that is blue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue: Option<String>,
    /// Version that is green.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<String>,
}

impl Versions {
    /// The version of one environment.
    #[must_use]
    pub fn of(&self, environment: Environment) -> Option<&str> {
        match environment {
            Environment::Blue => self.blue.as_deref(),
            Environment::Green => self.green.as_deref(),
        }
    }

    /// These versions, and those of `base` where these say nothing.
    #[must_use]
    pub fn or(&self, base: &Self) -> Self {
        Self {
            blue: self.blue.clone().or_else(|| base.blue.clone()),
            green: self.green.clone().or_else(|| base.green.clone()),
        }
    }

    /// These versions, but for one environment's: that is as `base` has it.
    #[must_use]
    pub fn with(mut self, environment: Environment, base: &Self) -> Self {
        match environment {
            Environment::Blue => self.blue.clone_from(&base.blue),
            Environment::Green => self.green.clone_from(&base.green),
        }
        self
    }

    /// Which environment a version is.
    #[must_use]
    pub fn environment(&self, version: &str) -> Option<Environment> {
        [Environment::Blue, Environment::Green]
            .into_iter()
            .find(|environment| self.of(*environment) == Some(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_always_add_up_to_100() {
        for environment in [Environment::Blue, Environment::Green] {
            for percent in 0..=u8::MAX {
                let weights = Weights::share(environment, percent);
                assert_eq!(weights.of(environment), percent.min(100));
                assert_eq!(
                    weights.of(Environment::Blue) + weights.of(Environment::Green),
                    100
                );
            }
        }
        assert!(serde_json::from_str::<Weights>(r#"{"blue":0,"green":0}"#).is_err());
        assert!(serde_json::from_str::<Weights>(r#"{"blue":200,"green":156}"#).is_err());
    }
}
