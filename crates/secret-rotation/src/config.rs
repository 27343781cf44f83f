//! The function's variables (contract: secret-rotation).

use std::path::PathBuf;

use cutover_domain::rotation::Strategy;
use cutover_lambda::Vars;
use cutover_ports::rotation::PasswordPolicy;

/// Characters of a password, unless `PASSWORD_LENGTH` says otherwise.
const PASSWORD_LENGTH: u16 = 32;
/// Left out of passwords, unless `EXCLUDE_CHARACTERS` says otherwise: what URLs, shells and ini files stumble over.
const EXCLUDE_CHARACTERS: &str = "/@\"'\\";
/// What GetRandomPassword takes.
const EXCLUDE_CHARACTERS_MAX: usize = 4096;

/// The variables, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `ENVIRONMENT`.
    pub environment: String,
    /// `PASSWORD_LENGTH`, `EXCLUDE_CHARACTERS` and the other switches of GetRandomPassword.
    pub policy: PasswordPolicy,
    /// `CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// `STRATEGY`; none is `auto`.
    pub strategy: Option<Strategy>,
}

impl Config {
    /// Reads all variables; what is wrong with them is kept in `vars`.
    pub fn read(vars: &Vars) -> Option<Self> {
        let environment = vars.required("ENVIRONMENT", "1 to 64 of A-Z a-z 0-9 _ . -", name);
        let length = vars.optional("PASSWORD_LENGTH", "a whole number from 8 to 256", length);
        let exclude_characters = vars.optional(
            "EXCLUDE_CHARACTERS",
            "up to 4096 printable ASCII characters",
            characters,
        );
        let switch = |name: &str| vars.optional(name, "true or false", boolean);
        let policy = PasswordPolicy {
            length: length.unwrap_or(PASSWORD_LENGTH),
            exclude_characters: exclude_characters.unwrap_or_else(|| EXCLUDE_CHARACTERS.to_owned()),
            exclude_numbers: switch("EXCLUDE_NUMBERS").unwrap_or(false),
            exclude_punctuation: switch("EXCLUDE_PUNCTUATION").unwrap_or(false),
            exclude_uppercase: switch("EXCLUDE_UPPERCASE").unwrap_or(false),
            exclude_lowercase: switch("EXCLUDE_LOWERCASE").unwrap_or(false),
            require_each_included_type: switch("REQUIRE_EACH_INCLUDED_TYPE").unwrap_or(true),
        };
        if policy.exclude_numbers
            && policy.exclude_punctuation
            && policy.exclude_uppercase
            && policy.exclude_lowercase
        {
            vars.mistake(
                "EXCLUDE_LOWERCASE",
                "leaves no characters for a password",
                "true only if another kind is not excluded",
            );
        }
        let ca_bundle = vars.optional("CA_BUNDLE", "path of a readable PEM file", pem_file);
        let strategy = vars.optional(
            "STRATEGY",
            "auto, single-user or alternating-users",
            strategy,
        );
        Some(Self {
            environment: environment?,
            policy,
            ca_bundle,
            strategy: strategy.flatten(),
        })
    }
}

fn name(value: &str) -> Result<String, &'static str> {
    let is_name = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !is_name || value.len() > 64 {
        return Err("is no name");
    }
    Ok(value.to_owned())
}

fn length(value: &str) -> Result<u16, &'static str> {
    value
        .parse()
        .ok()
        .filter(|length| (8..=256).contains(length))
        .ok_or("is not in that range")
}

fn characters(value: &str) -> Result<String, &'static str> {
    let printable = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !printable || value.len() > EXCLUDE_CHARACTERS_MAX {
        return Err("is too long, or has other characters");
    }
    Ok(value.to_owned())
}

fn boolean(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

/// A bundle that is not there would fail every login: better at once.
fn pem_file(value: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(value);
    if path.is_file() {
        Ok(path)
    } else {
        Err("names no file")
    }
}

fn strategy(value: &str) -> Result<Option<Strategy>, &'static str> {
    match value {
        "auto" => Ok(None),
        "single-user" => Ok(Some(Strategy::SingleUser)),
        "alternating-users" => Ok(Some(Strategy::AlternatingUsers)),
        _ => Err("is no strategy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Config, String> {
        let vars: Vars = [("ENVIRONMENT", "dev-payment-ab12cd34")]
            .iter()
            .chain(changes)
            .copied()
            .collect();
        let config = Config::read(&vars);
        vars.finish().map_err(|errors| errors.to_string())?;
        config.ok_or_else(|| "no configuration and no mistake".to_owned())
    }

    #[test]
    fn a_minimal_configuration_is_enough() {
        let config = read(&[]).unwrap();
        assert_eq!(config.policy.length, 32);
        assert_eq!(config.policy.exclude_characters, "/@\"'\\");
        assert!(config.policy.require_each_included_type);
        assert_eq!((config.strategy, config.ca_bundle), (None, None));
    }

    #[test]
    fn every_switch_is_taken() {
        let bundle = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let config = read(&[
            ("PASSWORD_LENGTH", "40"),
            ("EXCLUDE_CHARACTERS", "$`"),
            ("EXCLUDE_PUNCTUATION", "true"),
            ("REQUIRE_EACH_INCLUDED_TYPE", "false"),
            ("STRATEGY", "alternating-users"),
            ("CA_BUNDLE", bundle),
        ])
        .unwrap();
        assert_eq!(config.policy.length, 40);
        assert_eq!(config.policy.exclude_characters, "$`");
        assert!(config.policy.exclude_punctuation && !config.policy.exclude_numbers);
        assert!(!config.policy.require_each_included_type);
        assert_eq!(config.strategy, Some(Strategy::AlternatingUsers));
        assert_eq!(config.ca_bundle, Some(PathBuf::from(bundle)));
        assert_eq!(read(&[("STRATEGY", "auto")]).unwrap().strategy, None);
    }

    #[test]
    fn every_mistake_is_named_with_what_is_taken() {
        let nothing = Vars::from_iter([("STRATEGY", "none"), ("PASSWORD_LENGTH", "7")]);
        assert_eq!(Config::read(&nothing), None);
        let told = nothing.finish().unwrap_err().to_string();
        for variable in ["ENVIRONMENT", "STRATEGY", "PASSWORD_LENGTH"] {
            assert!(told.contains(variable), "{variable} in {told}");
        }
        for (variable, value) in [
            ("PASSWORD_LENGTH", "257"),
            ("EXCLUDE_CHARACTERS", "\u{fc}"),
            ("EXCLUDE_NUMBERS", "yes"),
            ("CA_BUNDLE", "/nonexistent"),
        ] {
            let told = read(&[(variable, value)]).unwrap_err();
            assert!(told.starts_with(variable), "{told}");
        }
        let all = [
            ("EXCLUDE_NUMBERS", "true"),
            ("EXCLUDE_PUNCTUATION", "true"),
            ("EXCLUDE_UPPERCASE", "true"),
            ("EXCLUDE_LOWERCASE", "true"),
        ];
        assert!(read(&all).unwrap_err().contains("no characters"));
    }
}
