//! What a validation looks at, on AWS: one file per service.

#[cfg(feature = "backup")]
pub mod backups;
#[cfg(all(feature = "s3", feature = "dynamodb"))]
pub mod buckets;
#[cfg(feature = "rds")]
pub mod clusters;
#[cfg(feature = "lambda")]
pub mod functions;
#[cfg(feature = "kms")]
pub mod keys;
mod look;
#[cfg(feature = "dynamodb")]
pub mod memory;
#[cfg(all(feature = "databasemigration", feature = "cloudwatch"))]
pub mod replication;
#[cfg(feature = "secretsmanager")]
pub mod secrets;
#[cfg(feature = "dynamodb")]
pub mod tables;
#[cfg(feature = "elasticloadbalancingv2")]
pub mod targets;

#[cfg(all(
    test,
    feature = "backup",
    feature = "dynamodb",
    feature = "elasticloadbalancingv2",
    feature = "kms",
    feature = "lambda",
    feature = "rds",
    feature = "s3",
    feature = "secretsmanager"
))]
mod wire_tests;
