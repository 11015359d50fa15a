//! [`Client`]: one try to post a batch.

use std::error::Error;
use std::time::Duration;

use mini_chat_plugin_sdk::time::OffsetDateTime;
use mini_chat_plugin_sdk::{OrPluginError, PluginError};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, redirect};

use crate::config::{Endpoint, Settings};
use crate::failure::Failure;
use crate::retry::wait_of;
use crate::tls;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What is read of an answer, so that its connection can be used again: the status has said it all.
const READ: usize = 64 << 10;
const READ_FOR: Duration = Duration::from_millis(200);

/// Posts to the endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    headers: HeaderMap,
    max_retry_after: Duration,
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, PluginError> {
        let https = settings.endpoint.0.scheme() == "https";
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(https, settings.ca_file.as_deref())?)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // The token and the events belong to one endpoint; a redirect is a mistake in `url`.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .or_permanent("set up the HTTP client")?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(authorization) = &settings.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let (endpoint, max_retry_after) = (settings.endpoint.clone(), settings.max_retry_after);
        Ok(Self { http, endpoint, headers, max_retry_after })
    }

    /// Posts a compressed body, for at most `time`.
    pub(crate) async fn post(&self, key: &HeaderValue, body: Vec<u8>, time: Duration) -> Result<(), Failure> {
        let request =
            self.http.post(self.endpoint.0.clone()).headers(self.headers.clone()).header(IDEMPOTENCY_KEY, key);
        let answer = request.body(body).timeout(time).send().await;
        let answer = answer.map_err(|error| failure(error, time))?;
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| wait_of(text, OffsetDateTime::now_utc()));
        let retry_after = retry_after.map(|wait| wait.min(self.max_retry_after));
        let _ = tokio::time::timeout(READ_FOR, read(answer)).await;
        if status.is_success() { Ok(()) } else { Err(Failure::Status { status, retry_after }) }
    }
}

async fn read(mut answer: Response) {
    let mut left = READ;
    while let Ok(Some(chunk)) = answer.chunk().await {
        if chunk.len() > left {
            return;
        }
        left -= chunk.len();
    }
}

fn failure(error: reqwest::Error, time: Duration) -> Failure {
    if error.is_builder() {
        return Failure::NotWritable(chain(&error.without_url()));
    }
    if error.is_connect() {
        return Failure::Unreachable(chain(&error.without_url()));
    }
    if error.is_timeout() {
        return Failure::TooSlow(time);
    }
    Failure::Broken(chain(&error.without_url()))
}

/// An error with its causes: reqwest's own text says only that something went wrong.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
