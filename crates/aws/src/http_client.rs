//! The HTTPS client that all AWS clients of a process share.
//!
//! It differs from the SDK's own in three things.
//! - It is built once. The SDK's is built once per service client, only to see whether it can be, and once more for the
//!   first call.
//! - It trusts no connection that lay idle for long: while a sandbox is frozen, the other side closes its connections or
//!   forgets them, and a request on one that was forgotten is answered by nobody.
//! - It believes Amazon's own authorities only, where that is asked for: reading the hundred and more that a system
//!   believes was three quarters of a sandbox's start.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// A connection that lay idle for longer is not used again, as at the ledger.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The root certificates of Amazon Trust Services, by which every AWS endpoint outside China is vouched for
/// (<https://www.amazontrust.com/repository/>). They end between 2037 and 2040. The file is taken from Mozilla's list.
const AMAZON_ROOTS: &str = include_str!("../amazon-roots.pem");
/// A file or a folder of certificates that is named here takes the place of any other.
const OWN_ROOTS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Whose certificates are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Amazon's, unless `SSL_CERT_FILE` or `SSL_CERT_DIR` names others.
    Amazon,
    /// The system's: what a company's own proxy shows is believed, too.
    System,
}

impl Roots {
    fn trust_store(self) -> TrustStore {
        let are_named = OWN_ROOTS
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        if self == Self::System || are_named {
            TrustStore::default()
        } else {
            TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
        }
    }
}

/// A client with rustls on ring. Its connections are to stand within `connect_timeout`.
pub(crate) fn new(connect_timeout: Duration, roots: Roots) -> SharedHttpClient {
    let tls = TlsContext::builder()
        .with_trust_store(roots.trust_store())
        .build();
    // It fails never: each of its fields has a default.
    let tls = tls.unwrap_or_default();
    let build = move || {
        let settings = HttpConnectorSettings::builder().connect_timeout(connect_timeout);
        let connector = Connector::builder()
            .connector_settings(settings.build())
            .pool_idle_timeout(IDLE_MAX)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls.clone())
            .build();
        SharedHttpConnector::new(connector)
    };
    SharedHttpClient::new(Renewed {
        kept: Mutex::new(Kept {
            connector: build(),
            used: SystemTime::now(),
        }),
        build,
    })
}

/// A connector, with a pool of connections, that is built anew after a pause.
struct Renewed<F> {
    build: F,
    kept: Mutex<Kept>,
}

struct Kept {
    connector: SharedHttpConnector,
    used: SystemTime,
}

impl<F: Fn() -> SharedHttpConnector> Renewed<F> {
    /// Wall time, not the monotonic clock, which the pool itself goes by: that may stand still while a sandbox is frozen.
    fn connector(&self, now: SystemTime) -> SharedHttpConnector {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = now.duration_since(kept.used);
        if !idle.is_ok_and(|idle| idle < IDLE_MAX) {
            kept.connector = (self.build)();
        }
        kept.used = now;
        kept.connector.clone()
    }
}

impl<F> fmt::Debug for Renewed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewed").finish_non_exhaustive()
    }
}

impl<F: Fn() -> SharedHttpConnector + Send + Sync> HttpClient for Renewed<F> {
    /// One connector for everyone: no client has time-outs of its own (`config::CallLimits` are the process's).
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.connector(SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_connector_is_kept_while_it_is_used_and_not_over_a_pause() {
        let built = AtomicU32::new(0);
        let build = || {
            built.fetch_add(1, Ordering::Relaxed);
            SharedHttpConnector::new(Connector::builder().build_http())
        };
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let renewed = Renewed {
            kept: Mutex::new(Kept {
                connector: build(),
                used: begun,
            }),
            build,
        };
        let at = |seconds| {
            let _connector = renewed.connector(begun + Duration::from_secs(seconds));
            built.load(Ordering::Relaxed)
        };
        assert_eq!(
            [at(0), at(29), at(58)],
            [1, 1, 1],
            "used within 30 s each time"
        );
        assert_eq!([at(88), at(89)], [2, 2], "30 s of silence");
        assert_eq!(at(10), 3, "the clock was set back: who knows for how long");
    }
}
