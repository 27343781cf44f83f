//! A function whose configuration is wrong says everything that is wrong with it, and does not start.

use std::process::{Command, Output};

use cutover_tests::binaries;

fn run(function: &str, variables: &[(&str, &str)]) -> Output {
    Command::new(binaries().join(function))
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .envs(variables.iter().copied())
        .output()
        .expect("a built binary: `make build` builds it")
}

fn assert_refused(output: &Output, names: &[&str]) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    let line: serde_json::Value = serde_json::from_str(&said).unwrap();
    for name in names {
        let found = line["mistakes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|mistake| mistake["variable"] == *name);
        assert!(found, "{name} is named: {said}");
    }
    assert_eq!(
        line["mistakes"].as_array().unwrap().len(),
        names.len(),
        "and nothing else: {said}"
    );
}

#[test]
fn payment_validation_names_every_missing_variable() {
    let names = [
        "ENVIRONMENT",
        "COLOR",
        "SESSION_TABLE",
        "TRANSACTION_BUCKET",
        "DB_SECRET_ARN",
        "HASH_KEY_SECRET_ARN",
    ];
    assert_refused(&run("payment-validation", &[]), &names);
}

#[test]
fn payment_validation_names_every_wrong_variable() {
    let output = run(
        "payment-validation",
        &[
            ("ENVIRONMENT", "production"),
            ("COLOR", "red"),
            ("SESSION_TABLE", "sessions"),
            ("TRANSACTION_BUCKET", "logs"),
            (
                "DB_SECRET_ARN",
                "arn:aws:secretsmanager:us-east-1:000000000000:secret:db",
            ),
            (
                "HASH_KEY_SECRET_ARN",
                "arn:aws:secretsmanager:us-east-1:000000000000:secret:key",
            ),
            ("MAX_BODY_BYTES", "many"),
            ("LIMITS", "{\"USD\":-1}"),
        ],
    );
    assert_refused(
        &output,
        &["ENVIRONMENT", "COLOR", "MAX_BODY_BYTES", "LIMITS"],
    );
}

#[test]
fn environment_switcher_names_every_missing_variable() {
    assert_refused(
        &run("environment-switcher", &[]),
        &["ENVIRONMENT", "STATE_TABLE", "ROUTERS", "ALARMS"],
    );
}

#[test]
fn environment_switcher_names_every_wrong_variable() {
    let output = run(
        "environment-switcher",
        &[
            ("ENVIRONMENT", "dev-payment-ab12cd34"),
            ("STATE_TABLE", "state"),
            ("ROUTERS", "[{\"type\":\"carrier-pigeon\"}]"),
            ("ALARMS", "none"),
            ("TICK_SECONDS", "never"),
            ("METRICS", "{\"blue\":{}}"),
            ("REPLICATION", "{\"tasks\":[]}"),
            ("VALIDATOR_FUNCTION", "validator"),
            ("VALIDATOR_PROPERTIES", "{\"BlueSecretArn\":\"blue\"}"),
        ],
    );
    assert_refused(
        &output,
        &[
            "ROUTERS",
            "ALARMS",
            "TICK_SECONDS",
            "METRICS",
            "REPLICATION",
            "VALIDATOR_PROPERTIES",
        ],
    );
}

/// Each wrong field of each router is named with the number of its entry, all of them at once, and no value is shown.
#[test]
fn environment_switcher_names_each_wrong_field_of_a_router() {
    let routers = serde_json::json!([
        {"type": "alb", "ruleArn": "hunter2", "blueTargetGroupArn": "hunter2"},
        {"type": "lambda-alias", "functionName": "pay", "alias": "live", "weight": 5},
        {"type": "route53", "hostedZoneId": "Z1", "recordName": "pay.example.com", "recordType": "MX",
         "blueSetIdentifier": "one", "greenSetIdentifier": "one"},
        {"type": "api-gateway-canary", "restApiId": "a1b2"},
    ])
    .to_string();
    let variables = [
        ("ENVIRONMENT", "dev-payment-ab12cd34"),
        ("STATE_TABLE", "state"),
        ("ROUTERS", routers.as_str()),
        ("ALARMS", "{\"blue\":[\"b\"],\"green\":[\"g\"]}"),
    ];
    let output = run("environment-switcher", &variables);
    assert_refused(&output, &["ROUTERS"]);
    let said = String::from_utf8_lossy(&output.stdout);
    for told in [
        "entry 1 (alb): ruleArn takes",
        "entry 1 (alb): blueTargetGroupArn takes",
        "entry 1 (alb): greenTargetGroupArn is missing",
        "entry 2 (lambda-alias): unknown field weight",
        "entry 3 (route53): recordType takes",
        "entry 3 (route53): blueSetIdentifier and greenSetIdentifier are the same",
        "entry 4 (api-gateway-canary): stageName is missing",
    ] {
        assert!(said.contains(told), "{told} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn pre_migration_validator_names_every_missing_variable() {
    assert_refused(
        &run("pre-migration-validator", &[]),
        &["ENVIRONMENT", "STATE_TABLE"],
    );
}

#[test]
fn pre_migration_validator_names_every_wrong_variable() {
    let output = run(
        "pre-migration-validator",
        &[
            ("ENVIRONMENT", "no name"),
            ("STATE_TABLE", "state"),
            ("REPORT_BUCKET", "No_Bucket"),
            ("CA_BUNDLE", "/nowhere/bundle.pem"),
            ("ALLOW_HTTP_RESPONSE_URL", "perhaps"),
        ],
    );
    assert_refused(
        &output,
        &[
            "ENVIRONMENT",
            "REPORT_BUCKET",
            "CA_BUNDLE",
            "ALLOW_HTTP_RESPONSE_URL",
        ],
    );
}

#[test]
fn secret_rotation_names_every_wrong_variable() {
    assert_refused(&run("secret-rotation", &[]), &["ENVIRONMENT"]);
    let output = run(
        "secret-rotation",
        &[
            ("ENVIRONMENT", "dev payment"),
            ("STRATEGY", "none"),
            ("PASSWORD_LENGTH", "4"),
            ("EXCLUDE_PUNCTUATION", "perhaps"),
            ("CA_BUNDLE", "/nonexistent.pem"),
        ],
    );
    assert_refused(
        &output,
        &[
            "ENVIRONMENT",
            "STRATEGY",
            "PASSWORD_LENGTH",
            "EXCLUDE_PUNCTUATION",
            "CA_BUNDLE",
        ],
    );
}
