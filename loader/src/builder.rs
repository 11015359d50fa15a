//! [`PluginHostBuilder`]: what a host is made of.

use std::path::PathBuf;
use std::sync::Arc;

use mini_chat_plugin_sdk::InProcessPlugin;
use tokio::sync::oneshot;

use crate::config::{HostSection, PluginEntry, PluginsConfig};
use crate::error::BuildError;
use crate::events::Events;
use crate::host::PluginHost;
use crate::housekeeping::{self, Housekeeping, JobLost};
use crate::image_dir::{ImageDir, ImageDirChoice};
use crate::metrics;
use crate::open::turn;
use crate::preflight::{Preflight, Preflighter};
use crate::process_state::ProcessState;
use crate::registry::GtsTypes;
use crate::scan::Scanner;
use crate::services::HostIdentity;
use crate::start::{Starter, state_directory};
use crate::state::{Memory, StateDirChoice};
use crate::status::HostStatus;
use crate::supervisor::{Means, Shared, Sources, Supervisor};
use crate::verify::{ReadLimits, VerifyPolicy};
use crate::watchdog::Watchdog;

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
    watch: Option<bool>,
    preflight: Option<Preflight>,
    preflight_memory: Option<u64>,
    max_images: Option<u32>,
    state_dir: StateDirChoice,
    gts_types: Option<GtsTypes>,
    metrics_prefix: Option<String>,
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
            watch: None,
            preflight: None,
            preflight_memory: None,
            max_images: None,
            state_dir: StateDirChoice::default(),
            gts_types: None,
            metrics_prefix: None,
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

    /// Whether the plugin directories, `plugins.toml` and the secret files that it names are watched, so that a change of
    /// them is a swap. Without this: `[host] watch` of `plugins.toml`, which is true by default. Otherwise only
    /// [`PluginHost::rescan`] and the like look again.
    pub fn watch(mut self, watch: bool) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Whether candidates are tried in a process of their own before they are mapped, and which program that is. Without
    /// this: [`Preflight::Automatic`], unless `[host] preflight` of `plugins.toml` says no.
    pub fn preflight(mut self, preflight: Preflight) -> Self {
        self.preflight = Some(preflight);
        self
    }

    /// Bytes of private memory that such a process may take beyond what it has at its start. Without this:
    /// `[host] preflight_memory` of `plugins.toml`, else 1 GiB.
    pub fn preflight_memory(mut self, bytes: u64) -> Self {
        self.preflight_memory = Some(bytes);
        self
    }

    /// How many libraries may be mapped in this process, those of ended plugins and of other hosts too: they are never
    /// unmapped. Without this: `[host] max_images` of `plugins.toml`, else 256.
    pub fn max_images(mut self, images: u32) -> Self {
        self.max_images = Some(images);
        self
    }

    /// Where the host keeps what it must know after a restart: the last good builds and configuration, and what must not be
    /// tried again. Default: [`StateDirChoice::Automatic`]. Without one, or if it cannot be written to, the host serves
    /// nevertheless, and warns.
    pub fn state_dir(mut self, choice: StateDirChoice) -> Self {
        self.state_dir = choice;
        self
    }

    /// The GTS types that plugins are known by. Without this: `[host] gts_model_policy` and `gts_audit` of `plugins.toml`, else
    /// mini-chat's.
    pub fn gts_types(mut self, types: GtsTypes) -> Self {
        self.gts_types = Some(types);
        self
    }

    /// What the names of metrics begin with ([`crate::metrics`]): letters, digits and `_`. Without this: `[host]
    /// metrics_prefix` of `plugins.toml`, else `mini_chat_plugin`. Hosts of one process with plugins of the same names need
    /// different ones.
    pub fn metrics_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.metrics_prefix = Some(prefix.into());
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
            watch,
            preflight,
            preflight_memory,
            max_images,
            state_dir,
            gts_types,
            metrics_prefix,
        } = self;
        let config_file = match &config {
            ConfigSource::File(path) => Some(path.clone()),
            ConfigSource::None | ConfigSource::Value(_) => None,
        };
        let mut memory = job(move || Memory::open(state_dir)).await?;
        let mut config_refused = None;
        let config = match config {
            ConfigSource::None => None,
            ConfigSource::Value(config) => Some(*config),
            ConfigSource::File(path) => {
                let read = job(move || (memory.read_config(&path), memory)).await?;
                memory = read.1;
                let (config, refused) = read.0?;
                config_refused = refused;
                Some(config)
            }
        };
        let accepted = config.as_ref().filter(|_| config_file.is_some()).map(|config| Arc::clone(&config.origin));
        let (section, configured) = match config {
            Some(config) => (config.host, config.plugins),
            None => (HostSection::default(), Vec::new()),
        };
        policy.allow_needed.extend(section.allow_needed.iter().cloned());
        limits.ownership.trusted_uids.extend(&section.trusted_uids);
        let scanner = Scanner::new(directories.clone(), files.clone(), limits.clone(), policy.clone());
        let sources =
            Sources { scanner, directories, files, config_file, configured, accepted, config_refused, entries, linked };
        sources.all()?;
        let metrics_prefix = metrics_prefix.unwrap_or_else(|| section.metrics_prefix.clone());
        if !metrics::is_prefix(&metrics_prefix) {
            return Err(BuildError::BadMetricsPrefix { prefix: metrics_prefix });
        }
        let choice = image_dir
            .or_else(|| section.image_dir.clone().map(ImageDirChoice::Explicit))
            .unwrap_or(ImageDirChoice::Automatic);
        let image_dir = Arc::new(job(move || ImageDir::open(choice)).await??);
        let preflight = preflight.unwrap_or(if section.preflight { Preflight::Automatic } else { Preflight::Off });
        let most_memory = preflight_memory.unwrap_or(u64::from(section.preflight_memory) << 20);
        let preflighter = Preflighter::new(&preflight, most_memory);
        if !sources.directories.is_empty() || !sources.files.is_empty() {
            preflighter.warn_if_missing(&preflight);
            memory.warn_if_missing();
        }
        let max_images = max_images.unwrap_or(section.max_images);
        let starter = Starter {
            preflighter,
            max_images,
            housekeeping,
            watchdog: Watchdog::new(),
            events: Events::new(),
            image_dir,
            identity,
            data_dir: section.data_dir.clone().or_else(state_directory),
        };
        turn::prepare_thread();
        let before = ProcessState::now();
        let (shared, events) = (Arc::new(Shared::new(max_images, starter.identity.clone())), starter.events.clone());
        let (of_images, judged) = (limits.clone(), policy.clone());
        let memory = job(move || memory.with_pinned(&of_images, &judged)).await?;
        let (remembered, keeper) = memory.keep(&shared)?;
        let means = Means {
            starter,
            shared: Arc::clone(&shared),
            limits,
            policy,
            shutdown: section.shutdown,
            watch: watch.unwrap_or(section.watch).then_some(section.rescan),
            keeper,
        };
        let (settled, failures) = oneshot::channel();
        let supervisor = Supervisor::start(means, remembered, sources, settled)?;
        let types = gts_types.unwrap_or(section.gts_types);
        let host = PluginHost::new(supervisor, shared, events, types, metrics_prefix);
        let lost = || BuildError::Thread(std::io::Error::other("the supervisor's thread was lost"));
        let failures = failures.await.map_err(|_| lost())?;
        warn_of_changes(&before, &host.status());
        match on_failure {
            OnFailure::Fail if !failures.is_empty() => {
                host.shutdown().await;
                Err(BuildError::Required { failures })
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

/// A plugin may change what belongs to the whole process; its author usually does not know.
fn warn_of_changes(before: &ProcessState, status: &HostStatus) {
    let changes = before.changes();
    if !changes.is_empty() {
        let plugins = status.plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>().join(", ");
        tracing::warn!(
            plugins,
            "while these plugins started, {}: that belongs to the whole process, and one of them may have done it \
             (docs/two-copies-of-std.md)",
            changes.join("; ")
        );
    }
}
