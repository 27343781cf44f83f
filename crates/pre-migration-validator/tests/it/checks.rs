//! Each check, by what it looks at.

use cutover_domain::parity::{SchemaDifference, TableState};
use cutover_domain::payment::Timestamp;
use cutover_domain::switch::AlarmState;
use cutover_domain::validation::{Check, Obstacle};
use cutover_lambda::clock;
use cutover_ports::parity::{LinkState, ReplicaLink, Trouble};
use serde_json::{Value, json};

use crate::world::{World, check, payment, rows};

fn all() -> Value {
    let sample: Value = serde_json::from_str(&crate::samples::text("validate")).unwrap();
    sample["properties"].clone()
}

async fn report(change: impl FnOnce(&World)) -> Value {
    let world = World::healthy();
    change(&world);
    world.validate(&all()).await
}

#[tokio::test]
async fn a_healthy_world_passes_every_check() {
    let report = report(|_| ()).await;
    assert_eq!(report["status"], "pass");
    let checks = report["checks"].as_array().unwrap();
    assert_eq!(checks.len(), Check::ALL.len());
    for check in checks {
        assert_eq!(check["status"], "pass", "{check}");
        assert!(check["ms"].is_u64() && check["advice"] == "", "{check}");
        assert!(!check["observed"].as_str().unwrap().is_empty(), "{check}");
    }
    assert!(!report.to_string().contains("hunter2"), "{report}");
}

/// A check, what breaks it, and what it then says.
type Fault = (&'static str, fn(&World), &'static str);

#[tokio::test]
async fn each_fault_fails_its_own_check_and_no_other() {
    let faults: [Fault; 20] = [
        (
            "blue-cluster",
            |w| {
                w.estate
                    .things()
                    .clusters
                    .get_mut("cluster-blue")
                    .unwrap()
                    .status = Some("stopped".to_owned());
            },
            "fail",
        ),
        (
            "green-cluster",
            |w| {
                w.estate
                    .things()
                    .clusters
                    .get_mut("cluster-green")
                    .unwrap()
                    .replication_parameter = None;
            },
            "fail",
        ),
        (
            "cluster-compatibility",
            |w| {
                w.estate
                    .things()
                    .clusters
                    .get_mut("cluster-green")
                    .unwrap()
                    .engine_version = Some("8.4.mysql_aurora.8.4.0".to_owned());
            },
            "fail",
        ),
        (
            "session-table",
            |w| {
                w.estate
                    .things()
                    .tables
                    .get_mut("sessions")
                    .unwrap()
                    .point_in_time_recovery = Some(false);
            },
            "fail",
        ),
        (
            "session-table",
            |w| {
                w.estate.things().tables.clear();
            },
            "fail",
        ),
        (
            "transaction-bucket",
            |w| {
                w.estate
                    .things()
                    .buckets
                    .get_mut("transaction-logs")
                    .unwrap()
                    .versioned = Some(false);
            },
            "fail",
        ),
        (
            "blue-secret",
            |w| {
                w.estate
                    .things()
                    .secrets
                    .iter_mut()
                    .next()
                    .unwrap()
                    .1
                    .0
                    .rotation = Some(false);
            },
            "fail",
        ),
        (
            "green-secret",
            |w| {
                w.estate
                    .things()
                    .secrets
                    .iter_mut()
                    .next_back()
                    .unwrap()
                    .1
                    .1 = "[]".to_owned();
            },
            "fail",
        ),
        (
            "replication",
            |w| {
                w.estate
                    .things()
                    .tasks
                    .values_mut()
                    .next()
                    .unwrap()
                    .lag_seconds = Some(31.0);
            },
            "fail",
        ),
        (
            "replication",
            |w| {
                w.estate
                    .things()
                    .tasks
                    .values_mut()
                    .next()
                    .unwrap()
                    .lag_seconds = None;
            },
            "unknown",
        ),
        (
            "schema-parity",
            |w| {
                w.databases
                    .inner()
                    .schemas
                    .differences
                    .push(SchemaDifference {
                        table: "payments".to_owned(),
                        what: "key extra is missing in green".to_owned(),
                    });
            },
            "fail",
        ),
        (
            "data-parity",
            |w| w.databases.inner().rows = vec![rows(TableState::Differs(true), 9)],
            "fail",
        ),
        (
            "data-parity",
            |w| {
                w.databases.inner().rows = vec![rows(
                    TableState::Unvalidated("it has no primary or unique key".to_owned()),
                    0,
                )];
            },
            "unknown",
        ),
        (
            "reconciliation",
            |w| {
                w.databases
                    .inner()
                    .ledgers
                    .get_mut("green")
                    .unwrap()
                    .clear();
            },
            "fail",
        ),
        (
            "target-health",
            |w| {
                w.estate
                    .things()
                    .targets
                    .values_mut()
                    .next()
                    .unwrap()
                    .states
                    .push(("unhealthy".to_owned(), "Target.Timeout".to_owned()));
            },
            "fail",
        ),
        (
            "functions",
            |w| {
                w.estate
                    .things()
                    .functions
                    .values_mut()
                    .next()
                    .unwrap()
                    .state = Some("Inactive".to_owned());
            },
            "fail",
        ),
        (
            "alarms",
            |w| w.alarms.alarm("errors-green", AlarmState::Missing),
            "fail",
        ),
        ("alarms", |w| w.alarms.inner().alarms_down = true, "unknown"),
        (
            "backup",
            |w| {
                w.estate
                    .things()
                    .recovery_points
                    .values_mut()
                    .next()
                    .unwrap()[0]
                    .created_ms -= 90_000_000;
            },
            "fail",
        ),
        (
            "keys",
            |w| {
                w.estate.things().keys.get_mut("key-secrets").unwrap().state =
                    Some("Disabled".to_owned());
            },
            "fail",
        ),
    ];
    for (name, fault, status) in faults {
        let report = report(fault).await;
        assert_eq!(report["status"], status, "{name}");
        assert_eq!(check(&report, name)["status"], status, "{name}: {report}");
        assert_ne!(check(&report, name)["advice"], "", "{name}");
        let others = report["checks"].as_array().unwrap();
        for other in others.iter().filter(|other| other["name"] != name) {
            assert_eq!(other["status"], "pass", "{name} also fails {other}");
        }
    }
}

