//! A world in which everything is as it must be, to be broken by a test.

use std::sync::Arc;
use std::time::Duration;

use cutover_custom_resource::Protocol;
use cutover_custom_resource::fakes::AnswerServer;
use cutover_domain::parity::{Progress, SchemaFindings, TableState};
use cutover_domain::payment::{Color, IdempotencyKey, Scope, SessionId, Timestamp, record};
use cutover_domain::switch::AlarmState;
use cutover_domain::validation::facts::{
    Bucket, Cluster, FunctionFacts, Instance, Key, PUBLIC_ACCESS_BLOCKS, RecoveryPoint,
    ReplicationTask, SecretFacts, Table, Targets,
};
use cutover_domain::validation::reconciliation::SessionRecord;
use cutover_lambda::{Deadline, Function, Invocation, clock};
use cutover_ports::memory::fakes::FakeMemory;
use cutover_ports::parity::fakes::FakeDatabases;
use cutover_ports::parity::{LedgerRow, LinkState, ReplicaLink};
use cutover_ports::switch::fakes::World as Alarms;
use cutover_ports::validation::fakes::FakeEstate;
use pre_migration_validator::estate::Estate;
use pre_migration_validator::handler::PreMigrationValidator;
use pre_migration_validator::validation::Validator;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

pub const SECRET: &str = r#"{"engine":"mysql","host":"db","port":3306,"username":"app","password":"hunter2","dbname":"payments"}"#;

/// Everything around the function.
#[derive(Clone)]
pub struct World {
    pub estate: FakeEstate,
    pub databases: FakeDatabases,
    pub alarms: Alarms,
    pub memory: FakeMemory,
    pub server: Arc<AnswerServer>,
}

fn cluster(id: &str) -> Cluster {
    let instance = |zone: &str| Instance {
        id: format!("{id}-{zone}"),
        status: Some("available".to_owned()),
        zone: Some(zone.to_owned()),
    };
    Cluster {
        id: id.to_owned(),
        status: Some("available".to_owned()),
        engine: Some("aurora-mysql".to_owned()),
        engine_version: Some("8.0.mysql_aurora.3.10.1".to_owned()),
        encrypted: Some(true),
        key_id: Some("key-data".to_owned()),
        instances: vec![instance("a"), instance("b")],
        replication_parameter: Some("ROW".to_owned()),
    }
}

/// A finished comparison in which every row was equal, or an unfinished one.
pub fn rows(state: TableState, rows: u64) -> Progress {
    let mut progress = Progress::of(["payments".to_owned()]);
    progress.tables[0].state = state;
    progress.tables[0].blue_rows = rows;
    progress.tables[0].green_rows = rows;
    progress
}

pub fn payment(id: &str, at: Timestamp) -> (SessionRecord, LedgerRow, String) {
    let session = SessionRecord {
        id: format!("m:shop#{id}"),
        transaction_id: id.to_owned(),
        status: "completed".to_owned(),
        amount: 1250,
        currency: "EUR".to_owned(),
        created_at: at,
    };
    let row = LedgerRow {
        scope: "m:shop".to_owned(),
        idempotency_key: id.to_owned(),
        transaction_id: id.to_owned(),
        amount: 1250,
        currency: "EUR".to_owned(),
        voided: false,
        color: Color::Blue,
        created_at: at,
    };
    let (scope, key) = (
        Scope::from_stored("m:shop".to_owned()),
        IdempotencyKey::from_stored(id.to_owned()),
    );
    (
        session,
        row,
        record::key(at, id, &SessionId::new(&scope, &key)),
    )
}

impl World {
    pub fn healthy() -> Self {
        let world = Self {
            estate: FakeEstate::default(),
            databases: FakeDatabases::default(),
            alarms: Alarms::default(),
            memory: FakeMemory::default(),
            server: Arc::new(AnswerServer::start(&[200])),
        };
        world.build();
        world
    }

