//! An estate in the local cloud, and stacks that it gates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cutover::lab::cloud::{Cloud, CloudOptions};
use cutover::lab::package::package;
use cutover_aws::evidence::Evidence;
use cutover_aws::invoke::Invoker;
use cutover_aws::stack::Stacks;
use cutover_tests::database::{Database, Engine};
use cutover_tests::{binaries, project};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The environment's name.
const ENVIRONMENT: &str = "dev-payment-valid001";
const BUCKET: &str = "validated-logs";
const TASK: &str = "blue-to-green";
/// Blue's secret.
pub const BLUE: &str = "database-blue";
/// Green's.
pub const GREEN: &str = "database-green";
pub const PASSWORD: &str = "correct-horse-battery";
/// Statements that run at once while the databases are busy: more than a comparison puts up with.
const BUSY_SESSIONS: usize = 30;
const OPERATION_MAX: Duration = Duration::from_mins(3);

/// What is looked at here. Rotation and TLS have tests of their own; there is no load balancer.
pub const CHECKS: [&str; 12] = [
    "blue-cluster",
    "green-cluster",
    "cluster-compatibility",
    "session-table",
    "transaction-bucket",
    "replication",
    "schema-parity",
    "data-parity",
    "reconciliation",
    "alarms",
    "backup",
    "keys",
];

/// Everything around the function.
pub struct Estate {
    database: Arc<Database>,
    cloud: Cloud,
    evidence: Evidence,
    stacks: Stacks,
    invoker: Invoker,
    outputs: BTreeMap<String, String>,
    folder: TempDir,
}

