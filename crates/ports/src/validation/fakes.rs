//! An estate in memory: what a test puts into it is seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Again, Backups, Bucket, Buckets, Cluster, Clusters, FunctionFacts, Functions, Key, Keys,
    LogObjects, LookError, Obstacle, RecoveryPoint, ReplicationTask, ReplicationTasks, Reports,
    SecretFacts, SecretText, SecretVault, SessionRecord, SessionRecords, Span, Table, Tables,
    TargetGroups, Targets, Timestamp, async_trait,
};

/// What there is.
#[derive(Debug, Default)]
pub struct Things {
    /// By id.
    pub clusters: BTreeMap<String, Cluster>,
    /// By id.
    pub keys: BTreeMap<String, Key>,
    /// By name.
    pub tables: BTreeMap<String, Table>,
    /// By name.
    pub buckets: BTreeMap<String, Bucket>,
    /// By id, with its value.
    pub secrets: BTreeMap<String, (SecretFacts, String)>,
    /// By ARN.
    pub tasks: BTreeMap<String, ReplicationTask>,
    /// By ARN.
    pub targets: BTreeMap<String, Targets>,
    /// By name.
    pub functions: BTreeMap<String, FunctionFacts>,
    /// By vault.
    pub recovery_points: BTreeMap<String, Vec<RecoveryPoint>>,
    /// Sessions of the only table.
    pub sessions: Vec<SessionRecord>,
    /// Log objects of the only bucket.
    pub objects: BTreeMap<String, Timestamp>,
    /// Reports that were put: key, and what.
    pub reports: BTreeMap<String, Vec<u8>>,
    /// Events for further invocations.
    pub again: Vec<String>,
    /// Calls that meet an obstacle.
    pub obstacles: BTreeMap<&'static str, Obstacle>,
    /// Calls that never end.
    pub hangs: Vec<&'static str>,
    /// Calls that panic.
    pub panics: Vec<&'static str>,
}

/// The estate: clones share it.
#[derive(Debug, Clone, Default)]
pub struct FakeEstate(Arc<Mutex<Things>>);

impl FakeEstate {
    /// A look at, or a hand in, what there is.
    pub fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        look: impl FnOnce(&mut Things) -> Option<T>,
    ) -> Result<T, LookError> {
        let error = |obstacle| LookError {
            operation,
            obstacle,
            source: "as the test says".into(),
        };
        let (hangs, panics) = {
            let things = self.things();
            let hangs = things.hangs.contains(&operation);
            (hangs, things.panics.contains(&operation))
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        assert!(!panics, "as the test says");
        let mut things = self.things();
        if let Some(obstacle) = things.obstacles.get(operation) {
            return Err(error(*obstacle));
        }
        look(&mut things).ok_or_else(|| error(Obstacle::Missing))
    }
}

#[async_trait]
impl Clusters for FakeEstate {
    async fn cluster(&self, id: &str) -> Result<Cluster, LookError> {
        self.call("rds:DescribeDBClusters", |t| t.clusters.get(id).cloned())
            .await
    }
}

#[async_trait]
impl Keys for FakeEstate {
    async fn key(&self, id: &str) -> Result<Key, LookError> {
        self.call("kms:DescribeKey", |t| t.keys.get(id).cloned())
            .await
    }
}

#[async_trait]
impl Tables for FakeEstate {
    async fn table(&self, name: &str) -> Result<Table, LookError> {
        self.call("dynamodb:DescribeTable", |t| t.tables.get(name).cloned())
            .await
    }
}

#[async_trait]
impl Buckets for FakeEstate {
    async fn bucket(&self, name: &str) -> Result<Bucket, LookError> {
        self.call("s3:GetBucketVersioning", |t| t.buckets.get(name).cloned())
            .await
    }
}

#[async_trait]
impl SecretVault for FakeEstate {
    async fn describe(&self, id: &str) -> Result<SecretFacts, LookError> {
        self.call("secretsmanager:DescribeSecret", |t| {
            t.secrets.get(id).map(|(facts, _)| facts.clone())
        })
        .await
    }

    async fn read(&self, id: &str) -> Result<SecretText, LookError> {
        self.call("secretsmanager:GetSecretValue", |t| {
            t.secrets
                .get(id)
                .map(|(_, value)| SecretText::new(value.clone()))
        })
        .await
    }
}

#[async_trait]
impl ReplicationTasks for FakeEstate {
    async fn task(&self, arn: &str) -> Result<ReplicationTask, LookError> {
        self.call("dms:DescribeReplicationTasks", |t| {
            t.tasks.get(arn).cloned()
        })
        .await
    }
}

#[async_trait]
impl TargetGroups for FakeEstate {
    async fn targets(&self, arn: &str) -> Result<Targets, LookError> {
        self.call("elasticloadbalancing:DescribeTargetHealth", |t| {
            t.targets.get(arn).cloned()
        })
        .await
    }
}

#[async_trait]
impl Functions for FakeEstate {
    async fn function(&self, name: &str) -> Result<FunctionFacts, LookError> {
        self.call("lambda:GetFunctionConfiguration", |t| {
            t.functions.get(name).cloned()
        })
        .await
    }
}

#[async_trait]
impl Backups for FakeEstate {
    async fn recovery_points(
        &self,
        vault: &str,
        since: Timestamp,
    ) -> Result<Vec<RecoveryPoint>, LookError> {
        self.call("backup:ListRecoveryPointsByBackupVault", |t| {
            let mut points = t.recovery_points.get(vault)?.clone();
            points.retain(|point| point.created_ms >= since.ms());
            Some(points)
        })
        .await
    }
}

#[async_trait]
impl SessionRecords for FakeEstate {
    async fn created_in(
        &self,
        _table: &str,
        span: Span,
        _limit: usize,
    ) -> Result<Vec<SessionRecord>, LookError> {
        self.call("dynamodb:Scan", |t| {
            let mut sessions = t.sessions.clone();
            sessions.retain(|session| span.holds(session.created_at));
            Some(sessions)
        })
        .await
    }
}

#[async_trait]
impl LogObjects for FakeEstate {
    async fn written_since(
        &self,
        _bucket: &str,
        prefix: &str,
        since: Timestamp,
        _limit: usize,
    ) -> Result<BTreeMap<String, Timestamp>, LookError> {
        self.call("s3:ListBucket", |t| {
            let mut objects = t.objects.clone();
            objects.retain(|key, at| key.starts_with(prefix) && *at >= since);
            Some(objects)
        })
        .await
    }
}

#[async_trait]
impl Reports for FakeEstate {
    async fn put(
        &self,
        bucket: &str,
        key: &str,
        _content_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), LookError> {
        self.call("s3:PutObject", |t| {
            t.reports.insert(format!("{bucket}/{key}"), bytes);
            Some(())
        })
        .await
    }
}

#[async_trait]
impl Again for FakeEstate {
    async fn invoke(&self, event: String) -> Result<(), LookError> {
        self.call("lambda:InvokeFunction", |t| {
            t.again.push(event);
            Some(())
        })
        .await
    }
}