#[tokio::test]
async fn a_login_that_is_refused_fails_and_one_that_hangs_is_unknown() {
    for (trouble, status) in [
        (Trouble::Auth, "fail"),
        (Trouble::Tls, "fail"),
        (Trouble::Dns, "fail"),
        (Trouble::Tcp, "fail"),
        (Trouble::Secret, "fail"),
        (Trouble::Timeout, "unknown"),
        (Trouble::Other, "unknown"),
    ] {
        let report = report(|w| {
            w.databases.inner().down.insert("green".to_owned(), trouble);
        })
        .await;
        assert_eq!(
            check(&report, "green-login")["status"],
            status,
            "{trouble:?}"
        );
        assert_eq!(check(&report, "blue-login")["status"], "pass");
        for blind in ["schema-parity", "data-parity", "reconciliation"] {
            assert_ne!(
                check(&report, blind)["status"],
                "pass",
                "{blind} {trouble:?}"
            );
        }
    }
    let report = report(|w| w.databases.inner().plaintext = true).await;
    assert_eq!(check(&report, "blue-login")["status"], "fail");
    assert!(
        check(&report, "blue-login")["observed"]
            .as_str()
            .unwrap()
            .contains("without TLS")
    );
}

#[tokio::test]
async fn what_can_not_be_looked_at_is_unknown_and_says_why() {
    let calls = [
        ("rds:DescribeDBClusters", "blue-cluster"),
        ("kms:DescribeKey", "keys"),
        ("dynamodb:DescribeTable", "session-table"),
        ("s3:GetBucketVersioning", "transaction-bucket"),
        ("secretsmanager:DescribeSecret", "blue-secret"),
        ("secretsmanager:GetSecretValue", "blue-login"),
        ("dms:DescribeReplicationTasks", "replication"),
        ("elasticloadbalancing:DescribeTargetHealth", "target-health"),
        ("lambda:GetFunctionConfiguration", "functions"),
        ("backup:ListRecoveryPointsByBackupVault", "backup"),
        ("dynamodb:Scan", "reconciliation"),
        ("s3:ListBucket", "reconciliation"),
    ];
    for (call, name) in calls {
        for (obstacle, told) in [
            (Obstacle::Denied, "access denied"),
            (Obstacle::Throttled, "throttled"),
            (Obstacle::Late, "no answer in time"),
        ] {
            let report = report(|w| {
                w.estate.things().obstacles.insert(call, obstacle);
            })
            .await;
            let found = check(&report, name);
            assert_eq!(found["status"], "unknown", "{call} {obstacle:?}");
            assert!(
                found["observed"].as_str().unwrap().contains(told),
                "{found:?}"
            );
            assert!(
                found["observed"].as_str().unwrap().contains(call),
                "{found:?}"
            );
            assert_eq!(report["status"], "unknown");
        }
    }
}

