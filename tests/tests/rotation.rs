//! Rotations by the real function, driven by the local cloud's Secrets Manager, while payments are made and clients log in.
//!
//! The schedule's rotation is due once, and RotateSecret is called twice. All sessions of the users are ended after each
//! rotation, so that the functions have to log in again with what they remember of the secret.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cutover::lab::cloud::{Cloud, CloudOptions, REGION};
use cutover::lab::package::package;
use cutover_aws::evidence::Evidence;
use cutover_aws::settings::Settings;
use cutover_aws::stack::Stacks;
use cutover_domain::rotation::DatabaseSecret;
use cutover_ledger::accounts::SqlDatabases;
use cutover_ports::rotation::{Databases as _, Login, LoginFault, Session as _};
use cutover_tests::database::{Database, Engine};
use cutover_tests::payer::{Answer, attempt, payment};
use cutover_tests::sandbox::Sandbox;
use cutover_tests::{binaries, project};
use serde_json::{Value, json};
use tempfile::TempDir;

const ENVIRONMENT: &str = "dev-payment-rotate01";
const SECRET: &str = "secret-app";
const MASTER: &str = "secret-master";
const MASTER_PASSWORD: &str = "master-correct-horse";
const FUNCTION: &str = "secret-rotation-dev-payment-rotate01";
const PAYERS: usize = 3;
const CLIENTS: usize = 2;
const DEPLOY_MAX: Duration = Duration::from_mins(2);
/// A rotation of four invocations, on a machine that is busy with payments.
const ROTATION_MAX: Duration = Duration::from_mins(1);
/// Between two attempts of a client.
const PAUSE: Duration = Duration::from_millis(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    /// One, with the privilege that two passwords at once need.
    One,
    /// Two that take turns.
    Two,
}

struct World {
    database: Database,
    engine: Engine,
    cloud: Cloud,
    settings: Settings,
    folder: TempDir,
}

/// What happened meanwhile.
#[derive(Default)]
struct Tally {
    over: AtomicBool,
    payments: AtomicU32,
    failed_payments: AtomicU32,
    logins: AtomicU32,
    reread: AtomicU32,
    failed_logins: AtomicU32,
}

