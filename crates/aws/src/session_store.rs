//! The session store on DynamoDB: every write is conditional, and a refused one brings the item that stands instead.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use cutover_domain::payment::session::State;
use cutover_domain::payment::{Session, SessionId, Timestamp};
use cutover_ports::payment::{Applied, CallError, SessionStore, Written};

use crate::call;
use crate::session_item::{self, Item, KEY};
use crate::session_write::{self, Guard, Sent, SessionWrite, TRANSACTION_KEY};

/// Attempts at one call. They are made here and not by the SDK, so that an effect that any of them may have had is known.
const ATTEMPTS_MAX: u32 = 3;
/// Wait before the second attempt, doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The sparse index of the sessions that are being processed: `leaseShard` and `leaseUntil`, and nothing but keys.
const LEASE_INDEX: &str = "LeaseIndex";

/// How long the item of a self-test is kept, in seconds.
const TEST_KEPT_SECONDS: u64 = 3600;

/// The session table.
pub struct DynamoSessions {
    client: Client,
    table: String,
}

impl DynamoSessions {
    /// The sessions in `table`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: String) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(config),
            table,
        }
    }

    async fn create_once(&self, session: &Session) -> Result<Written, CallError> {
        let write = SessionWrite::create(session);
        let guard = session.guard_id().map(|id| Guard::claim(&id, session));
        self.claim("put session", session, None, write, guard).await
    }

    async fn replace_once(&self, session: &Session, read: &Session) -> Result<Written, CallError> {
        const OPERATION: &str = "update session";
        let write = SessionWrite::replace(session, read);
        if read.state == State::Released {
            let guard = session.guard_id().map(|id| Guard::claim(&id, session));
            return self
                .claim(OPERATION, session, Some(read), write, guard)
                .await;
        }
        let gives_up = session.state == State::Released || session.guard_id() != read.guard_id();
        let guard = read.guard_id().filter(|_| gives_up);
        self.give_up(OPERATION, write, guard, read).await
    }

    async fn give_back_once(&self, session: &Session) -> Result<Written, CallError> {
        let write = SessionWrite::give_back(session);
        self.give_up("give back session", write, session.guard_id(), session)
            .await
    }

    /// A write that claims the transaction id of `session`.
    async fn claim(
        &self,
        operation: &'static str,
        session: &Session,
        read: Option<&Session>,
        write: SessionWrite,
        guard: Option<Guard>,
    ) -> Result<Written, CallError> {
        let own_guard = guard.is_none();
        match self.send(operation, write, guard).await? {
            Sent::Done => Ok(Written::Done),
            Sent::GuardRefused => Ok(Written::TransactionTaken),
            Sent::Refused(item) => {
                let item = self.standing(operation, session, item).await?;
                let standing = item
                    .as_ref()
                    .map_or(Ok(None), |item| parsed(operation, item))?;
                let unchanged = match (&standing, read) {
                    (None, None) => true,
                    (Some(standing), Some(read)) => {
                        standing.owner == read.owner && standing.state == read.state
                    }
                    _ => false,
                };
                let taken = item.is_some_and(|item| item.contains_key(TRANSACTION_KEY));
                Ok(if own_guard && unchanged && taken {
                    Written::TransactionTaken
                } else {
                    Written::Refused(standing.map(Box::new))
                })
            }
        }
    }

    /// A write that claims nothing, and may take the guard of `owner` away.
    async fn give_up(
        &self,
        operation: &'static str,
        write: SessionWrite,
        guard: Option<SessionId>,
        owner: &Session,
    ) -> Result<Written, CallError> {
        let guard = guard.map(|id| Guard::give_up(&id, owner));
        let mut sent = self.send(operation, write.clone(), guard).await?;
        if matches!(sent, Sent::GuardRefused) {
            // There is none of its own to take away.
            sent = self.send(operation, write, None).await?;
        }
        match sent {
            Sent::Done => Ok(Written::Done),
            Sent::GuardRefused => Ok(Written::Refused(None)),
            Sent::Refused(item) => {
                let item = self.standing(operation, owner, item).await?;
                let standing = item
                    .as_ref()
                    .map_or(Ok(None), |item| parsed(operation, item))?;
                Ok(Written::Refused(standing.map(Box::new)))
            }
        }
    }

    /// The item that refused a write: read, where the refusal did not bring it.
    async fn standing(
        &self,
        operation: &'static str,
        session: &Session,
        item: Option<Item>,
    ) -> Result<Option<Item>, CallError> {
        if item.as_ref().is_some_and(|item| !item.is_empty()) {
            return Ok(item);
        }
        self.read(operation, &session.claim.session_id()).await
    }

    async fn read(
        &self,
        operation: &'static str,
        id: &SessionId,
    ) -> Result<Option<Item>, CallError> {
        let reading = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, session_item::text(id.as_str()))
            .consistent_read(true)
            .send();
        Box::pin(reading)
            .await
            .map(|answer| answer.item)
            .map_err(|error| call::error(operation, &error))
    }

    async fn send(
        &self,
        operation: &'static str,
        write: SessionWrite,
        guard: Option<Guard>,
    ) -> Result<Sent, CallError> {
        match guard {
            None => write.send(&self.client, &self.table, operation).await,
            Some(guard) => {
                let both = session_write::both(write, guard, &self.table, operation)?;
                session_write::transact(&self.client, both, operation).await
            }
        }
    }
}

