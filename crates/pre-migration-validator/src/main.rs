//! Wiring only: variables, clients, run.

use std::process::ExitCode;
use std::sync::Arc;

use cutover_aws::alarms::CloudWatchAlarms;
use cutover_aws::config::{CallLimits, load};
use cutover_aws::validation::backups::BackupVaults;
use cutover_aws::validation::buckets::S3Buckets;
use cutover_aws::validation::clusters::RdsClusters;
use cutover_aws::validation::functions::{LambdaFunctions, OwnFunction};
use cutover_aws::validation::keys::KmsKeys;
use cutover_aws::validation::memory::DynamoMemory;
use cutover_aws::validation::replication::DmsTasks;
use cutover_aws::validation::secrets::VaultOfSecrets;
use cutover_aws::validation::tables::DynamoTables;
use cutover_aws::validation::targets::LoadBalancerTargets;
use cutover_custom_resource::Protocol;
use cutover_ledger::operations::Databases;
use pre_migration_validator::config::Config;
use pre_migration_validator::estate::Estate;
use pre_migration_validator::handler::PreMigrationValidator;
use pre_migration_validator::validation::Validator;

fn main() -> ExitCode {
    cutover_lambda::run::main(Config::read, build)
}

async fn build(config: Config) -> PreMigrationValidator {
    let sdk = load(CallLimits::default()).await;
    let estate = Estate {
        clusters: Box::new(RdsClusters::new(&sdk)),
        keys: Box::new(KmsKeys::new(&sdk)),
        tables: Box::new(DynamoTables::new(&sdk)),
        buckets: Box::new(S3Buckets::new(&sdk)),
        secrets: Box::new(VaultOfSecrets::new(&sdk)),
        replication: Box::new(DmsTasks::new(&sdk)),
        targets: Box::new(LoadBalancerTargets::new(&sdk)),
        functions: Box::new(LambdaFunctions::new(&sdk)),
        alarms: Box::new(CloudWatchAlarms::new(&sdk)),
        backups: Box::new(BackupVaults::new(&sdk)),
        sessions: Box::new(DynamoTables::new(&sdk)),
        objects: Box::new(S3Buckets::new(&sdk)),
        databases: Box::new(Databases::new(config.ca_bundle)),
    };
    PreMigrationValidator {
        validator: Validator {
            estate: Arc::new(estate),
            memory: Box::new(DynamoMemory::new(
                &sdk,
                config.state_table,
                &config.environment,
            )),
            reports: Box::new(S3Buckets::new(&sdk)),
            again: Box::new(OwnFunction::new(
                &sdk,
                config.function_name,
                config.function_version,
            )),
            report_bucket: config.report_bucket,
            environment: config.environment,
        },
        protocol: Protocol {
            allow_http_response_url: config.allow_http_response_url,
        },
    }
}
