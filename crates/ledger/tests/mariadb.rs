//! The ledger against a real MariaDB, and through a proxy that loses answers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use cutover_domain::payment::card::CardSummary;
use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::request::PaidWith;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{
    Brand, Claim, Color, IdempotencyKey, KeyedHash, Money, Payment, Receipt, Scope, Timestamp,
};
use cutover_ledger::{LedgerConfig, SqlLedger};
use cutover_ports::payment::fakes::FakeSecrets;
use cutover_ports::payment::{Applied, CallError, Found, Ledger as _, Readiness};
use cutover_testkit::{Certificate, MariaDb, Proxy};

const SCHEMA: [&str; 2] = [
    include_str!("../../../infra/schema/mysql/001-payments.sql"),
    include_str!("../../../infra/schema/mysql/002-cutover-epoch.sql"),
];
const BUDGET: Duration = Duration::from_secs(9);

fn database() -> MariaDb {
    database_with(&[])
}

fn database_with(options: &[String]) -> MariaDb {
    let db = MariaDb::start_with(options);
    db.sql(
        "mysql",
        "CREATE DATABASE pay; CREATE USER app@'%' IDENTIFIED BY 'first'; GRANT SELECT, INSERT ON pay.* TO app@'%'",
    );
    for _twice in 0..2 {
        for file in SCHEMA {
            db.sql("pay", file);
        }
    }
    db
}

fn secret(port: u16, password: &str) -> String {
    format!(
        r#"{{"engine":"mariadb","host":"127.0.0.1","port":{port},"username":"app","password":"{password}","dbname":"pay","ssl":false}}"#
    )
}

fn ledger(port: u16, password: &str) -> SqlLedger<FakeSecrets> {
    ledger_of(secret(port, password), None)
}

fn ledger_of(secret: String, ca_bundle: Option<PathBuf>) -> SqlLedger<FakeSecrets> {
    let secrets = FakeSecrets {
        texts: RefCell::new(BTreeMap::from([("db".to_owned(), secret)])),
        ..FakeSecrets::default()
    };
    let config = LedgerConfig {
        secret_id: "db".to_owned(),
        endpoint: None,
        ca_bundle,
    };
    SqlLedger::new(secrets, config)
}

fn hash(seed: u8) -> KeyedHash {
    KeyedHash::from_bytes(&[seed; 32]).unwrap()
}

fn claim(key: &str, transaction_id: &str) -> Claim {
    Claim {
        scope: Scope::new(None, Some("shop")),
        key: IdempotencyKey::parse(key).unwrap(),
        payment: Payment {
            transaction_id: transaction_id.to_owned(),
            user_id: "Ünal 🙂".to_owned(),
            merchant_id: Some("shop".to_owned()),
            money: Money::new(9_007_199_254_740_991, Currency::find("KWD").unwrap()).unwrap(),
            description: None,
            metadata: BTreeMap::new(),
            paid_with: PaidWith {
                card: Some(CardSummary {
                    brand: Brand::Visa,
                    last4: "0042".to_owned(),
                }),
                hash: hash(0xff),
            },
        },
        fingerprint: hash(0x80),
        environment: "dev-payment-ab12cd34".to_owned(),
        created_at: Timestamp::from_ms(1_795_175_531_007),
    }
}

async fn post(
    ledger: &SqlLedger<FakeSecrets>,
    claim: &Claim,
    color: Color,
) -> Result<Posting, (Applied, String)> {
    let posted = ledger.post(claim, color, BUDGET).await;
    posted.map_err(|error: CallError| (error.applied, error.source.to_string()))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with results")]
fn recorded(claim: &Claim, color: Color) -> Result<Posting, (Applied, String)> {
    Ok(Posting::Recorded(Receipt::of(claim, color)))
}

#[tokio::test]
async fn a_row_is_written_once_and_is_enough_to_answer_again() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let first = claim("k-1", "t-1");
    assert_eq!(
        post(&ledger, &first, Color::Blue).await,
        recorded(&first, Color::Blue)
    );

    // A later claim of the same payment, by the other color: the row's own time and color are answered.
    let mut later = first.clone();
    later.created_at = Timestamp::from_ms(1_795_999_999_999);
    assert_eq!(
        post(&ledger, &later, Color::Green).await,
        recorded(&first, Color::Blue)
    );

    let mut other = first.clone();
    other.fingerprint = hash(2);
    let reused = Posting::KeyReused {
        receipt: Receipt::of(&first, Color::Blue),
        fingerprint: hash(0x80),
    };
    assert_eq!(post(&ledger, &other, Color::Blue).await, Ok(reused));
    let taken = post(&ledger, &claim("k-2", "t-1"), Color::Blue).await;
    assert_eq!(taken, Ok(Posting::TransactionExists));

    assert_eq!(
        db.sql("pay", "SELECT COUNT(*), MIN(user_id) FROM payments"),
        "1\tÜnal 🙂"
    );
    assert_eq!(ledger.connections_opened(), 1);
}

