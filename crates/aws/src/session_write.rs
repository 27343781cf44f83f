//! The conditional writes of a session, alone or in one transaction with the guard of its transaction id.
//!
//! All are updates and not puts: attributes that another version of this function knows survive, and so does the guard
//! of another payment that stands on the same item.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use cutover_domain::payment::session::State;
use cutover_domain::payment::{Session, SessionId};
use cutover_ports::payment::{Applied, CallError};

use crate::call;
use crate::session_item::{self, Item, KEY, OF_STATE};

/// The attribute that says which key has the transaction id that the item is named after.
pub(crate) const TRANSACTION_KEY: &str = "transactionKey";

/// The code of a cancellation by a condition.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";

/// What became of a write.
#[derive(Debug)]
pub(crate) enum Sent {
    Done,
    /// The session's condition did not hold; the item that stands, if the answer brought it.
    Refused(Option<Item>),
    /// Only the guard's condition did not hold.
    GuardRefused,
}

/// An update of one item.
#[derive(Debug, Clone)]
struct Change {
    key: AttributeValue,
    update: String,
    condition: String,
    names: HashMap<String, String>,
    values: Item,
}

impl Change {
    fn name(mut self, name: &str) -> Self {
        self.names.insert(format!("#{name}"), name.to_owned());
        self
    }

    fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(format!(":{name}"), value);
        self
    }

    fn into_update(self, table: &str, operation: &'static str) -> Result<Update, CallError> {
        Update::builder()
            .table_name(table)
            .key(KEY, self.key)
            .update_expression(self.update)
            .condition_expression(self.condition)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| CallError {
                operation,
                applied: Applied::No,
                source: error.into(),
            })
    }
}

/// A write of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionWrite(Change);

impl SessionWrite {
    fn change(session: &Session, condition: &str) -> Change {
        let mut item = session_item::to_item(session);
        let key = item
            .remove(KEY)
            .unwrap_or_else(|| session_item::text(session.claim.session_id().as_str()));
        let names = item.keys().map(String::as_str).chain(OF_STATE);
        Change {
            key,
            update: update_expression(&item),
            condition: condition.to_owned(),
            names: names
                .map(|name| (format!("#{name}"), name.to_owned()))
                .collect(),
            values: item
                .into_iter()
                .map(|(name, value)| (format!(":{name}"), value))
                .collect(),
        }
    }

    /// A claim of a session that is its own guard is refused where another one's stands.
    fn guarded(mut change: Change, session: &Session) -> Self {
        if session.guard_id().is_none() {
            change
                .condition
                .push_str(" AND attribute_not_exists(#transactionKey)");
            change = change.name(TRANSACTION_KEY);
        }
        Self(change)
    }

    /// If there is no session.
    pub(crate) fn create(session: &Session) -> Self {
        Self::guarded(
            Self::change(session, "attribute_not_exists(#status)"),
            session,
        )
    }

    /// If there is none, or one of the same owner.
    pub(crate) fn give_back(session: &Session) -> Self {
        let condition = "attribute_not_exists(#status) OR #owner = :owner";
        Self(Self::change(session, condition))
    }

    /// If the one that was read still stands.
    pub(crate) fn replace(session: &Session, read: &Session) -> Self {
        let mut change = Self::change(session, condition(read))
            .value("readOwner", session_item::text(&read.owner))
            .value(
                "readStatus",
                session_item::text(session_item::status(&read.state)),
            );
        if let State::Processing { lease_until } = read.state {
            change = change.value("readLease", session_item::number(lease_until.ms()));
        }
        if read.state == State::Released {
            Self::guarded(change, session)
        } else {
            Self(change)
        }
    }

    /// Sends it alone.
    pub(crate) async fn send(
        self,
        client: &Client,
        table: &str,
        operation: &'static str,
    ) -> Result<Sent, CallError> {
        let Self(change) = self;
        // On the heap, as every call here: the future of an SDK's call is large, and all that await it would copy it.
        let sending = client
            .update_item()
            .table_name(table)
            .key(KEY, change.key)
            .update_expression(change.update)
            .condition_expression(change.condition)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send();
        match Box::pin(sending).await {
            Ok(_) => Ok(Sent::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Sent::Refused(refused.item().cloned()))
                }
                _ => Err(call::error(operation, &error)),
            },
        }
    }
}

/// A write of a guard.
#[derive(Debug)]
pub(crate) struct Guard(Change);

impl Guard {
    fn change(id: &SessionId, session: &Session, update: &str, condition: &str) -> Change {
        Change {
            key: session_item::text(id.as_str()),
            update: update.to_owned(),
            condition: condition.to_owned(),
            names: HashMap::new(),
            values: Item::new(),
        }
        .name(TRANSACTION_KEY)
        .value("key", session_item::text(session.claim.key.as_str()))
    }

    /// The transaction id is the session's from now on, if no other session has it that was not given back.
    pub(crate) fn claim(id: &SessionId, session: &Session) -> Self {
        let update = "SET #transactionKey = :key, #expiresAt = :expiresAt";
        let condition = "(attribute_not_exists(#transactionKey) OR #transactionKey = :key) AND \
             (attribute_not_exists(#status) OR #transactionId <> :transactionId OR #reason = :released)";
        let change = Self::change(id, session, update, condition)
            .name("expiresAt")
            .name("status")
            .name("transactionId")
            .name("reason")
            .value(
                "expiresAt",
                session_item::number(session.expires_at.seconds()),
            )
            .value(
                "transactionId",
                session_item::text(&session.claim.payment.transaction_id),
            )
            .value("released", session_item::text("released"));
        Self(change)
    }

    /// The transaction id is the session's no longer.
    pub(crate) fn give_up(id: &SessionId, session: &Session) -> Self {
        let update = "REMOVE #transactionKey";
        Self(Self::change(id, session, update, "#transactionKey = :key"))
    }
}

/// Both writes, the session's first.
pub(crate) fn both(
    write: SessionWrite,
    guard: Guard,
    table: &str,
    operation: &'static str,
) -> Result<[TransactWriteItem; 2], CallError> {
    let item = |change: Change| {
        let update = change.into_update(table, operation)?;
        Ok(TransactWriteItem::builder().update(update).build())
    };
    Ok([item(write.0)?, item(guard.0)?])
}

/// Makes both writes or none.
pub(crate) async fn transact(
    client: &Client,
    both: [TransactWriteItem; 2],
    operation: &'static str,
) -> Result<Sent, CallError> {
    let sending = client
        .transact_write_items()
        .set_transact_items(Some(both.into()))
        .send();
    match Box::pin(sending).await {
        Ok(_) => Ok(Sent::Done),
        Err(error) => match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                match refusal(cancelled.cancellation_reasons()) {
                    Some(sent) => Ok(sent),
                    // Another transaction has one of the items just now: to be tried again.
                    None => Err(call::error(operation, &error)),
                }
            }
            _ => Err(call::error(operation, &error)),
        },
    }
}

/// Which condition did not hold. The session's comes first: it may be this very write, made before.
fn refusal(reasons: &[CancellationReason]) -> Option<Sent> {
    let failed = |reason: &CancellationReason| reason.code() == Some(CONDITION_FAILED);
    let (session, guard) = (reasons.first()?, reasons.get(1)?);
    if failed(session) {
        Some(Sent::Refused(session.item().cloned()))
    } else if failed(guard) {
        Some(Sent::GuardRefused)
    } else {
        None
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
