//! The PUT to the presigned URL.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use cutover_lambda::Deadline;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;

/// Attempts in all, the first included.
const ATTEMPTS_MAX: u32 = 5;

/// Time for one attempt, connecting included.
const ATTEMPT_TIME: Duration = Duration::from_secs(5);

/// What is read of an error's text.
const ERROR_BYTES_MAX: usize = 4096;

/// Wait before the second attempt; doubled before each further one.
const BACKOFF: Duration = Duration::from_millis(100);

/// Where an answer goes. Its query string is a signature: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(Uri);

/// A URL that no answer goes to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute URL.
    #[error("the ResponseURL is no absolute http or https URL")]
    Malformed,
    /// Plain http to another host.
    #[error(
        "the ResponseURL of host {0} is plain http: set ALLOW_HTTP_RESPONSE_URL=true only in tests"
    )]
    PlainHttp(String),
}

/// An answer that was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The other side refused it for good.
    #[error("the answer was refused with status {0}")]
    Refused(StatusCode),
    /// No attempt succeeded.
    #[error("the answer was not delivered in {attempts} attempts, the last: {last}")]
    GaveUp {
        /// Attempts made.
        attempts: u32,
        /// What the last one failed with.
        last: String,
    },
    /// There are no certificates to trust.
    #[error("no root certificates")]
    Roots(#[source] std::io::Error),
}

impl ResponseUrl {
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(UrlError::Malformed);
        };
        match scheme {
            "https" => {}
            "http" if allow_http || is_loopback(host) => {}
            "http" => return Err(UrlError::PlainHttp(host.to_owned())),
            _ => return Err(UrlError::Malformed),
        }
        Ok(Self(uri))
    }

    fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseUrl({})", self.0.host().unwrap_or_default())
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Delivers a body. Retried are only answers that another attempt may change: 429, 5xx, and no answer at all.
pub(crate) async fn put(
    url: &ResponseUrl,
    body: Vec<u8>,
    deadline: Deadline,
) -> Result<(), DeliveryError> {
    let body = Bytes::from(body);
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    if url.is_https() {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(DeliveryError::Roots)?
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        put_over(connector, url, body, deadline).await
    } else {
        put_over(connector, url, body, deadline).await
    }
}

async fn put_over<C>(
    connector: C,
    url: &ResponseUrl,
    body: Bytes,
    deadline: Deadline,
) -> Result<(), DeliveryError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    // A client per answer: one answer per event, minutes or days apart. The pool would only hold a dead connection.
    let client: Client<C, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector);
    let mut backoff = BACKOFF;
    let mut last: Cow<'static, str> = Cow::Borrowed("no time was left");
    let mut attempts = 0;
    while attempts < ATTEMPTS_MAX && !deadline.remaining().is_zero() {
        attempts += 1;
        let time = ATTEMPT_TIME.min(deadline.remaining());
        let sent = client.request(request(url, body.clone()));
        last = match tokio::time::timeout(time, sent).await {
            Ok(Ok(response)) if response.status().is_success() => return Ok(()),
            Ok(Ok(response)) => {
                let status = response.status();
                if !is_worth_retrying(status) && !is_slow_upload(response).await {
                    return Err(DeliveryError::Refused(status));
                }
                Cow::Owned(format!("status {status}"))
            }
            Ok(Err(error)) if error.is_connect() => Cow::Borrowed("no connection"),
            Ok(Err(_)) => Cow::Borrowed("no answer"),
            Err(_elapsed) => Cow::Borrowed("no answer in time"),
        };
        if attempts < ATTEMPTS_MAX {
            tokio::time::sleep(backoff.min(deadline.remaining())).await;
            backoff = backoff.saturating_mul(2);
        }
    }
    Err(DeliveryError::GaveUp {
        attempts,
        last: last.into_owned(),
    })
}

/// S3 asks to come again by 5xx (503 is SlowDown), 429, 408 and 409 (OperationAborted). 403 is a wrong or expired
/// signature, and a redirect leads to another host, which the signature does not cover: neither gets better.
fn is_worth_retrying(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT
        )
}

/// S3 says 400 with the code RequestTimeout where the body came too slowly: the only 400 that another attempt helps.
async fn is_slow_upload(response: hyper::Response<hyper::body::Incoming>) -> bool {
    if response.status() != StatusCode::BAD_REQUEST {
        return false;
    }
    let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect();
    match tokio::time::timeout(ATTEMPT_TIME, body).await {
        Ok(Ok(body)) => {
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            text.contains("<Code>RequestTimeout</Code>")
        }
        _ => false,
    }
}

/// The content type is part of what the URL's signature covers, as the empty string.
fn request(url: &ResponseUrl, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::PUT;
    *request.uri_mut() = url.0.clone();
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(""));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_to_this_host_only() {
        for own in [
            "http://127.0.0.1:4566/x?sig=1",
            "http://localhost/x",
            "http://[::1]:80/",
        ] {
            assert!(ResponseUrl::parse(own, false).is_ok(), "{own}");
        }
        let other = "http://example.com/x?sig=secret";
        let refused = ResponseUrl::parse(other, false).unwrap_err();
        assert!(!refused.to_string().contains("secret"));
        assert!(ResponseUrl::parse(other, true).is_ok());
        for bad in [
            "",
            "/x",
            "ftp://example.com/",
            "http://127.0.0.1.example.com/",
            "nonsense",
        ] {
            assert!(ResponseUrl::parse(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_signature_is_never_shown() {
        let url =
            ResponseUrl::parse("https://s3.example.com/k?X-Amz-Signature=secret", false).unwrap();
        assert_eq!(format!("{url:?}"), "ResponseUrl(s3.example.com)");
    }
}