#[tokio::test]
async fn a_payment_is_found_by_its_transaction_id_in_its_scope_only() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let claim = claim("k-1", "t-1");
    let receipt = Receipt::of(&claim, Color::Blue);
    post(&ledger, &claim, Color::Blue).await.unwrap();
    let found = ledger.find(&claim.scope, "t-1", BUDGET).await.unwrap();
    assert_eq!(found, Some(Found::Completed(receipt)));
    let other = Scope::new(Some("shop"), None);
    for (scope, id) in [
        (&claim.scope, "T-1"),
        (&claim.scope, "t-2"),
        (&other, "t-1"),
    ] {
        assert_eq!(ledger.find(scope, id, BUDGET).await.unwrap(), None);
    }
}

#[tokio::test]
async fn keys_are_compared_byte_by_byte() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    for (i, key) in ["key", "KEY", "\"key \"", "\" key\"", "key%", "ke_"]
        .iter()
        .enumerate()
    {
        let claim = claim(key, &format!("t-{i}"));
        assert_eq!(
            post(&ledger, &claim, Color::Blue).await,
            recorded(&claim, Color::Blue),
            "{key}"
        );
    }
    for id in ["id", "ID", "Id"] {
        let claim = claim(&format!("for-{id}"), id);
        assert_eq!(
            post(&ledger, &claim, Color::Blue).await,
            recorded(&claim, Color::Blue),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_color_that_may_not_write_writes_nothing() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let early = claim("early", "t-early");
    assert_eq!(
        post(&ledger, &early, Color::Blue).await,
        recorded(&early, Color::Blue)
    );
    db.sql(
        "pay",
        "UPDATE cutover_epoch SET may_write = FALSE, epoch = 1 WHERE color = 'blue'",
    );

    let late = claim("late", "t-late");
    assert_eq!(post(&ledger, &late, Color::Blue).await, Ok(Posting::Fenced));
    // What was written in time stays so, whoever asks.
    assert_eq!(
        post(&ledger, &early, Color::Blue).await,
        recorded(&early, Color::Blue)
    );
    assert_eq!(
        post(&ledger, &late, Color::Green).await,
        recorded(&late, Color::Green)
    );

    db.sql("pay", "DELETE FROM cutover_epoch");
    let unknown = claim("unknown", "t-unknown");
    assert_eq!(
        post(&ledger, &unknown, Color::Green).await,
        Ok(Posting::Fenced)
    );
}

#[tokio::test(flavor = "current_thread")]
async fn no_write_of_a_retired_color_lands_after_the_flip() {
    let db = database();
    let flip = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The count is taken by the transaction that retires the color: whatever is there later came after it.
        let port = db.port();
        let flip = "UPDATE cutover_epoch SET may_write = FALSE, epoch = 1 WHERE color = 'blue'; SELECT COUNT(*) FROM payments";
        tokio::task::spawn_blocking(move || {
            let output = std::process::Command::new("mariadb")
                .args([
                    "--no-defaults",
                    "-h127.0.0.1",
                    "-uroot",
                    "--batch",
                    "-N",
                    "pay",
                ])
                .arg(format!("-P{port}"))
                .arg(format!("-e{flip}"))
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        })
        .await
        .unwrap()
    };
    let writer = |id: u32| {
        let ledger = ledger(db.port(), "first");
        async move {
            let mut written = 0_u32;
            for i in 0..100_000_u32 {
                let name = format!("w{id}-{i}");
                match post(&ledger, &claim(&name, &name), Color::Blue).await {
                    Ok(Posting::Recorded(_)) => written += 1,
                    Ok(Posting::Fenced) => return written,
                    other => panic!("{other:?}"),
                }
            }
            written
        }
    };
    let (at_flip, a, b, c, d) = tokio::join!(flip, writer(1), writer(2), writer(3), writer(4));
    let written = a + b + c + d;
    assert!(written > 20, "{written}");
    assert_eq!(at_flip, written.to_string());
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments"), at_flip);
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_sending_again() {
    let db = database();
    let proxy = Proxy::start(db.port()).await;
    let ledger = ledger(proxy.port(), "first");
    let warm = claim("warm", "t-warm");
    assert_eq!(
        post(&ledger, &warm, Color::Blue).await,
        recorded(&warm, Color::Blue)
    );

    proxy.lose(1);
    let lost = claim("lost", "t-lost");
    assert_eq!(
        post(&ledger, &lost, Color::Blue).await,
        recorded(&lost, Color::Blue)
    );
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments"), "2");
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn when_every_answer_is_lost_the_effect_is_unknown() {
    let db = database();
    let proxy = Proxy::start(db.port()).await;
    let ledger = ledger(proxy.port(), "first");
    let warm = claim("warm", "t-warm");
    assert_eq!(
        post(&ledger, &warm, Color::Blue).await,
        recorded(&warm, Color::Blue)
    );

    proxy.lose(1_000);
    let lost = post(&ledger, &claim("lost", "t-lost"), Color::Blue).await;
    assert_eq!(lost.map_err(|(applied, _)| applied), Err(Applied::Unknown));
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments"), "2");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_wrote_nothing() {
    let db = database();
    let port = db.port();
    drop(db);
    let refused = post(&ledger(port, "first"), &claim("k", "t"), Color::Blue).await;
    assert_eq!(refused.map_err(|(applied, _)| applied), Err(Applied::No));
}

#[tokio::test]
async fn a_rotated_password_is_read_again_once() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let before = claim("before", "t-before");
    assert_eq!(
        post(&ledger, &before, Color::Blue).await,
        recorded(&before, Color::Blue)
    );

    // The connection that is kept is cut, and the password that is known no longer works.
    db.sql("mysql", "ALTER USER app@'%' IDENTIFIED BY 'second'");
    db.sql("mysql", "KILL USER app");
    ledger
        .secrets()
        .texts
        .borrow_mut()
        .insert("db".to_owned(), secret(db.port(), "second"));
    let after = claim("after", "t-after");
    assert_eq!(
        post(&ledger, &after, Color::Blue).await,
        recorded(&after, Color::Blue)
    );
    assert_eq!(ledger.secrets().reads.get(), 2);

    // A password that is wrong in the secret too is not asked for again and again.
    db.sql("mysql", "ALTER USER app@'%' IDENTIFIED BY 'third'");
    db.sql("mysql", "KILL USER app");
    let refused = post(&ledger, &claim("never", "t-never"), Color::Blue).await;
    assert!(
        matches!(refused, Err((_, ref why)) if why.contains("1045")),
        "{refused:?}"
    );
    assert_eq!(ledger.secrets().reads.get(), 3);
}

#[tokio::test]
async fn a_read_only_server_is_left_and_wrote_nothing() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let before = claim("before", "t-before");
    assert_eq!(
        post(&ledger, &before, Color::Blue).await,
        recorded(&before, Color::Blue)
    );

    db.sql("mysql", "SET GLOBAL read_only = 1");
    let refused = post(&ledger, &claim("during", "t-during"), Color::Blue).await;
    assert!(
        matches!(refused, Err((Applied::No, ref why)) if why.contains("1290")),
        "{refused:?}"
    );
    assert!(ledger.connections_opened() > 1);

    db.sql("mysql", "SET GLOBAL read_only = 0");
    let after = claim("after", "t-after");
    assert_eq!(
        post(&ledger, &after, Color::Blue).await,
        recorded(&after, Color::Blue)
    );
}

