//! In-memory fakes of the payment ports. Each can be told to fail its next calls, before or after they take effect.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cutover_domain::payment::record::LogObject;
use cutover_domain::payment::session::State;
use cutover_domain::payment::settle::Posting;
use cutover_domain::payment::{Claim, Color, Receipt, Scope, Session, SessionId, Timestamp};

use super::{
    Applied, CallError, Found, Ledger, Readiness, SecretText, Secrets, SessionStore,
    TransactionLog, Written,
};

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is not made, and says so.
    Refused,
    /// The call is not made, but its caller cannot know.
    LostBefore,
    /// The call is made, but its caller cannot know.
    LostAfter,
}

/// Failures to come, in order: `None` lets a call through.
#[derive(Debug, Default)]
pub struct Faults(RefCell<VecDeque<Option<Fault>>>);

impl Faults {
    /// Adds failures to come.
    pub fn plan(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.0.borrow_mut().extend(faults);
    }

    fn run<T>(&self, operation: &'static str, call: impl FnOnce() -> T) -> Result<T, CallError> {
        let error = |applied| CallError {
            operation,
            applied,
            source: "fault".into(),
        };
        match self.0.borrow_mut().pop_front().flatten() {
            None => Ok(call()),
            Some(Fault::Refused) => Err(error(Applied::No)),
            Some(Fault::LostBefore) => Err(error(Applied::Unknown)),
            Some(Fault::LostAfter) => {
                let _lost = call();
                Err(error(Applied::Unknown))
            }
        }
    }
}

/// Sessions in memory.
#[derive(Debug, Default)]
pub struct FakeSessions {
    /// Failures to come, one a call.
    pub faults: Faults,
    /// What is stored, by session id.
    pub items: RefCell<BTreeMap<String, Session>>,
}

impl FakeSessions {
    /// Whether another key of the scope has the transaction id.
    fn taken(&self, session: &Session) -> bool {
        self.items.borrow().values().any(|other| {
            other.claim.scope == session.claim.scope
                && other.claim.key != session.claim.key
                && other.claim.payment.transaction_id == session.claim.payment.transaction_id
                && other.state != State::Released
        })
    }

    fn put_if(&self, session: &Session, condition: impl Fn(Option<&Session>) -> bool) -> Written {
        let id = session.claim.session_id();
        let mut items = self.items.borrow_mut();
        let standing = items.get(id.as_str());
        if condition(standing) {
            items.insert(id.as_str().to_owned(), session.clone());
            Written::Done
        } else {
            Written::Refused(standing.cloned().map(Box::new))
        }
    }
}

impl SessionStore for FakeSessions {
    async fn create(&self, session: &Session) -> Result<Written, CallError> {
        self.faults.run("put session", || {
            let id = session.claim.session_id();
            if !self.items.borrow().contains_key(id.as_str()) && self.taken(session) {
                return Written::TransactionTaken;
            }
            self.put_if(session, |standing| standing.is_none())
        })
    }

    async fn replace(&self, session: &Session, read: &Session) -> Result<Written, CallError> {
        self.faults.run("update session", || {
            if read.state == State::Released && self.taken(session) {
                return Written::TransactionTaken;
            }
            self.put_if(session, |standing| {
                standing.is_some_and(|s| s.owner == read.owner && s.state == read.state)
            })
        })
    }

    async fn give_back(&self, session: &Session) -> Result<Written, CallError> {
        self.faults.run("give back session", || {
            self.put_if(session, |standing| {
                standing.is_none_or(|s| s.owner == session.owner)
            })
        })
    }

    async fn get(&self, id: &SessionId) -> Result<Option<Session>, CallError> {
        self.faults.run("get session", || {
            self.items.borrow().get(id.as_str()).cloned()
        })
    }

    async fn stale(
        &self,
        shard: char,
        before: Timestamp,
        limit: u16,
    ) -> Result<Vec<SessionId>, CallError> {
        self.faults.run("query leases", || {
            let items = self.items.borrow();
            let ids = items.values().filter_map(|session| match session.state {
                State::Processing { lease_until } if lease_until < before => {
                    Some(session.claim.session_id())
                }
                _ => None,
            });
            ids.filter(|id| id.short_hash().starts_with(shard))
                .take(usize::from(limit))
                .collect()
        })
    }

    async fn round_trip(&self, _: &str, _: &str) -> Result<(), CallError> {
        self.faults.run("write and read a session", || ())
    }
}

/// A ledger in memory.
#[derive(Debug, Default)]
pub struct FakeLedger {
    /// Failures to come, one a call.
    pub faults: Faults,
    /// Colors that may not write.
    pub fenced: RefCell<BTreeSet<Color>>,
    /// Rows by session id.
    pub rows: RefCell<BTreeMap<String, (Claim, Receipt)>>,
    /// Claims that were given up, by session id.
    pub tombstones: RefCell<BTreeMap<String, Claim>>,
    /// Whether the server takes no writes.
    pub read_only: Cell<bool>,
}

