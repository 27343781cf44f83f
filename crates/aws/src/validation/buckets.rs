//! Buckets by S3: what one is, which log objects lie in it, and where reports go.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;
use cutover_domain::payment::Timestamp;
use cutover_domain::validation::facts::Bucket;
use cutover_ports::validation::{Buckets, LogObjects, LookError, Reports};

use super::look::{look, odd};
use crate::transaction_log::has_own_endpoint;

const VERSIONING: &str = "s3:GetBucketVersioning";
const ENCRYPTION: &str = "s3:GetEncryptionConfiguration";
const PUBLIC_ACCESS: &str = "s3:GetBucketPublicAccessBlock";
const LIST: &str = "s3:ListBucket";
const PUT: &str = "s3:PutObject";

/// Pages of a listing that are read, of a thousand keys each.
const PAGES_MAX: usize = 3_000;

/// The buckets that the process may see.
#[derive(Debug, Clone)]
pub struct S3Buckets {
    client: Client,
}

impl S3Buckets {
    /// A look on a new client. With an endpoint of one's own the bucket's name goes into the path.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        let config = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(has_own_endpoint(sdk))
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }

    /// None if there is no default encryption, which S3 says by an error.
    async fn encryption(&self, bucket: &str) -> Result<Option<String>, LookError> {
        let answer = self
            .client
            .get_bucket_encryption()
            .bucket(bucket)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error)
                if error.code() == Some("ServerSideEncryptionConfigurationNotFoundError") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(look(ENCRYPTION)(error)),
        };
        let rules = answer
            .server_side_encryption_configuration
            .map(|configuration| configuration.rules)
            .unwrap_or_default();
        Ok(rules
            .into_iter()
            .find_map(|rule| rule.apply_server_side_encryption_by_default)
            .map(|default| default.sse_algorithm.as_str().to_owned()))
    }

    /// The settings that are on; none if nothing is set, which S3 says by an error.
    async fn public_access_blocks(&self, bucket: &str) -> Result<Vec<&'static str>, LookError> {
        let answer = self
            .client
            .get_public_access_block()
            .bucket(bucket)
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchPublicAccessBlockConfiguration") => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(look(PUBLIC_ACCESS)(error)),
        };
        let Some(blocks) = answer.public_access_block_configuration else {
            return Ok(Vec::new());
        };
        let settings = [
            (blocks.block_public_acls, "BlockPublicAcls"),
            (blocks.ignore_public_acls, "IgnorePublicAcls"),
            (blocks.block_public_policy, "BlockPublicPolicy"),
            (blocks.restrict_public_buckets, "RestrictPublicBuckets"),
        ];
        let on = settings.into_iter().filter(|(on, _)| *on == Some(true));
        Ok(on.map(|(_, name)| name).collect())
    }
}

#[async_trait]
impl Buckets for S3Buckets {
    async fn bucket(&self, name: &str) -> Result<Bucket, LookError> {
        let versioning = self
            .client
            .get_bucket_versioning()
            .bucket(name)
            .send()
            .await
            .map_err(look(VERSIONING))?;
        Ok(Bucket {
            name: name.to_owned(),
            versioned: Some(versioning.status() == Some(&BucketVersioningStatus::Enabled)),
            encryption: self.encryption(name).await?,
            public_access_blocks: self.public_access_blocks(name).await?,
        })
    }
}

#[async_trait]
impl LogObjects for S3Buckets {
    async fn written_since(
        &self,
        bucket: &str,
        prefix: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<BTreeMap<String, Timestamp>, LookError> {
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .into_paginator()
            .send();
        let mut found = BTreeMap::new();
        for _ in 0..PAGES_MAX {
            let Some(page) = pages.next().await else {
                return Ok(found);
            };
            for object in page.map_err(look(LIST))?.contents.unwrap_or_default() {
                let written = object
                    .last_modified
                    .and_then(|at| u64::try_from(at.to_millis().ok()?).ok())
                    .map(Timestamp::from_ms);
                let (Some(key), Some(written)) = (object.key, written) else {
                    return Err(odd(LIST, "an object without key or time"));
                };
                // S3 tells whole seconds.
                if written.seconds() >= since.seconds() {
                    found.insert(key, written);
                }
            }
            if found.len() > limit {
                return Err(odd(
                    LIST,
                    format!("more than {limit} log objects in the window"),
                ));
            }
        }
        Err(odd(
            LIST,
            format!("more than {PAGES_MAX} pages of log objects under {prefix}"),
        ))
    }
}

#[async_trait]
impl Reports for S3Buckets {
    async fn put(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
    ) -> Result<(), LookError> {
        self.client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(bytes))
            .send()
            .await
            .map(drop)
            .map_err(look(PUT))
    }
}
