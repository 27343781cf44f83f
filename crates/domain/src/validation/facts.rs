//! What is seen of each thing that is checked. What a service left out is `None`, and never counts as good.

/// A database cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    /// Its identifier.
    pub id: String,
    /// For example `available`.
    pub status: Option<String>,
    /// For example `aurora-mysql`.
    pub engine: Option<String>,
    /// For example `8.0.mysql_aurora.3.10.1`.
    pub engine_version: Option<String>,
    /// Whether its storage is encrypted.
    pub encrypted: Option<bool>,
    /// The key of its storage.
    pub key_id: Option<String>,
    /// Its instances.
    pub instances: Vec<Instance>,
    /// The parameter that lets it replicate: `binlog_format` or `rds.logical_replication`.
    pub replication_parameter: Option<String>,
}

/// An instance of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instance {
    /// Its identifier.
    pub id: String,
    /// For example `available`.
    pub status: Option<String>,
    /// Its availability zone.
    pub zone: Option<String>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key {
    /// Id or ARN.
    pub id: String,
    /// For example `Enabled`.
    pub state: Option<String>,
    /// Whether the customer manages it, and not AWS.
    pub customer_managed: Option<bool>,
}

/// The session table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// For example `ACTIVE`.
    pub status: Option<String>,
    /// Whether it can be restored to any point in time.
    pub point_in_time_recovery: Option<bool>,
    /// Whether it is encrypted with a KMS key.
    pub kms: Option<bool>,
    /// That key.
    pub key_id: Option<String>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Whether it keeps old versions.
    pub versioned: Option<bool>,
    /// Algorithm of the default encryption: `aws:kms`, `aws:kms:dsse` or `AES256`.
    pub encryption: Option<String>,
    /// The four settings that block public access, those that are on.
    pub public_access_blocks: Vec<&'static str>,
}

/// The four settings that block public access.
pub const PUBLIC_ACCESS_BLOCKS: [&str; 4] = [
    "BlockPublicAcls",
    "IgnorePublicAcls",
    "BlockPublicPolicy",
    "RestrictPublicBuckets",
];

/// A secret, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretFacts {
    /// Name or ARN.
    pub id: String,
    /// Whether it rotates by itself.
    pub rotation: Option<bool>,
    /// Whether it is marked for deletion.
    pub deleted: bool,
    /// Whether its current value could be read, and is a JSON object.
    pub is_object: bool,
}

/// A replication task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplicationTask {
    /// Its ARN.
    pub arn: String,
    /// For example `running`.
    pub status: Option<String>,
    /// Why it failed last, if it did.
    pub last_failure: Option<String>,
    /// How many tables it replicates.
    pub tables: usize,
    /// Tables in error, and their state.
    pub tables_in_error: Vec<String>,
    /// The newest latency at the source and at the target, the greater of both, in seconds.
    pub lag_seconds: Option<f64>,
}

/// Targets of a target group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Targets {
    /// The group's ARN.
    pub arn: String,
    /// A state per target (`healthy`, `unhealthy`, ...), with its reason.
    pub states: Vec<(String, String)>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FunctionFacts {
    /// Name or ARN, qualifier included.
    pub name: String,
    /// For example `Active`.
    pub state: Option<String>,
    /// For example `Successful`.
    pub last_update: Option<String>,
    /// Why it is in that state.
    pub reason: Option<String>,
}

/// A recovery point of a backup vault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryPoint {
    /// What it is of.
    pub resource: String,
    /// For example `COMPLETED`.
    pub status: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: u64,
}