impl Estate {
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("logs")).expect("a writable folder");
        let database = Database::start(Engine::MariaDb, &project());
        second_database(&database);
        let options = CloudOptions {
            project: project(),
            folder: folder.path().to_owned(),
            tick_seconds: 60,
        };
        let cloud = Cloud::start(&options).await.expect("the local cloud");
        let config = cloud.config().await;
        let evidence = Evidence::new(&config);
        evidence.create_bucket("code").await.expect("a bucket");
        let validator = package("pre-migration-validator", &binaries()).expect("a built binary");
        let put = evidence.put("code", "validator.zip", validator.bytes).await;
        put.expect("the function");
        let mut estate = Self {
            database: Arc::new(database),
            stacks: Stacks::new(&config),
            invoker: Invoker::new(&config),
            cloud,
            evidence,
            outputs: BTreeMap::new(),
            folder,
        };
        let template = estate_template(&estate.database);
        estate.outputs = estate
            .deploy_template("estate", &template)
            .await
            .expect("the estate");
        estate.mend_everything().await;
        let resource = "arn:aws:rds:us-east-1:000000000000:cluster:blue";
        estate
            .control(
                "recovery-point",
                &json!({"vault": "vault", "resource": resource, "ageDays": 0}),
            )
            .await;
        estate
    }

    /// What the resource is given.
    pub fn properties(&self, deployment: &str) -> Value {
        json!({
            "Checks": CHECKS.join(","), "BlueClusterId": "blue", "GreenClusterId": "green", "SessionTable": "sessions",
            "TransactionBucket": BUCKET, "BlueSecretArn": BLUE, "GreenSecretArn": GREEN,
            "ReplicationTaskArn": self.outputs["Task"], "MaxReplicationLagSeconds": "5", "AlarmNames": "guard", "BackupVaultName": "vault",
            "KmsKeyIds": [self.outputs["Key"]], "DeploymentId": deployment,
        })
    }

    /// Deploys a stack that the validator gates; what is behind the gate is a parameter.
    pub async fn deploy(
        &self,
        name: &str,
        deployment: &str,
    ) -> Result<BTreeMap<String, String>, String> {
        self.deploy_with(name, deployment, Duration::from_mins(1))
            .await
    }

    /// As [`Estate::deploy`], with so much time for one invocation.
    pub async fn deploy_with(
        &self,
        name: &str,
        deployment: &str,
        time: Duration,
    ) -> Result<BTreeMap<String, String>, String> {
        let template = self.gate_template(name, deployment, time);
        self.deploy_template(name, &template).await
    }

    /// Deploys a stack from a template, and answers its outputs.
    pub async fn deploy_template(
        &self,
        name: &str,
        template: &Value,
    ) -> Result<BTreeMap<String, String>, String> {
        let key = format!("{name}.json");
        let put = self
            .evidence
            .put("code", &key, template.to_string().into_bytes())
            .await;
        put.expect("a template");
        let url = format!("{}/code/{key}", self.cloud.endpoint());
        let deployed = self
            .stacks
            .deploy(name, &url, &BTreeMap::new(), OPERATION_MAX)
            .await;
        deployed.map_err(|error| {
            let mut told = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                told = format!("{told}: {error}");
                source = error.source();
            }
            told
        })
    }

    /// An empty database beside the colors' own, whose user may create tables in it; answers the name of its secret.
    pub async fn empty_database(&self, name: &str) -> String {
        let _made = self.database.sql(&format!(
            "CREATE DATABASE {name}; GRANT ALL ON {name}.* TO app@'%'"
        ));
        let mut secret = self.database.secret();
        secret["dbname"] = json!(name);
        let id = format!("database-{name}");
        let template = json!({"Resources": {"Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {
            "Name": id, "SecretString": secret.to_string(),
        }}}});
        let stack = format!("secret-of-{}", name.replace('_', "-"));
        let made = self.deploy_template(&stack, &template).await;
        made.expect("a secret");
        id
    }

    /// A look at the databases, as their administrator.
    pub fn sql(&self, sql: &str) -> String {
        self.database.sql(sql)
    }

    /// The function, once a stack has it.
    pub fn service_token() -> String {
        format!(
            "arn:aws:lambda:us-east-1:000000000000:function:{}",
            function()
        )
    }

    pub async fn delete(&self, name: &str) {
        self.stacks
            .delete(name, OPERATION_MAX)
            .await
            .expect("a deleted stack");
    }

    /// One thing wrong for each of several checks.
    pub async fn break_everything(&self) {
        self.control(
            "database",
            &json!({"cluster": "green", "status": "failing-over"}),
        )
        .await;
        self.control(
            "replication",
            &json!({"task": TASK, "status": "failed", "failure": "no space left"}),
        )
        .await;
        // A row that green, the sessions and the log have not, and an index that blue has not.
        let _changed = self.database.sql(
            "CREATE INDEX extra ON payments_green.payments (color); INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, amount, currency, \
             exponent, paid_with_hash, environment, color, created_at) VALUES ('public', 'lost', 'lost', REPEAT('x', 32), \
             'completed', 'u', 1, 'EUR', 2, REPEAT('x', 32), 'dev', 'blue', UTC_TIMESTAMP(3) - INTERVAL 10 MINUTE)",
        );
    }

    pub async fn mend_everything(&self) {
        for cluster in ["blue", "green"] {
            self.control(
                "database",
                &json!({"cluster": cluster, "status": "available"}),
            )
            .await;
        }
        let tables =
            json!([{"schema": "payments", "table": "payments", "state": "Table completed"}]);
        let running = json!({
            "task": TASK, "status": "running", "tables": tables, "sourceLatencySeconds": 0, "targetLatencySeconds": 1,
        });
        self.control("replication", &running).await;
        let mended = "DELETE FROM payments WHERE idempotency_key = 'lost'; DROP INDEX IF EXISTS extra ON payments_green.payments";
        let _mended = self.database.sql(mended);
        // Latencies are published every few seconds.
        tokio::time::sleep(Duration::from_secs(7)).await;
    }

    /// Keeps the databases so busy for a while that rows are not compared: a comparison spares them.
    pub fn keep_busy(&self, time: Duration) {
        for _ in 0..BUSY_SESSIONS {
            let database = Arc::clone(&self.database);
            let statement = format!("SELECT SLEEP({})", time.as_secs());
            std::thread::spawn(move || database.sql(&statement));
        }
    }

    /// The rows of both fences: color, whether it may write, epoch.
    pub fn may_write(&self) -> [Vec<String>; 2] {
        ["payments", "payments_green"].map(|database| {
            let statement = format!(
                "SELECT color, may_write, epoch FROM {database}.cutover_epoch ORDER BY color"
            );
            self.database
                .sql(&statement)
                .lines()
                .map(str::to_owned)
                .collect()
        })
    }

    pub async fn invoke(&self, event: &Value) -> Value {
        self.invoker
            .invoke(&function(), event)
            .await
            .expect("an answer")
    }

    pub async fn invoke_error(&self, event: &Value) -> String {
        self.invoker
            .invoke(&function(), event)
            .await
            .expect_err("an error")
            .to_string()
    }

    /// The report at a `ReportUri`.
    pub async fn report(&self, uri: &str) -> Value {
        let key = uri
            .strip_prefix(&format!("s3://{BUCKET}/"))
            .expect("a report in the bucket");
        let keys = self
            .evidence
            .keys(BUCKET, "validation/")
            .await
            .expect("a listing");
        let page = key.replace(".json", ".html");
        assert!(
            keys.contains(&key.to_owned()) && keys.contains(&page),
            "{key} in {keys:?}"
        );
        let json = self.evidence.get(BUCKET, key).await.expect("a report");
        serde_json::from_slice(&json).expect("JSON")
    }

    /// What the function has logged.
    pub fn log(&self) -> String {
        let path = self
            .folder
            .path()
            .join("logs")
            .join(format!("{}.log", function()));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Ends everything; the answer is what the function logged.
    pub async fn stop(self) -> String {
        let log = self.log();
        self.cloud.stop().await;
        log
    }

    async fn control(&self, topic: &str, body: &Value) {
        let url = format!("{}/_cutover/{topic}", self.cloud.endpoint());
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client
            .post(&url)
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let said = answer.text().await.expect("a text");
        assert!(status.is_success(), "{topic}: {said}");
    }

    fn gate_template(&self, name: &str, deployment: &str, time: Duration) -> Value {
        let mut properties = self.properties(deployment);
        properties["ServiceToken"] = json!({"Fn::GetAtt": ["Function", "Arn"]});
        properties["ServiceTimeout"] = json!("150");
        let mut function_name = function();
        if name == "bad" {
            function_name.push_str("-bad");
        }
        let attributes = [
            "Status",
            "Message",
            "ChecksPassed",
            "ChecksFailed",
            "ChecksUnknown",
            "ReportUri",
            "ValidatedAt",
        ];
        let outputs = attributes.map(|name| {
            (
                name.to_owned(),
                json!({"Value": {"Fn::GetAtt": ["Validation", name]}}),
            )
        });
        json!({
            "Resources": {
                "Role": role(&function_name),
                "Function": {"Type": "AWS::Lambda::Function", "Properties": {
                    "FunctionName": function_name, "Runtime": "provided.al2023", "Handler": "bootstrap",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Timeout": time.as_secs(), "MemorySize": 512,
                    "Code": {"S3Bucket": "code", "S3Key": "validator.zip"},
                    "Environment": {"Variables": {
                        "ENVIRONMENT": ENVIRONMENT, "STATE_TABLE": "state", "REPORT_BUCKET": BUCKET,
                    }},
                }},
                "Validation": {"Type": "Custom::PreMigrationValidation", "Properties": properties},
                "Behind": {"Type": "AWS::SSM::Parameter", "DependsOn": "Validation", "Properties": {
                    "Name": format!("/behind/{name}"), "Type": "String", "Value": deployment,
                }},
            },
            "Outputs": Value::Object(outputs.into_iter().collect()),
        })
    }
}

