//! [`CreateError`]: the file is fine, but no instance of it could be created.

use std::time::Duration;

use super::{ConfigError, ConfigProblem};

/// Which step of an instance's life failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Its configuration was read.
    Open,
    /// Its constructor ran.
    Create,
    /// It was asked for its health.
    Health,
    /// Its shutdown hook ran.
    Shutdown,
    /// It was to give up what only one instance may hold, before its successor is created.
    Quiesce,
    /// It was to take that back, as there is no successor after all.
    Resume,
    /// It was to tell what its successor gets.
    ExportState,
}

impl Stage {
    /// The step in the words of the SDK.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "reading of the configuration",
            Self::Create => "constructor",
            Self::Health => "health check",
            Self::Shutdown => "shutdown hook",
            Self::Quiesce => "hook quiesce",
            Self::Resume => "hook resume",
            Self::ExportState => "hook export_state",
        }
    }
}

/// Why no instance could be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The configuration refers to something that cannot be had.
    #[error("plugin {plugin}: {source}")]
    Config {
        /// The instance's name.
        plugin: String,
        /// What is wrong.
        source: ConfigError,
    },
    /// The plugin refuses its configuration.
    #[error("plugin {plugin}: {problem}")]
    ConfigRefused {
        /// The instance's name.
        plugin: String,
        /// Where and what, without any value.
        problem: ConfigProblem,
    },
    /// The plugin's code returned an error.
    #[error("plugin {plugin}: its {} failed{}: {message}{}", stage.name(), code_text(*code), again(*retryable, *retry_after))]
    Failed {
        /// The instance's name.
        plugin: String,
        /// Which step.
        stage: Stage,
        /// Whether the plugin says that trying again makes sense.
        retryable: bool,
        /// The plugin author's own number; 0 is none.
        code: u32,
        /// How long the plugin asks to wait before the next try.
        retry_after: Option<Duration>,
        /// What the plugin says.
        message: String,
    },
    /// The plugin's code panicked.
    #[error("plugin {plugin}: its {} panicked{}: {message}; this is a bug of the plugin", stage.name(), at(location))]
    Panicked {
        /// The instance's name.
        plugin: String,
        /// Which step.
        stage: Stage,
        /// What the panic said.
        message: String,
        /// `file:line:column` in the plugin's sources, where known.
        location: Option<String>,
    },
    /// The plugin's code did not end.
    #[error("plugin {plugin}: its {} did not end within {limit:?}; raise {} or mend the plugin", stage.name(), limit_key(*stage))]
    Deadline {
        /// The instance's name.
        plugin: String,
        /// Which step.
        stage: Stage,
        /// How long it was given.
        limit: Duration,
    },
    /// The plugin does not understand what the host asks.
    #[error("plugin {plugin}: {message}; build it with a newer SDK")]
    Unsupported {
        /// The instance's name.
        plugin: String,
        /// What it does not understand.
        message: String,
    },
    /// The host's own resources.
    #[error("plugin {plugin}: the host could not start a thread for its {}", stage.name())]
    ThreadLost {
        /// The instance's name.
        plugin: String,
        /// Which step.
        stage: Stage,
    },
}

impl CreateError {
    /// A stable code per variant, for JSON output, metric labels and tests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::ConfigRefused { .. } => "config-refused",
            Self::Failed { .. } => "create-failed",
            Self::Panicked { .. } => "create-panicked",
            Self::Deadline { .. } => "create-deadline",
            Self::Unsupported { .. } => "create-unsupported",
            Self::ThreadLost { .. } => "thread-lost",
        }
    }

    /// Whether the same file and configuration may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Config { source, .. } => matches!(source, ConfigError::Secrets { .. }),
            Self::Failed { retryable, .. } => *retryable,
            Self::Panicked { .. } | Self::Deadline { .. } | Self::ThreadLost { .. } => true,
            Self::ConfigRefused { .. } | Self::Unsupported { .. } => false,
        }
    }
}

fn code_text(code: u32) -> String {
    if code == 0 { String::new() } else { format!(" (code {code})") }
}

fn again(retryable: bool, retry_after: Option<Duration>) -> String {
    match (retryable, retry_after) {
        (true, Some(wait)) => format!(" (may be tried again after {wait:?})"),
        (true, None) => " (may be tried again)".to_owned(),
        (false, _) => String::new(),
    }
}

fn at(location: &Option<String>) -> String {
    location.as_ref().map_or_else(String::new, |place| format!(" at {place}"))
}

const fn limit_key(stage: Stage) -> &'static str {
    match stage {
        Stage::Open | Stage::Create => "limits.create",
        Stage::Health => "limits.health",
        Stage::Shutdown => "shutdown of [host]",
        Stage::Quiesce | Stage::Resume | Stage::ExportState => "limits.hold",
    }
}
