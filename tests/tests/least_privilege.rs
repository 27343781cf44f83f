//! Each function's whole traffic with nothing but its role: no call is denied, and every permission is needed.
//!
//! The local cloud checks every call against the policies that the template attached, and writes down what it decided.
//! A permission that nothing here needs is either in `tests/permissions/unneeded.yaml`, with the reason why it stays, or
//! should not be there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cutover::lab::Color;
use cutover::lab::cloud::REGION;
use cutover::lab::journey::Lab;
use cutover_aws::invoke::Invoker;
use cutover_aws::settings::Settings;
use cutover_tests::{lab_options, project};
use serde_json::{Value, json};
use tempfile::TempDir;

const ENVIRONMENT: &str = "dev-payment-lab00001";
/// A rotation of four invocations.
const ROTATION_MAX: Duration = Duration::from_secs(30);
/// Until an ordered migration or drill is over.
const PHASE_MAX: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A lab and what an operator calls it with.
struct World {
    lab: Lab,
    invoker: Invoker,
    settings: Settings,
}

impl World {
    async fn command(&self, command: &Value) -> Value {
        let answer = self.lab.command(command).await.unwrap();
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        loop {
            let status = self.command(&json!({"action": "status"})).await;
            if is_so(&status) {
                return;
            }
            assert!(began.elapsed() < PHASE_MAX, "{what}: {status}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn secret(&self, output: &str) -> (String, Value) {
        let arn = self.lab.outputs.get(output).unwrap().to_owned();
        let value = self.settings.secret(&arn).await.unwrap();
        (arn, serde_json::from_str(&value).unwrap())
    }

    /// What the local cloud decided.
    async fn authorizations(&self) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/_cutover/authorizations", self.lab.cloud.endpoint());
        let answer = client
            .post(&url)
            .body(json!({"region": REGION}).to_string());
        let answer = answer.send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_denied_and_every_permission_is_needed_or_explained() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start(&lab_options(folder.path(), 20)).await.unwrap();
    let config = lab.cloud.config().await;
    let mut world = World {
        lab,
        invoker: Invoker::new(&config),
        settings: Settings::new(&config),
    };
    payments(&world).await;
    world.lab.deploy_green("1").await.unwrap();
    migrations(&world).await;
    validation(&world).await;
    rotations(&world).await;
    // Before the deletion: an invocation that outlives its function's role is denied then, and nobody minds. What the
    // deletion itself is denied makes it fail.
    let denied = world.authorizations().await["denied"].take();
    world.lab.delete_stack().await.unwrap();

    let told = world.authorizations().await;
    world.lab.stop().await;
    assert_eq!(denied, json!([]), "denied calls");
    let (unused, unneeded) = (unused(&told), unneeded());
    let unexplained: Vec<_> = unused.difference(&unneeded).collect();
    assert!(
        unexplained.is_empty(),
        "needed by nothing: {unexplained:#?}"
    );
    let stale: Vec<_> = unneeded.difference(&unused).collect();
    assert!(
        stale.is_empty(),
        "explained, and needed or gone: {stale:#?}"
    );
    assert!(used(&told) > 30, "the functions were busy: {told}");
}

fn body(id: &str, amount: u64) -> String {
    json!({
        "transactionId": id, "userId": "user-1", "amount": amount, "currency": "EUR", "merchantId": "shop",
        "paymentMethod": {"type": "card", "number": "4242424242424242", "expiryMonth": 12, "expiryYear": 2049, "cvc": "123"},
    })
    .to_string()
}

/// Every route, and the three self-tests.
async fn payments(world: &World) {
    let client = world.lab.client().unwrap();
    for (key, id, amount, status) in [
        (None, "p-1", 100, 201),
        (None, "p-1", 100, 201),
        (Some("k-2"), "p-2", 100, 201),
        (Some("k-2"), "p-2", 200, 422),
        (Some("k-3"), "p-2", 100, 409),
    ] {
        let answer = client.pay(key, body(id, amount)).await;
        assert_eq!(answer.status, status, "{key:?} {id}: {}", answer.body);
    }
    let json = "application/json";
    let valid = client.post("/payment/validate", None, json, body("p-3", 1));
    assert_eq!(valid.await.unwrap().status, 200);
    for (path, status) in [
        ("/payment/p-1?merchantId=shop", 200),
        ("/payment/p-9?merchantId=shop", 404),
        ("/health", 200),
        ("/health/deep", 200),
    ] {
        let answer = client.get(path).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    for test in [
        "test-dynamodb-access",
        "test-s3-access",
        "test-secrets-access",
    ] {
        let answer = world.lab.invoke_payment(&json!({"action": test})).await;
        assert_eq!(answer.unwrap()["statusCode"], 200, "{test}");
    }
}

/// Everything that an operator orders: a drill, a plan, a migration that is taken back, and one that is completed.
async fn migrations(world: &World) {
    world.command(&json!({"action": "drill"})).await;
    world
        .until("the drill is over", |s| s["drill"]["restored"] == true)
        .await;
    let slow = json!({"type": "canary", "percent": 20, "bakeSeconds": 60});
    let start = |action: &str, id: &str, strategy: &Value| json!({"action": action, "to": "green", "migrationId": id, "strategy": strategy, "bakeSeconds": 2, "maxSeconds": 300});
    world.command(&start("plan", "m-1", &slow)).await;
    world.command(&start("start", "m-1", &slow)).await;
    world
        .until("green takes a fifth", |s| s["weights"]["green"] == 20)
        .await;
    for action in ["pause", "resume", "rollback"] {
        world.command(&json!({"action": action})).await;
    }
    world
        .until("blue has it back", |s| s["phase"] == "rolled_back")
        .await;
    world
        .command(&start("start", "m-2", &json!({"type": "all-at-once"})))
        .await;
    world
        .until("green has taken over", |s| s["phase"] == "completed")
        .await;
    world.command(&json!({"action": "history"})).await;
}

/// Every check, of whatever the stack has.
async fn validation(world: &World) {
    let of = |name: &str| world.lab.outputs.get(name).unwrap().to_owned();
    let validator = of("PreMigrationValidatorFunctionName");
    let payment = of("PaymentValidationFunctionName");
    let event = json!({"action": "validate", "properties": {
        "Mode": "report",
        "BlueClusterId": of("BlueClusterId"), "GreenClusterId": of("GreenClusterId"),
        "SessionTable": of("SessionTableName"), "TransactionBucket": of("TransactionLogBucketName"),
        "BlueSecretArn": of("BlueOperationsSecretArn"), "GreenSecretArn": of("GreenOperationsSecretArn"),
        "FunctionNames": format!("{payment}:{},{payment}:{}", of("BlueVersionNumber"), of("GreenVersionNumber")),
        "AlarmNames": format!("{},{}", of("BlueAlarmNames"), of("GreenAlarmNames")),
        "KmsKeyIds": of("DataKeyId"), "BackupVaultName": of("BackupVaultName"),
    }});
    let answer = world.invoker.invoke(&validator, &event);
    let report = answer.await.unwrap();
    let checks: BTreeMap<&str, &Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| (check["name"].as_str().unwrap(), check))
        .collect();
    for (name, check) in &checks {
        let seen = check["observed"].to_string();
        assert!(!seen.contains("AccessDenied"), "{name}: {check}");
    }
    for name in [
        "blue-cluster",
        "session-table",
        "transaction-bucket",
        "data-parity",
        "reconciliation",
        "functions",
        "alarms",
        "keys",
    ] {
        assert_ne!(checks[name]["status"], "skipped", "{name}");
    }
}

/// Four secrets, each by its own user, with the master's help.
async fn rotations(world: &World) {
    for (color, master) in [
        (Color::Blue, "BlueMasterSecretArn"),
        (Color::Green, "GreenMasterSecretArn"),
    ] {
        let (_, secret) = world.secret(master).await;
        let text = |name: &str| secret[name].as_str().unwrap().to_owned();
        let user = format!("'{}'@'%'", text("username"));
        let statements = [
            format!(
                "CREATE OR REPLACE USER {user} IDENTIFIED BY '{}'",
                text("password")
            ),
            format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION"),
        ];
        let made = world.lab.ledgers.get(color).run(&statements);
        made.await.unwrap();
    }
    for output in [
        "BlueDatabaseSecretArn",
        "GreenDatabaseSecretArn",
        "BlueOperationsSecretArn",
        "GreenOperationsSecretArn",
    ] {
        let (arn, before) = world.secret(output).await;
        let began = Instant::now();
        world.settings.rotate(&arn).await.unwrap();
        while world.secret(output).await.1 == before {
            assert!(
                began.elapsed() < ROTATION_MAX,
                "{output} keeps its password"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A permission: function, statement, action.
type Permission = (String, String, String);

fn entries<'a>(told: &'a Value, what: &str) -> impl Iterator<Item = &'a Value> {
    told[what].as_array().unwrap().iter()
}

fn used(told: &Value) -> usize {
    entries(told, "used").count()
}

/// Permissions that no call needed.
fn unused(told: &Value) -> BTreeSet<Permission> {
    entries(told, "unused")
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let role = text("role");
            let function = role.strip_prefix("role-").unwrap_or(&role);
            let function = function
                .strip_suffix(&format!("-{ENVIRONMENT}"))
                .unwrap_or(function);
            (function.to_owned(), text("statement"), text("action"))
        })
        .collect()
}

/// Those that stay all the same; each with its reason.
fn unneeded() -> BTreeSet<Permission> {
    let text = std::fs::read_to_string(project().join("tests/permissions/unneeded.yaml")).unwrap();
    let reasons: BTreeMap<String, Vec<BTreeMap<String, Value>>> =
        serde_yaml_ng::from_str(&text).unwrap();
    let mut found = BTreeSet::new();
    for (function, statements) in reasons {
        for entry in statements {
            let reason = entry["reason"].as_str().unwrap();
            assert!(
                reason.split_whitespace().count() > 4,
                "{function}: a reason is a sentence"
            );
            for action in entry["actions"].as_array().unwrap() {
                let statement = entry["statement"].as_str().unwrap();
                let action = action.as_str().unwrap();
                let is_new =
                    found.insert((function.clone(), statement.to_owned(), action.to_owned()));
                assert!(is_new, "{function} {statement} {action} is explained twice");
            }
        }
    }
    found
}
