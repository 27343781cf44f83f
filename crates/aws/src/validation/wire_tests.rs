//! The looks at the wire: what is made of an answer, and of each way to be refused.

#![allow(clippy::panic, reason = "a helper of tests is a test")]

use cutover_domain::payment::Timestamp;
use cutover_domain::validation::Obstacle;
use cutover_ports::memory::{Memory as _, NoteKey, Noted};
use cutover_ports::validation::{
    Again as _, Backups as _, Buckets as _, Clusters as _, Functions as _, Keys as _,
    LogObjects as _, LookError, SecretVault as _, SessionRecords as _, Tables as _,
    TargetGroups as _,
};
use serde_json::{Value, json};

use super::{backups, buckets, clusters, functions, keys, memory, secrets, tables, targets};
use crate::replay::{Answer, Replay};

fn denied() -> Answer {
    Answer::json(
        400,
        &json!({"__type": "AccessDeniedException", "message": "not for you"}),
    )
}

fn throttled() -> Vec<Answer> {
    let answer = || {
        Answer::json(
            400,
            &json!({"__type": "ThrottlingException", "message": "slower"}),
        )
    };
    vec![answer(), answer(), answer()]
}

fn obstacle<T>(looked: Result<T, LookError>) -> (Obstacle, String) {
    match looked {
        Ok(_) => panic!("it was looked at"),
        Err(error) => (error.obstacle, error.source.to_string()),
    }
}

#[tokio::test]
async fn denied_throttled_missing_and_lost_are_told_apart() {
    let missing = || {
        Answer::json(
            400,
            &json!({"__type": "com.amazonaws.kms#NotFoundException", "message": "no key"}),
        )
    };
    let lost = || vec![Answer::Lost, Answer::Lost, Answer::Lost];
    for (answers, meant) in [
        (vec![denied()], Obstacle::Denied),
        (throttled(), Obstacle::Throttled),
        (vec![missing()], Obstacle::Missing),
        (lost(), Obstacle::Unreachable),
    ] {
        let replay = Replay::new(answers);
        let looked = keys::KmsKeys::new(&replay.config().await).key("k").await;
        let (obstacle, said) = obstacle(looked);
        assert_eq!(obstacle, meant, "{said}");
    }
}

#[tokio::test]
async fn a_key_is_told_with_its_manager() {
    let key = json!({"KeyMetadata": {"KeyId": "k", "KeyState": "Enabled", "KeyManager": "AWS"}});
    let replay = Replay::new([Answer::json(200, &key)]);
    let key = keys::KmsKeys::new(&replay.config().await)
        .key("k")
        .await
        .unwrap();
    assert_eq!(key.state.as_deref(), Some("Enabled"));
    assert_eq!(key.customer_managed, Some(false));
}

#[tokio::test]
async fn targets_are_told_with_their_reasons() {
    let body = "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <DescribeTargetHealthResult><TargetHealthDescriptions>\
         <member><Target><Id>a</Id></Target><TargetHealth><State>healthy</State></TargetHealth></member>\
         <member><Target><Id>b</Id></Target><TargetHealth><State>unhealthy</State><Reason>Target.Timeout</Reason>\
         </TargetHealth></member></TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>";
    let replay = Replay::new([Answer::xml(200, body)]);
    let sdk = replay.config().await;
    let targets = targets::LoadBalancerTargets::new(&sdk)
        .targets("arn")
        .await
        .unwrap();
    let own = |state: &str, reason: &str| (state.to_owned(), reason.to_owned());
    let states = [
        own("healthy", "no reason given"),
        own("unhealthy", "Target.Timeout"),
    ];
    assert_eq!(targets.states, states);
}

#[tokio::test]
async fn a_missing_cluster_and_a_denied_one_are_not_the_same() {
    let error = |code: &str| {
        let body = format!(
            "<ErrorResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
        );
        Answer::xml(404, &body)
    };
    for (code, meant) in [
        ("DBClusterNotFoundFault", Obstacle::Missing),
        ("AccessDenied", Obstacle::Denied),
    ] {
        let replay = Replay::new([error(code)]);
        let looked = clusters::RdsClusters::new(&replay.config().await)
            .cluster("c")
            .await;
        assert_eq!(obstacle(looked).0, meant, "{code}");
    }
}

