//! [`PluginContext`]: what a constructor is told.

use std::path::PathBuf;

use mini_chat_plugin_abi::host::FfiLogLevel;
use tokio_util::sync::CancellationToken;

use crate::plugin::host::Host;
use crate::plugin_error::{OrPluginError, PluginError};

/// What an instance is created for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// To serve calls.
    Serve,
    /// To find out whether it could: it gets no calls, may run beside a serving instance, and must not disturb that one
    /// (bind its port, take its lock, write its files). Its data directory is a scratch one.
    Preflight,
}

/// Severity of a record for the host's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LogLevel {
    /// An error.
    Error,
    /// A warning.
    Warn,
    /// Information.
    Info,
    /// For debugging.
    Debug,
    /// Very fine-grained.
    Trace,
}

/// What a constructor is told, and what it may keep: cheap to clone, valid on any thread, for as long as the process runs.
#[derive(Debug, Clone)]
pub struct PluginContext {
    pub(crate) instance_name: String,
    pub(crate) generation: u64,
    pub(crate) purpose: Purpose,
    pub(crate) lifetime: CancellationToken,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) host: Host,
}

impl PluginContext {
    /// Name of this instance: the NAME of `[plugins.NAME]`.
    #[must_use]
    pub fn instance_name(&self) -> &str {
        &self.instance_name
    }

    /// Number of this generation in its slot: 1 for the first, more after each swap.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the instance is created for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Cancelled when this instance is retired: background tasks should end then.
    #[must_use]
    pub fn lifetime(&self) -> &CancellationToken {
        &self.lifetime
    }

    /// A directory of this instance's own that outlives it; created by this call.
    ///
    /// # Errors
    ///
    /// Permanent if the host gave none (`plugins.NAME.data_dir`), retryable if it cannot be created.
    pub fn data_dir(&self) -> Result<PathBuf, PluginError> {
        let Some(path) = &self.data_dir else {
            return Err(PluginError::permanent(format!(
                "the plugin needs a data directory: set `data_dir` of plugins.{}",
                self.instance_name
            )));
        };
        std::fs::create_dir_all(path).or_retryable(&format!("create the data directory {}", path.display()))?;
        Ok(path.clone())
    }

    /// Name of the host program, such as `mini-chat-plugins`.
    #[must_use]
    pub fn host_name(&self) -> String {
        match crate::plugin::loaded_by() {
            Some((name, _)) => name.to_owned(),
            None => self.host_fact("host.name").unwrap_or_default(),
        }
    }

    /// Version of the host program.
    #[must_use]
    pub fn host_version(&self) -> String {
        match crate::plugin::loaded_by() {
            Some((_, version)) => version.to_owned(),
            None => self.host_fact("host.version").unwrap_or_default(),
        }
    }

    /// A fact of the host by name (`host.name`, `host.version`, `host.pid`, `loader.version`); none if it does not know
    /// it, or is gone.
    #[must_use]
    pub fn host_fact(&self, name: &str) -> Option<String> {
        self.host.fact(name)
    }

    /// Writes one record to the host's log, with the instance's name as its target. Does nothing once the host is gone.
    pub fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Error => FfiLogLevel::ERROR,
            LogLevel::Warn => FfiLogLevel::WARN,
            LogLevel::Info => FfiLogLevel::INFO,
            LogLevel::Debug => FfiLogLevel::DEBUG,
            LogLevel::Trace => FfiLogLevel::TRACE,
        };
        self.host.log(level, &self.instance_name, message);
    }
}
