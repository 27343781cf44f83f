//! Recovery points by AWS Backup.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_backup::Client;
use aws_sdk_backup::primitives::DateTime;
use cutover_domain::payment::Timestamp;
use cutover_domain::validation::facts::RecoveryPoint;
use cutover_ports::validation::{Backups, LookError};

use super::look::look;

const LIST: &str = "backup:ListRecoveryPointsByBackupVault";

/// Pages that are read.
const PAGES_MAX: usize = 20;

/// The backup vaults of the account and region.
#[derive(Debug, Clone)]
pub struct BackupVaults {
    client: Client,
}

impl BackupVaults {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }
}

#[async_trait]
impl Backups for BackupVaults {
    async fn recovery_points(
        &self,
        vault: &str,
        since: Timestamp,
    ) -> Result<Vec<RecoveryPoint>, LookError> {
        let since = i64::try_from(since.seconds()).unwrap_or(i64::MAX);
        let mut pages = self
            .client
            .list_recovery_points_by_backup_vault()
            .backup_vault_name(vault)
            .by_created_after(DateTime::from_secs(since))
            .into_paginator()
            .send();
        let mut points = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else {
                break;
            };
            for point in page
                .map_err(look(LIST))?
                .recovery_points
                .unwrap_or_default()
            {
                let created = point.creation_date().and_then(|at| at.to_millis().ok());
                points.push(RecoveryPoint {
                    resource: point
                        .resource_arn()
                        .unwrap_or("a resource that is not named")
                        .to_owned(),
                    status: point
                        .status()
                        .map_or_else(String::new, |s| s.as_str().to_owned()),
                    created_ms: created.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
                });
            }
        }
        Ok(points)
    }
}
