//! The validator's real binary in the local cloud: a stack that it gates, with a real database behind both colors.
//!
//! The clusters, the replication task and the recovery point are the emulator's; their states are set by its control
//! requests. The function runs with only the rights that `docs/validation.md` lists.

#[allow(unreachable_pub, reason = "a module of a test")]
mod estate;

use std::time::Duration;

use serde_json::{Value, json};

use estate::{CHECKS, Estate};

/// A stack that passes goes on, and its outputs show the attributes; one that does not is rolled back with a Reason that
/// lists every check; an update that fails is taken back without being blocked.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_gated_by_what_the_validator_sees() {
    let estate = Estate::start().await;

    let outputs = estate
        .deploy("good", "1")
        .await
        .expect("everything is as it must be");
    assert_eq!(outputs["Status"], "pass", "{outputs:?}");
    assert_eq!(outputs["ChecksPassed"], CHECKS.len().to_string());
    assert_eq!(
        (
            outputs["ChecksFailed"].as_str(),
            outputs["ChecksUnknown"].as_str()
        ),
        ("0", "0")
    );
    assert!(outputs["Message"].starts_with("pass: "), "{outputs:?}");
    assert!(outputs["ValidatedAt"].ends_with('Z'), "{outputs:?}");
    let report = estate.report(&outputs["ReportUri"]).await;
    assert_eq!(report["status"], "pass");
    assert_eq!(report["checks"].as_array().unwrap().len(), 18);

    estate.break_everything().await;
    let told = estate.deploy("bad", "1").await.unwrap_err();
    assert!(told.contains("ROLLBACK_COMPLETE"), "{told}");
    for check in [
        "green-cluster fail",
        "replication fail",
        "schema-parity fail",
        "data-parity fail",
        "reconciliation fail",
    ] {
        assert!(told.contains(check), "{check} in {told}");
    }
    assert!(told.contains("Full report: s3://"), "{told}");

    // The update fails for the same reasons, is taken back, and that is not blocked.
    let told = estate.deploy("good", "2").await.unwrap_err();
    assert!(told.contains("UPDATE_ROLLBACK_COMPLETE"), "{told}");

    estate.mend_everything().await;
    let outputs = estate.deploy("good", "3").await.expect("it is mended");
    assert_eq!(outputs["Status"], "pass");
    for stack in ["good", "bad"] {
        estate.delete(stack).await;
    }
    estate.stop().await;
}

/// What the switch asks: `validate` and `fence`, over the Lambda API.
#[tokio::test(flavor = "multi_thread")]
async fn commands_are_answered_and_no_secret_is_logged() {
    let estate = Estate::start().await;
    estate
        .deploy("good", "1")
        .await
        .expect("everything is as it must be");

    let report = estate
        .invoke(&json!({"action": "validate", "properties": estate.properties("x")}))
        .await;
    assert_eq!(report["status"], "pass", "{report}");
    let fence = |epoch: u32, blue: bool, green: bool| {
        let secrets = json!({"BlueSecretArn": estate::BLUE, "GreenSecretArn": estate::GREEN});
        json!({"action": "fence", "epoch": epoch, "mayWrite": {"blue": blue, "green": green}, "properties": secrets})
    };
    let answer = estate.invoke(&fence(7, false, true)).await;
    assert_eq!(answer["status"], "pass", "{answer}");
    for fence in estate.may_write() {
        assert_eq!(fence, ["blue\t0\t7", "green\t1\t7"]);
    }
    let older = estate.invoke(&fence(6, true, true)).await;
    assert_eq!(older["status"], "fail");
    assert_eq!(
        older["ledgers"]["blue"]["mayWrite"],
        json!({"blue": false, "green": true})
    );

    let wrong = estate.invoke_error(&json!({"action": "migrate"})).await;
    assert!(
        wrong.contains("validate") && wrong.contains("fence"),
        "{wrong}"
    );
    estate.delete("good").await;
    let logs = estate.stop().await;
    assert!(
        logs.contains("\"ValidationPassed\":1"),
        "the function logged"
    );
    for secret in [estate::PASSWORD, "X-Amz-Signature", "ResponseURL"] {
        assert!(!logs.contains(secret), "{secret} is logged");
    }
}

/// A validation that takes several invocations is answered once, at its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_validation_goes_on_by_itself() {
    let estate = Estate::start().await;
    // Of forty seconds, the time to answer taken off, twenty are left for rows; the databases are busy for longer.
    estate.keep_busy(Duration::from_secs(28));
    let outputs = estate
        .deploy_with("long", "1", Duration::from_secs(40))
        .await;
    let outputs = outputs.expect("it went on");
    assert_eq!(outputs["Status"], "pass", "{outputs:?}");
    let continued = estate
        .log()
        .lines()
        .filter(|line| outcome(line) == "continued")
        .count();
    println!("{continued} invocations handed on");
    assert!(continued >= 1, "one invocation was enough");
    assert!(continued < 12, "there is a bound");
    estate.delete("long").await;
    estate.stop().await;
}

/// Two empty databases get the ledger's schema by a stack; the same again changes nothing, and back to an older version is
/// refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_stack_brings_the_schema_into_empty_databases() {
    let estate = Estate::start().await;
    estate
        .deploy("good", "1")
        .await
        .expect("a stack with the function");
    let secrets = [
        estate.empty_database("empty_blue").await,
        estate.empty_database("empty_green").await,
    ];
    let template = |version: Option<&str>| {
        let mut properties =
            json!({"ServiceToken": Estate::service_token(), "SecretArns": secrets});
        if let Some(version) = version {
            properties["Version"] = json!(version);
        }
        json!({
            "Resources": {"Schema": {"Type": "Custom::DatabaseSchema", "Properties": properties}},
            "Outputs": {
                "Version": {"Value": {"Fn::GetAtt": ["Schema", "Version"]}},
                "Applied": {"Value": {"Fn::GetAtt": ["Schema", "Applied"]}},
            },
        })
    };
    let created = estate.deploy_template("schema", &template(None)).await;
    let created = created.expect("both databases are empty");
    assert!(created["Applied"].contains("payments"), "{created:?}");
    for name in ["empty_blue", "empty_green"] {
        for table in ["payments", "cutover_epoch"] {
            let columns = |of: &str| {
                estate.sql(&format!(
                    "SELECT column_name, column_type, collation_name FROM information_schema.columns \
                     WHERE table_schema = '{of}' AND table_name = '{table}' ORDER BY ordinal_position"
                ))
            };
            assert!(!columns(name).is_empty(), "{name}.{table}");
            assert_eq!(columns(name), columns("payments"), "{name}.{table}");
        }
    }
    let newest = created["Version"].as_str();
    let again = estate
        .deploy_template("schema", &template(Some(newest)))
        .await;
    let again = again.expect("it is there already");
    assert_eq!(
        (again["Version"].as_str(), again["Applied"].as_str()),
        (newest, "")
    );
    let older = estate
        .deploy_template("schema", &template(Some("1")))
        .await
        .unwrap_err();
    assert!(older.contains("UPDATE_ROLLBACK_COMPLETE"), "{older}");
    assert!(
        older.contains("the schema of database-empty_blue"),
        "{older}"
    );
    for stack in ["schema", "good"] {
        estate.delete(stack).await;
    }
    assert!(
        !estate.sql("SHOW TABLES FROM empty_blue").is_empty(),
        "a deleted stack deletes no payments"
    );
    estate.stop().await;
}

fn outcome(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    line["outcome"].as_str().unwrap_or_default().to_owned()
}
