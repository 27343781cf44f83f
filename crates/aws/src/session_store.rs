//! The session store on DynamoDB: every write is conditional, and a refused one brings the item that stands instead.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use cutover_domain::payment::session::State;
use cutover_domain::payment::{Session, SessionId, Timestamp};
use cutover_ports::payment::{Applied, CallError, SessionStore, Written};

use crate::call;
use crate::session_item::{self, Item, KEY, OF_STATE};

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
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(session_item::to_item(session)))
            .condition_expression("attribute_not_exists(#key)")
            .expression_attribute_names("#key", KEY)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    refused_by("put session", refused.item())
                }
                _ => Err(call::error("put session", &error)),
            },
        }
    }

    async fn give_back_once(&self, session: &Session) -> Result<Written, CallError> {
        let sent = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(session_item::to_item(session)))
            .condition_expression("attribute_not_exists(#key) OR #owner = :owner")
            .expression_attribute_names("#key", KEY)
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_values(":owner", session_item::text(&session.owner))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    refused_by("give back session", refused.item())
                }
                _ => Err(call::error("give back session", &error)),
            },
        }
    }

    /// An update and not a put: attributes that another version of this function knows survive.
    async fn replace_once(&self, session: &Session, read: &Session) -> Result<Written, CallError> {
        let mut item = session_item::to_item(session);
        let key = item
            .remove(KEY)
            .unwrap_or_else(|| session_item::text(session.claim.session_id().as_str()));
        let mut sent = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, key)
            .update_expression(update_expression(&item))
            .condition_expression(condition(read))
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":readOwner", session_item::text(&read.owner))
            .expression_attribute_values(
                ":readStatus",
                session_item::text(session_item::status(&read.state)),
            )
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let State::Processing { lease_until } = read.state {
            sent = sent
                .expression_attribute_values(":readLease", session_item::number(lease_until.ms()));
        }
        for name in OF_STATE {
            sent = sent.expression_attribute_names(format!("#{name}"), name);
        }
        for (name, value) in item {
            sent = sent
                .expression_attribute_names(format!("#{name}"), &name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        match sent.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    refused_by("update session", refused.item())
                }
                _ => Err(call::error("update session", &error)),
            },
        }
    }
}

/// Sets every attribute that `item` has, and removes those of a state that it is not in.
fn update_expression(item: &Item) -> String {
    let set: Vec<String> = item
        .keys()
        .map(|name| format!("#{name} = :{name}"))
        .collect();
    let remove: Vec<String> = OF_STATE
        .iter()
        .filter(|name| !item.contains_key(**name))
        .map(|name| format!("#{name}"))
        .collect();
    let mut expression = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        expression.push_str(" REMOVE ");
        expression.push_str(&remove.join(", "));
    }
    expression
}

/// The item is still the one that was read.
fn condition(read: &Session) -> &'static str {
    match read.state {
        State::Processing { .. } => {
            "#owner = :readOwner AND #status = :readStatus AND #leaseUntil = :readLease"
        }
        _ => "#owner = :readOwner AND #status = :readStatus",
    }
}

fn refused_by(operation: &'static str, standing: Option<&Item>) -> Result<Written, CallError> {
    let standing = standing
        .map(session_item::from_item)
        .transpose()
        .map_err(|error| CallError {
            operation,
            applied: Applied::No,
            source: error.into(),
        })?;
    Ok(Written::Refused(standing.map(Box::new)))
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
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, session_item::text(id.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| call::error("get session", &error))?;
        answer
            .item()
            .map(session_item::from_item)
            .transpose()
            .map_err(|error| CallError {
                operation: "get session",
                applied: Applied::No,
                source: error.into(),
            })
    }

    /// One page: it holds 1 MB of keys, far more than any limit.
    async fn stale(
        &self,
        shard: char,
        before: Timestamp,
        limit: u16,
    ) -> Result<Vec<SessionId>, CallError> {
        let answer = self
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
            .send()
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