    fn build(&self) {
        let own = |text: &str| text.to_owned();
        let mut things = self.estate.things();
        for id in ["cluster-blue", "cluster-green"] {
            things.clusters.insert(own(id), cluster(id));
        }
        for id in ["key-data", "key-secrets"] {
            let key = Key {
                id: own(id),
                state: Some(own("Enabled")),
                customer_managed: Some(true),
            };
            things.keys.insert(own(id), key);
        }
        let table = Table {
            name: own("sessions"),
            status: Some(own("ACTIVE")),
            point_in_time_recovery: Some(true),
            kms: Some(true),
            key_id: None,
        };
        things.tables.insert(own("sessions"), table);
        let bucket = Bucket {
            name: own("transaction-logs"),
            versioned: Some(true),
            encryption: Some(own("aws:kms")),
            public_access_blocks: PUBLIC_ACCESS_BLOCKS.to_vec(),
        };
        things.buckets.insert(own("transaction-logs"), bucket);
        for color in ["blue", "green"] {
            let id = format!("arn:aws:secretsmanager:eu-central-1:111122223333:secret:{color}");
            let facts = SecretFacts {
                id: id.clone(),
                rotation: Some(true),
                ..SecretFacts::default()
            };
            things.secrets.insert(id, (facts, own(SECRET)));
        }
        let task = ReplicationTask {
            arn: own("arn:aws:dms:eu-central-1:111122223333:task:BLUETOGREEN"),
            status: Some(own("running")),
            tables: 1,
            lag_seconds: Some(1.0),
            ..ReplicationTask::default()
        };
        things.tasks.insert(task.arn.clone(), task);
        for group in ["blue/1", "green/2"] {
            let arn = format!(
                "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/{group}"
            );
            let states = vec![(own("healthy"), own("no reason given"))];
            things.targets.insert(arn.clone(), Targets { arn, states });
        }
        for version in ["1", "2"] {
            let name = format!("payment-validation:{version}");
            let function = FunctionFacts {
                name: name.clone(),
                state: Some(own("Active")),
                last_update: Some(own("Successful")),
                reason: None,
            };
            things.functions.insert(name, function);
        }
        let point = RecoveryPoint {
            resource: own("cluster:blue"),
            status: own("COMPLETED"),
            created_ms: clock::now_ms() - 3_600_000,
        };
        things.recovery_points.insert(own("vault"), vec![point]);
        drop(things);
        for alarm in ["errors-blue", "errors-green"] {
            self.alarms.alarm(alarm, AlarmState::Ok);
        }
        let at = Timestamp::from_ms(clock::now_ms() - 600_000);
        let (session, row, key) = payment("t-1", at);
        let mut things = self.estate.things();
        things.sessions.push(session);
        things.objects.insert(key, at);
        let mut inner = self.databases.inner();
        for color in ["blue", "green"] {
            inner.ledgers.insert(own(color), vec![row.clone()]);
            let link = ReplicaLink {
                name: own("main"),
                state: LinkState::Running { lag_seconds: 1 },
            };
            inner.links.insert(own(color), vec![link]);
        }
        inner.schemas = SchemaFindings {
            tables: vec![own("payments")],
            differences: Vec::new(),
        };
        inner.rows = vec![rows(TableState::Equal, 1)];
    }

    pub fn function(&self) -> PreMigrationValidator {
        let estate = &self.estate;
        PreMigrationValidator {
            validator: Validator {
                environment: "dev-payment-ab12cd34".to_owned(),
                report_bucket: None,
                estate: Arc::new(Estate {
                    clusters: Box::new(estate.clone()),
                    keys: Box::new(estate.clone()),
                    tables: Box::new(estate.clone()),
                    buckets: Box::new(estate.clone()),
                    secrets: Box::new(estate.clone()),
                    replication: Box::new(estate.clone()),
                    targets: Box::new(estate.clone()),
                    functions: Box::new(estate.clone()),
                    alarms: Box::new(self.alarms.clone()),
                    backups: Box::new(estate.clone()),
                    sessions: Box::new(estate.clone()),
                    objects: Box::new(estate.clone()),
                    databases: Box::new(self.databases.clone()),
                }),
                memory: Box::new(self.memory.clone()),
                reports: Box::new(estate.clone()),
                again: Box::new(estate.clone()),
            },
            protocol: Protocol::default(),
        }
    }

    pub async fn handle(&self, event: &Value) -> Result<Value, String> {
        self.handle_as(event, "8476a536-e9f4-11e8-9739-2dfe598c3fcd", 4_000)
            .await
    }

    /// As an invocation with this id, which has so many milliseconds.
    pub async fn handle_as(&self, event: &Value, id: &str, ms: u64) -> Result<Value, String> {
        let invocation = Invocation {
            request_id: id.to_owned(),
            version: "3".to_owned(),
            trace_id: None,
            deadline: Deadline::new(clock::now_ms() + ms, Duration::ZERO),
        };
        let raw: Box<RawValue> = serde_json::from_str(&event.to_string()).unwrap();
        let handled = self.function().handle(&raw, &invocation).await;
        handled.map_err(|error| format!("{}: {}", error.kind, error.message))
    }

    /// A sample, its answer to go to this world's server.
    pub fn sample(&self, name: &str) -> Value {
        let mut sample: Value = serde_json::from_str(&crate::samples::text(name)).unwrap();
        if sample.get("ResponseURL").is_some() {
            sample["ResponseURL"] = json!(self.server.url());
        }
        sample
    }

    /// What CloudFormation was answered last.
    pub fn answer(&self) -> Value {
        self.server.puts().last().expect("an answer").json()
    }

    pub async fn validate(&self, properties: &Value) -> Value {
        let event = json!({"action": "validate", "properties": properties});
        self.handle(&event).await.unwrap()
    }
}

/// A check of a report.
pub fn check<'a>(report: &'a Value, name: &str) -> &'a Map<String, Value> {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap().as_object().unwrap()
}
