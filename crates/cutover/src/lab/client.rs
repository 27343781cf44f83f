//! A payment client, as a shop would write one: signs, waits a bounded time, and sends again under the same key.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde_json::Value;

/// One attempt's bound, more than the function's own time-out.
const ATTEMPT_MAX: Duration = Duration::from_secs(20);

/// Where payments go.
#[derive(Debug, Clone)]
pub struct PaymentClient {
    http: reqwest::Client,
    url: String,
    credentials: Credentials,
    region: String,
}

/// What came back from one attempt.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status; 0 where there was no answer at all.
    pub status: u16,
    /// The color that answered, by its header.
    pub color: Option<String>,
    /// Whether the answer is a recorded one.
    pub replayed: bool,
    /// Seconds after which to try again, where the answer names them.
    pub retry_after: Option<Duration>,
    /// The answer's media type.
    pub content_type: Option<String>,
    /// The body, `null` where it is no JSON.
    pub body: Value,
}

impl Answer {
    fn none() -> Self {
        Self {
            status: 0,
            color: None,
            replayed: false,
            retry_after: None,
            content_type: None,
            body: Value::Null,
        }
    }

    /// Whether the same request may be sent again: by the problem's own word, or because no function answered.
    pub fn retryable(&self) -> bool {
        match self.body.get("retryable").and_then(Value::as_bool) {
            Some(retryable) => retryable,
            None => self.status == 0 || self.status == 429 || self.status >= 500,
        }
    }
}

impl PaymentClient {
    /// A client of the REST API's stage at `url`.
    pub fn new(
        url: String,
        credentials: Credentials,
        region: String,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(ATTEMPT_MAX)
            .pool_max_idle_per_host(64)
            .tcp_nodelay(true)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            url,
            credentials,
            region,
        })
    }

    /// Sends one `POST /payment`.
    pub async fn pay(&self, key: Option<&str>, body: String) -> Answer {
        match self.post("/payment", key, "application/json", body).await {
            Ok(answer) => answer,
            // Refused, reset or timed out: nobody answered, and the client can't know what happened.
            Err(_) => Answer::none(),
        }
    }

    /// Sends one `POST` of any kind. A test's way in: [`PaymentClient::pay`] is a client's.
    pub async fn post(
        &self,
        path: &str,
        key: Option<&str>,
        content_type: &str,
        body: String,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.post(&url).header("content-type", content_type);
        for (name, value) in self.signature("POST", &url, content_type, &body) {
            request = request.header(name, value);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        answer(request.body(body).send().await?).await
    }

    /// Sends one `GET`.
    pub async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        const ANY: &str = "application/json";
        let url = format!("{}{path}", self.url);
        let mut request = self.http.get(&url).header("content-type", ANY);
        for (name, value) in self.signature("GET", &url, ANY, "") {
            request = request.header(name, value);
        }
        answer(request.send().await?).await
    }

    /// The headers of AWS Signature Version 4 for API Gateway's IAM authorization.
    fn signature(
        &self,
        method: &str,
        url: &str,
        content_type: &str,
        body: &str,
    ) -> Vec<(String, String)> {
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build();
        let request = SignableRequest::new(
            method,
            url,
            [("content-type", content_type)].into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        );
        let (Ok(params), Ok(request)) = (params, request) else {
            return Vec::new();
        };
        sign(request, &params.into())
            .map(|signed| {
                let (instructions, _) = signed.into_parts();
                instructions
                    .headers()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect()
            })
            .unwrap_or_default()
    }
}

async fn answer(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    Ok(Answer {
        status: response.status().as_u16(),
        color: header("x-cutover-color"),
        replayed: header("idempotency-replayed").is_some_and(|value| value == "true"),
        retry_after: header("retry-after")
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs),
        content_type: header("content-type"),
        body: serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null),
    })
}