impl FakeLedger {
    /// What stands under the claim's keys, or keeps `color` from writing.
    fn standing(&self, claim: &Claim, color: Color) -> Option<Posting> {
        let id = claim.session_id().as_str().to_owned();
        let (rows, tombstones) = (self.rows.borrow(), self.tombstones.borrow());
        if let Some((standing, receipt)) = rows.get(&id) {
            return Some(if standing.fingerprint == claim.fingerprint {
                Posting::Recorded(receipt.clone())
            } else {
                Posting::KeyReused {
                    receipt: receipt.clone(),
                    fingerprint: standing.fingerprint,
                }
            });
        }
        if tombstones.contains_key(&id) {
            return Some(Posting::Voided);
        }
        if self.fenced.borrow().contains(&color) {
            return Some(Posting::Fenced);
        }
        let mut claims = rows
            .values()
            .map(|(claim, _)| claim)
            .chain(tombstones.values());
        let taken = claims.any(|other| {
            other.scope == claim.scope
                && other.payment.transaction_id == claim.payment.transaction_id
        });
        taken.then_some(Posting::TransactionExists)
    }

    fn insert(&self, claim: &Claim, color: Color) -> Posting {
        if let Some(standing) = self.standing(claim, color) {
            return standing;
        }
        let id = claim.session_id().as_str().to_owned();
        let receipt = Receipt::of(claim, color);
        let row = (claim.clone(), receipt.clone());
        self.rows.borrow_mut().insert(id, row);
        Posting::Recorded(receipt)
    }

    fn bury(&self, claim: &Claim, color: Color) -> Posting {
        if let Some(standing) = self.standing(claim, color) {
            return standing;
        }
        let id = claim.session_id().as_str().to_owned();
        self.tombstones.borrow_mut().insert(id, claim.clone());
        Posting::Voided
    }
}

impl Ledger for FakeLedger {
    async fn connect(&self, _: Duration) {}

    async fn post(&self, claim: &Claim, color: Color, _: Duration) -> Result<Posting, CallError> {
        self.faults
            .run("insert payment", || self.insert(claim, color))
    }

    async fn void(&self, claim: &Claim, color: Color, _: Duration) -> Result<Posting, CallError> {
        self.faults
            .run("insert tombstone", || self.bury(claim, color))
    }

    async fn readiness(&self, color: Color, _: Duration) -> Result<Readiness, CallError> {
        self.faults.run("read fence", || {
            if self.read_only.get() {
                Readiness::ReadOnly
            } else if self.fenced.borrow().contains(&color) {
                Readiness::Fenced
            } else {
                Readiness::Writable
            }
        })
    }

    async fn find(
        &self,
        scope: &Scope,
        transaction_id: &str,
        _: Duration,
    ) -> Result<Option<Found>, CallError> {
        self.faults.run("find payment", || {
            let rows = self.rows.borrow();
            let found = rows.values().find(|(claim, _)| {
                claim.scope == *scope && claim.payment.transaction_id == transaction_id
            });
            found.map(|(_, receipt)| Found::Completed(receipt.clone()))
        })
    }
}

/// A transaction log in memory.
#[derive(Debug, Default)]
pub struct FakeLog {
    /// Failures to come, one a call.
    pub faults: Faults,
    /// Bytes by key.
    pub objects: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl TransactionLog for FakeLog {
    async fn put(&self, object: &LogObject) -> Result<(), CallError> {
        let same = self.faults.run("put log object", || {
            let mut objects = self.objects.borrow_mut();
            let standing = objects
                .entry(object.key.clone())
                .or_insert_with(|| object.bytes.clone());
            *standing == object.bytes
        })?;
        if same {
            Ok(())
        } else {
            Err(CallError {
                operation: "put log object",
                applied: Applied::No,
                source: "other bytes are there".into(),
            })
        }
    }

    async fn reach(&self) -> Result<(), CallError> {
        self.faults.run("list log objects", || ())
    }

    async fn round_trip(&self, _: &str, _: &str) -> Result<(), CallError> {
        self.faults.run("write and read a log object", || ())
    }
}

/// Secrets in memory.
#[derive(Default)]
pub struct FakeSecrets {
    /// Failures to come, one a call.
    pub faults: Faults,
    /// Text by id.
    pub texts: RefCell<BTreeMap<String, String>>,
    /// How often a secret was read.
    pub reads: Cell<u32>,
}

impl Secrets for FakeSecrets {
    async fn get(&self, id: &str) -> Result<SecretText, CallError> {
        let text = self.faults.run("get secret", || {
            self.reads.set(self.reads.get() + 1);
            self.texts.borrow().get(id).cloned()
        })?;
        text.map(SecretText::new).ok_or_else(|| CallError {
            operation: "get secret",
            applied: Applied::No,
            source: "no such secret".into(),
        })
    }
}
