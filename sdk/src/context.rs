//! [`PluginContext`]: what a constructor is told.

use std::path::PathBuf;
use std::sync::Arc;

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

/// What the predecessor in the slot has handed over: the bytes that its hook `export_state` gave.
///
/// The predecessor is the same plugin, but hardly ever the same build: a plugin must be able to tell bytes of an older or
/// a newer version of itself (put a version in front), and to start without them.
#[derive(Clone)]
pub struct Handover {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) exact: bool,
}

impl Handover {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the predecessor was quiesced before it gave them, and so has not changed since: queues and counters may be
    /// taken over. Otherwise it still serves: what it gave is out of date already, and good for warming up a cache at most.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }
}

/// Says how much there is, not what: it may be secret.
impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handover").field("len", &self.bytes.len()).field("exact", &self.exact).finish()
    }
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
    pub(crate) handover: Option<Handover>,
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

    /// What the predecessor in the slot has handed over; none for the first generation, after a predecessor without the
    /// hook `export_state`, and where the hook failed or gave too much.
    ///
    /// It stays in memory (16 MiB at most) as long as this context or a clone of it does; see
    /// [`forget_handover`](Self::forget_handover).
    #[must_use]
    pub fn handover(&self) -> Option<&Handover> {
        self.handover.as_ref()
    }

    /// Lets go of the handover: for a constructor that keeps the context, once it has taken what it needs.
    pub fn forget_handover(&mut self) {
        self.handover = None;
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
