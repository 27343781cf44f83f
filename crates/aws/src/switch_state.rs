//! The switch's memory in DynamoDB: one item for the state, one per journal entry, written in one transaction.
//!
//! Keys: `pk` = `switch#<environment>`; `sk` = `state`, or `journal#` and the generation in 20 digits.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use cutover_domain::switch::{Entry, State};
use cutover_ports::switch::{CommitError, Source, StoreError, SwitchStateStore};

use crate::failure::failure;

const STATE_KEY: &str = "state";
const JOURNAL_PREFIX: &str = "journal#";

/// Journal entries that are looked through for those of one migration.
const HISTORY_SCANNED_MAX: i32 = 1000;

/// A table with the string keys `pk` and `sk`.
#[derive(Debug, Clone)]
pub struct DynamoDbSwitchState {
    client: Client,
    table: String,
    pk: String,
}

impl DynamoDbSwitchState {
    /// The memory of the switch of `environment`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: String, environment: &str) -> Self {
        Self {
            client: Client::new(sdk),
            table,
            pk: format!("switch#{environment}"),
        }
    }

    fn key(&self, sk: &str) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(sk.to_owned())),
        ])
    }

    fn state_put(&self, expected: u64, next: &State) -> Result<Put, StoreError> {
        let mut item = self.key(STATE_KEY);
        item.insert("generation".to_owned(), number(next.generation));
        item.insert("phase".to_owned(), text(next.phase.as_str()));
        item.insert("state".to_owned(), text(json(next)?));
        let put = Put::builder().table_name(&self.table).set_item(Some(item));
        let put = if expected == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("generation = :expected")
                .expression_attribute_values(":expected", number(expected))
        };
        put.build()
            .map_err(|e| broken("TransactWriteItems", e.into()))
    }

    fn entry_put(&self, entry: &Entry) -> Result<Put, StoreError> {
        let mut item = self.key(&format!("{JOURNAL_PREFIX}{:020}", entry.generation));
        item.insert("generation".to_owned(), number(entry.generation));
        item.insert("at".to_owned(), number(entry.at_ms));
        item.insert("trigger".to_owned(), text(entry.trigger.as_str()));
        item.insert("from".to_owned(), text(entry.from.as_str()));
        item.insert("to".to_owned(), text(entry.to.as_str()));
        item.insert("why".to_owned(), text(entry.why.as_str()));
        item.insert("hash".to_owned(), text(entry.hash.as_str()));
        item.insert("entry".to_owned(), text(json(entry)?));
        if let Some(id) = &entry.migration_id {
            item.insert("migrationId".to_owned(), text(id.as_str()));
        }
        Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|e| broken("TransactWriteItems", e.into()))
    }
}

#[async_trait]
impl SwitchStateStore for DynamoDbSwitchState {
    async fn load(&self) -> Result<Option<State>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(self.key(STATE_KEY)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| broken("GetItem", failure(e)))?;
        answer
            .item()
            .map(|item| parse("GetItem", item, "state"))
            .transpose()
    }

    async fn commit(&self, expected: u64, next: &State, entry: &Entry) -> Result<(), CommitError> {
        let puts = [self.state_put(expected, next)?, self.entry_put(entry)?];
        let items = puts
            .into_iter()
            .map(|put| TransactWriteItem::builder().put(put).build())
            .collect();
        let answer = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(is_conflict) => {
                Err(CommitError::Conflict)
            }
            Err(error) => Err(broken("TransactWriteItems", failure(error)).into()),
        }
    }

    async fn history(
        &self,
        migration_id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("pk = :pk AND begins_with(sk, :journal)")
            .expression_attribute_values(":pk", text(self.pk.as_str()))
            .expression_attribute_values(":journal", text(JOURNAL_PREFIX));
        let query = match migration_id {
            None => query.limit(i32::try_from(limit).unwrap_or(HISTORY_SCANNED_MAX)),
            Some(id) => query
                .limit(HISTORY_SCANNED_MAX)
                .filter_expression("migrationId = :id")
                .expression_attribute_values(":id", text(id)),
        };
        let answer = query
            .send()
            .await
            .map_err(|e| broken("Query", failure(e)))?;
        let mut entries = answer
            .items()
            .iter()
            .take(limit)
            .map(|item| parse("Query", item, "entry"))
            .collect::<Result<Vec<Entry>, _>>()?;
        entries.reverse();
        Ok(entries)
    }
}

/// Either condition failed, or another transaction is at the same items: in both cases another invocation was faster.
fn is_conflict(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(canceled) = error else {
        return false;
    };
    canceled.cancellation_reasons().iter().any(|reason| {
        matches!(
            reason.code(),
            Some("ConditionalCheckFailed" | "TransactionConflict")
        )
    })
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn broken(operation: &'static str, source: Source) -> StoreError {
    StoreError { operation, source }
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| broken("TransactWriteItems", e.into()))
}

fn parse<T: serde::de::DeserializeOwned>(
    operation: &'static str,
    item: &HashMap<String, AttributeValue>,
    attribute: &str,
) -> Result<T, StoreError> {
    let text = item
        .get(attribute)
        .and_then(|value| value.as_s().ok())
        .ok_or_else(|| broken(operation, format!("an item without {attribute}").into()))?;
    serde_json::from_str(text).map_err(|e| broken(operation, e.into()))
}
