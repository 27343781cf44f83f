//! Which checks run, and why the others do not.

use super::check::{Check, Judgement};
use super::properties::{Properties, PropertyError};

/// Each check, with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Checks that run, in the order of the report.
    pub run: Vec<Check>,
    /// Checks that do not.
    pub skipped: Vec<(Check, Judgement)>,
}

impl Plan {
    /// What `properties` ask for: every check that they have enough for, or the named ones.
    ///
    /// # Errors
    /// Nothing would run, or a named check lacks what it needs.
    pub fn of(properties: &Properties) -> Result<Self, PropertyError> {
        let mut plan = Self {
            run: Vec::new(),
            skipped: Vec::new(),
        };
        required(properties)?;
        for check in Check::ALL {
            let named = properties
                .checks
                .as_ref()
                .map(|checks| checks.contains(&check));
            if named == Some(false) {
                let why = "not among Checks";
                plan.skipped.push((check, Judgement::skipped(why)));
                continue;
            }
            match obstacle(check, properties) {
                None => plan.run.push(check),
                Some(why) if named == Some(true) => {
                    return Err(PropertyError::CheckWithoutProperties { check, why });
                }
                Some(why) => plan.skipped.push((check, Judgement::skipped(why))),
            }
        }
        if plan.run.is_empty() {
            return Err(PropertyError::Nothing {
                example: "BlueClusterId for blue-cluster",
            });
        }
        Ok(plan)
    }
}

/// `ValidateRDS` and `ValidateTable` ask for a check: without what it looks at, that would be a check that never ran.
fn required(properties: &Properties) -> Result<(), PropertyError> {
    let no_cluster = properties.blue_cluster.is_none() && properties.green_cluster.is_none();
    if properties.validate_clusters == Some(true) && no_cluster {
        return Err(PropertyError::CheckWithoutProperties {
            check: Check::BlueCluster,
            why: "ValidateRDS is true and neither ClusterId, BlueClusterId nor GreenClusterId is given".to_owned(),
        });
    }
    if properties.validate_table == Some(true) && properties.session_table.is_none() {
        return Err(PropertyError::CheckWithoutProperties {
            check: Check::SessionTable,
            why: "ValidateTable is true and neither TableName nor SessionTable is given".to_owned(),
        });
    }
    Ok(())
}

/// Why a check can't run, if it can't.
fn obstacle(check: Check, properties: &Properties) -> Option<String> {
    let of_clusters = matches!(
        check,
        Check::BlueCluster | Check::GreenCluster | Check::ClusterCompatibility
    );
    if of_clusters && properties.validate_clusters == Some(false) {
        return Some("ValidateRDS is false".to_owned());
    }
    if check == Check::SessionTable && properties.validate_table == Some(false) {
        return Some("ValidateTable is false".to_owned());
    }
    let missing: Vec<&str> = needs(check, properties)
        .into_iter()
        .filter_map(|(given, name)| (!given).then_some(name))
        .collect();
    (!missing.is_empty()).then(|| format!("not given: {}", missing.join(", ")))
}