/// The session that an item holds: one with a guard alone holds none.
fn parsed(operation: &'static str, item: &Item) -> Result<Option<Session>, CallError> {
    if !item.contains_key("status") {
        return Ok(None);
    }
    let session = session_item::from_item(item).map_err(|error| CallError {
        operation,
        applied: Applied::No,
        source: error.into(),
    })?;
    Ok(Some(session))
}

/// Tries until there is an answer. A write that is refused by its own earlier attempt was done.
async fn retried<F>(session: &Session, mut once: impl FnMut() -> F) -> Result<Written, CallError>
where
    F: Future<Output = Result<Written, CallError>>,
{
    let mut applied = Applied::No;
    let mut wait = FIRST_WAIT;
    let mut attempt = 1;
    loop {
        match once().await {
            Ok(Written::Refused(Some(standing)))
                if standing.owner == session.owner && standing.state == session.state =>
            {
                return Ok(Written::Done);
            }
            Ok(written) => return Ok(written),
            Err(mut error) => {
                if error.applied == Applied::Unknown {
                    applied = Applied::Unknown;
                }
                if attempt == ATTEMPTS_MAX {
                    error.applied = applied;
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
        attempt += 1;
    }
}

impl SessionStore for DynamoSessions {
    async fn create(&self, session: &Session) -> Result<Written, CallError> {
        retried(session, || self.create_once(session)).await
    }

    async fn replace(&self, session: &Session, read: &Session) -> Result<Written, CallError> {
        retried(session, || self.replace_once(session, read)).await
    }

    async fn give_back(&self, session: &Session) -> Result<Written, CallError> {
        retried(session, || self.give_back_once(session)).await
    }

    async fn get(&self, id: &SessionId) -> Result<Option<Session>, CallError> {
        const OPERATION: &str = "get session";
        let item = self.read(OPERATION, id).await?;
        item.as_ref()
            .map_or(Ok(None), |item| parsed(OPERATION, item))
    }

    /// One page: it holds 1 MB of keys, far more than any limit.
    async fn stale(
        &self,
        shard: char,
        before: Timestamp,
        limit: u16,
    ) -> Result<Vec<SessionId>, CallError> {
        let asking = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(LEASE_INDEX)
            .key_condition_expression("#leaseShard = :shard AND #leaseUntil < :before")
            .expression_attribute_names("#leaseShard", "leaseShard")
            .expression_attribute_names("#leaseUntil", "leaseUntil")
            .expression_attribute_values(":shard", session_item::text(&shard.to_string()))
            .expression_attribute_values(":before", session_item::number(before.ms()))
            .limit(i32::from(limit))
            .send();
        let answer = Box::pin(asking)
            .await
            .map_err(|error| call::error("query leases", &error))?;
        let ids = answer
            .items()
            .iter()
            .filter_map(|item| item.get(KEY)?.as_s().ok());
        Ok(ids.cloned().map(SessionId::from_stored).collect())
    }

    async fn round_trip(&self, id: &str, nonce: &str) -> Result<(), CallError> {
        const OPERATION: &str = "write and read a session";
        let expires_at = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
            .saturating_add(TEST_KEPT_SECONDS);
        self.client
            .put_item()
            .table_name(&self.table)
            .item(KEY, session_item::text(id))
            .item("nonce", session_item::text(nonce))
            .item("expiresAt", session_item::number(expires_at))
            .send()
            .await
            .map_err(|error| call::error(OPERATION, &error))?;
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, session_item::text(id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| call::error(OPERATION, &error))?;
        let read = read.item().and_then(|item| item.get("nonce")?.as_s().ok());
        if read.is_some_and(|read| read == nonce) {
            return Ok(());
        }
        Err(CallError {
            operation: OPERATION,
            applied: Applied::Unknown,
            source: "what was written is not there".into(),
        })
    }
}