#[tokio::test]
async fn a_bucket_without_blocks_or_encryption_is_told_so() {
    let versioning = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
    let error = |code: &str| {
        Answer::xml(
            404,
            &format!("<Error><Code>{code}</Code><Message>no</Message></Error>"),
        )
    };
    let replay = Replay::new([
        Answer::xml(200, versioning),
        error("ServerSideEncryptionConfigurationNotFoundError"),
        error("NoSuchPublicAccessBlockConfiguration"),
    ]);
    let sdk = replay.config().await;
    let bucket = buckets::S3Buckets::new(&sdk).bucket("b").await.unwrap();
    assert_eq!(bucket.versioned, Some(false));
    assert_eq!(bucket.encryption, None);
    assert!(bucket.public_access_blocks.is_empty());

    let replay = Replay::new([Answer::xml(200, versioning), error("AccessDenied")]);
    let looked = buckets::S3Buckets::new(&replay.config().await)
        .bucket("b")
        .await;
    assert_eq!(obstacle(looked).0, Obstacle::Denied);
}

#[tokio::test]
async fn only_new_log_objects_are_kept_and_too_many_are_an_obstacle() {
    let object = |key: &str, at: &str| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>{at}</LastModified><Size>1</Size></Contents>"
        )
    };
    let page = |objects: &[String]| {
        let objects = objects.concat();
        Answer::xml(
            200,
            &format!(
                "<ListBucketResult><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>"
            ),
        )
    };
    let since: Timestamp = "2026-11-20T10:00:00.500Z".parse().unwrap();
    let objects = [
        object("old", "2026-11-20T09:59:59.000Z"),
        object("same", "2026-11-20T10:00:00.000Z"),
        object("new", "2026-11-20T11:00:00.000Z"),
    ];
    let replay = Replay::new([page(&objects), page(&objects)]);
    let log = buckets::S3Buckets::new(&replay.config().await);
    let found = log.written_since("b", "p/", since, 10).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["new", "same"]);
    let (obstacle, said) = obstacle(log.written_since("b", "p/", since, 1).await);
    assert_eq!(obstacle, Obstacle::Refused);
    assert!(said.contains("more than 1"), "{said}");
}

#[tokio::test]
async fn a_table_without_kms_or_recovery_is_told_so() {
    let recovery = |status: &str| {
        Answer::json(
            200,
            &json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": status},
            }}),
        )
    };
    let table = |sse: Value| {
        let table = json!({"Table": {"TableStatus": "ACTIVE", "SSEDescription": sse}});
        Answer::json(200, &table)
    };
    for (sse, status, kms, recovered) in [
        (
            json!({"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": "k"}),
            "ENABLED",
            true,
            true,
        ),
        (
            json!({"Status": "ENABLED", "SSEType": "AES256"}),
            "DISABLED",
            false,
            false,
        ),
        (
            json!({"Status": "DISABLED", "SSEType": "KMS"}),
            "ENABLED",
            false,
            true,
        ),
        (Value::Null, "ENABLED", false, true),
    ] {
        let replay = Replay::new([table(sse), recovery(status)]);
        let sdk = replay.config().await;
        let table = tables::DynamoTables::new(&sdk).table("t").await.unwrap();
        assert_eq!(table.kms, Some(kms));
        assert_eq!(table.point_in_time_recovery, Some(recovered));
    }
}

#[tokio::test]
async fn sessions_of_all_segments_are_read_and_an_odd_item_is_an_obstacle() {
    let span = cutover_domain::validation::reconciliation::Span::before(Timestamp::from_ms(
        1_800_000_000_000,
    ));
    let item = |id: &str| {
        json!({
            "sessionId": {"S": format!("public#{id}")}, "transactionId": {"S": id}, "status": {"S": "completed"},
            "amount": {"N": "1250"}, "currency": {"S": "EUR"}, "createdAt": {"S": "2027-01-15T07:30:00.000Z"},
        })
    };
    let page =
        |items: Value| Answer::json(200, &json!({"Items": items, "Count": 1, "ScannedCount": 1}));
    let guard = json!({"sessionId": {"S": "public#t"}, "transactionKey": {"S": "k"}});
    let replay = Replay::new([
        page(json!([item("a"), guard])),
        page(json!([item("b")])),
        page(json!([])),
        page(json!([item("c")])),
    ]);
    let tables = tables::DynamoTables::new(&replay.config().await);
    let mut ids: Vec<String> = tables
        .created_in("t", span, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|session| session.transaction_id)
        .collect();
    ids.sort();
    assert_eq!(ids, ["a", "b", "c"]);
    let segments: Vec<Value> = replay
        .sent()
        .iter()
        .map(|sent| sent.json()["Segment"].clone())
        .collect();
    assert_eq!(segments.len(), 4);

    let mut odd = item("a");
    odd["amount"] = json!({"N": "12.50"});
    let replay = Replay::new((0..4).map(|_| page(json!([odd]))));
    let tables = tables::DynamoTables::new(&replay.config().await);
    assert_eq!(
        obstacle(tables.created_in("t", span, 10).await).0,
        Obstacle::Refused
    );
}

