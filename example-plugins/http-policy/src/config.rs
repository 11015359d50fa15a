//! [`Config`]: what `plugins.NAME.config` is read into; [`Settings`]: the same, checked.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use mini_chat_plugin_sdk::{PluginError, Secret};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

/// The configuration of the plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service is: http or https, with a path if it has one.
    pub base_url: String,
    /// Sent as `Authorization: Bearer …`. Default: none.
    pub token: Option<Secret<String>>,
    /// PEM file with the certificates that are trusted instead of the system's. Only with https.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds that a connection may take to be made, 1 to 600,000. Default: 1,000.
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds that one try may take, with its answer, 1 to 600,000. Default: 2,000.
    pub try_timeout_ms: Option<u64>,
    /// Milliseconds that a call may take with all its tries when the host sets no deadline, 1 to 600,000. Default: 4,500.
    pub call_timeout_ms: Option<u64>,
    /// How often a request is tried at most, 1 to 20. Default: 4.
    pub tries: Option<u64>,
    /// How many snapshots are kept, 1 to 100,000. Default: 1,000.
    pub cached_snapshots: Option<u64>,
    /// Bytes above which an answer is refused, 1,024 to 268,435,456. Default: 4,194,304.
    pub max_response_bytes: Option<u64>,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Can be extended by segments.
    pub(crate) base: Url,
    /// Marked as sensitive: its `Debug` shows nothing.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) connect_timeout: Duration,
    pub(crate) try_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) tries: u64,
    pub(crate) cached_snapshots: NonZeroUsize,
    pub(crate) max_response_bytes: usize,
}

impl Settings {
    /// Checks a configuration.
    pub(crate) fn new(config: Config) -> Result<Self, PluginError> {
        let base = base_url(&config.base_url)?;
        if let Some(path) = &config.ca_file {
            if base.scheme() != "https" {
                return Err(refuse("ca_file", "it only with an https `base_url`", "it with http"));
            }
            if !path.is_absolute() {
                return Err(refuse("ca_file", "an absolute path", "a relative one"));
            }
        }
        let millis = |key: &str, value: Option<u64>, default: u64| {
            within(key, value.unwrap_or(default), 1, 600_000).map(Duration::from_millis)
        };
        let cached = within("cached_snapshots", config.cached_snapshots.unwrap_or(1_000), 1, 100_000)?;
        let max_bytes = within("max_response_bytes", config.max_response_bytes.unwrap_or(4 << 20), 1_024, 256 << 20)?;
        Ok(Self {
            base,
            authorization: config.token.as_ref().map(authorization).transpose()?,
            ca_file: config.ca_file,
            connect_timeout: millis("connect_timeout_ms", config.connect_timeout_ms, 1_000)?,
            try_timeout: millis("try_timeout_ms", config.try_timeout_ms, 2_000)?,
            call_timeout: millis("call_timeout_ms", config.call_timeout_ms, 4_500)?,
            tries: within("tries", config.tries.unwrap_or(4), 1, 20)?,
            cached_snapshots: usize::try_from(cached).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN),
            max_response_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        })
    }
}

/// The value is not quoted: what is wrong with it may be a password in it.
fn base_url(text: &str) -> Result<Url, PluginError> {
    const KEY: &str = "base_url";
    let url = Url::parse(text)
        .map_err(|error| refuse(KEY, "a URL such as https://policy.example.com", &error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse(KEY, "an http or https URL", "another kind"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(KEY, "no user name or password (use `token`)", "one"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(KEY, "a URL without query and fragment", "one with"));
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
