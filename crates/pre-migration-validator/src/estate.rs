//! Everything that the function looks at, behind ports.

use cutover_ports::parity::{
    DataParity, Fence, LedgerRows, LoginCheck, ReplicaStatus, SchemaParity, SchemaUpgrade,
};
use cutover_ports::switch::AlarmReader;
use cutover_ports::validation::{
    Backups, Buckets, Clusters, Functions, Keys, LogObjects, ReplicationTasks, SecretVault,
    SessionRecords, Tables, TargetGroups,
};

/// What can be asked of the databases.
pub trait Databases:
    LoginCheck + SchemaParity + DataParity + SchemaUpgrade + Fence + ReplicaStatus + LedgerRows
{
}

impl<T> Databases for T where
    T: LoginCheck + SchemaParity + DataParity + SchemaUpgrade + Fence + ReplicaStatus + LedgerRows
{
}

/// One port per thing.
pub struct Estate {
    /// Database clusters.
    pub clusters: Box<dyn Clusters>,
    /// Keys.
    pub keys: Box<dyn Keys>,
    /// The session table.
    pub tables: Box<dyn Tables>,
    /// The log bucket.
    pub buckets: Box<dyn Buckets>,
    /// Database secrets.
    pub secrets: Box<dyn SecretVault>,
    /// Replication tasks.
    pub replication: Box<dyn ReplicationTasks>,
    /// Target groups.
    pub targets: Box<dyn TargetGroups>,
    /// Functions.
    pub functions: Box<dyn Functions>,
    /// Alarms.
    pub alarms: Box<dyn AlarmReader>,
    /// Backups.
    pub backups: Box<dyn Backups>,
    /// Sessions, for the reconciliation.
    pub sessions: Box<dyn SessionRecords>,
    /// Log objects, for the reconciliation.
    pub objects: Box<dyn LogObjects>,
    /// The databases themselves.
    pub databases: Box<dyn Databases>,
}
