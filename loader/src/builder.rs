//! [`PluginHostBuilder`]: what a host is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mini_chat_plugin_sdk::InProcessPlugin;

use crate::config::{self, HostSection, PluginEntry, PluginsConfig};
use crate::error::{BuildError, LoadError, PluginFailure};
use crate::events::Events;
use crate::host::PluginHost;
use crate::housekeeping::{self, Housekeeping, JobLost};
use crate::image_dir::{ImageDir, ImageDirChoice};
use crate::open::turn;
use crate::process_state::ProcessState;
use crate::scan::{Scan, Scanner, choice};
use crate::services::HostIdentity;
use crate::slot::Slot;
use crate::start::{Source, Starter, state_directory};
use crate::status::RefusedFile;
use crate::verify::{ReadLimits, VerifyPolicy};
use crate::watchdog::Watchdog;

/// How long a start waits for files that are still being written.
const START_SETTLE: Duration = Duration::from_secs(3);

/// What happens at start when a required plugin does not serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// The host starts without it: its handle answers as an empty slot does, and the status says why.
    #[default]
    StartDegraded,
    /// [`PluginHostBuilder::build`] fails, after ending the plugins that were started.
    Fail,
}

/// What a host is made of. See [`PluginHost::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is awaited"]
pub struct PluginHostBuilder {
    identity: HostIdentity,
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    config: ConfigSource,
    entries: Vec<PluginEntry>,
    linked: Vec<(String, InProcessPlugin)>,
    image_dir: Option<ImageDirChoice>,
    limits: ReadLimits,
    policy: VerifyPolicy,
    on_failure: OnFailure,
}

#[derive(Debug)]
enum ConfigSource {
    None,
    File(PathBuf),
    Value(Box<PluginsConfig>),
}

impl PluginHostBuilder {
    pub(crate) fn new() -> Self {
        Self {
            identity: HostIdentity { name: "unnamed host".to_owned(), version: "0".to_owned() },
            directories: Vec::new(),
            files: Vec::new(),
            config: ConfigSource::None,
            entries: Vec::new(),
            linked: Vec::new(),
            image_dir: None,
            limits: ReadLimits::default(),
            policy: VerifyPolicy::default(),
            on_failure: OnFailure::default(),
        }
    }

    /// Name and version of the host program, as plugins are told.
    pub fn identity(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.identity = HostIdentity { name: name.into(), version: version.into() };
        self
    }

    /// A directory with plugins; may be called again for more. Every usable `*.so` in it is served: with the settings of
    /// the entry of `plugins.toml` that names it, or, if there is none, under its id with default settings, not required.
    pub fn plugins(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// A single plugin file, whatever its name ends in; may be called again for more. As one of a directory otherwise.
    pub fn plugin_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// `plugins.toml`, read by [`build`](Self::build).
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config = ConfigSource::File(path.into());
        self
    }

    /// A configuration that was read before.
    pub fn config(mut self, config: PluginsConfig) -> Self {
        self.config = ConfigSource::Value(Box::new(config));
        self
    }

    /// One plugin more, as if it stood in `plugins.toml`.
    pub fn plugin(mut self, entry: PluginEntry) -> Self {
        self.entries.push(entry);
        self
    }

    /// A plugin that is linked into this program, served under `name` through the same vtables as a loaded one. Its
    /// settings are those of the entry of that name, if there is one.
    pub fn in_process(mut self, name: impl Into<String>, plugin: InProcessPlugin) -> Self {
        self.linked.push((name.into(), plugin));
        self
    }

    /// Where private copies of plugins are mapped from. Without this: `[host] image_dir` of `plugins.toml`, else
    /// [`ImageDirChoice::Automatic`].
    pub fn image_dir(mut self, choice: ImageDirChoice) -> Self {
        self.image_dir = Some(choice);
        self
    }

