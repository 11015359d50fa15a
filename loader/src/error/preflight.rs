//! [`PreflightError`]: a candidate did to its trial process what it must not do to a host, or there was no trial.
//!
//! What the trial process itself refuses is no error of this kind: it is the [`LoadError`](super::LoadError) or
//! [`CreateError`](super::CreateError) that the host would have given.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far a trial had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PreflightStage {
    /// The process started and read what it was to try.
    Start,
    /// The library was mapped; its ELF constructors ran.
    Map,
    /// Its entry was called, and layouts were compared.
    Entry,
    /// It read its configuration.
    Open,
    /// Its constructor ran.
    Create,
    /// It was asked for its health.
    Health,
    /// Its shutdown hook ran, and it was closed.
    Shutdown,
}

impl PreflightStage {
    /// What was happening, as the end of a sentence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "while it started",
            Self::Map => "while the library was mapped",
            Self::Entry => "in the library's entry",
            Self::Open => "while the plugin read its configuration",
            Self::Create => "in the plugin's constructor",
            Self::Health => "in the plugin's health check",
            Self::Shutdown => "in the plugin's shutdown hook",
        }
    }
}

/// Why a trial did not end well.
// The fields say what the message says; a line for each would only repeat it.
#[allow(missing_docs)]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// There was no trial: the file is not condemned.
    #[error(
        "{path}: its trial process could not be had: {reason}; set preflight = false in [host] to go without such processes"
    )]
    NotStarted { path: PathBuf, reason: String },
    /// A stage did not end.
    #[error(
        "{path}: its trial process hung {}: killed after {limit:?}{}; mend the plugin, or raise its limits",
        stage.name(), wrote(said)
    )]
    TimedOut { path: PathBuf, stage: PreflightStage, limit: Duration, said: String },
    /// A signal ended it.
    #[error(
        "{path}: its trial process was ended by {signal} {}{}; this is a bug of the plugin, which would have ended the host",
        stage.name(), wrote(said)
    )]
    Killed { path: PathBuf, stage: PreflightStage, signal: String, said: String },
    /// It ended itself.
    #[error(
        "{path}: its trial process exited with code {code} {}{}; a plugin must not end its process, which would have been \
         the host",
        stage.name(), wrote(said)
    )]
    Exited { path: PathBuf, stage: PreflightStage, code: i32, said: String },
    /// It took more memory than a trial may have.
    #[error(
        "{path}: its trial process ran out of memory {}{}{}; mend the plugin, or raise preflight_memory",
        stage.name(), allowed(*limit), wrote(said)
    )]
    OutOfMemory { path: PathBuf, stage: PreflightStage, limit: Option<u64>, said: String },
    /// It answered what no trial process answers.
    #[error(
        "{path}: its trial process answered with what is no answer {}: {reason}{}; something in the plugin writes to files \
         that are not its own",
        stage.name(), wrote(said)
    )]
    Garbled { path: PathBuf, stage: PreflightStage, reason: String, said: String },
}

impl PreflightError {
    /// A stable code per variant, for JSON output, metric labels and tests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotStarted { .. } => "preflight-not-started",
            Self::TimedOut { .. } => "preflight-timed-out",
            Self::Killed { .. } => "preflight-killed",
            Self::Exited { .. } => "preflight-exited",
            Self::OutOfMemory { .. } => "preflight-out-of-memory",
            Self::Garbled { .. } => "preflight-garbled",
        }
    }

    /// The file that was tried, as the operator named it.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotStarted { path, .. }
            | Self::TimedOut { path, .. }
            | Self::Killed { path, .. }
            | Self::Exited { path, .. }
            | Self::OutOfMemory { path, .. }
            | Self::Garbled { path, .. } => path,
        }
    }

    /// How far the trial had come.
    pub fn stage(&self) -> PreflightStage {
        match self {
            Self::NotStarted { .. } => PreflightStage::Start,
            Self::TimedOut { stage, .. }
            | Self::Killed { stage, .. }
            | Self::Exited { stage, .. }
            | Self::OutOfMemory { stage, .. }
            | Self::Garbled { stage, .. } => *stage,
        }
    }

    /// Whether the same file and configuration may succeed later: there was no trial, or what failed in it is the author's
    /// constructor or what comes after, which may depend on the world as it is now.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NotStarted { .. }) || self.stage() >= PreflightStage::Create
    }
}

/// How much of what a process wrote a message quotes, in characters.
const QUOTED: usize = 600;

/// The end of what it wrote, on one line.
fn wrote(said: &str) -> String {
    let said = said.trim();
    if said.is_empty() {
        return String::new();
    }
    let skipped = said.chars().count().saturating_sub(QUOTED);
    let shown: String = said.chars().skip(skipped).flat_map(char::escape_debug).collect();
    format!(" (it wrote: {}{})", if skipped > 0 { "…" } else { "" }, shown.replace("\\\"", "\"").replace("\\'", "'"))
}

fn allowed(limit: Option<u64>) -> String {
    limit.map_or_else(
        || " (killed by the system)".to_owned(),
        |limit| format!(" (it may have {} MiB more than at its start)", limit >> 20),
    )
}
