//! Payments at a fixed rate, by the function's own code.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use cutover_domain::payment::card::CardSummary;
use cutover_domain::payment::currency::Currency;
use cutover_domain::payment::request::PaidWith;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{
    Brand, Claim, Color, IdempotencyKey, KeyedHash, Money, Payment, Scope, Timestamp,
};
use cutover_ledger::{LedgerConfig, SqlLedger};
use cutover_ports::payment::Ledger as _;
use cutover_ports::payment::fakes::FakeSecrets;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep_until};

use crate::servers::Servers;

/// Payers at the same time.
const PAYERS: u32 = 4;
/// One payment of each payer in so long: 200 payments a second in all.
const EVERY: Duration = Duration::from_millis(20);
const BUDGET: Duration = Duration::from_secs(9);

/// What the payments of a time took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    /// Payments a second that were answered.
    pub(crate) per_second: f64,
    /// Half of them took no longer, in ms.
    pub(crate) p50_ms: f64,
    /// 99 of 100 took no longer, in ms.
    pub(crate) p99_ms: f64,
}

#[derive(Default)]
struct Seen {
    took_ms: RefCell<Vec<f64>>,
    failed: Cell<u32>,
    stop: Cell<bool>,
}

/// Payments that come until they are stopped.
pub(crate) struct Load {
    seen: Rc<Seen>,
    payers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(servers: &Servers) -> Self {
        let seen = Rc::new(Seen::default());
        let payers = (0..PAYERS).map(|payer| {
            let ledger = ledger(servers.secret("blue"));
            spawn_local(pay(ledger, payer, Rc::clone(&seen)))
        });
        let payers = payers.collect();
        Self { seen, payers }
    }

    /// Forgets what was timed so far.
    pub(crate) fn mark(&self) {
        self.seen.took_ms.borrow_mut().clear();
    }

    /// What was timed since the mark, which was so long ago.
    pub(crate) fn since_mark(&self, elapsed: Duration) -> Timed {
        let mut took = self.seen.took_ms.borrow().clone();
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(0.0);
        let count = u32::try_from(took.len()).expect("not that many");
        Timed {
            per_second: f64::from(count) / elapsed.as_secs_f64(),
            p50_ms: at(50),
            p99_ms: at(99),
        }
    }

    /// Ends them, and says how many failed.
    pub(crate) async fn stop(self) -> u32 {
        self.seen.stop.set(true);
        for payer in self.payers {
            payer.await.expect("a payer ends");
        }
        self.seen.failed.get()
    }
}

fn ledger(secret: String) -> SqlLedger<FakeSecrets> {
    let secrets = FakeSecrets {
        texts: RefCell::new(BTreeMap::from([("db".to_owned(), secret)])),
        ..FakeSecrets::default()
    };
    let config = LedgerConfig {
        secret_id: "db".to_owned(),
        endpoint: None,
        ca_bundle: None,
    };
    SqlLedger::new(secrets, config)
}

async fn pay(ledger: SqlLedger<FakeSecrets>, payer: u32, seen: Rc<Seen>) {
    let begun = Instant::now() + EVERY * payer / PAYERS;
    for i in 0..1_000_000_u32 {
        if seen.stop.get() {
            return;
        }
        // Timed from when it was due: a payment that had to wait for the one before it counts as late.
        let due = begun + EVERY * i;
        sleep_until(due).await;
        let claim = claim(&format!("bench-{payer}-{i}"));
        match ledger.post(&claim, Color::Blue, BUDGET).await {
            Ok(Posting::Recorded(_)) => {
                let ms = due.elapsed().as_secs_f64() * 1_000.0;
                seen.took_ms.borrow_mut().push(ms);
            }
            _ => seen.failed.set(seen.failed.get() + 1),
        }
    }
}

fn claim(key: &str) -> Claim {
    let hash = KeyedHash::from_bytes(&[7; 32]).expect("32 bytes");
    let usd = Currency::find("USD").expect("it is one");
    Claim {
        scope: Scope::new(None, Some("shop")),
        key: IdempotencyKey::parse(key).expect("a key"),
        payment: Payment {
            transaction_id: key.to_owned(),
            user_id: "user".to_owned(),
            merchant_id: Some("shop".to_owned()),
            money: Money::new(1_999, usd).expect("an amount"),
            description: None,
            metadata: BTreeMap::new(),
            paid_with: PaidWith {
                card: Some(CardSummary {
                    brand: Brand::Visa,
                    last4: "4242".to_owned(),
                }),
                hash,
            },
        },
        fingerprint: hash,
        environment: "dev-payment-ab12cd34".to_owned(),
        created_at: Timestamp::from_ms(1_795_175_531_007),
    }
}
