//! [`Build`]: what a slot may serve: a plugin's code with its settings.

use std::path::PathBuf;
use std::sync::Arc;

use mini_chat_plugin_sdk::InProcessPlugin;
use sha2::{Digest as _, Sha256};

use crate::config::{PluginEntry, ResolvedConfig};
use crate::scan::Known;
use crate::status::BuildStatus;
use crate::swap::Candidate;
use crate::verify::{Descriptor, Digest};

/// Where the code is.
#[derive(Debug, Clone)]
pub(crate) enum Code {
    /// In this program.
    Linked(InProcessPlugin),
    /// In a file that was judged.
    File(Known),
}

/// Two builds with the same key are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// None if it is linked into this program.
    pub(crate) digest: Option<Digest>,
    /// Of its settings and its configuration, secrets filled in.
    pub(crate) settings: [u8; 32],
    /// How often it was to be created anew although nothing had changed.
    pub(crate) reloads: u64,
}

/// Code with settings.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) key: Key,
    pub(crate) code: Code,
    pub(crate) entry: Arc<PluginEntry>,
    /// With its secrets.
    pub(crate) config: ResolvedConfig,
    exclusive: bool,
    pub(crate) rollback: bool,
}

impl Build {
    pub(crate) fn new(code: Code, entry: Arc<PluginEntry>, config: ResolvedConfig, reloads: u64) -> Self {
        let (digest, exclusive) = match &code {
            Code::Linked(plugin) => {
                (None, Descriptor::of_linked(plugin.descriptor()).is_ok_and(|descriptor| descriptor.is_exclusive()))
            }
            Code::File(known) => (Some(known.digest), known.descriptor.is_exclusive()),
        };
        let settings = fingerprint(&entry, &config);
        Self { key: Key { digest, settings, reloads }, code, entry, config, exclusive, rollback: false }
    }

    pub(crate) fn version(&self) -> String {
        match &self.code {
            Code::Linked(_) => String::new(),
            Code::File(known) => known.version.to_string(),
        }
    }

    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.code {
            Code::Linked(_) => None,
            Code::File(known) => Some(known.path.clone()),
        }
    }

    pub(crate) fn status(&self) -> BuildStatus {
        match &self.code {
            Code::Linked(_) => BuildStatus { version: self.version(), digest: None, file: None },
            Code::File(known) => known.status(),
        }
    }
}

impl PartialEq for Build {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Candidate for Build {
    fn exclusive(&self) -> bool {
        self.exclusive
    }

    fn is_rollback(&self) -> bool {
        self.rollback
    }

    fn as_rollback(&self) -> Self {
        Self { rollback: true, ..self.clone() }
    }
}

/// Equal for equal settings. The texts that go in are never shown.
pub(super) fn fingerprint(entry: &PluginEntry, config: &ResolvedConfig) -> [u8; 32] {
    let PluginEntry { name, library, vendor, priority, instance, mode, workers, data_dir, limits, probation, .. } =
        entry;
    let settings =
        format!("{:?}", (name, library, vendor, priority, instance, mode, workers, data_dir, limits, probation));
    let mut hash = Sha256::new();
    hash.update(settings);
    hash.update(config.fingerprint());
    hash.finalize().into()
}
