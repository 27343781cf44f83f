//! The transaction log on S3: objects are written once and never changed.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::service_config::ServiceConfigKey;
use cutover_domain::payment::record::LogObject;
use cutover_ports::payment::{Applied, CallError, TransactionLog};

use crate::call;

const PUT: &str = "put log object";
const VERIFY: &str = "verify log object";

/// Where self-tests write: a log object has a year there.
const TEST_PREFIX: &str = "transactions/self-test/";

/// Attempts at a write that meets another one of the same key (409: S3 asks to try again).
const ATTEMPTS_MAX: u32 = 4;
/// Wait before the second attempt, doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// The bucket of log objects. Encryption is the bucket's default.
pub struct S3Log {
    client: Client,
    bucket: String,
}

impl S3Log {
    /// The log in `bucket`.
    ///
    /// With an endpoint of one's own the bucket's name goes into the path: such an endpoint seldom has a name per bucket.
    #[must_use]
    pub fn new(sdk: &SdkConfig, bucket: String) -> Self {
        let config = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(has_own_endpoint(sdk))
            .build();
        Self {
            client: Client::from_conf(config),
            bucket,
        }
    }

    async fn put_once(
        &self,
        object: &LogObject,
    ) -> Result<(), SdkError<PutObjectError, HttpResponse>> {
        let sending = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .if_none_match("*")
            .content_type("application/json")
            .body(ByteStream::from(object.bytes.clone()))
            .send();
        // On the heap: the future of an SDK's call is large, and all that await it would copy it.
        Box::pin(sending).await.map(|_| ())
    }

    /// Someone wrote the object before: it counts only if it has the same bytes.
    async fn verify(&self, object: &LogObject) -> Result<(), CallError> {
        let reading = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .send();
        let answer = Box::pin(reading)
            .await
            .map_err(|error| call::error(VERIFY, &error))?;
        let standing = answer.body.collect().await.map_err(|error| CallError {
            operation: VERIFY,
            applied: Applied::Unknown,
            source: error.into(),
        })?;
        if standing.into_bytes() == object.bytes {
            Ok(())
        } else {
            Err(CallError {
                operation: VERIFY,
                applied: Applied::No,
                source: format!("{} has other bytes", object.key).into(),
            })
        }
    }
}

impl TransactionLog for S3Log {
    async fn put(&self, object: &LogObject) -> Result<(), CallError> {
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS_MAX {
            match self.put_once(object).await {
                Ok(()) => return Ok(()),
                Err(error) => match status(&error) {
                    Some(412) => return self.verify(object).await,
                    Some(409) => {}
                    _ => return Err(call::error(PUT, &error)),
                },
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        match self.put_once(object).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(412) => self.verify(object).await,
            Err(error) => Err(call::error(PUT, &error)),
        }
    }

    /// A listing: asking for an object that is not there would be answered 403 instead of 404.
    async fn reach(&self) -> Result<(), CallError> {
        self.client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(TEST_PREFIX)
            .max_keys(1)
            .send()
            .await
            .map(drop)
            .map_err(|error| call::error("list log objects", &error))
    }

    async fn round_trip(&self, key: &str, nonce: &str) -> Result<(), CallError> {
        let object = LogObject {
            key: key.to_owned(),
            bytes: format!("{{\"nonce\":\"{nonce}\"}}").into_bytes(),
        };
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(&object.key)
            .content_type("application/json")
            .body(ByteStream::from(object.bytes.clone()))
            .send()
            .await
            .map_err(|error| call::error(PUT, &error))?;
        self.verify(&object).await
    }
}

/// Whether `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` or a profile names an endpoint.
pub(crate) fn has_own_endpoint(sdk: &SdkConfig) -> bool {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_service = key
        .ok()
        .zip(sdk.service_config())
        .and_then(|(key, config)| config.load_config(key));
    of_service.is_some() || sdk.endpoint_url().is_some()
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