#[tokio::test]
async fn a_voided_key_is_never_written() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    db.sql(
        "pay",
        "INSERT INTO payments SET scope = 'm:shop', idempotency_key = 'k', transaction_id = 't', \
         fingerprint = UNHEX(REPEAT('80', 32)), status = 'voided', user_id = 'u', amount = 1, currency = 'EUR', \
         exponent = 2, paid_with_hash = UNHEX(REPEAT('ff', 32)), environment = 'dev-payment-ab12cd34', \
         color = 'blue', created_at = NOW(3)",
    );
    assert_eq!(
        post(&ledger, &claim("k", "t"), Color::Blue).await,
        Ok(Posting::Voided)
    );
}

#[tokio::test]
async fn a_server_without_tls_gets_no_password() {
    let db = database();
    db.sql("mysql", "SELECT 1");
    let ledger = ledger(db.port(), "first");
    let with_tls = secret(db.port(), "first").replace(",\"ssl\":false", "");
    ledger
        .secrets()
        .texts
        .borrow_mut()
        .insert("db".to_owned(), with_tls);
    let refused = post(&ledger, &claim("k", "t"), Color::Blue).await;
    assert_eq!(refused.map_err(|(applied, _)| applied), Err(Applied::No));
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments"), "0");
}

#[tokio::test]
async fn a_server_is_believed_only_with_a_certificate_of_a_known_authority() {
    let certificate = Certificate::make();
    let db = database_with(&certificate.mariadb_options());
    let with_tls = secret(db.port(), "first").replace(",\"ssl\":false", "");

    let known = ledger_of(with_tls.clone(), Some(certificate.authority()));
    let first = claim("k-1", "t-1");
    assert_eq!(
        post(&known, &first, Color::Blue).await,
        recorded(&first, Color::Blue)
    );

    // The built-in authorities do not vouch for it, nor does another one, nor does anyone for another name.
    let another = Certificate::make();
    let other_name = with_tls.replace("127.0.0.1", "localhost");
    for (secret, authority) in [
        (with_tls.clone(), None),
        (with_tls, Some(another.authority())),
        (other_name, Some(certificate.authority())),
    ] {
        let doubtful = ledger_of(secret, authority);
        let refused = post(&doubtful, &claim("k-2", "t-2"), Color::Blue).await;
        assert!(matches!(refused, Err((Applied::No, _))), "{refused:?}");
    }
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments"), "1");
}