impl Tally {
    fn add(counter: &AtomicU32) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

impl World {
    async fn start(engine: Engine, users: Users) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join("logs")).unwrap();
        let database = Database::start(engine, &project());
        let _made = match engine {
            Engine::MariaDb => {
                let privilege = match users {
                    Users::One => "GRANT CREATE USER ON *.* TO app@'%'",
                    Users::Two => "SELECT 1",
                };
                database.sql(&format!(
                    "CREATE USER master@'%' IDENTIFIED BY '{MASTER_PASSWORD}'; GRANT ALL ON *.* TO master@'%' WITH GRANT OPTION; {privilege}"
                ))
            }
            Engine::Postgres => database.sql(&format!(
                "CREATE ROLE master LOGIN SUPERUSER PASSWORD '{MASTER_PASSWORD}'"
            )),
        };
        let options = CloudOptions {
            project: project(),
            folder: folder.path().to_owned(),
            tick_seconds: 60,
        };
        let cloud = Cloud::start(&options).await.unwrap();
        let config = cloud.config().await;
        let files = Evidence::new(&config);
        files.create_bucket("code").await.unwrap();
        let function = package("secret-rotation", &binaries()).unwrap();
        files
            .put("code", "rotation.zip", function.bytes)
            .await
            .unwrap();
        let template = template(&database, users).to_string().into_bytes();
        files.put("code", "template.json", template).await.unwrap();
        let url = format!("{}/code/template.json", cloud.endpoint());
        Stacks::new(&config)
            .deploy("rotation", &url, &BTreeMap::new(), DEPLOY_MAX)
            .await
            .unwrap();
        Self {
            database,
            engine,
            settings: Settings::new(&config),
            cloud,
            folder,
        }
    }

    /// A process of payment-validation.
    async fn payer(&self, number: usize) -> Sandbox {
        let variables = [
            ("AWS_ENDPOINT_URL", self.cloud.endpoint().to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("ENVIRONMENT", ENVIRONMENT.to_owned()),
            ("COLOR", "blue".to_owned()),
            ("SESSION_TABLE", "sessions".to_owned()),
            ("TRANSACTION_BUCKET", "transaction-logs".to_owned()),
            ("DB_SECRET_ARN", SECRET.to_owned()),
            ("HASH_KEY_SECRET_ARN", "hash-key".to_owned()),
        ];
        let log = self
            .folder
            .path()
            .join("logs")
            .join(format!("payer-{number}.log"));
        Sandbox::start(&binaries().join("payment-validation"), &variables, &log).await
    }

    /// A rotation, from its beginning to the new version. Its password.
    async fn rotate(&self, by_schedule: bool) -> String {
        let before = self.settings.secret(SECRET).await.unwrap();
        let begun = Instant::now();
        if by_schedule {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = format!("{}/_cutover/rotation-due", self.cloud.endpoint());
            let due = json!({"secret": SECRET}).to_string();
            let answer = client.post(&url).body(due).send().await.unwrap();
            assert!(
                answer.status().is_success(),
                "{}",
                answer.text().await.unwrap()
            );
        } else {
            self.begin().await;
        }
        while self.settings.secret(SECRET).await.unwrap() == before {
            assert!(
                begun.elapsed() < ROTATION_MAX,
                "no new version:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        password(&self.settings.secret(SECRET).await.unwrap())
    }

    /// RotateSecret. The label moves within finishSecret: Secrets Manager learns a moment later that the step is over.
    async fn begin(&self) {
        let begun = Instant::now();
        while let Err(error) = self.settings.rotate(SECRET).await {
            assert!(begun.elapsed() < Duration::from_secs(10), "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn end_sessions(&self) {
        match self.engine {
            // A user without sessions is no error.
            Engine::MariaDb => {
                for user in ["app", "app_clone"] {
                    let exists = self.database.sql(&format!(
                        "SELECT COUNT(*) FROM mysql.user WHERE User = '{user}'"
                    ));
                    if exists == "1" {
                        let _ended = self.database.sql(&format!("KILL CONNECTION USER {user}"));
                    }
                }
            }
            Engine::Postgres => {
                let _ended = self.database.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'app%'",
                );
            }
        }
    }

    fn log(&self) -> String {
        let path = self
            .folder
            .path()
            .join("logs")
            .join(format!("{FUNCTION}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

fn password(secret: &str) -> String {
    let fields: Value = serde_json::from_str(secret).unwrap();
    fields["password"].as_str().unwrap().to_owned()
}

/// Makes payments, one after the other, until all is over.
async fn pay(sandbox: Sandbox, number: usize, tally: Arc<Tally>) {
    let mut count = 0;
    while !tally.is_over() {
        count += 1;
        let said = attempt(&sandbox, &payment(&format!("p{number}-{count}"))).await;
        Tally::add(&tally.payments);
        let answer = said.map(|said| Answer::read(&said));
        if !matches!(&answer, Some(Ok(answer)) if answer.status == 201) {
            eprintln!("payer {number}: {answer:?}");
            Tally::add(&tally.failed_payments);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Logs in with what it remembers of the secret, and reads that once more at an authentication error.
async fn log_in(settings: Settings, tally: Arc<Tally>) {
    let mut known = settings.secret(SECRET).await.unwrap();
    while !tally.is_over() {
        Tally::add(&tally.logins);
        if !enters(&known).await {
            Tally::add(&tally.reread);
            known = settings.secret(SECRET).await.unwrap();
            if !enters(&known).await {
                Tally::add(&tally.failed_logins);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn enters(secret: &str) -> bool {
    let secret = DatabaseSecret::parse(secret).unwrap();
    let login = Login {
        engine: secret.engine,
        host: secret.host.clone(),
        port: secret.port,
        ssl: secret.ssl,
        username: secret.username.clone(),
        password: secret.password.clone(),
        dbname: secret.dbname.clone(),
    };
    // A connection that breaks says nothing of the credentials: the test itself ends sessions, of logins under way too.
    for _attempt in 0..5 {
        let until = Instant::now() + Duration::from_secs(10);
        match SqlDatabases::default().log_in(&login, until).await {
            Ok(session) => {
                session.close().await;
                return true;
            }
            Err(error) if error.fault == LoginFault::Password => return false,
            Err(_broken) => tokio::time::sleep(PAUSE).await,
        }
    }
    panic!("the database is not there");
}

async fn three_rotations_under_load(engine: Engine, users: Users) {
    let world = World::start(engine, users).await;
    let mut passwords = vec![password(&world.settings.secret(SECRET).await.unwrap())];
    let tally = Arc::new(Tally::default());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..PAYERS {
        let sandbox = world.payer(number).await;
        tasks.spawn(pay(sandbox, number, Arc::clone(&tally)));
    }
    for _client in 0..CLIENTS {
        tasks.spawn(log_in(world.settings.clone(), Arc::clone(&tally)));
    }
    // Each has connected once before the first rotation.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    for by_schedule in [true, false, false] {
        passwords.push(world.rotate(by_schedule).await);
        world.end_sessions();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let took = begun.elapsed();
    tally.over.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    println!(
        "{} {users:?}: 3 rotations in {:.1} s, {} payments, {} failed; {} logins, {} after reading the secret again, {} failed",
        engine.name(),
        took.as_secs_f64(),
        count(&tally.payments),
        count(&tally.failed_payments),
        count(&tally.logins),
        count(&tally.reread),
        count(&tally.failed_logins),
    );
    assert!(count(&tally.payments) > 20 && count(&tally.logins) > 20);
    assert_eq!(count(&tally.failed_payments), 0, "{}", world.log());
    assert_eq!(count(&tally.failed_logins), 0, "{}", world.log());
    passwords.sort();
    passwords.dedup();
    assert_eq!(passwords.len(), 4, "each rotation made another password");
    let log = world.log();
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let lines = log.matches(&format!("\"step\":\"{step}\"")).count();
        assert!(lines >= 3, "{step}: {lines}\n{log}");
    }
    assert!(!log.contains("\"LoginGaps\":1"), "no gap was seen: {log}");
    nothing_secret_is_logged(world.folder.path(), &passwords);
    world.cloud.stop().await;
}

fn nothing_secret_is_logged(folder: &Path, passwords: &[String]) {
    for entry in std::fs::read_dir(folder.join("logs")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&text);
        for password in passwords
            .iter()
            .map(String::as_str)
            .chain([MASTER_PASSWORD])
        {
            assert!(!text.contains(password), "{}", path.display());
        }
    }
}

fn template(database: &Database, users: Users) -> Value {
    let mut secret = database.secret();
    if users == Users::Two {
        secret["masterarn"] = MASTER.into();
    }
    let mut master = database.secret();
    master["username"] = "master".into();
    master["password"] = MASTER_PASSWORD.into();
    let stored = |name: &str, value: String| json!({"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name, "SecretString": value}});
    // What infra/iam/secret-rotation.yaml allows the function.
    let statements = json!([
        {"Effect": "Allow", "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
            "secretsmanager:ListSecretVersionIds", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"],
         "Resource": {"Ref": "Secret"}},
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": {"Ref": "Master"}},
        {"Effect": "Allow", "Action": "secretsmanager:GetRandomPassword", "Resource": "*"},
        {"Effect": "Allow", "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"},
    ]);
    json!({"Resources": {
        "Sessions": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "TableName": "sessions", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "sessionId", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "sessionId", "KeyType": "HASH"}],
        }},
        "Logs": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "transaction-logs"}},
        "HashKey": stored("hash-key", "5e".repeat(32)),
        "Master": stored(MASTER, master.to_string()),
        "Secret": stored(SECRET, secret.to_string()),
        "Role": {"Type": "AWS::IAM::Role", "Properties": {
            "RoleName": "rotation",
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
            "Policies": [{"PolicyName": "rotation", "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}}],
        }},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {
            "FunctionName": FUNCTION, "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Timeout": 60, "MemorySize": 256,
            "Code": {"S3Bucket": "code", "S3Key": "rotation.zip"},
            "Environment": {"Variables": {"ENVIRONMENT": ENVIRONMENT}},
        }},
        "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
            "FunctionName": {"Ref": "Function"}, "Action": "lambda:InvokeFunction",
            "Principal": "secretsmanager.amazonaws.com", "SourceAccount": {"Ref": "AWS::AccountId"},
        }},
        "Schedule": {"Type": "AWS::SecretsManager::RotationSchedule", "DependsOn": "Permission", "Properties": {
            "SecretId": {"Ref": "Secret"}, "RotationLambdaARN": {"Fn::GetAtt": ["Function", "Arn"]},
            "RotateImmediatelyOnUpdate": false, "RotationRules": {"AutomaticallyAfterDays": 30},
        }},
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_rotates_one_user_under_load() {
    three_rotations_under_load(Engine::MariaDb, Users::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_rotates_two_users_under_load() {
    three_rotations_under_load(Engine::MariaDb, Users::Two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_rotates_two_users_under_load() {
    three_rotations_under_load(Engine::Postgres, Users::Two).await;
}
