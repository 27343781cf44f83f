//! Databases that answer what a test has put into them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::parity::fence;
use cutover_domain::parity::{FenceOrder, FenceOutcome, FenceRow, Progress, SchemaFindings};
use cutover_domain::payment::Color;

use super::{
    ChangeLog, DataParity, DatabaseError, Fence, FenceAnswer, LedgerRow, LedgerRows, Login,
    LoginCheck, Pair, ParityRequest, ReplicaLink, ReplicaStatus, RowPage, RowPlace, SchemaParity,
    SchemaUpgrade, Site, Trouble, UpgradeError, Upgraded, Window,
};

/// What is in the databases; by site name where it is of one.
#[derive(Debug, Default)]
pub struct Inner {
    /// Sites that can't be used, and why.
    pub down: BTreeMap<String, Trouble>,
    /// Whether logins are over TLS.
    pub plaintext: bool,
    /// What schemas are found to be.
    pub schemas: SchemaFindings,
    /// What each call of `compare_rows` answers, the first one first. The last is repeated.
    pub rows: Vec<Progress>,
    /// The progress and budget that each call of `compare_rows` was given.
    pub row_calls: Vec<(Option<Progress>, Duration)>,
    /// The version of each schema.
    pub versions: BTreeMap<String, u32>,
    /// The rows of each fence.
    pub fences: BTreeMap<String, Vec<FenceRow>>,
    /// The streams into each database.
    pub links: BTreeMap<String, Vec<ReplicaLink>>,
    /// The ledger of each database.
    pub ledgers: BTreeMap<String, Vec<LedgerRow>>,
}

/// All of them in one: clones share the same databases.
#[derive(Debug, Clone, Default)]
pub struct FakeDatabases(Arc<Mutex<Inner>>);

/// The newest version of the fake's schema.
pub const NEWEST: u32 = 3;

impl FakeDatabases {
    /// A look at, or a hand in, the databases.
    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reach(&self, operation: &'static str, site: &Site) -> Result<(), DatabaseError> {
        match self.inner().down.get(&site.name) {
            None => Ok(()),
            Some(trouble) => Err(DatabaseError {
                operation,
                site: site.name.clone(),
                trouble: *trouble,
                source: "as the test says".into(),
            }),
        }
    }

    fn reach_both(&self, operation: &'static str, pair: &Pair) -> Result<(), DatabaseError> {
        self.reach(operation, &pair.blue)?;
        self.reach(operation, &pair.green)
    }
}

#[async_trait]
impl LoginCheck for FakeDatabases {
    async fn log_in(&self, site: &Site, _budget: Duration) -> Result<Login, DatabaseError> {
        self.reach("log in", site)?;
        Ok(Login {
            server: "Fake 1.0".to_owned(),
            tls: !self.inner().plaintext,
            writable: true,
            change_log: ChangeLog {
                ready: true,
                observed: "on".to_owned(),
            },
        })
    }
}

#[async_trait]
impl SchemaParity for FakeDatabases {
    async fn compare_schemas(
        &self,
        pair: &Pair,
        _tables: &[String],
        _budget: Duration,
    ) -> Result<SchemaFindings, DatabaseError> {
        self.reach_both("read the schema", pair)?;
        Ok(self.inner().schemas.clone())
    }
}

#[async_trait]
impl DataParity for FakeDatabases {
    async fn compare_rows(
        &self,
        pair: &Pair,
        _request: &ParityRequest,
        progress: Option<Progress>,
        budget: Duration,
    ) -> Result<Progress, DatabaseError> {
        self.reach_both("compare rows", pair)?;
        let mut inner = self.inner();
        let call = inner.row_calls.len();
        inner.row_calls.push((progress, budget));
        let answer = inner.rows.get(call).or_else(|| inner.rows.last());
        Ok(answer.cloned().unwrap_or_else(|| Progress::of([])))
    }
}

#[async_trait]
impl SchemaUpgrade for FakeDatabases {
    fn newest(&self) -> u32 {
        NEWEST
    }

    async fn upgrade(
        &self,
        site: &Site,
        version: Option<u32>,
        _budget: Duration,
    ) -> Result<Upgraded, UpgradeError> {
        self.reach("upgrade the schema", site)?;
        let mut inner = self.inner();
        let stored = inner.versions.entry(site.name.clone()).or_default();
        let (from, wanted) = (*stored, version.unwrap_or(NEWEST));
        if wanted < from {
            let refused = cutover_domain::parity::upgrade::NoUpgrade::Downgrade {
                stored: from,
                wanted,
            };
            return Err(refused.into());
        }
        *stored = wanted;
        Ok(Upgraded {
            from,
            to: wanted,
            applied: (from..wanted)
                .map(|n| format!("{:03}.sql", n + 1))
                .collect(),
        })
    }
}

#[async_trait]
impl Fence for FakeDatabases {
    async fn set_fence(
        &self,
        site: &Site,
        order: &FenceOrder,
        _budget: Duration,
    ) -> Result<FenceAnswer, DatabaseError> {
        self.reach("set the fence", site)?;
        let mut inner = self.inner();
        let rows = inner.fences.entry(site.name.clone()).or_default();
        let outcome = fence::decide(order, rows);
        if outcome == FenceOutcome::Applied {
            *rows = [Color::Blue, Color::Green]
                .map(|color| FenceRow {
                    color,
                    may_write: order.may_write(color),
                    epoch: order.epoch,
                })
                .to_vec();
        }
        Ok(FenceAnswer {
            outcome,
            stands: rows.clone(),
        })
    }
}

#[async_trait]
impl ReplicaStatus for FakeDatabases {
    async fn links(
        &self,
        site: &Site,
        _budget: Duration,
    ) -> Result<Vec<ReplicaLink>, DatabaseError> {
        self.reach("read the replica's status", site)?;
        Ok(self
            .inner()
            .links
            .get(&site.name)
            .cloned()
            .unwrap_or_default())
    }
}

#[async_trait]
impl LedgerRows for FakeDatabases {
    async fn page(
        &self,
        site: &Site,
        window: Window,
        after: Option<&RowPlace>,
        limit: u16,
        _budget: Duration,
    ) -> Result<RowPage, DatabaseError> {
        self.reach("read the ledger", site)?;
        let place = |row: &LedgerRow| RowPlace {
            created_at: row.created_at,
            scope: row.scope.clone(),
            idempotency_key: row.idempotency_key.clone(),
        };
        let order = |place: &RowPlace| {
            (
                place.created_at,
                place.scope.clone(),
                place.idempotency_key.clone(),
            )
        };
        let mut rows: Vec<LedgerRow> = self
            .inner()
            .ledgers
            .get(&site.name)
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .filter(|row| window.from <= row.created_at && row.created_at < window.until)
            .filter(|row| after.is_none_or(|after| order(&place(row)) > order(after)))
            .collect();
        rows.sort_by_key(|row| order(&place(row)));
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let next = rows.last().filter(|_| more).map(place);
        Ok(RowPage { rows, next })
    }
}