#[tokio::test]
async fn a_check_that_hangs_or_panics_is_unknown_and_holds_nobody_up() {
    let before_ms = clock::now_ms();
    let report = report(|w| {
        w.estate.things().hangs.push("dynamodb:DescribeTable");
        w.estate
            .things()
            .panics
            .push("backup:ListRecoveryPointsByBackupVault");
    })
    .await;
    assert!(clock::now_ms() - before_ms < 4_000);
    assert!(
        check(&report, "session-table")["observed"]
            .as_str()
            .unwrap()
            .contains("not finished")
    );
    assert!(
        check(&report, "backup")["observed"]
            .as_str()
            .unwrap()
            .contains("panic")
    );
    for (name, status) in [
        ("session-table", "unknown"),
        ("backup", "unknown"),
        ("keys", "pass"),
    ] {
        assert_eq!(check(&report, name)["status"], status, "{name}");
    }
}

#[tokio::test]
async fn without_a_task_the_databases_tell_of_replication() {
    let mut properties = all();
    properties
        .as_object_mut()
        .unwrap()
        .remove("ReplicationTaskArn");
    let link = |state| ReplicaLink {
        name: "main".to_owned(),
        state,
    };
    for (links, status) in [
        (vec![link(LinkState::Running { lag_seconds: 30 })], "pass"),
        (vec![link(LinkState::Running { lag_seconds: 31 })], "fail"),
        (vec![link(LinkState::Stopped("1062".to_owned()))], "fail"),
        (
            vec![link(LinkState::Unknown("no privilege".to_owned()))],
            "unknown",
        ),
        (vec![], "fail"),
    ] {
        let world = World::healthy();
        world
            .databases
            .inner()
            .links
            .insert("green".to_owned(), links.clone());
        let report = world.validate(&properties).await;
        assert_eq!(check(&report, "replication")["status"], status, "{links:?}");
    }
}

#[tokio::test]
async fn a_payment_that_is_not_everywhere_is_named() {
    let report = report(|w| {
        let at = Timestamp::from_ms(clock::now_ms() - 900_000);
        let (session, row, _key) = payment("t-lost", at);
        w.estate.things().sessions.push(session);
        w.databases
            .inner()
            .ledgers
            .get_mut("blue")
            .unwrap()
            .push(row);
    })
    .await;
    let found = check(&report, "reconciliation");
    assert_eq!(found["status"], "fail");
    let observed = found["observed"].as_str().unwrap();
    for told in [
        "t-lost: completed, without a row in green",
        "t-lost: completed, without a log object",
    ] {
        assert!(observed.contains(told), "{observed}");
    }
}

#[tokio::test]
async fn only_what_is_asked_for_is_looked_at() {
    let world = World::healthy();
    let report = world.validate(&json!({"SessionTable": "sessions"})).await;
    assert_eq!(report["status"], "pass");
    let skipped = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["status"] == "skipped");
    assert_eq!(skipped.count(), Check::ALL.len() - 1);
    assert!(world.memory.notes().is_empty() && world.databases.inner().row_calls.is_empty());
}

/// A version that was published a moment ago is `Pending`, and so would be no reason to fail a stack.
#[tokio::test]
async fn a_function_on_its_way_is_waited_for() {
    let world = World::healthy();
    let set = |state: &str, update: &str| {
        for function in world.estate.things().functions.values_mut() {
            function.state = Some(state.to_owned());
            function.last_update = Some(update.to_owned());
        }
    };
    set("Pending", "InProgress");
    let settling = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        set("Active", "Successful");
    };
    let properties = json!({"FunctionNames": "payment-validation:1"});
    let (report, ()) = tokio::join!(world.validate(&properties), settling);
    assert_eq!(check(&report, "functions")["status"], "pass", "{report}");

    set("Pending", "InProgress");
    let report = world.validate(&properties).await;
    assert_eq!(check(&report, "functions")["status"], "fail", "{report}");
}
