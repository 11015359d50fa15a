//! [`BuildError`] and [`PluginFailure`]: what the host as a whole could not do.

use std::time::Duration;

use crate::config::PluginEntry;

use super::{ConfigError, CreateError, ImageDirError, LoadError, PreflightError, PreflightStage};

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
    /// It ended its trial process, or that could not be had.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
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
    /// It may not run beside what serves, which has calls that do not end.
    #[error(
        "plugin {plugin}: not replaced: {calls} calls of what serves did not end within {limit:?} while new ones were held; \
         it is tried again; raise limits.hold if calls take so long"
    )]
    Busy {
        /// The instance's name.
        plugin: String,
        /// Calls under way.
        calls: i64,
        /// How long they were waited for.
        limit: Duration,
    },
    /// It does not serve a kind that what it is to replace serves.
    #[error(
        "{}: plugin {plugin}: not replaced: {build} does not serve {lacks}, expected that of it, as what it is to replace does: \
         every such call would fail from then on; drop in a build that does, or set may_drop_kinds = true in \
         [plugins.{plugin:?}]",
        path.display()
    )]
    KindsDropped {
        /// The instance's name.
        plugin: String,
        /// The file.
        path: std::path::PathBuf,
        /// The candidate's version, and the beginning of its digest.
        build: String,
        /// Names of the kinds that would be gone.
        lacks: String,
    },
}

/// What it takes for a build that failed to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Other bytes.
    NewFile,
    /// Other bytes, or other settings.
    NewSettings,
    /// Time: as much as the plugin asks for, if it does.
    Time(Option<Duration>),
}

impl PluginFailure {
    /// What it takes for the build to be tried again.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Create(CreateError::Failed { retryable: true, retry_after, .. }) => Remedy::Time(*retry_after),
            failure if failure.is_retryable() => Remedy::Time(None),
            Self::Create(_) | Self::KindsDropped { .. } => Remedy::NewSettings,
            Self::Preflight(error) if error.stage() >= PreflightStage::Open => Remedy::NewSettings,
            _ => Remedy::NewFile,
        }
    }

    /// Whether the same file and configuration may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Load(error) => error.is_retryable(),
            Self::Create(error) => error.is_retryable(),
            Self::Preflight(error) => error.is_retryable(),
            Self::Busy { .. } => true,
            Self::NoFile { .. } | Self::NoVersion { .. } | Self::KindsDropped { .. } => false,
        }
    }

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
            Self::Preflight(error) => error.kind(),
            Self::NoFile { .. } => "no-file",
            Self::NoVersion { .. } => "no-version",
            Self::Busy { .. } => "busy",
            Self::KindsDropped { .. } => "kinds-dropped",
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
    /// Plugins were to be tried, and there is no program for it.
    #[error(
        "no program to try plugins with: call mini_chat_plugin_loader::preflight_child() at the top of main, or name one \
         with Preflight::Program"
    )]
    NoPreflight,
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
    /// A prefix that no metric can have.
    #[error("metrics cannot have the prefix {prefix:?}: expected a {}", crate::metrics::PREFIX_FORM)]
    BadMetricsPrefix {
        /// The prefix.
        prefix: String,
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
