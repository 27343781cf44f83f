//! What was asked for, as CloudFormation sends it: everything is text, or a list of texts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::check::Check;

/// Longest value, in bytes (an ARN has at most 2048).
const VALUE_BYTES_MAX: usize = 2048;
/// Most entries of a list.
const LIST_MAX: usize = 50;
/// Seconds that replication may lag behind where it is not said.
const LAG_SECONDS_DEFAULT: u32 = 30;
/// The longest lag that may be allowed, in seconds.
const LAG_SECONDS_MAX: u32 = 3600;
/// The table that is compared where none is named.
const PARITY_TABLE: &str = "payments";
/// Where reports go where it is not said.
const REPORT_PREFIX: &str = "validation/";
/// Longest prefix of a report's key, in bytes.
const PREFIX_BYTES_MAX: usize = 256;

/// Every property that is taken. The last two are CloudFormation's own.
pub const TAKEN: [&str; 25] = [
    "BlueClusterId",
    "GreenClusterId",
    "SessionTable",
    "TransactionBucket",
    "BlueSecretArn",
    "GreenSecretArn",
    "ReplicationTaskArn",
    "MaxReplicationLagSeconds",
    "ParityTables",
    "BlueTargetGroupArn",
    "GreenTargetGroupArn",
    "FunctionNames",
    "AlarmNames",
    "BackupVaultName",
    "KmsKeyIds",
    "Checks",
    "Mode",
    "ReportPrefix",
    "DeploymentId",
    "ValidateRDS",
    "ClusterId",
    "ValidateTable",
    "TableName",
    "ServiceToken",
    "ServiceTimeout",
];

/// What follows from a validation that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The stack operation fails.
    #[default]
    Enforce,
    /// It goes on, and the report tells.
    Report,
}

impl Mode {
    /// The name in the report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

/// A property that can't be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// A name that nobody knows: a misspelt property would be a check that never runs.
    #[error("unknown property {name}: it takes {}", TAKEN.join(", "))]
    Unknown {
        /// Its name, shortened.
        name: String,
    },
    /// A value of another shape.
    #[error("property {name} {problem}: it takes {takes}")]
    Value {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        problem: String,
        /// What it takes.
        takes: &'static str,
    },
    /// There is nothing to check.
    #[error("nothing to check: give the property of at least one check, for example {example}")]
    Nothing {
        /// What a check needs.
        example: &'static str,
    },
    /// A check was asked for without what it needs.
    #[error("check {check} can't run: {why}")]
    CheckWithoutProperties {
        /// Which.
        check: Check,
        /// What is missing.
        why: String,
    },
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Blue's cluster; `ClusterId` is the same.
    pub blue_cluster: Option<String>,
    /// Green's cluster.
    pub green_cluster: Option<String>,
    /// The session table; `TableName` is the same.
    pub session_table: Option<String>,
    /// The bucket of the transaction log.
    pub transaction_bucket: Option<String>,
    /// Blue's database secret.
    pub blue_secret: Option<String>,
    /// Green's database secret.
    pub green_secret: Option<String>,
    /// The DMS task.
    pub replication_task: Option<String>,
    /// Seconds that replication may lag behind.
    pub lag_seconds_max: u32,
    /// Tables that are compared. If none is named: the schemas of all, and the rows of the ledger's.
    pub parity_tables: Vec<String>,
    /// Target groups of both colors.
    pub target_groups: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
    /// Alarms.
    pub alarms: Vec<String>,
    /// The backup vault.
    pub backup_vault: Option<String>,
    /// Keys.
    pub keys: Vec<String>,
    /// The checks to run, if only some are.
    pub checks: Option<BTreeSet<Check>>,
    /// What follows.
    pub mode: Mode,
    /// What a report's key begins with.
    pub report_prefix: String,
    /// Of which deployment it is told.
    pub deployment: Option<String>,
    /// `ValidateRDS`: whether clusters are looked at.
    pub validate_clusters: Option<bool>,
    /// `ValidateTable`: whether the session table is looked at.
    pub validate_table: Option<bool>,
}

impl Properties {
    /// Reads the properties.
    ///
    /// # Errors
    /// The first that can't be taken.
    pub fn read(given: &Map<String, Value>) -> Result<Self, PropertyError> {
        if let Some(unknown) = given.keys().find(|name| !TAKEN.contains(&name.as_str())) {
            return Err(PropertyError::Unknown {
                name: super::text::shortened(&super::text::plain(unknown), 64),
            });
        }
        let given = Given(given);
        let [blue, green] =
            ["BlueTargetGroupArn", "GreenTargetGroupArn"].map(|name| given.text(name));
        let parity_tables = given.list("ParityTables")?;
        for table in &parity_tables {
            table_name(table)?;
        }
        Ok(Self {
            blue_cluster: given.either("BlueClusterId", "ClusterId")?,
            green_cluster: given.text("GreenClusterId")?,
            session_table: given.either("SessionTable", "TableName")?,
            transaction_bucket: given.text("TransactionBucket")?,
            blue_secret: given.text("BlueSecretArn")?,
            green_secret: given.text("GreenSecretArn")?,
            replication_task: given.text("ReplicationTaskArn")?,
            lag_seconds_max: given.lag()?,
            parity_tables,
            target_groups: [blue?, green?].into_iter().flatten().collect(),
            functions: given.list("FunctionNames")?,
            alarms: given.list("AlarmNames")?,
            backup_vault: given.text("BackupVaultName")?,
            keys: given.list("KmsKeyIds")?,
            checks: given.checks()?,
            mode: given.mode()?,
            report_prefix: given.prefix()?,
            deployment: given.text("DeploymentId")?,
            validate_clusters: given.flag("ValidateRDS")?,
            validate_table: given.flag("ValidateTable")?,
        })
    }

