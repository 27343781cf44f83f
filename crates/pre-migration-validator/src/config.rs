//! The function's variables (contract: pre-migration-validator).

use std::path::PathBuf;

use cutover_lambda::Vars;

/// Longest name or path, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The variables, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `ENVIRONMENT`.
    pub environment: String,
    /// `STATE_TABLE`: verdicts and checkpoints.
    pub state_table: String,
    /// `REPORT_BUCKET`; without it reports go to the bucket that is checked.
    pub report_bucket: Option<String>,
    /// `CA_BUNDLE`: a PEM file in place of the built-in authorities of RDS.
    pub ca_bundle: Option<PathBuf>,
    /// `ALLOW_HTTP_RESPONSE_URL`.
    pub allow_http_response_url: bool,
    /// This function's own name, set by Lambda.
    pub function_name: String,
    /// This function's own version, set by Lambda.
    pub function_version: String,
}

impl Config {
    /// Reads all variables; what is wrong with them is kept in `vars`.
    pub fn read(vars: &Vars) -> Option<Self> {
        let environment = vars.required("ENVIRONMENT", "1 to 64 of A-Z a-z 0-9 _ . -", name);
        let state_table = vars.required("STATE_TABLE", "the name of a DynamoDB table", text);
        let report_bucket = vars.optional("REPORT_BUCKET", "the name of an S3 bucket", bucket);
        let ca_bundle = vars.optional("CA_BUNDLE", "the path of a PEM file", path);
        let allow_http = vars.optional("ALLOW_HTTP_RESPONSE_URL", "true or false", boolean);
        // The run loop itself insists on these two.
        let own = |name| {
            vars.optional(name, "what Lambda sets", text)
                .unwrap_or_default()
        };
        Some(Self {
            environment: environment?,
            state_table: state_table?,
            report_bucket,
            ca_bundle,
            allow_http_response_url: allow_http.unwrap_or(false),
            function_name: own("AWS_LAMBDA_FUNCTION_NAME"),
            function_version: own("AWS_LAMBDA_FUNCTION_VERSION"),
        })
    }
}

fn text(value: &str) -> Result<String, &'static str> {
    let is_odd = value.chars().any(|c| c.is_whitespace() || c.is_control());
    if value.len() > TEXT_BYTES_MAX || is_odd {
        return Err("is no name");
    }
    Ok(value.to_owned())
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

/// By the rules for names of general purpose buckets, as far as they can be mistaken for something else.
fn bucket(value: &str) -> Result<String, &'static str> {
    let is_bucket = value
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'));
    if !is_bucket || !(3..=63).contains(&value.len()) {
        return Err("is no name of a bucket");
    }
    Ok(value.to_owned())
}

fn path(value: &str) -> Result<PathBuf, &'static str> {
    if value.len() > TEXT_BYTES_MAX || value.chars().any(char::is_control) {
        return Err("is no path");
    }
    let path = PathBuf::from(value);
    if !path.is_file() {
        return Err("names no file");
    }
    Ok(path)
}

fn boolean(value: &str) -> Result<bool, &'static str> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<Config, String> {
        let base = [
            ("ENVIRONMENT", "dev-payment-ab12cd34"),
            ("STATE_TABLE", "state"),
        ];
        let vars: Vars = base.iter().chain(changes).copied().collect();
        let config = Config::read(&vars);
        vars.finish().map_err(|errors| errors.to_string())?;
        config.ok_or_else(|| "no configuration and no mistake".to_owned())
    }

    #[test]
    fn a_minimal_configuration_is_enough() {
        let config = read(&[("AWS_LAMBDA_FUNCTION_NAME", "validator")]).unwrap();
        assert_eq!(config.report_bucket, None);
        assert_eq!(config.function_name, "validator");
        assert!(!config.allow_http_response_url);
    }

    #[test]
    fn every_mistake_is_named_with_what_is_taken() {
        let vars = Vars::from_iter([
            ("ENVIRONMENT", "no name"),
            ("REPORT_BUCKET", "No_Bucket"),
            ("CA_BUNDLE", "/nowhere/at/all.pem"),
            ("ALLOW_HTTP_RESPONSE_URL", "yes"),
        ]);
        assert_eq!(Config::read(&vars), None);
        let told = vars.finish().unwrap_err().to_string();
        for variable in [
            "ENVIRONMENT",
            "STATE_TABLE",
            "REPORT_BUCKET",
            "CA_BUNDLE",
            "ALLOW_HTTP_RESPONSE_URL",
        ] {
            assert!(told.contains(variable), "{variable} in {told}");
        }
    }
}
