//! [`LoadError`] and [`CreateError`] on their way from the child: without what only the host knows (the file's own path,
//! the plugin's place in `plugins.toml`), so that in the host they are what the host itself would have said.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{ConfigTable, PluginEntry};
use crate::error::{CreateError, LoadError, Stage};

/// What mapping and opening may refuse.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LoadFault {
    MapFailed(String),
    WrongMagic(String),
    EarlyAllocation(String),
    EntryRefused(String),
    LayoutMissing,
    LayoutMismatch(Vec<String>),
}

impl LoadFault {
    /// `Err` with the text of what cannot come up in a child.
    pub(super) fn of(error: LoadError) -> Result<Self, String> {
        Ok(match error {
            LoadError::MapFailed { reason, .. } => Self::MapFailed(reason),
            LoadError::WrongMagic { found, .. } => Self::WrongMagic(found),
            LoadError::EarlyAllocation { reason, .. } => Self::EarlyAllocation(reason),
            LoadError::EntryRefused { reason, .. } => Self::EntryRefused(reason),
            LoadError::LayoutMissing { .. } => Self::LayoutMissing,
            LoadError::LayoutMismatch { mismatches, .. } => Self::LayoutMismatch(mismatches),
            other => return Err(other.to_string()),
        })
    }

    pub(super) fn into_error(self, path: &Path) -> LoadError {
        let path = path.to_owned();
        match self {
            Self::MapFailed(reason) => LoadError::MapFailed { path, reason },
            Self::WrongMagic(found) => LoadError::WrongMagic { path, found },
            Self::EarlyAllocation(reason) => LoadError::EarlyAllocation { path, reason },
            Self::EntryRefused(reason) => LoadError::EntryRefused { path, reason },
            Self::LayoutMissing => LoadError::LayoutMissing { path },
            Self::LayoutMismatch(mismatches) => LoadError::LayoutMismatch { path, mismatches },
        }
    }
}

/// What an instance may fail with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CreateFault {
    ConfigRefused { path: String, message: String },
    Failed { stage: Stage, retryable: bool, code: u32, retry_after: Option<Duration>, message: String },
    Panicked { stage: Stage, message: String, location: Option<String> },
    Deadline { stage: Stage, limit: Duration },
    Unsupported(String),
    ThreadLost { stage: Stage },
}

impl CreateFault {
    /// `table`: the one that the instance was opened with, whose key path stands in front of every other.
    pub(super) fn of(error: CreateError, table: &ConfigTable) -> Result<Self, String> {
        Ok(match error {
            CreateError::ConfigRefused { problem, .. } => {
                let path = problem.key.strip_prefix(table.key_path_prefix()).unwrap_or(&problem.key);
                Self::ConfigRefused {
                    path: path.strip_prefix('.').unwrap_or(path).to_owned(),
                    message: problem.message,
                }
            }
            CreateError::Failed { stage, retryable, code, retry_after, message, .. } => {
                Self::Failed { stage, retryable, code, retry_after, message }
            }
            CreateError::Panicked { stage, message, location, .. } => Self::Panicked { stage, message, location },
            CreateError::Deadline { stage, limit, .. } => Self::Deadline { stage, limit },
            CreateError::Unsupported { message, .. } => Self::Unsupported(message),
            CreateError::ThreadLost { stage, .. } => Self::ThreadLost { stage },
            CreateError::Config { .. } => return Err(error.to_string()),
        })
    }

    pub(super) fn into_error(self, entry: &PluginEntry) -> CreateError {
        let plugin = entry.name.clone();
        match self {
            Self::ConfigRefused { path, message } => {
                CreateError::ConfigRefused { plugin, problem: entry.config.plugin_problem(&path, message) }
            }
            Self::Failed { stage, retryable, code, retry_after, message } => {
                CreateError::Failed { plugin, stage, retryable, code, retry_after, message }
            }
            Self::Panicked { stage, message, location } => CreateError::Panicked { plugin, stage, message, location },
            Self::Deadline { stage, limit } => CreateError::Deadline { plugin, stage, limit },
            Self::Unsupported(message) => CreateError::Unsupported { plugin, message },
            Self::ThreadLost { stage } => CreateError::ThreadLost { plugin, stage },
        }
    }
}