#[tokio::test]
async fn a_secret_is_described_and_read_apart() {
    let described =
        json!({"ARN": "arn", "Name": "n", "RotationEnabled": true, "DeletedDate": 1_795_000_000});
    let replay = Replay::new([
        Answer::json(200, &described),
        Answer::json(200, &json!({"SecretString": "{}"})),
        Answer::json(200, &json!({"SecretBinary": "AAAA"})),
    ]);
    let vault = secrets::VaultOfSecrets::new(&replay.config().await);
    let facts = vault.describe("n").await.unwrap();
    assert_eq!(
        (facts.rotation, facts.deleted, facts.is_object),
        (Some(true), true, false)
    );
    assert_eq!(vault.read("n").await.unwrap().expose(), "{}");
    let (_, said) = obstacle(vault.read("n").await.map(|_| ()));
    assert!(said.contains("binary"), "{said}");
}

#[tokio::test]
async fn a_function_is_told_and_this_one_is_called_without_waiting() {
    let told = json!({"FunctionName": "f", "State": "Pending", "StateReason": "creating", "LastUpdateStatus": "InProgress"});
    let replay = Replay::new([
        Answer::json(200, &told),
        Answer::Said(202, Vec::new(), Vec::new()),
        Answer::Said(202, Vec::new(), Vec::new()),
    ]);
    let sdk = replay.config().await;
    let function = functions::LambdaFunctions::new(&sdk)
        .function("f:2")
        .await
        .unwrap();
    assert_eq!(function.state.as_deref(), Some("Pending"));
    assert_eq!(function.reason.as_deref(), Some("creating"));
    for version in ["$LATEST", "3"] {
        let own = functions::OwnFunction::new(&sdk, "me".to_owned(), version.to_owned());
        own.invoke("{\"a\":1}".to_owned()).await.unwrap();
    }
    for (sent, qualified) in replay.sent().iter().skip(1).zip([false, true]) {
        assert_eq!(sent.text(), "{\"a\":1}");
        assert_eq!(sent.uri.contains("Qualifier=3"), qualified, "{}", sent.uri);
    }
}

#[tokio::test]
async fn recovery_points_are_told_with_their_time() {
    let points = json!({"RecoveryPoints": [
        {"RecoveryPointArn": "r", "ResourceArn": "arn:cluster", "Status": "COMPLETED", "CreationDate": 1_795_000_000.5},
    ]});
    let replay = Replay::new([Answer::json(200, &points)]);
    let vaults = backups::BackupVaults::new(&replay.config().await);
    let found = vaults
        .recovery_points("v", Timestamp::from_ms(0))
        .await
        .unwrap();
    assert_eq!(
        (found[0].status.as_str(), found[0].created_ms),
        ("COMPLETED", 1_795_000_000_500)
    );
}

#[tokio::test]
async fn a_note_is_written_once_and_an_own_lost_answer_is_no_refusal() {
    let refused = || {
        Answer::json(
            400,
            &json!({"__type": "ConditionalCheckFailedException", "message": "no"}),
        )
    };
    let note = |text: &str| {
        let item = json!({"version": {"N": "1"}, "note": {"S": text}});
        Answer::json(200, &json!({"Item": item}))
    };
    let key = NoteKey {
        subject: "stack#1".to_owned(),
        name: "verdict#1".to_owned(),
    };
    for (answers, noted) in [
        (vec![Answer::json(200, &json!({}))], Noted::Done),
        (vec![refused(), note("mine")], Noted::Done),
        (vec![refused(), note("another's")], Noted::Refused),
    ] {
        let replay = Replay::new(answers);
        let memory = memory::DynamoMemory::new(&replay.config().await, "state".to_owned(), "dev");
        assert_eq!(memory.write(&key, 0, "mine", 7).await.unwrap(), noted);
        let put = replay.sent()[0].json();
        assert_eq!(put["Item"]["pk"]["S"], "validation#dev#stack#1");
        assert_eq!(put["ConditionExpression"], "attribute_not_exists(pk)");
    }
}
