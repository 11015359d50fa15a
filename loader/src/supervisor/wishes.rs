//! What the operator wants to serve, and what there is to serve it with: read anew at each look.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mini_chat_plugin_sdk::InProcessPlugin;

use crate::config::{self, Origin, PluginEntry, PluginsConfig, ProcessSecrets, ResolvedConfig};
use crate::error::{BuildError, ConfigError};
use crate::scan::{Scan, Scanner};
use crate::watch::Targets;

/// How long a start waits for files that are still being written.
const SETTLING: Duration = Duration::from_secs(3);

/// Where the wishes come from.
pub(crate) struct Sources {
    pub(crate) scanner: Scanner,
    pub(crate) directories: Vec<PathBuf>,
    /// Single plugin files.
    pub(crate) files: Vec<PathBuf>,
    /// `plugins.toml`, if there is one to be read again.
    pub(crate) config_file: Option<PathBuf>,
    /// The entries of a configuration, as last read.
    pub(crate) configured: Vec<PluginEntry>,
    /// The file that they were read from, as it was.
    pub(crate) accepted: Option<Arc<Origin>>,
    /// Why a start has used what was accepted before.
    pub(crate) config_refused: Option<String>,
    /// Entries from code.
    pub(crate) entries: Vec<PluginEntry>,
    pub(crate) linked: Vec<(String, InProcessPlugin)>,
}

/// One plugin that is to serve.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) entry: Arc<PluginEntry>,
    /// An entry names it; otherwise a file that is there has its id.
    pub(crate) listed: bool,
    pub(crate) linked: Option<InProcessPlugin>,
    /// Its configuration with its secrets, or why there is none.
    pub(crate) config: Result<ResolvedConfig, ConfigError>,
}

/// What one look found.
pub(crate) struct Looked {
    pub(crate) sources: Sources,
    pub(crate) scan: Scan,
    /// By name. What was wished for before stands where the configuration is wrong.
    pub(crate) wishes: BTreeMap<String, Wish>,
    /// What is wrong with the configuration.
    pub(crate) refused: Option<String>,
}

impl Sources {
    /// Looks at the files and the configuration. Blocks on the disk.
    pub(crate) fn look(mut self, first: bool, completed: &[PathBuf]) -> Looked {
        let scan = if first { self.scanner.first(SETTLING) } else { self.scanner.scan(completed) };
        let refused = if first { self.config_refused.take() } else { self.read_config().err() };
        let mut entries = self.all().unwrap_or_default();
        let listed = entries.len();
        add_unlisted(&mut entries, &scan, first);
        let wishes = entries.into_iter().enumerate().map(|(place, entry)| {
            let config = entry.config.resolve(&ProcessSecrets);
            let linked = self.linked.iter().find(|(name, _)| *name == entry.name).map(|(_, plugin)| *plugin);
            (entry.name.clone(), Wish { entry: Arc::new(entry), listed: place < listed, linked, config })
        });
        Looked { wishes: wishes.collect(), scan, refused, sources: self }
    }

    /// Reads `plugins.toml` again; on an error, what was read before stands.
    fn read_config(&mut self) -> Result<(), String> {
        let Some(path) = &self.config_file else { return Ok(()) };
        let config = PluginsConfig::load(path).map_err(|error| error.to_string())?;
        let before = std::mem::replace(&mut self.configured, config.plugins);
        match self.all() {
            Ok(_) => {
                self.accepted = Some(config.origin);
                Ok(())
            }
            Err(error) => {
                self.configured = before;
                Err(error.to_string())
            }
        }
    }

    /// The entries of all sources.
    ///
    /// # Errors
    ///
    /// A name twice, one that is none, a wrong limit.
    pub(crate) fn all(&self) -> Result<Vec<PluginEntry>, BuildError> {
        let mut all = [self.configured.clone(), self.entries.clone()].concat();
        refuse_same_names(all.iter().map(|entry| &entry.name))?;
        refuse_same_names(self.linked.iter().map(|(name, _)| name))?;
        for (name, _) in &self.linked {
            if !all.iter().any(|entry| entry.name == *name) {
                all.push(PluginEntry::new(name.clone()));
            }
        }
        for entry in &all {
            if !config::is_instance_name(&entry.name) {
                return Err(BuildError::BadName { name: entry.name.clone() });
            }
            entry.limits.check()?;
        }
        Ok(all)
    }

    /// What a watcher is to watch.
    pub(crate) fn targets(&self) -> Targets {
        let secrets = self.configured.iter().chain(&self.entries).flat_map(|e| e.config.secret_files(&ProcessSecrets));
        let files: BTreeSet<PathBuf> = self.config_file.iter().chain(&self.files).cloned().chain(secrets).collect();
        Targets { directories: self.directories.clone(), files: files.into_iter().collect() }
    }
}

fn refuse_same_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), BuildError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(BuildError::DuplicateName { name: name.clone() });
        }
    }
    Ok(())
}

/// A file that no entry names is served under its id.
fn add_unlisted(entries: &mut Vec<PluginEntry>, scan: &Scan, tell: bool) {
    for id in scan.versions.keys() {
        if entries.iter().any(|entry| entry.library == *id) {
            continue;
        }
        match entries.iter().find(|entry| entry.name == *id) {
            Some(taken) if tell => {
                let library = &taken.library;
                tracing::warn!(
                    "a file has the id {id}, but the plugin of that name is to be {library}: it is not served"
                );
            }
            Some(_) => {}
            None => entries.push(PluginEntry { required: false, ..PluginEntry::new(id.clone()) }),
        }
    }
}
