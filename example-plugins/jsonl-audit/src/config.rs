//! [`Config`]: what `plugins.NAME.config` is read into; [`Settings`]: the same, checked.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use mini_chat_plugin_sdk::{OrPluginError, PluginContext, PluginError};
use serde::Deserialize;

/// The configuration of the plugin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file: absolute, or relative to the instance's data directory. Default: `audit.jsonl`.
    pub path: Option<PathBuf>,
    /// When lines are forced onto the disk.
    #[serde(default)]
    pub fsync: Fsync,
    /// With [`Fsync::Interval`]: milliseconds that a line may wait, 1 to 3,600,000. Default: 1,000.
    pub fsync_interval_ms: Option<u64>,
    /// Bytes at which the file is put aside. Default: never.
    pub max_bytes: Option<u64>,
    /// With `max_bytes`: how many files are kept aside, 1 to 1,000. Default: 5.
    pub keep: Option<u32>,
}

/// When lines are forced onto the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Before an event is answered with Ok.
    #[default]
    Always,
    /// At most `fsync_interval_ms` later.
    Interval,
    /// When the system likes.
    Never,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) sync: SyncWhen,
    pub(crate) rotation: Option<Rotation>,
}

/// When to fsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncWhen {
    Always,
    Within(Duration),
    Never,
}

/// When to put the file aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) max_bytes: u64,
    pub(crate) keep: u32,
}

impl Settings {
    /// Checks a configuration. Asks for the instance's data directory if the path is relative.
    pub(crate) fn new(config: &Config, context: &PluginContext) -> Result<Self, PluginError> {
        let sync = match (config.fsync, config.fsync_interval_ms) {
            (Fsync::Interval, wait) => {
                SyncWhen::Within(Duration::from_millis(within("fsync_interval_ms", wait.unwrap_or(1_000), 3_600_000)?))
            }
            (_, Some(_)) => {
                return Err(refuse("fsync_interval_ms", "it only with `fsync = \"interval\"`", "it without"));
            }
            (Fsync::Always, None) => SyncWhen::Always,
            (Fsync::Never, None) => SyncWhen::Never,
        };
        let rotation = match (config.max_bytes, config.keep) {
            (Some(max_bytes), keep) => Some(Rotation {
                max_bytes: within("max_bytes", max_bytes, u64::MAX)?,
                keep: within("keep", keep.unwrap_or(5), 1_000)?,
            }),
            (None, Some(_)) => return Err(refuse("keep", "it only with `max_bytes`", "it without")),
            (None, None) => None,
        };
        let path = config.path.clone().unwrap_or_else(|| "audit.jsonl".into());
        if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(refuse("path", "the path of a file", "one that ends in a directory"));
        }
        if path.is_absolute() {
            // Its directory is the operator's: one that is missing may be a disk that is not mounted.
            return Ok(Self { path, sync, rotation });
        }
        let path = context.data_dir()?.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).or_retryable(&format!("create the directory {}", parent.display()))?;
        }
        Ok(Self { path, sync, rotation })
    }
}

fn within<N: PartialOrd + From<u8> + Display>(key: &str, value: N, most: N) -> Result<N, PluginError> {
    if value < N::from(1) || value > most {
        return Err(refuse(key, &format!("1 to {most}"), &value.to_string()));
    }
    Ok(value)
}

fn refuse(key: &str, expected: &str, found: &str) -> PluginError {
    PluginError::permanent(format!("{key}: expected {expected}, found {found}"))
}
