//! Everything around the functions, shared by many cases: the local cloud, a database, and what a stack would declare.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cutover::lab::cloud::{Cloud, CloudOptions, REGION};
use cutover_aws::evidence::{Evidence, Session};
use cutover_aws::stack::Stacks;
use serde_json::json;
use tempfile::TempDir;

use crate::aws_wire::AwsWire;
use crate::database::{Database, Engine};
use crate::sandbox::Sandbox;
use crate::sql_wire::SqlWire;
use crate::wire::Wire;
use crate::{binaries, project};

/// The environment's name. It marks the INSERT at the database's wire.
pub const ENVIRONMENT: &str = "dev-payment-crash001";
/// The secret with the key of the keyed hashes.
pub const HASH_KEY: &str = "hash-key";
const DATABASE_SECRET: &str = "database";
const TABLE: &str = "sessions";
const BUCKET: &str = "transaction-logs";
/// How long the emulator may take for four resources.
const DEPLOY_MAX: Duration = Duration::from_mins(1);

/// The colors.
pub const COLORS: [&str; 2] = ["blue", "green"];

/// What all functions share.
pub struct World {
    /// The ledger of both colors: one database, as the databases of both colors are once replication has caught up.
    pub database: Database,
    engine: Engine,
    cloud: Cloud,
    cloud_port: u16,
    evidence: Evidence,
    folder: TempDir,
    started: AtomicU32,
}

/// A function's process, and its wires.
pub struct Function {
    /// The process.
    pub sandbox: Sandbox,
    /// What goes over its wires.
    pub wire: Arc<Wire>,
    _aws: AwsWire,
    _sql: SqlWire,
}

impl World {
    /// Starts all of it.
    pub async fn start(engine: Engine) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("logs")).expect("a writable folder");
        let database = Database::start(engine, &project());
        let options = CloudOptions {
            project: project(),
            folder: folder.path().to_owned(),
            tick_seconds: 60,
        };
        let cloud = Cloud::start(&options).await.expect("the local cloud");
        let config = cloud.config().await;
        let evidence = Evidence::new(&config);
        evidence.create_bucket("templates").await.expect("a bucket");
        let template = template(&database).to_string().into_bytes();
        let put = evidence.put("templates", "template.json", template).await;
        put.expect("a template");
        let url = format!("{}/templates/template.json", cloud.endpoint());
        Stacks::new(&config)
            .deploy("crash", &url, &BTreeMap::new(), DEPLOY_MAX)
            .await
            .expect("a stack");
        let cloud_port = cloud.endpoint().rsplit(':').next().map(str::parse);
        Self {
            database,
            engine,
            cloud_port: cloud_port.expect("a port").expect("a number"),
            cloud,
            evidence,
            folder,
            started: AtomicU32::new(0),
        }
    }

    /// Starts a function's process of a color, with wires of its own that plan and tell by `wire`.
    pub async fn function(&self, color: &str, wire: &Arc<Wire>) -> Function {
        let aws = AwsWire::start(self.cloud_port, Arc::clone(wire)).await;
        let sql = SqlWire::start(self.engine, self.database.port(), Arc::clone(wire)).await;
        let variables = [
            ("AWS_ENDPOINT_URL", aws.endpoint().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("ENVIRONMENT", ENVIRONMENT.to_owned()),
            ("COLOR", color.to_owned()),
            ("SESSION_TABLE", TABLE.to_owned()),
            ("TRANSACTION_BUCKET", BUCKET.to_owned()),
            ("DB_SECRET_ARN", DATABASE_SECRET.to_owned()),
            ("DB_ENDPOINT", sql.endpoint().to_owned()),
            ("HASH_KEY_SECRET_ARN", HASH_KEY.to_owned()),
        ];
        let count = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self
            .folder
            .path()
            .join("logs")
            .join(format!("{color}-{count}.log"));
        let sandbox =
            Sandbox::start(&binaries().join("payment-validation"), &variables, &log).await;
        Function {
            sandbox,
            wire: Arc::clone(wire),
            _aws: aws,
            _sql: sql,
        }
    }

    /// Where everything logs.
    #[must_use]
    pub fn logs(&self) -> std::path::PathBuf {
        self.folder.path().join("logs")
    }

    /// The folder of everything that is written to files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every session.
    pub async fn sessions(&self) -> Vec<Session> {
        self.evidence.sessions(TABLE).await.expect("the sessions")
    }

    /// The session of a key, whatever its scope.
    pub async fn session(&self, key: &str) -> Option<Session> {
        let of_key = |session: &Session| {
            session
                .get("idempotencyKey")
                .is_some_and(|found| found == key)
        };
        self.sessions().await.into_iter().find(of_key)
    }

    /// Keys of every log object.
    pub async fn objects(&self) -> Vec<String> {
        let keys = self.evidence.keys(BUCKET, "").await;
        keys.expect("the log bucket")
    }

    /// Ends the local cloud in order; the rest ends with the drop.
    pub async fn stop(self) {
        self.cloud.stop().await;
    }
}

fn template(database: &Database) -> serde_json::Value {
    let secret = |name: &str, value: String| json!({"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name, "SecretString": value}});
    json!({"Resources": {
        "Sessions": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "sessionId", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "sessionId", "KeyType": "HASH"}],
        }},
        "Logs": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": BUCKET}},
        "HashKey": secret(HASH_KEY, "5e".repeat(32)),
        "Database": secret(DATABASE_SECRET, database.secret().to_string()),
    }})
}