/// Green's database, on the same server; and what the validator's user may.
fn second_database(database: &Database) {
    let _made = database.sql("CREATE DATABASE payments_green");
    for table in ["payments", "cutover_epoch", "cutover_schema"] {
        let like = format!("CREATE TABLE payments_green.{table} LIKE payments.{table}");
        let rows = format!("INSERT INTO payments_green.{table} SELECT * FROM payments.{table}");
        let _made = database.sql(&format!("{like}; {rows}"));
    }
    for name in ["payments", "payments_green"] {
        let _granted = database.sql(&format!(
            "GRANT SELECT ON {name}.* TO app@'%'; GRANT INSERT, UPDATE ON {name}.cutover_epoch TO app@'%'"
        ));
    }
}

fn function() -> String {
    format!("pre-migration-validator-{ENVIRONMENT}")
}

/// The rights that the checks need, and no others.
fn role(function: &str) -> Value {
    let allow = |actions: &[&str], resource: &str| json!({"Effect": "Allow", "Action": actions, "Resource": resource});
    let lambda = format!("arn:aws:lambda:us-east-1:000000000000:function:{function}");
    let statements = json!([
        allow(&["logs:CreateLogStream", "logs:PutLogEvents"], "*"),
        allow(
            &["dynamodb:GetItem", "dynamodb:PutItem"],
            "arn:aws:dynamodb:us-east-1:000000000000:table/state"
        ),
        allow(
            &[
                "dynamodb:DescribeTable",
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:Scan"
            ],
            "arn:aws:dynamodb:us-east-1:000000000000:table/sessions",
        ),
        allow(
            &[
                "s3:GetBucketVersioning",
                "s3:GetEncryptionConfiguration",
                "s3:GetBucketPublicAccessBlock",
                "s3:ListBucket"
            ],
            "arn:aws:s3:::validated-logs",
        ),
        allow(
            &["s3:PutObject"],
            "arn:aws:s3:::validated-logs/validation/*"
        ),
        allow(
            &["secretsmanager:GetSecretValue"],
            "arn:aws:secretsmanager:us-east-1:000000000000:secret:database-*"
        ),
        allow(&["kms:DescribeKey"], "*"),
        allow(&["lambda:InvokeFunction"], &lambda),
        allow(
            &[
                "cloudwatch:DescribeAlarms",
                "cloudwatch:GetMetricStatistics"
            ],
            "*"
        ),
        allow(
            &[
                "rds:DescribeDBClusters",
                "rds:DescribeDBInstances",
                "rds:DescribeDBClusterParameters"
            ],
            "*"
        ),
        allow(
            &[
                "dms:DescribeReplicationTasks",
                "dms:DescribeTableStatistics",
                "dms:DescribeReplicationInstances"
            ],
            "*",
        ),
        allow(&["backup:ListRecoveryPointsByBackupVault"], "*"),
    ]);
    let trust = json!([{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]);
    json!({"Type": "AWS::IAM::Role", "Properties": {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": trust},
        "Policies": [{"PolicyName": "checks", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}],
    }})
}

/// What is there before the gate: both clusters, the task, tables, bucket, alarm, vault, key.
fn estate_template(database: &Database) -> Value {
    let mut green = database.secret();
    green["dbname"] = json!("payments_green");
    let mut resources = json!({
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"},
        ]}}},
        "Sessions": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "sessions", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "sessionId", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "sessionId", "KeyType": "HASH"}],
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true},
            "SSESpecification": {"SSEEnabled": true, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "Key"}},
        }},
        "State": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "state", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        }},
        "Logs": {"Type": "AWS::S3::Bucket", "Properties": {
            "BucketName": BUCKET, "VersioningConfiguration": {"Status": "Enabled"},
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}},
            ]},
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true,
            },
        }},
        "BlueSecret": {"Type": "AWS::SecretsManager::Secret", "Properties": {
            "Name": BLUE, "SecretString": database.secret().to_string(),
        }},
        "GreenSecret": {"Type": "AWS::SecretsManager::Secret", "Properties": {
            "Name": GREEN, "SecretString": green.to_string(),
        }},
        "Guard": {"Type": "AWS::CloudWatch::Alarm", "Properties": {
            "AlarmName": "guard", "Namespace": "Cutover", "MetricName": "PaymentsFailed", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold",
        }},
        "Vault": {"Type": "AWS::Backup::BackupVault", "Properties": {"BackupVaultName": "vault"}},
        "Parameters": {"Type": "AWS::RDS::DBClusterParameterGroup", "Properties": {
            "DBClusterParameterGroupName": "row", "Family": "aurora-mysql8.0", "Description": "row format",
            "Parameters": {"binlog_format": "ROW"},
        }},
    });
    for color in ["blue", "green"] {
        cluster(&mut resources, color);
    }
    replication(&mut resources);
    json!({
        "Resources": resources,
        "Outputs": {"Task": {"Value": {"Ref": "Task"}}, "Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
    })
}