/// The sweeper gives a payment up: from then on no attempt can write it, and a row that came first stands.
#[tokio::test]
async fn a_tombstone_and_a_row_exclude_each_other() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let (given_up, made) = (claim("k-1", "t-1"), claim("k-2", "t-2"));
    for _again in 0..2 {
        let voided = ledger.void(&given_up, Color::Blue, BUDGET).await.unwrap();
        assert_eq!(voided, Posting::Voided);
    }
    for color in [Color::Blue, Color::Green] {
        assert_eq!(post(&ledger, &given_up, color).await, Ok(Posting::Voided));
    }
    let taken = post(&ledger, &claim("k-3", "t-1"), Color::Blue).await;
    assert_eq!(taken, Ok(Posting::TransactionExists));
    let found = ledger.find(&given_up.scope, "t-1", BUDGET).await.unwrap();
    assert_eq!(found, Some(Found::Voided));

    post(&ledger, &made, Color::Green).await.unwrap();
    let voided = ledger.void(&made, Color::Blue, BUDGET).await.unwrap();
    let stands = Posting::Recorded(Receipt::of(&made, Color::Green));
    assert_eq!(voided, stands);
    let taken = ledger.void(&claim("k-4", "t-2"), Color::Blue, BUDGET).await;
    assert_eq!(taken.unwrap(), Posting::TransactionExists);
    let rows = "SELECT GROUP_CONCAT(status ORDER BY transaction_id) FROM payments";
    assert_eq!(db.sql("pay", rows).trim(), "voided,completed");
}

/// Of a tombstone and a slow attempt at the same moment exactly one is written, and both are told which.
#[tokio::test]
async fn a_slow_attempt_and_a_tombstone_at_once_leave_one_row() {
    let db = database();
    let (sweeper, slow) = (ledger(db.port(), "first"), ledger(db.port(), "first"));
    for n in 0..40 {
        let claim = claim(&format!("k-{n}"), &format!("t-{n}"));
        let (voided, posted) = tokio::join!(
            sweeper.void(&claim, Color::Blue, BUDGET),
            slow.post(&claim, Color::Blue, BUDGET)
        );
        assert_eq!(voided.unwrap(), posted.unwrap(), "round {n}");
    }
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments").trim(), "40");
}

#[tokio::test]
async fn a_fenced_color_can_neither_write_nor_give_up() {
    let db = database();
    let ledger = ledger(db.port(), "first");
    let ready = async |color| ledger.readiness(color, BUDGET).await.unwrap();
    assert_eq!(ready(Color::Blue).await, Readiness::Writable);
    db.sql(
        "pay",
        "UPDATE cutover_epoch SET may_write = FALSE WHERE color = 'blue'",
    );
    assert_eq!(ready(Color::Blue).await, Readiness::Fenced);
    assert_eq!(ready(Color::Green).await, Readiness::Writable);
    let voided = ledger.void(&claim("k", "t"), Color::Blue, BUDGET).await;
    assert_eq!(voided.unwrap(), Posting::Fenced);
    db.sql("pay", "DELETE FROM cutover_epoch WHERE color = 'blue'");
    assert_eq!(ready(Color::Blue).await, Readiness::Fenced);
    db.sql("pay", "SET GLOBAL read_only = 1");
    assert_eq!(ready(Color::Green).await, Readiness::ReadOnly);
    assert_eq!(db.sql("pay", "SELECT COUNT(*) FROM payments").trim(), "0");
}
