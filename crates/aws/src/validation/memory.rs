//! Notes in DynamoDB: an item a note, with the string keys `pk` and `sk`.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use cutover_ports::memory::{Memory, MemoryError, Note, NoteKey, Noted};

use crate::failure::failure;

/// A table with the string keys `pk` and `sk`; what is written expires by `expiresAt` where the table has that time to live.
#[derive(Debug, Clone)]
pub struct DynamoMemory {
    client: Client,
    table: String,
    prefix: String,
}

impl DynamoMemory {
    /// The notes of `environment` in `table`, apart from what else is in it.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: String, environment: &str) -> Self {
        Self {
            client: Client::new(sdk),
            table,
            prefix: format!("validation#{environment}#"),
        }
    }

    fn key(&self, key: &NoteKey) -> HashMap<String, AttributeValue> {
        let pk = format!("{}{}", self.prefix, key.subject);
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk)),
            ("sk".to_owned(), AttributeValue::S(key.name.clone())),
        ])
    }
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[async_trait]
impl Memory for DynamoMemory {
    async fn read(&self, key: &NoteKey) -> Result<Option<Note>, MemoryError> {
        const OPERATION: &str = "dynamodb:GetItem";
        let broken = |source| MemoryError {
            operation: OPERATION,
            source,
        };
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(self.key(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| broken(failure(error)))?;
        let Some(item) = answer.item else {
            return Ok(None);
        };
        let version = item.get("version").and_then(|value| value.as_n().ok());
        let text = item.get("note").and_then(|value| value.as_s().ok());
        match (version.and_then(|version| version.parse().ok()), text) {
            (Some(version), Some(text)) => Ok(Some(Note {
                version,
                text: text.clone(),
            })),
            _ => Err(broken("an item that is no note".into())),
        }
    }

    async fn write(
        &self,
        key: &NoteKey,
        expected: u64,
        text: &str,
        expires_at_s: u64,
    ) -> Result<Noted, MemoryError> {
        let mut item = self.key(key);
        item.insert("version".to_owned(), number(expected.saturating_add(1)));
        item.insert("note".to_owned(), AttributeValue::S(text.to_owned()));
        item.insert("expiresAt".to_owned(), number(expires_at_s));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = if expected == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("#version = :expected")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":expected", number(expected))
        };
        match put.send().await {
            Ok(_) => Ok(Noted::Done),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                // An earlier attempt of this very call may have been the one that wrote it.
                match self.read(key).await? {
                    Some(note)
                        if note.version == expected.saturating_add(1) && note.text == text =>
                    {
                        Ok(Noted::Done)
                    }
                    _ => Ok(Noted::Refused),
                }
            }
            Err(error) => Err(MemoryError {
                operation: "dynamodb:PutItem",
                source: failure(error),
            }),
        }
    }
}
