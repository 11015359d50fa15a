//! [`SwapError`]: a swap, a reload or a rollback that somebody asked for did not happen. What served before serves on.

use super::PluginFailure;

/// Why a swap that was asked for did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwapError {
    /// There is no such plugin.
    #[error("no plugin is named {name}: {}", known_names(known))]
    UnknownName {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A file has the id of no plugin that is to serve.
    #[error("{file}: its id is {id}, which no plugin has: name it as `library` in plugins.toml, or drop it into a plugin directory", file = file.display())]
    UnknownId {
        /// The file.
        file: std::path::PathBuf,
        /// Its id.
        id: String,
    },
    /// The build was not accepted.
    #[error("{message}")]
    Refused {
        /// A stable code, see [`PluginFailure::kind`].
        kind: &'static str,
        /// For people.
        message: String,
    },
    /// There is nothing to create anew.
    #[error("plugin {name}: there is no usable file, or it is disabled: {why}")]
    NothingToServe {
        /// The plugin.
        name: String,
        /// What the slot says.
        why: String,
    },
    /// There is no predecessor.
    #[error(
        "plugin {name}: nothing to roll back to: no other build has served here since the host started, or the last swap was a rollback"
    )]
    NothingToRollBackTo {
        /// The plugin.
        name: String,
    },
    /// Another build came, or none is wanted any more.
    #[error("plugin {name}: not pursued: another build took its place before it could serve")]
    Superseded {
        /// The plugin.
        name: String,
    },
    /// The host ends.
    #[error("the host is shutting down")]
    ShuttingDown,
}

fn known_names(known: &[String]) -> String {
    if known.is_empty() { "there are none".to_owned() } else { format!("there are {}", known.join(", ")) }
}

impl SwapError {
    pub(crate) fn refused(failure: &PluginFailure) -> Self {
        Self::Refused { kind: failure.kind(), message: failure.to_string() }
    }

    /// A stable code.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::UnknownName { .. } => "unknown-name",
            Self::UnknownId { .. } => "unknown-id",
            Self::Refused { kind, .. } => kind,
            Self::NothingToServe { .. } => "nothing-to-serve",
            Self::NothingToRollBackTo { .. } => "nothing-to-roll-back-to",
            Self::Superseded { .. } => "superseded",
            Self::ShuttingDown => "shutting-down",
        }
    }
}
