//! What a validation looks at outside the databases (those are in [`crate::parity`]), and where its report goes.

#[cfg(feature = "fakes")]
pub mod fakes;

use std::collections::BTreeMap;

use async_trait::async_trait;
use cutover_domain::payment::Timestamp;
use cutover_domain::validation::Obstacle;
use cutover_domain::validation::facts::{
    Bucket, Cluster, FunctionFacts, Key, RecoveryPoint, ReplicationTask, SecretFacts, Table,
    Targets,
};
use cutover_domain::validation::reconciliation::{SessionRecord, Span};

use crate::payment::{SecretText, Source};

/// Something that could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct LookError {
    /// The call, by its IAM name: `rds:DescribeDBClusters`.
    pub operation: &'static str,
    /// What stood in the way.
    pub obstacle: Obstacle,
    /// What the service said.
    #[source]
    pub source: Source,
}

/// Looks at database clusters.
#[async_trait]
pub trait Clusters: Send + Sync {
    /// A cluster with its instances and its replication parameter.
    async fn cluster(&self, id: &str) -> Result<Cluster, LookError>;
}

/// Looks at keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// A key.
    async fn key(&self, id: &str) -> Result<Key, LookError>;
}

/// Looks at tables.
#[async_trait]
pub trait Tables: Send + Sync {
    /// A table.
    async fn table(&self, name: &str) -> Result<Table, LookError>;
}

/// Looks at buckets.
#[async_trait]
pub trait Buckets: Send + Sync {
    /// A bucket.
    async fn bucket(&self, name: &str) -> Result<Bucket, LookError>;
}

/// Looks at secrets.
#[async_trait]
pub trait SecretVault: Send + Sync {
    /// A secret, without its value: [`SecretFacts::is_object`] is false.
    async fn describe(&self, id: &str) -> Result<SecretFacts, LookError>;

    /// Its current value.
    async fn read(&self, id: &str) -> Result<SecretText, LookError>;
}

/// Looks at replication tasks.
#[async_trait]
pub trait ReplicationTasks: Send + Sync {
    /// A task with its tables and its lag.
    async fn task(&self, arn: &str) -> Result<ReplicationTask, LookError>;
}

/// Looks at target groups.
#[async_trait]
pub trait TargetGroups: Send + Sync {
    /// The targets of a group.
    async fn targets(&self, arn: &str) -> Result<Targets, LookError>;
}

/// Looks at functions.
#[async_trait]
pub trait Functions: Send + Sync {
    /// A function.
    async fn function(&self, name: &str) -> Result<FunctionFacts, LookError>;
}

/// Looks at backups.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Recovery points of a vault that were made after `since`.
    async fn recovery_points(
        &self,
        vault: &str,
        since: Timestamp,
    ) -> Result<Vec<RecoveryPoint>, LookError>;
}

/// Reads sessions for a reconciliation.
#[async_trait]
pub trait SessionRecords: Send + Sync {
    /// Sessions that were created in `span`; an obstacle if there are more than `limit`.
    async fn created_in(
        &self,
        table: &str,
        span: Span,
        limit: usize,
    ) -> Result<Vec<SessionRecord>, LookError>;
}

/// Reads the names of log objects for a reconciliation.
#[async_trait]
pub trait LogObjects: Send + Sync {
    /// Keys that begin with `prefix` and were written since `since`, with when; an obstacle if there are more than `limit`.
    async fn written_since(
        &self,
        bucket: &str,
        prefix: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<BTreeMap<String, Timestamp>, LookError>;
}

/// Keeps reports.
#[async_trait]
pub trait Reports: Send + Sync {
    /// Writes a report.
    async fn put(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), LookError>;
}

/// Calls this function once more, without waiting for it.
#[async_trait]
pub trait Again: Send + Sync {
    /// Hands `event` (JSON) to another invocation of this function.
    async fn invoke(&self, event: String) -> Result<(), LookError>;
}
