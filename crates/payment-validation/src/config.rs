//! The function's variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::money::AMOUNT_MAX;
use cutover_domain::payment::{Color, Rules};
use cutover_lambda::Vars;
use cutover_ledger::LedgerConfig;

/// Bytes of a request's body, unless `MAX_BODY_BYTES` says otherwise.
const BODY_BYTES: usize = 65_536;
/// Lambda takes no larger request.
const BODY_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What the function is told when it starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// For example `prod-payment-ab12cd34`.
    pub environment: String,
    /// The color that this version executes payments in.
    pub color: Color,
    /// Name of the session table.
    pub session_table: String,
    /// Name of the log bucket.
    pub transaction_bucket: String,
    /// How to reach the ledger.
    pub ledger: LedgerConfig,
    /// ARN or name of the secret with the key of all keyed hashes.
    pub hash_key_secret: String,
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Limits by currency.
    pub rules: Rules,
}

impl Config {
    /// Reads every variable before it gives up on one.
    pub fn read(vars: &Vars) -> Option<Self> {
        let environment = vars.required(
            "ENVIRONMENT",
            "dev, staging or prod, then -payment- and 8 of a-z 0-9, for example prod-payment-ab12cd34",
            environment,
        );
        let color = vars.required("COLOR", "blue or green", str::parse);
        let session_table = vars.required("SESSION_TABLE", "the session table's name", name);
        let transaction_bucket = vars.required("TRANSACTION_BUCKET", "the log bucket's name", name);
        let secret_id = vars.required("DB_SECRET_ARN", "ARN or name of the database secret", name);
        let endpoint = vars.optional("DB_ENDPOINT", "the database's host, or host:port", name);
        let hash_key_secret = vars.required(
            "HASH_KEY_SECRET_ARN",
            "ARN or name of the secret that holds 64 hex digits",
            name,
        );
        let ca_bundle = vars.optional("CA_BUNDLE", "path of a PEM file", name);
        let body_bytes_max = vars.optional(
            "MAX_BODY_BYTES",
            "a number of bytes from 1 to 6291456",
            body_bytes,
        );
        let limits = vars.optional(
            "LIMITS",
            "a JSON object, currency to largest amount in minor units, for example {\"USD\":5000000}",
            limits,
        );
        Some(Self {
            environment: environment?,
            color: color?,
            session_table: session_table?,
            transaction_bucket: transaction_bucket?,
            ledger: LedgerConfig {
                secret_id: secret_id?,
                endpoint,
                ca_bundle: ca_bundle.map(PathBuf::from),
            },
            hash_key_secret: hash_key_secret?,
            body_bytes_max: body_bytes_max.unwrap_or(BODY_BYTES),
            rules: Rules {
                limits: limits.unwrap_or_default(),
            },
        })
    }
}

/// `^(dev|staging|prod)-payment-[a-z0-9]{8}$`
fn environment(value: &str) -> Result<String, &'static str> {
    let suffix = ["dev", "staging", "prod"]
        .into_iter()
        .find_map(|stage| value.strip_prefix(stage)?.strip_prefix("-payment-"));
    match suffix {
        Some(suffix)
            if suffix.len() == 8
                && suffix
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) =>
        {
            Ok(value.to_owned())
        }
        _ => Err("is no environment's name"),
    }
}

fn name(value: &str) -> Result<String, &'static str> {
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("has white space or control characters in it")
    } else {
        Ok(value.to_owned())
    }
}

fn body_bytes(value: &str) -> Result<usize, &'static str> {
    value
        .parse()
        .ok()
        .filter(|bytes| (1..=BODY_BYTES_MAX).contains(bytes))
        .ok_or("is not in that range")
}

fn limits(value: &str) -> Result<BTreeMap<&'static str, i64>, &'static str> {
    let limits: BTreeMap<String, i64> =
        serde_json::from_str(value).map_err(|_| "is no such JSON object")?;
    limits
        .into_iter()
        .map(|(code, limit)| {
            let currency = Currency::find(&code).ok_or("names a currency that is not taken")?;
            if (1..=AMOUNT_MAX).contains(&limit) {
                Ok((currency.code(), limit))
            } else {
                Err("has an amount that is not above zero or too large")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("ENVIRONMENT", "dev-payment-ab12cd34"),
        ("COLOR", "green"),
        ("SESSION_TABLE", "sessions"),
        ("TRANSACTION_BUCKET", "logs"),
        (
            "DB_SECRET_ARN",
            "arn:aws:secretsmanager:eu-central-1:1:secret:db",
        ),
        ("HASH_KEY_SECRET_ARN", "hash"),
    ];

    fn mistakes(changed: &[(&str, &str)]) -> Vec<String> {
        let vars: Vars = GOOD.iter().chain(changed).copied().collect();
        let config = Config::read(&vars);
        match vars.finish() {
            Ok(()) => {
                assert!(config.is_some());
                Vec::new()
            }
            Err(errors) => errors.0.into_iter().map(|m| m.variable).collect(),
        }
    }

    #[test]
    fn a_good_configuration_is_taken() {
        assert_eq!(mistakes(&[]), Vec::<String>::new());
        let optional = [
            ("DB_ENDPOINT", "db:3307"),
            ("MAX_BODY_BYTES", "1024"),
            ("LIMITS", r#"{"USD":5000000,"JPY":1}"#),
            ("CA_BUNDLE", "/opt/rds.pem"),
        ];
        assert_eq!(mistakes(&optional), Vec::<String>::new());
    }

    #[test]
    fn every_mistake_is_reported() {
        let none = Vars::from_iter::<[(&str, &str); 0]>([]);
        assert!(Config::read(&none).is_none());
        assert_eq!(none.finish().unwrap_err().0.len(), 6);
        for (name, value) in [
            ("ENVIRONMENT", "test-payment-ab12cd34"),
            ("ENVIRONMENT", "dev-payment-AB12CD34"),
            ("ENVIRONMENT", "dev-payment-ab12cd345"),
            ("ENVIRONMENT", "dev-payment-"),
            ("COLOR", "Blue"),
            ("MAX_BODY_BYTES", "0"),
            ("MAX_BODY_BYTES", "64k"),
            ("LIMITS", "[]"),
            ("LIMITS", r#"{"usd":1}"#),
            ("LIMITS", r#"{"USD":0}"#),
            ("LIMITS", r#"{"USD":1.5}"#),
            ("SESSION_TABLE", "a b"),
        ] {
            assert_eq!(mistakes(&[(name, value)]), [name], "{name}={value}");
        }
    }
}