fn cluster(resources: &mut Value, color: &str) {
    let id = format!("Cluster{color}");
    resources[&id] = json!({"Type": "AWS::RDS::DBCluster", "Properties": {
        "DBClusterIdentifier": color, "Engine": "aurora-mysql", "EngineVersion": "8.0.mysql_aurora.3.10.0",
        "MasterUsername": "root", "MasterUserPassword": "only-here-12345", "StorageEncrypted": "true",
        "KmsKeyId": {"Fn::GetAtt": ["Key", "Arn"]}, "DBClusterParameterGroupName": {"Ref": "Parameters"},
    }});
    for zone in ["a", "b"] {
        resources[format!("Instance{color}{zone}")] = json!({"Type": "AWS::RDS::DBInstance", "Properties": {
            "DBClusterIdentifier": {"Ref": id}, "DBInstanceIdentifier": format!("{color}-{zone}"),
            "DBInstanceClass": "db.r7g.large", "Engine": "aurora-mysql", "AvailabilityZone": format!("us-east-1{zone}"),
        }});
    }
}

fn replication(resources: &mut Value) {
    resources["Group"] = json!({"Type": "AWS::DMS::ReplicationSubnetGroup", "Properties": {
        "ReplicationSubnetGroupIdentifier": "group", "ReplicationSubnetGroupDescription": "two zones",
        "SubnetIds": ["subnet-a", "subnet-b"],
    }});
    resources["Instance"] = json!({"Type": "AWS::DMS::ReplicationInstance", "Properties": {
        "ReplicationInstanceIdentifier": "pay", "ReplicationInstanceClass": "dms.t3.medium",
        "ReplicationSubnetGroupIdentifier": {"Ref": "Group"},
    }});
    for kind in ["source", "target"] {
        resources[format!("Endpoint{kind}")] = json!({"Type": "AWS::DMS::Endpoint", "Properties": {
            "EndpointIdentifier": format!("pay-{kind}"), "EndpointType": kind, "EngineName": "aurora",
            "ServerName": "127.0.0.1", "Port": "3306", "Username": "dms", "Password": "only-here-12345",
        }});
    }
    let mappings = json!({"rules": [{
        "rule-type": "selection", "rule-id": "1", "rule-name": "1", "rule-action": "include",
        "object-locator": {"schema-name": "payments", "table-name": "payments"},
    }]});
    resources["Task"] = json!({"Type": "AWS::DMS::ReplicationTask", "Properties": {
        "ReplicationTaskIdentifier": TASK, "MigrationType": "full-load-and-cdc",
        "ReplicationInstanceArn": {"Ref": "Instance"}, "SourceEndpointArn": {"Ref": "Endpointsource"},
        "TargetEndpointArn": {"Ref": "Endpointtarget"}, "TableMappings": mappings.to_string(),
    }});
}
