//! [`Config`]: what `plugins.NAME.config` is read into; [`Settings`]: the same, checked.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use mini_chat_plugin_sdk::{PluginError, Secret};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

/// A day, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1_000;

/// The configuration of the plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where batches are posted to: http or https. Secret, as the address of a webhook often is its password.
    pub url: Secret<String>,
    /// Sent as `Authorization: Bearer …`. Default: none.
    pub token: Option<Secret<String>>,
    /// PEM file with the certificates that are trusted instead of the system's. Only with https.
    pub ca_file: Option<PathBuf>,
    /// When a call is answered.
    #[serde(default)]
    pub ack: Ack,
    /// Events of a batch at most, 1 to 10,000. Default: 500.
    pub batch_events: Option<u64>,
    /// Bytes of a batch at most, before compression, 1,024 to 16,777,216; a larger event is a batch of its own.
    /// Default: 1,048,576.
    pub batch_bytes: Option<u64>,
    /// Milliseconds that an event waits for others of its batch, 1 to 60,000. Default: 50.
    pub flush_after_ms: Option<u64>,
    /// Events that are held at most, in the queue and in batches under way, `batch_events` to 1,000,000. Default: 10,000.
    pub queue_events: Option<u64>,
    /// Bytes of those events at most, `batch_bytes` to 1,073,741,824. Default: 67,108,864.
    pub queue_bytes: Option<u64>,
    /// Batches that are sent at the same time, 1 to 16. With more than one the order of events is lost. Default: 1.
    pub batches_in_flight: Option<u64>,
    /// Milliseconds that a connection may take to be made, 1 to 600,000. Default: 2,000.
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds that one try may take, with its answer, 1 to 600,000. Default: 5,000.
    pub try_timeout_ms: Option<u64>,
    /// With [`Ack::Delivered`]: milliseconds that a call waits when the host sets no deadline, 1 to 600,000.
    /// Default: 20,000.
    pub call_timeout_ms: Option<u64>,
    /// How often a batch is tried at most, 1 to 100,000. Default: 10; with [`Ack::Queued`] 1,000.
    pub tries: Option<u64>,
    /// Milliseconds for which a batch is tried at most, 1 to 86,400,000. Default: 20,000; with [`Ack::Queued`] 3,600,000.
    pub retry_for_ms: Option<u64>,
    /// Milliseconds that a longer `Retry-After` is taken for, 0 to 86,400,000. Default: 60,000.
    pub max_retry_after_ms: Option<u64>,
    /// Milliseconds that the shutdown hook goes on sending at most, 1 to 600,000; less if the host gives it less.
    /// Default: 10,000.
    pub shutdown_ms: Option<u64>,
}

/// When a call is answered with Ok.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// When the endpoint has accepted its batch.
    #[default]
    Delivered,
    /// When the event is in the queue.
    Queued,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    /// Marked as sensitive: its `Debug` shows nothing.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) ack: Ack,
    pub(crate) bounds: Bounds,
    pub(crate) batches_in_flight: u64,
    pub(crate) connect_timeout: Duration,
    pub(crate) try_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) tries: u64,
    pub(crate) retry_for: Duration,
    pub(crate) max_retry_after: Duration,
    pub(crate) shutdown: Duration,
}

/// Where to post to. Shows itself without path and query.
#[derive(Clone)]
pub(crate) struct Endpoint(pub(crate) Url);

/// How much is held, and when a batch is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) batch_events: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) flush_after: Duration,
    pub(crate) queue_events: usize,
    pub(crate) queue_bytes: usize,
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/…")
    }
}

