//! [`Client`]: one request to the service, tried until it succeeds, cannot succeed, or the time is over.
//!
//! Everything happens in the future of the call: dropping it drops the request under way, which closes its connection.

use std::error::Error;
use std::time::Duration;

use mini_chat_plugin_sdk::time::OffsetDateTime;
use mini_chat_plugin_sdk::time::format_description::well_known::Rfc2822;
use mini_chat_plugin_sdk::{LogLevel, OrPluginError, PluginContext, PluginError, call};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url, redirect};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::answer;
use crate::config::Settings;
use crate::failure::Failure;
use crate::time_limit::{TimeLimit, back_off};
use crate::tls;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A longer `Retry-After` is taken for this; no call waits so long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks the service.
#[derive(Debug)]
pub(crate) struct Client {
    context: PluginContext,
    http: reqwest::Client,
    settings: Settings,
}

/// What to ask for.
#[derive(Debug)]
pub(crate) struct Ask {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The status says it all otherwise: an answer that nobody reads cannot spoil a success.
    wants_answer: bool,
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(context: PluginContext, settings: Settings) -> Result<Self, PluginError> {
        let https = settings.base.scheme() == "https";
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(https, settings.ca_file.as_deref())?)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            // The token and the answers belong to one service; a redirect is a mistake in `base_url`.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .or_permanent("set up the HTTP client")?;
        Ok(Self { context, http, settings })
    }

    /// `GET {base_url}/{path}`, on behalf of the call that is being served on this thread.
    pub(crate) fn get(&self, path: &[&str]) -> Ask {
        Ask { method: Method::GET, url: self.url(path), headers: self.headers(), body: Vec::new(), wants_answer: true }
    }

    /// `POST {base_url}/{path}` of JSON that the service takes once per key.
    pub(crate) fn post(&self, path: &[&str], key: HeaderValue, body: Vec<u8>) -> Ask {
        let mut headers = self.headers();
        headers.insert(IDEMPOTENCY_KEY, key);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ask { method: Method::POST, url: self.url(path), headers, body, wants_answer: false }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.settings.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = &self.settings.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        // A text that no header can carry is not a traceparent.
        if let Some(trace) = call::traceparent().and_then(|trace| HeaderValue::try_from(trace).ok()) {
            headers.insert(TRACEPARENT, trace);
        }
        headers
    }

    /// The answer to `ask`, read. Only for requests that may be repeated.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, ask: &Ask, limit: TimeLimit) -> Result<T, Failure> {
        answer::read(&self.send(ask, limit).await?)
    }

    /// The body of the answer to `ask`, if it wants one. Only for requests that may be repeated.
    pub(crate) async fn send(&self, ask: &Ask, limit: TimeLimit) -> Result<Vec<u8>, Failure> {
        let mut tries = 1;
        loop {
            let failure = match self.try_once(ask, limit).await {
                Err(failure) if failure.is_passing() && tries < self.settings.tries => failure,
                result => return result,
            };
            let wait = back_off(tries).max(failure.retry_after().unwrap_or_default());
            if wait >= limit.left() {
                let not_before = Instant::now().checked_add(wait);
                return Err(Failure::OutOfTime { last: Some(Box::new(failure)), not_before });
            }
            let message = format!("{} {}: {failure}; trying again in {wait:.0?}", ask.method, ask.url.path());
            self.context.log(LogLevel::Debug, &message);
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }

    /// One try.
    async fn try_once(&self, ask: &Ask, limit: TimeLimit) -> Result<Vec<u8>, Failure> {
        let time = self.settings.try_timeout.min(limit.left());
        let fail = |error| self.failure(error, time);
        let request = self.http.request(ask.method.clone(), ask.url.clone()).headers(ask.headers.clone()).timeout(time);
        let request = if ask.body.is_empty() { request } else { request.body(ask.body.clone()) };
        let mut response = request.send().await.map_err(fail)?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|text| wait_of(text, OffsetDateTime::now_utc()));
            return Err(Failure::Status { status, retry_after });
        }
        if !ask.wants_answer {
            return Ok(Vec::new());
        }
        let most = self.settings.max_response_bytes;
        // Judged before a byte of it is kept, if the service says how long it is.
        if response.content_length().is_some_and(|length| length > most as u64) {
            return Err(Failure::TooLarge(most));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fail)? {
            if chunk.len() > most - body.len() {
                return Err(Failure::TooLarge(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failure(&self, error: reqwest::Error, time: Duration) -> Failure {
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

/// How long a `Retry-After` asks to wait: seconds, or the time until a date.
fn wait_of(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are still a long time.
        text.parse().map_or(LONGEST_RETRY_AFTER, Duration::from_secs)
    } else {
        let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        Duration::try_from(date - now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