/// What a check needs: whether it is given, and the property's name.
fn needs(check: Check, p: &Properties) -> Vec<(bool, &'static str)> {
    let blue_cluster = (p.blue_cluster.is_some(), "BlueClusterId");
    let green_cluster = (p.green_cluster.is_some(), "GreenClusterId");
    let table = (p.session_table.is_some(), "SessionTable");
    let bucket = (p.transaction_bucket.is_some(), "TransactionBucket");
    let blue_secret = (p.blue_secret.is_some(), "BlueSecretArn");
    let green_secret = (p.green_secret.is_some(), "GreenSecretArn");
    match check {
        Check::BlueCluster => vec![blue_cluster],
        Check::GreenCluster => vec![green_cluster],
        Check::ClusterCompatibility => vec![blue_cluster, green_cluster],
        Check::SessionTable => vec![table],
        Check::TransactionBucket => vec![bucket],
        Check::BlueSecret | Check::BlueLogin => vec![blue_secret],
        Check::GreenSecret | Check::GreenLogin => vec![green_secret],
        Check::Replication => {
            let by_databases = blue_secret.0 && green_secret.0;
            vec![(
                p.replication_task.is_some() || by_databases,
                "ReplicationTaskArn (or BlueSecretArn and GreenSecretArn)",
            )]
        }
        Check::SchemaParity | Check::DataParity => vec![blue_secret, green_secret],
        Check::Reconciliation => vec![table, bucket, blue_secret, green_secret],
        Check::TargetHealth => vec![(
            !p.target_groups.is_empty(),
            "BlueTargetGroupArn or GreenTargetGroupArn",
        )],
        Check::Functions => vec![(!p.functions.is_empty(), "FunctionNames")],
        Check::Alarms => vec![(!p.alarms.is_empty(), "AlarmNames")],
        Check::Backup => vec![(p.backup_vault.is_some(), "BackupVaultName")],
        Check::Keys => vec![(!p.keys.is_empty(), "KmsKeyIds")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn plan(given: &Value) -> Result<Vec<&'static str>, String> {
        let properties = Properties::read(given.as_object().unwrap()).unwrap();
        let plan = Plan::of(&properties).map_err(|error| error.to_string())?;
        assert_eq!(plan.run.len() + plan.skipped.len(), Check::ALL.len());
        Ok(plan.run.into_iter().map(Check::name).collect())
    }

    #[test]
    fn what_is_given_is_checked() {
        assert_eq!(
            plan(&json!({"SessionTable": "s"})).unwrap(),
            ["session-table"]
        );
        assert_eq!(
            plan(&json!({"BlueClusterId": "b", "GreenClusterId": "g"})).unwrap(),
            ["blue-cluster", "green-cluster", "cluster-compatibility"]
        );
        assert_eq!(
            plan(&json!({"BlueSecretArn": "b", "GreenSecretArn": "g", "SessionTable": "s", "TransactionBucket": "t"}))
                .unwrap()
                .len(),
            10
        );
        assert_eq!(
            plan(&json!({"ReplicationTaskArn": "t"})).unwrap(),
            ["replication"]
        );
    }

    #[test]
    fn everything_given_runs_everything() {
        let all = json!({
            "BlueClusterId": "b", "GreenClusterId": "g", "SessionTable": "s", "TransactionBucket": "t",
            "BlueSecretArn": "b", "GreenSecretArn": "g", "GreenTargetGroupArn": "g", "FunctionNames": "f",
            "AlarmNames": "a", "BackupVaultName": "v", "KmsKeyIds": "k",
        });
        assert_eq!(plan(&all).unwrap().len(), Check::ALL.len());
    }

    #[test]
    fn only_named_checks_run_and_each_must_be_able_to() {
        let given = json!({"SessionTable": "s", "AlarmNames": "a", "Checks": "alarms"});
        assert_eq!(plan(&given).unwrap(), ["alarms"]);
        let error =
            plan(&json!({"SessionTable": "s", "Checks": "alarms,session-table"})).unwrap_err();
        assert!(
            error.contains("alarms") && error.contains("AlarmNames"),
            "{error}"
        );
    }

    #[test]
    fn nothing_to_check_is_an_error() {
        for nothing in [
            json!({}),
            json!({"Mode": "report", "DeploymentId": "1"}),
            json!({"ValidateRDS": "false", "ClusterId": "c"}),
        ] {
            assert!(
                plan(&nothing).unwrap_err().contains("nothing to check"),
                "{nothing}"
            );
        }
    }

    #[test]
    fn the_plain_properties_mean_what_they_say() {
        let both = json!({"ValidateRDS": "true", "ClusterId": "c", "ValidateTable": "true", "TableName": "t"});
        assert_eq!(plan(&both).unwrap(), ["blue-cluster", "session-table"]);
        let table = json!({"ValidateRDS": "false", "ClusterId": "c", "ValidateTable": "true", "TableName": "t"});
        assert_eq!(plan(&table).unwrap(), ["session-table"]);
        assert_eq!(plan(&json!({"ClusterId": "c"})).unwrap(), ["blue-cluster"]);
        let error = plan(&json!({"ValidateRDS": "true", "TableName": "t"})).unwrap_err();
        assert!(error.contains("ClusterId"), "{error}");
        let error = plan(&json!({"ValidateTable": true, "ClusterId": "t"})).unwrap_err();
        assert!(error.contains("TableName"), "{error}");
    }
}