impl Settings {
    /// Checks a configuration.
    pub(crate) fn new(config: Config) -> Result<Self, PluginError> {
        let endpoint = Endpoint(url(config.url.expose())?);
        if let Some(path) = &config.ca_file {
            if endpoint.0.scheme() != "https" {
                return Err(refuse("ca_file", "it only with an https `url`", "it with http"));
            }
            if !path.is_absolute() {
                return Err(refuse("ca_file", "an absolute path", "a relative one"));
            }
        }
        if config.ack == Ack::Queued && config.call_timeout_ms.is_some() {
            let (expected, found) = ("it only with `ack = \"delivered\"`", "it with `queued`");
            return Err(refuse("call_timeout_ms", expected, found));
        }
        let (tries, retry_for) = match config.ack {
            Ack::Delivered => (10, 20_000),
            Ack::Queued => (1_000, 3_600_000),
        };
        let millis = |key, value: Option<u64>, default, least, most| {
            within(key, value.unwrap_or(default), least, most).map(Duration::from_millis)
        };
        let flush_after = millis("flush_after_ms", config.flush_after_ms, 50, 1, 60_000)?;
        let bounds = Bounds { flush_after, ..bounds(&config)? };
        Ok(Self {
            endpoint,
            authorization: config.token.as_ref().map(authorization).transpose()?,
            ca_file: config.ca_file,
            ack: config.ack,
            bounds,
            batches_in_flight: within("batches_in_flight", config.batches_in_flight.unwrap_or(1), 1, 16)?,
            connect_timeout: millis("connect_timeout_ms", config.connect_timeout_ms, 2_000, 1, 600_000)?,
            try_timeout: millis("try_timeout_ms", config.try_timeout_ms, 5_000, 1, 600_000)?,
            call_timeout: millis("call_timeout_ms", config.call_timeout_ms, 20_000, 1, 600_000)?,
            tries: within("tries", config.tries.unwrap_or(tries), 1, 100_000)?,
            retry_for: millis("retry_for_ms", config.retry_for_ms, retry_for, 1, DAY)?,
            max_retry_after: millis("max_retry_after_ms", config.max_retry_after_ms, 60_000, 0, DAY)?,
            shutdown: millis("shutdown_ms", config.shutdown_ms, 10_000, 1, 600_000)?,
        })
    }
}

/// All but the time. A batch that could never be full would only ever be sent by the clock.
fn bounds(config: &Config) -> Result<Bounds, PluginError> {
    let batch_events = within("batch_events", config.batch_events.unwrap_or(500), 1, 10_000)?;
    let batch_bytes = within("batch_bytes", config.batch_bytes.unwrap_or(1 << 20), 1 << 10, 16 << 20)?;
    let queue_events = config.queue_events.unwrap_or(10_000);
    let queue_bytes = config.queue_bytes.unwrap_or(64 << 20);
    Ok(Bounds {
        batch_events: size(batch_events),
        batch_bytes: size(batch_bytes),
        flush_after: Duration::ZERO,
        queue_events: size(of_queue("queue_events", queue_events, "batch_events", batch_events, 1_000_000)?),
        queue_bytes: size(of_queue("queue_bytes", queue_bytes, "batch_bytes", batch_bytes, 1 << 30)?),
    })
}

fn of_queue(key: &str, value: u64, of_batch: &str, least: u64, most: u64) -> Result<u64, PluginError> {
    if value < least || value > most {
        let expected = format!("{least} (as `{of_batch}`) to {most}");
        return Err(refuse(key, &expected, &value.to_string()));
    }
    Ok(value)
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// The value is not quoted: it may be a password, or have one in it.
fn url(text: &str) -> Result<Url, PluginError> {
    const KEY: &str = "url";
    let url = Url::parse(text)
        .map_err(|error| refuse(KEY, "a URL such as https://audit.example.com/events", &error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse(KEY, "an http or https URL", "another kind"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(KEY, "no user name or password (use `token`)", "one"));
    }
    if url.fragment().is_some() {
        return Err(refuse(KEY, "a URL without fragment", "one with"));
    }
    Ok(url)
}

fn authorization(token: &Secret<String>) -> Result<HeaderValue, PluginError> {
    let token = token.expose();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let found = if token.is_empty() { "an empty text" } else { "other characters (a line end, a space?)" };
        return Err(refuse("token", "visible ASCII characters only", found));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| refuse("token", "a text that an HTTP header can carry", "another"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn within(key: &str, value: u64, least: u64, most: u64) -> Result<u64, PluginError> {
    if value < least || value > most {
        return Err(refuse(key, &format!("{least} to {most}"), &value.to_string()));
    }
    Ok(value)
}

fn refuse(key: &str, expected: &str, found: &str) -> PluginError {
    PluginError::permanent(format!("{key}: expected {expected}, found {found}"))
}