    /// Tables whose rows are compared.
    #[must_use]
    pub fn row_tables(&self) -> Vec<String> {
        if self.parity_tables.is_empty() {
            return vec![PARITY_TABLE.to_owned()];
        }
        self.parity_tables.clone()
    }

    /// A name for what is asked for: the same properties have the same, whatever their order.
    #[must_use]
    pub fn fingerprint(given: &Map<String, Value>) -> String {
        let canonical: BTreeMap<&String, &Value> = given.iter().collect();
        let text = serde_json::to_string(&canonical).unwrap_or_default();
        hex::encode(Sha256::digest(text.as_bytes()))
    }
}

struct Given<'a>(&'a Map<String, Value>);

fn wrong(name: &'static str, problem: impl Into<String>, takes: &'static str) -> PropertyError {
    PropertyError::Value {
        name,
        problem: problem.into(),
        takes,
    }
}

/// One value as text: CloudFormation makes text of numbers and booleans, a direct caller need not.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Given<'_> {
    /// A text; an empty one and null count as absent, for a template's condition may leave one.
    fn text(&self, name: &'static str) -> Result<Option<String>, PropertyError> {
        const TAKES: &str = "a text of at most 2048 bytes without spaces or control characters";
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        // A list of one is the same as its only entry.
        let value = match value {
            Value::Array(list) if list.len() == 1 => list.first().unwrap_or(value),
            value => value,
        };
        let text = scalar(value).ok_or_else(|| wrong(name, "is no text", TAKES))?;
        if text.len() > VALUE_BYTES_MAX || text.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(wrong(name, "is too long or holds spaces", TAKES));
        }
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn either(
        &self,
        name: &'static str,
        same: &'static str,
    ) -> Result<Option<String>, PropertyError> {
        match (self.text(name)?, self.text(same)?) {
            (Some(one), Some(other)) if one != other => Err(wrong(
                same,
                format!("is another than {name}"),
                "the same value, or nothing",
            )),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// A list, or one text with commas between its entries. Each entry counts once.
    fn list(&self, name: &'static str) -> Result<Vec<String>, PropertyError> {
        const TAKES: &str = "a list of at most 50 texts, or one text with commas between them";
        let entries: Vec<String> = match self.0.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list
                .iter()
                .map(scalar)
                .collect::<Option<_>>()
                .ok_or_else(|| wrong(name, "holds what is no text", TAKES))?,
            Some(value) => scalar(value)
                .ok_or_else(|| wrong(name, "is no list", TAKES))?
                .split(',')
                .map(|entry| entry.trim().to_owned())
                .collect(),
        };
        let mut list: Vec<String> = Vec::new();
        for entry in entries.into_iter().filter(|entry| !entry.is_empty()) {
            let is_odd = entry.chars().any(char::is_control);
            if entry.len() > VALUE_BYTES_MAX || is_odd {
                return Err(wrong(
                    name,
                    "holds an entry that is too long or holds control characters",
                    TAKES,
                ));
            }
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
        if list.len() > LIST_MAX {
            return Err(wrong(name, format!("has {} entries", list.len()), TAKES));
        }
        Ok(list)
    }

    fn flag(&self, name: &'static str) -> Result<Option<bool>, PropertyError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true" | "True" | "TRUE") => Ok(Some(true)),
            Some("false" | "False" | "FALSE") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "is neither", "true or false")),
        }
    }

    fn lag(&self) -> Result<u32, PropertyError> {
        const NAME: &str = "MaxReplicationLagSeconds";
        let Some(text) = self.text(NAME)? else {
            return Ok(LAG_SECONDS_DEFAULT);
        };
        text.parse()
            .ok()
            .filter(|seconds| *seconds <= LAG_SECONDS_MAX)
            .ok_or_else(|| wrong(NAME, "is out of range", "a whole number from 0 to 3600"))
    }

    fn mode(&self) -> Result<Mode, PropertyError> {
        match self.text("Mode")?.as_deref() {
            None | Some("enforce") => Ok(Mode::Enforce),
            Some("report") => Ok(Mode::Report),
            Some(_) => Err(wrong("Mode", "is neither", "enforce or report")),
        }
    }

    fn prefix(&self) -> Result<String, PropertyError> {
        const TAKES: &str =
            "a prefix of at most 256 of A-Z a-z 0-9 / ! - _ . * ' ( ), not beginning with /";
        let Some(prefix) = self.text("ReportPrefix")? else {
            return Ok(REPORT_PREFIX.to_owned());
        };
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "/!-_.*'()".contains(c);
        if prefix.starts_with('/')
            || prefix.len() > PREFIX_BYTES_MAX
            || !prefix.chars().all(is_safe)
        {
            return Err(wrong("ReportPrefix", "can't begin a key", TAKES));
        }
        Ok(prefix)
    }

    fn checks(&self) -> Result<Option<BTreeSet<Check>>, PropertyError> {
        const TAKES: &str = "names of checks: blue-cluster, green-cluster, cluster-compatibility, session-table, \
             transaction-bucket, blue-secret, green-secret, blue-login, green-login, replication, schema-parity, \
             data-parity, reconciliation, target-health, functions, alarms, backup, keys";
        let names = self.list("Checks")?;
        if names.is_empty() {
            return Ok(None);
        }
        names
            .iter()
            .map(|name| {
                Check::named(name).ok_or_else(|| {
                    let name = super::text::shortened(&super::text::plain(name), 64);
                    wrong("Checks", format!("names {name}, which is no check"), TAKES)
                })
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }
}

/// A table is named in statements: nothing but an identifier is taken.
fn table_name(name: &str) -> Result<(), PropertyError> {
    let is_identifier = name.len() <= 63
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if is_identifier {
        return Ok(());
    }
    Err(wrong(
        "ParityTables",
        "names what is no table",
        "names of at most 63 of A-Z a-z 0-9 _, not beginning with a digit",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(given: &Value) -> Result<Properties, String> {
        Properties::read(given.as_object().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_come_as_lists_and_as_text() {
        for given in [json!(["a", "b", "a", ""]), json!("a, b,,a"), json!("a,b")] {
            let properties = read(&json!({"AlarmNames": given})).unwrap();
            assert_eq!(properties.alarms, ["a", "b"]);
        }
        let one = read(&json!({"KmsKeyIds": "k", "FunctionNames": ["f"]})).unwrap();
        assert_eq!((one.keys.len(), one.functions.len()), (1, 1));
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let nothing = read(&json!({"ServiceToken": "x", "ServiceTimeout": "600", "SessionTable": "", "Mode": null})).unwrap();
        assert_eq!(nothing.lag_seconds_max, 30);
        assert_eq!(nothing.row_tables(), ["payments"]);
        assert_eq!(nothing.report_prefix, "validation/");
        assert_eq!(nothing.mode, Mode::Enforce);
        assert_eq!(nothing.session_table, None);
        assert_eq!(nothing.checks, None);
    }

    #[test]
    fn an_unknown_property_is_named_with_what_is_taken() {
        let error = read(&json!({"BlueClusterID": "x"})).unwrap_err();
        assert!(error.contains("BlueClusterID"), "{error}");
        for taken in TAKEN {
            assert!(error.contains(taken), "{taken}");
        }
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        for (given, told) in [
            (json!({"BlueClusterId": {}}), "BlueClusterId"),
            (json!({"BlueClusterId": ["a", "b"]}), "BlueClusterId"),
            (json!({"BlueClusterId": "a b"}), "BlueClusterId"),
            (json!({"BlueClusterId": "a", "ClusterId": "b"}), "ClusterId"),
            (json!({"SessionTable": "a", "TableName": "b"}), "TableName"),
            (json!({"AlarmNames": [["a"]]}), "AlarmNames"),
            (json!({"AlarmNames": {"a": 1}}), "AlarmNames"),
            (json!({"MaxReplicationLagSeconds": "-1"}), "0 to 3600"),
            (json!({"MaxReplicationLagSeconds": "30.5"}), "0 to 3600"),
            (json!({"MaxReplicationLagSeconds": "4000"}), "0 to 3600"),
            (json!({"Mode": "warn"}), "enforce or report"),
            (json!({"Checks": "backup,bakcup"}), "bakcup"),
            (json!({"ReportPrefix": "/x"}), "ReportPrefix"),
            (json!({"ReportPrefix": "x?y"}), "ReportPrefix"),
            (
                json!({"ParityTables": "payments; DROP TABLE payments"}),
                "ParityTables",
            ),
            (json!({"ValidateRDS": "yes"}), "true or false"),
        ] {
            let error = read(&given).unwrap_err();
            assert!(error.contains(told), "{given}: {error}");
        }
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        assert!(
            read(&json!({"AlarmNames": many}))
                .unwrap_err()
                .contains("51 entries")
        );
    }

    #[test]
    fn the_fingerprint_follows_from_the_properties_alone() {
        let one = json!({"A": "1", "B": ["x"]});
        let other = json!({"B": ["x"], "A": "1"});
        let print = |given: &Value| Properties::fingerprint(given.as_object().unwrap());
        assert_eq!(print(&one), print(&other));
        assert_ne!(print(&one), print(&json!({"A": "1"})));
    }
}