    /// Limits for reading plugin files. The `trusted_uids` of `plugins.toml` are added.
    pub fn read_limits(mut self, limits: ReadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What a file must be to be mapped. The `allow_needed` of `plugins.toml` is added.
    pub fn verify_policy(mut self, policy: VerifyPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What happens when a required plugin does not serve. Default: [`OnFailure::StartDegraded`].
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Builds the host and starts its plugins, all at once. Runs under any executor: everything that blocks is done on
    /// threads of the loader's own.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: a wrong configuration, no place for private copies, two plugins of one name; with
    /// [`OnFailure::Fail`] also a required plugin that does not serve. A bad *file* is no error of the host: see
    /// [`PluginHost::status`].
    pub async fn build(self) -> Result<PluginHost, BuildError> {
        // No thread, and so no timer, could be had: waiting would be for ever.
        if let Some(path) = turn::hanging() {
            return Err(BuildError::LinkerHeldUp { path });
        }
        let housekeeping = Housekeeping::start()?;
        let Self {
            identity,
            directories,
            files,
            config,
            entries,
            linked,
            image_dir,
            mut limits,
            mut policy,
            on_failure,
        } = self;
        let config = match config {
            ConfigSource::None => None,
            ConfigSource::Value(config) => Some(*config),
            ConfigSource::File(path) => Some(job(move || PluginsConfig::load(&path)).await??),
        };
        let (section, mut all) = match config {
            Some(config) => (config.host, config.plugins),
            None => (HostSection::default(), Vec::new()),
        };
        all.extend(entries);
        refuse_same_names(all.iter().map(|entry| &entry.name))?;
        refuse_same_names(linked.iter().map(|(name, _)| name))?;
        for (name, _) in &linked {
            if !all.iter().any(|entry| entry.name == *name) {
                all.push(PluginEntry::new(name.clone()));
            }
        }
        check_entries(&all)?;
        policy.allow_needed.extend(section.allow_needed.iter().cloned());
        limits.ownership.trusted_uids.extend(&section.trusted_uids);
        let choice = image_dir
            .or_else(|| section.image_dir.clone().map(ImageDirChoice::Explicit))
            .unwrap_or(ImageDirChoice::Automatic);
        let image_dir = Arc::new(job(move || ImageDir::open(choice)).await??);
        let mut scanner = Scanner::new(directories, files, limits.clone(), policy.clone());
        let scan = job(move || scanner.first(START_SETTLE)).await?;
        let library = Library { scan, limits, policy };

        let starter = Starter {
            housekeeping,
            watchdog: Watchdog::new(),
            events: Events::new(),
            image_dir,
            identity,
            data_dir: section.data_dir.clone().or_else(state_directory),
        };
        let refused = library.scan.unreadable.iter().chain(&library.scan.refused).cloned().collect::<Vec<_>>();
        for file in &refused {
            tracing::warn!(kind = file.kind, "plugin file refused: {}", file.message);
        }
        add_unlisted(&mut all, &library);
        turn::prepare_thread();
        let before = ProcessState::now();
        let slots = start_all(&starter, all, &linked, &library, &refused).await;
        warn_of_changes(&before, &slots.slots);
        let host = PluginHost::new(starter, slots.slots, refused, section.shutdown);
        match on_failure {
            OnFailure::Fail if !slots.required_failures.is_empty() => {
                host.shutdown().await;
                Err(BuildError::Required { failures: slots.required_failures })
            }
            _ => Ok(host),
        }
    }
}

/// A job whose thread is lost is an error of the system like one that cannot be started.
async fn job<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BuildError> {
    housekeeping::run("mini-chat-build", work)
        .await
        .map_err(|JobLost| BuildError::Thread(std::io::Error::other("a thread of the loader was lost")))
}

/// What `plugins.toml` checks for its entries, for those made in code too.
fn check_entries(entries: &[PluginEntry]) -> Result<(), BuildError> {
    for entry in entries {
        if !config::is_instance_name(&entry.name) {
            return Err(BuildError::BadName { name: entry.name.clone() });
        }
        entry.limits.check()?;
    }
    Ok(())
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
fn add_unlisted(entries: &mut Vec<PluginEntry>, library: &Library) {
    for id in library.scan.versions.keys() {
        if entries.iter().any(|entry| entry.library == *id) {
            continue;
        }
        if let Some(taken) = entries.iter().find(|entry| entry.name == *id) {
            let library = &taken.library;
            tracing::warn!("a file has the id {id}, but the plugin of that name is to be {library}: it is not served");
            continue;
        }
        entries.push(PluginEntry { required: false, ..PluginEntry::new(id.clone()) });
    }
}

/// What the plugin directories hold, and by which rules it was judged.
struct Library {
    scan: Scan,
    limits: ReadLimits,
    policy: VerifyPolicy,
}

impl Library {
    /// The file that is to serve for an entry, read and judged anew.
    async fn image(&self, entry: &PluginEntry) -> Result<Source, PluginFailure> {
        let known = self.scan.versions.get(&entry.library).map_or(&[][..], Vec::as_slice);
        let Some(file) = choice(known, entry.version.as_ref(), |_| false).cloned() else {
            return Err(PluginFailure::no_file(entry, known.iter().map(|file| &file.version)));
        };
        let path = file.path.clone();
        let (limits, policy) = (self.limits.clone(), self.policy.clone());
        let image = housekeeping::run("mini-chat-read", move || file.load(&limits, &policy)).await;
        let image = image.map_err(|JobLost| LoadError::OpenLost { path })??;
        Ok(Source::File(Arc::new(image)))
    }
}

struct Started {
    slots: BTreeMap<String, Arc<Slot>>,
    required_failures: Vec<(String, String)>,
}

async fn start_all(
    starter: &Starter,
    entries: Vec<PluginEntry>,
    linked: &[(String, InProcessPlugin)],
    library: &Library,
    refused: &[RefusedFile],
) -> Started {
    let mut started = Started { slots: BTreeMap::new(), required_failures: Vec::new() };
    let enabled = entries.into_iter().filter(|entry| {
        if !entry.enabled {
            let slot = Slot::new(&entry.name, "disabled", "it is disabled in plugins.toml");
            started.slots.insert(entry.name.clone(), Arc::new(slot));
        }
        entry.enabled
    });
    let starts = enabled.collect::<Vec<_>>().into_iter().map(async |entry| {
        let linked = linked.iter().find(|(name, _)| *name == entry.name).map(|(_, plugin)| Source::Linked(*plugin));
        let source = match linked {
            Some(source) => Ok(source),
            None => library.image(&entry).await,
        };
        let outcome = match source {
            Ok(source) => starter.start(source, &entry, 1).await,
            Err(failure) => Err(failure),
        };
        (entry, outcome)
    });
    for (entry, outcome) in join_all(starts).await {
        let slot = Slot::new(&entry.name, "starting", "it is being started");
        match outcome {
            Ok(instance) => {
                let descriptor = &instance.image.descriptor;
                tracing::info!(
                    plugin = entry.name,
                    id = descriptor.id,
                    version = descriptor.version,
                    abi = descriptor.abi.version,
                    "plugin is serving"
                );
                for method in descriptor.answered_by_default() {
                    tracing::warn!(plugin = entry.name, "{method} is newer than the plugin: answered by default");
                }
                slot.flip(instance);
            }
            Err(failure) => {
                tracing::error!(plugin = entry.name, kind = failure.kind(), "plugin does not serve: {failure}");
                let text = with_refused(&failure, refused);
                if entry.required {
                    started.required_failures.push((entry.name.clone(), text.clone()));
                }
                slot.vacate(failure.kind(), text);
            }
        }
        started.slots.insert(entry.name.clone(), Arc::new(slot));
    }
    started
}

/// A plugin may change what belongs to the whole process; its author usually does not know.
fn warn_of_changes(before: &ProcessState, slots: &BTreeMap<String, Arc<Slot>>) {
    let changes = before.changes();
    if !changes.is_empty() {
        let plugins = slots.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            plugins,
            "while these plugins started, {}: that belongs to the whole process, and one of them may have done it \
             (docs/two-copies-of-std.md)",
            changes.join("; ")
        );
    }
}

/// A missing file may be one of those that were refused: name them.
fn with_refused(failure: &PluginFailure, refused: &[RefusedFile]) -> String {
    match failure {
        PluginFailure::NoFile { .. } | PluginFailure::NoVersion { .. } if !refused.is_empty() => {
            let files = refused.iter().map(|file| file.message.as_str()).collect::<Vec<_>>().join("; ");
            format!("{failure} (refused files: {files})")
        }
        _ => failure.to_string(),
    }
}
