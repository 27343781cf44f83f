//! What a reconciliation reads: every session and every log object. For the operator's tools, never in a payment's way.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::Builder as S3Builder;

use crate::call_error::CallError;

/// Reads sessions and log objects.
#[derive(Debug, Clone)]
pub struct Evidence {
    dynamodb: aws_sdk_dynamodb::Client,
    s3: aws_sdk_s3::Client,
}

/// The scalar attributes of a session item, as text.
pub type Session = BTreeMap<String, String>;

impl Evidence {
    /// Evidence in the account and region that `config` names.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        // An endpoint override is a plain host: buckets go into the path, not into the host's name.
        let s3 = S3Builder::from(config)
            .force_path_style(config.endpoint_url().is_some())
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            s3: aws_sdk_s3::Client::from_conf(s3),
        }
    }

    /// Every session in `table`.
    ///
    /// # Errors
    /// A page that could not be read.
    pub async fn sessions(&self, table: &str) -> Result<Vec<Session>, CallError> {
        let mut sessions = Vec::new();
        let mut pages = self
            .dynamodb
            .scan()
            .table_name(table)
            .consistent_read(true)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(CallError::of("dynamodb:Scan"))?;
            sessions.extend(page.items.unwrap_or_default().into_iter().map(|item| {
                item.into_iter()
                    .filter_map(|(name, value)| Some((name, scalar(&value)?)))
                    .collect()
            }));
        }
        Ok(sessions)
    }

    /// Every key in `bucket` that starts with `prefix`.
    ///
    /// # Errors
    /// A page that could not be read.
    pub async fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, CallError> {
        let mut keys = Vec::new();
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(CallError::of("s3:ListObjectsV2"))?;
            keys.extend(
                page.contents
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|object| object.key),
            );
        }
        Ok(keys)
    }

    /// Creates `bucket`.
    ///
    /// # Errors
    /// The call failed.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), CallError> {
        self.s3
            .create_bucket()
            .bucket(bucket)
            .send()
            .await
            .map(drop)
            .map_err(CallError::of("s3:CreateBucket"))
    }

    /// The object at `key`.
    ///
    /// # Errors
    /// The call failed.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, CallError> {
        let answer = self
            .s3
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(CallError::of("s3:GetObject"))?;
        let body = answer.body.collect().await;
        let body = body.map_err(|error| CallError::new("s3:GetObject", error.to_string()))?;
        Ok(body.to_vec())
    }

    /// Puts `body` at `key`.
    ///
    /// # Errors
    /// The call failed.
    pub async fn put(&self, bucket: &str, key: &str, body: Vec<u8>) -> Result<(), CallError> {
        self.s3
            .put_object()
            .bucket(bucket)
            .key(key)
            .body(body.into())
            .send()
            .await
            .map(drop)
            .map_err(CallError::of("s3:PutObject"))
    }
}

fn scalar(value: &AttributeValue) -> Option<String> {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => Some(text.clone()),
        AttributeValue::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
