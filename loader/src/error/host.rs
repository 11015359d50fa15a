//! [`BuildError`] and [`PluginFailure`]: what the host as a whole could not do.

use super::{ConfigError, CreateError, ImageDirError, LoadError};

/// Why one plugin does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginFailure {
    /// Its file is at fault.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its code or its configuration is at fault.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// No file has the plugin's id.
    #[error(
        "plugin {plugin}: no usable file with the id {library} in the plugin directories; drop it there, or set \
         enabled = false"
    )]
    NoFile {
        /// The instance's name.
        plugin: String,
        /// The id looked for.
        library: String,
    },
}

impl PluginFailure {
    /// A stable code, for JSON output, metric labels and tests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Load(error) => error.kind(),
            Self::Create(error) => error.kind(),
            Self::NoFile { .. } => "no-file",
        }
    }
}

/// Why a host could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// `plugins.toml` is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no place for the private copies of plugins.
    #[error(transparent)]
    ImageDir(#[from] ImageDirError),
    /// The housekeeping thread could not be started.
    #[error("the housekeeping thread could not be started: {0}; raise the limit of threads")]
    Thread(#[from] std::io::Error),
    /// A plugin of another host hangs in the dynamic linker, so that this process can start no thread.
    #[error(
        "no host can be built in this process: {path} hangs while it is mapped and holds up the dynamic linker; remove \
         that file and restart the process, which may have to be killed"
    )]
    LinkerHeldUp {
        /// The file that hangs.
        path: std::path::PathBuf,
    },
    /// Two plugins were given the same name.
    #[error("two plugins are named {name}; a name is one slot")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A name that no plugin can have.
    #[error("no plugin can be named {name:?}: a name has 1 to 128 letters, digits, `.`, `_` and `-`")]
    BadName {
        /// The name.
        name: String,
    },
    /// A required plugin does not serve, and the host was told to fail then.
    #[error("required plugins do not serve: {}", list(failures))]
    Required {
        /// Name and reason of each.
        failures: Vec<(String, String)>,
    },
}

fn list(failures: &[(String, String)]) -> String {
    failures.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>().join("; ")
}
