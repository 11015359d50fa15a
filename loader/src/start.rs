//! From a file, or a linked plugin, to a serving instance: the steps in order, each within its limit.

use std::path::PathBuf;
use std::sync::Arc;

use mini_chat_plugin_sdk::InProcessPlugin;

use crate::config::{PluginEntry, ProcessSecrets};
use crate::error::{CreateError, LoadError, PluginFailure, Stage};
use crate::events::Events;
use crate::housekeeping::{self, Housekeeping, after};
use crate::image_dir::ImageDir;
use crate::instance::{Instance, OpenedInstance, Settings};
use crate::open::{MappedImage, OpenedImage, turn};
use crate::services::{HostIdentity, Registration};
use crate::verify::VerifiedImage;
use crate::watchdog::Watchdog;

/// What a plugin is made of.
#[derive(Clone)]
pub(crate) enum Source {
    File(Arc<VerifiedImage>),
    Linked(InProcessPlugin),
}

/// What every start needs of its host.
#[derive(Clone)]
pub(crate) struct Starter {
    pub(crate) housekeeping: Housekeeping,
    pub(crate) watchdog: Watchdog,
    pub(crate) events: Events,
    pub(crate) image_dir: Arc<ImageDir>,
    pub(crate) identity: HostIdentity,
    /// Where plugins without a data directory of their own have theirs.
    pub(crate) data_dir: Option<PathBuf>,
}

impl Starter {
    /// Starts one plugin: map, open, resolve its configuration, open and create an instance.
    pub(crate) async fn start(
        &self,
        source: Source,
        entry: &PluginEntry,
        generation: u64,
    ) -> Result<Arc<Instance>, PluginFailure> {
        let path = match &source {
            Source::File(image) => Some(image.path().to_owned()),
            Source::Linked(_) => None,
        };
        let started = self.steps(source, entry, generation).await;
        let limit = match &started {
            Err(PluginFailure::Load(LoadError::OpenHangs { limit, .. }))
            | Err(PluginFailure::Create(CreateError::Deadline { limit, .. })) => *limit,
            _ => return started,
        };
        // Half the limit: a mapping that only happens at this moment is not what held it up.
        match (path, turn::held_for(limit / 2)) {
            (Some(path), Some(other)) if path != other => Err(LoadError::LinkerHeldUp { path, other, limit }.into()),
            _ => started,
        }
    }

    async fn steps(
        &self,
        source: Source,
        entry: &PluginEntry,
        generation: u64,
    ) -> Result<Arc<Instance>, PluginFailure> {
        let image = self.image(source, entry).await?;
        let table = entry.config.clone();
        // Secrets are files, which may stand where reading takes for ever.
        let limit = entry.limits.create;
        let config = housekeeping::run("mini-chat-config", move || table.resolve(&ProcessSecrets));
        let config = self
            .housekeeping
            .until(after(limit), config)
            .await
            .ok_or_else(|| CreateError::Deadline { plugin: entry.name.clone(), stage: Stage::Open, limit })?
            .map_err(|_| CreateError::ThreadLost { plugin: entry.name.clone(), stage: Stage::Open })?
            .map_err(|source| CreateError::Config { plugin: entry.name.clone(), source })?;
        let settings = Settings {
            name: entry.name.as_str().into(),
            generation,
            mode: entry.mode,
            workers: u32::from(entry.workers.unwrap_or_else(default_workers)),
            data_dir: self.data_dir(entry).unwrap_or_default(),
            instance: entry.instance.clone(),
            limits: entry.limits.clone(),
            vendor: entry.vendor.clone(),
            priority: entry.priority,
            config: entry.config.clone(),
            registration: Arc::new(Registration::new(self.identity.clone(), image.account)),
            handover: None,
        };
        let opened = OpenedInstance::open(image, settings, config, self.housekeeping.clone()).await?;
        let instance = Arc::new(opened.create(self.events.clone()).await?);
        instance.watched_by(&self.watchdog);
        Ok(instance)
    }

    /// The plugin's data directory. It crosses as text: one that is not UTF-8 is none, rather than another one.
    fn data_dir(&self, entry: &PluginEntry) -> Option<String> {
        let path = entry.data_dir.clone().or_else(|| Some(self.data_dir.as_ref()?.join(&entry.name)))?;
        path.into_os_string()
            .into_string()
            .inspect_err(|path| {
                tracing::warn!(plugin = entry.name, "its data directory {} is not UTF-8: it gets none", path.display());
            })
            .ok()
    }

    /// A fresh mapping of the file, so that each instance has statics of its own.
    async fn image(&self, source: Source, entry: &PluginEntry) -> Result<OpenedImage, LoadError> {
        let image = match source {
            Source::Linked(plugin) => return OpenedImage::in_process(plugin),
            Source::File(image) => image,
        };
        let path: PathBuf = image.path().to_owned();
        let limit = entry.limits.create;
        let (directory, identity) = (Arc::clone(&self.image_dir), self.identity.clone());
        let job = housekeeping::run("mini-chat-load", move || MappedImage::map(&image, &directory)?.open(&identity));
        match self.housekeeping.until(after(limit), job).await {
            Some(Ok(opened)) => opened,
            Some(Err(_)) => Err(LoadError::OpenLost { path }),
            None => {
                turn::is_over(&path, limit / 2);
                Err(LoadError::OpenHangs { path, limit })
            }
        }
    }
}

/// What systemd's `StateDirectory=` gives: the first of its directories.
pub(crate) fn state_directory() -> Option<PathBuf> {
    let all = std::env::var_os("STATE_DIRECTORY").filter(|all| !all.is_empty())?;
    std::env::split_paths(&all).next()
}

fn default_workers() -> u16 {
    std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get().min(4)).unwrap_or(4))
}
