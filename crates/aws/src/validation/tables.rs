//! The session table by DynamoDB: what it is, and, for a reconciliation, what is in it.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, PointInTimeRecoveryStatus, SseStatus, SseType};
use cutover_domain::validation::facts::Table;
use cutover_domain::validation::reconciliation::{SessionRecord, Span};
use cutover_ports::validation::{LookError, SessionRecords, Tables};

use super::look::{look, missing, odd};

const DESCRIBE: &str = "dynamodb:DescribeTable";
const BACKUPS: &str = "dynamodb:DescribeContinuousBackups";
const SCAN: &str = "dynamodb:Scan";

/// Parts of the table that are read side by side.
const SEGMENTS: i32 = 4;

/// Pages that are read of a part: 10 GB.
const PAGES_MAX: usize = 10_000;

/// What is read of a session.
const ATTRIBUTES: &str = "sessionId, transactionId, #status, amount, currency, createdAt";

/// The tables of the account and region.
#[derive(Debug, Clone)]
pub struct DynamoTables {
    client: Client,
}

impl DynamoTables {
    /// A look on a new client.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self {
            client: Client::new(sdk),
        }
    }

    async fn segment(
        &self,
        table: &str,
        span: Span,
        limit: usize,
        segment: i32,
    ) -> Result<Vec<SessionRecord>, LookError> {
        let text = |at: &dyn ToString| AttributeValue::S(at.to_string());
        let mut pages = self
            .client
            .scan()
            .table_name(table)
            .segment(segment)
            .total_segments(SEGMENTS)
            .consistent_read(true)
            .projection_expression(ATTRIBUTES)
            // Timestamps are text of one length, in the order of time.
            .filter_expression("createdAt >= :from AND createdAt < :until")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":from", text(&span.from))
            .expression_attribute_values(":until", text(&span.until))
            .into_paginator()
            .send();
        let mut records = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else {
                return Ok(records);
            };
            for item in page.map_err(look(SCAN))?.items.unwrap_or_default() {
                if item.contains_key("status") {
                    records.push(
                        record(&item).ok_or_else(|| odd(SCAN, "an item that is no session"))?,
                    );
                }
            }
            if records.len() > limit {
                return Err(odd(
                    SCAN,
                    format!("more than {limit} sessions in the window"),
                ));
            }
        }
        Err(odd(
            SCAN,
            format!("the table has more than {PAGES_MAX} pages a part"),
        ))
    }
}

fn record(item: &HashMap<String, AttributeValue>) -> Option<SessionRecord> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(SessionRecord {
        id: text("sessionId")?,
        transaction_id: text("transactionId")?,
        status: text("status")?,
        amount: item.get("amount")?.as_n().ok()?.parse().ok()?,
        currency: text("currency")?,
        created_at: text("createdAt")?.parse().ok()?,
    })
}

#[async_trait]
impl Tables for DynamoTables {
    async fn table(&self, name: &str) -> Result<Table, LookError> {
        let table = self
            .client
            .describe_table()
            .table_name(name)
            .send()
            .await
            .map_err(look(DESCRIBE))?
            .table
            .ok_or_else(|| missing(DESCRIBE))?;
        let backups = self
            .client
            .describe_continuous_backups()
            .table_name(name)
            .send()
            .await
            .map_err(look(BACKUPS))?;
        let recovery = backups
            .continuous_backups_description()
            .and_then(|backups| backups.point_in_time_recovery_description())
            .and_then(|recovery| recovery.point_in_time_recovery_status());
        let sse = table.sse_description();
        // A table without a description is encrypted by a key that is DynamoDB's own.
        let kms = sse.is_some_and(|sse| {
            let is_on = matches!(sse.status(), Some(SseStatus::Enabled | SseStatus::Updating));
            is_on && sse.sse_type() == Some(&SseType::Kms)
        });
        Ok(Table {
            name: name.to_owned(),
            status: table
                .table_status()
                .map(|status| status.as_str().to_owned()),
            point_in_time_recovery: recovery
                .map(|status| *status == PointInTimeRecoveryStatus::Enabled),
            kms: Some(kms),
            key_id: sse
                .and_then(|sse| sse.kms_master_key_arn())
                .map(str::to_owned),
        })
    }
}

#[async_trait]
impl SessionRecords for DynamoTables {
    async fn created_in(
        &self,
        table: &str,
        span: Span,
        limit: usize,
    ) -> Result<Vec<SessionRecord>, LookError> {
        let part = |segment| self.segment(table, span, limit, segment);
        let (a, b, c, d) = tokio::try_join!(part(0), part(1), part(2), part(3))?;
        let all: Vec<SessionRecord> = [a, b, c, d].into_iter().flatten().collect();
        if all.len() > limit {
            return Err(odd(
                SCAN,
                format!("more than {limit} sessions in the window"),
            ));
        }
        Ok(all)
    }
}
