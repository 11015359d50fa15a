//! [`BuildError`] and [`PluginFailure`]: what the host as a whole could not do.

use crate::config::PluginEntry;

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
    /// Files have the plugin's id, but none has the version that is asked for.
    #[error(
        "plugin {plugin}: no usable file with the id {library} has the version {version}; there are: {}; drop it there, or \
         change `version`",
        found.join(", ")
    )]
    NoVersion {
        /// The instance's name.
        plugin: String,
        /// The id looked for.
        library: String,
        /// The version looked for.
        version: String,
        /// The versions that there are.
        found: Vec<String>,
    },
}

impl PluginFailure {
    /// That nothing in the plugin directories is what `entry` asks for; `found` are the versions with its id.
    pub(crate) fn no_file<'a>(entry: &PluginEntry, found: impl Iterator<Item = &'a semver::Version>) -> Self {
        let (plugin, library) = (entry.name.clone(), entry.library.clone());
        let found = found.map(ToString::to_string).collect::<Vec<_>>();
        match &entry.version {
            Some(version) if !found.is_empty() => {
                Self::NoVersion { plugin, library, version: version.to_string(), found }
            }
            _ => Self::NoFile { plugin, library },
        }
    }

    /// A stable code, for JSON output, metric labels and tests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Load(error) => error.kind(),
            Self::Create(error) => error.kind(),
            Self::NoFile { .. } => "no-file",
            Self::NoVersion { .. } => "no-version",
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
