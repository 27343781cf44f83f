//! The configuration that all AWS clients of a process share: one connector, one TLS stack, bounded waits and retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;

use crate::http_client::{self, Roots};

/// Bounds of every AWS call. The invocation's own deadline is put around the whole of its work, apart from these.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Until the TCP and TLS connection stands.
    pub connect: Duration,
    /// One attempt.
    pub attempt: Duration,
    /// All attempts and the waits between them.
    pub operation: Duration,
    /// Attempts in all, the first included.
    pub attempts_max: u32,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(3),
            operation: Duration::from_secs(8),
            attempts_max: 3,
        }
    }
}

/// The configuration that clients are made from, for crates that name no AWS crate themselves.
pub type SharedConfig = SdkConfig;

/// For functions: region, credentials and endpoints from the usual variables and files. Endpoints are believed by
/// Amazon's certificates, or by those that `SSL_CERT_FILE` or `SSL_CERT_DIR` names.
pub async fn load(limits: CallLimits) -> SharedConfig {
    loader(limits, Roots::Amazon).load().await
}

/// For operators: as [`load`], but endpoints are believed by the certificates of their machine.
pub async fn load_for_operator(limits: CallLimits) -> SharedConfig {
    loader(limits, Roots::System).load().await
}

/// As [`load`], for an emulator at `endpoint`: nothing comes from variables or files.
pub async fn load_local(
    limits: CallLimits,
    endpoint: &str,
    region: &str,
    credentials: Credentials,
) -> SharedConfig {
    loader(limits, Roots::System)
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .load()
        .await
}

/// One HTTPS connector (rustls on ring) for all clients that are made from the configuration.
fn loader(limits: CallLimits, roots: Roots) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client::new(limits.connect, roots))
        .retry_config(RetryConfig::standard().with_max_attempts(limits.attempts_max))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(limits.connect)
                .operation_attempt_timeout(limits.attempt)
                .operation_timeout(limits.operation)
                .build(),
        )
}
