//! From a file, or a linked plugin, to an instance that can serve: the steps in order, each within its limit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mini_chat_plugin_abi::instance::FfiPurpose;
use mini_chat_plugin_sdk::InProcessPlugin;

use crate::budget;
use crate::config::{PluginEntry, ProcessSecrets, ResolvedConfig};
use crate::error::{CreateError, LoadError, PluginFailure, Stage};
use crate::events::{Events, Phases, micros};
use crate::housekeeping::{self, Housekeeping, JobLost, after};
use crate::image_dir::{ImageDir, StoredImage};
use crate::instance::{Handover, Instance, OpenedInstance, Settings};
use crate::open::{MappedImage, OpenedImage, turn};
use crate::preflight::{PreflightLevel, PreflightReport, Preflighter, Trial, scratch};
use crate::services::{HostIdentity, Registration};
use crate::verify::VerifiedImage;
use crate::watchdog::Watchdog;

#[cfg(test)]
mod tests;

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
    pub(crate) preflighter: Preflighter,
    /// Libraries that may be mapped in this process.
    pub(crate) max_images: u32,
    pub(crate) identity: HostIdentity,
    /// Where plugins without a data directory of their own have theirs.
    pub(crate) data_dir: Option<PathBuf>,
}

/// A candidate that may be mapped.
pub(crate) struct Prepared {
    source: Copied,
    /// The configuration with its secrets: that of the trial, and of the instance.
    config: ResolvedConfig,
    /// What its trial found; none if there was none.
    pub(crate) report: Option<PreflightReport>,
    /// How long the steps took so far.
    pub(crate) phases: Phases,
}

/// What can serve, and how long the parts of its start took.
pub(crate) struct Started {
    pub(crate) instance: Arc<Instance>,
    pub(crate) phases: Phases,
}

/// The bytes that are verified, tried and mapped are those of one private copy.
enum Copied {
    File(Arc<VerifiedImage>, StoredImage),
    Linked(InProcessPlugin),
}

impl Starter {
    /// Reads and verifies a file, within the limit for a start: the disk may hang.
    pub(crate) async fn read(
        &self,
        path: PathBuf,
        entry: &PluginEntry,
        read: impl FnOnce() -> Result<VerifiedImage, LoadError> + Send + 'static,
    ) -> Result<Source, PluginFailure> {
        let image = self.within(path, entry, housekeeping::run("mini-chat-read", read)).await?;
        Ok(Source::File(Arc::new(image)))
    }

    /// Writes the private copy, resolves the configuration unless that was done, and tries both in a process of their own.
    /// Goes as far as the plugin allows, and no further than `most`. Touches nothing of this process but its image directory.
    pub(crate) async fn preflight(
        &self,
        most: Option<PreflightLevel>,
        source: Source,
        entry: &PluginEntry,
        config: Option<ResolvedConfig>,
        generation: u64,
    ) -> Result<Prepared, PluginFailure> {
        let path = path_of(&source);
        let prepared = async {
            let mut phases = Phases::default();
            let begun = Instant::now();
            let source = self.copied(source, entry).await?;
            phases.copy_us = micros(begun);
            let config = match config {
                Some(config) => config,
                None => self.resolved(entry).await?,
            };
            let begun = Instant::now();
            let report = match &source {
                Copied::File(image, copy) => {
                    let allowed = PreflightLevel::of(image.descriptor());
                    let trial = Trial {
                        image: Arc::clone(image),
                        copy: copy.path().to_owned(),
                        level: most.map_or(allowed, |most| most.min(allowed)),
                        entry: entry.clone(),
                        generation,
                        workers: workers(entry),
                        config: config.clone(),
                        identity: self.identity.clone(),
                        scratch: self.data_dir(entry).map(|_| scratch::path(&self.image_dir)),
                    };
                    self.preflighter.check(&self.housekeeping, trial).await?
                }
                Copied::Linked(_) => None,
            };
            phases.preflight_us = micros(begun);
            Ok(Prepared { source, config, report, phases })
        };
        blame(path, prepared.await)
    }

    /// Maps the image and opens it, then opens and creates an instance, which can serve then.
    pub(crate) async fn create(
        &self,
        prepared: Prepared,
        entry: &PluginEntry,
        generation: u64,
        handover: Option<Handover>,
    ) -> Result<Started, PluginFailure> {
        let Prepared { source, config, report: _, mut phases } = prepared;
        let path = match &source {
            Copied::File(image, _) => Some(image.path().to_owned()),
            Copied::Linked(_) => None,
        };
        let created = async {
            let image = self.image(source, entry, &mut phases).await?;
            let settings = Settings {
                name: entry.name.as_str().into(),
                generation,
                purpose: FfiPurpose::SERVE,
                mode: entry.mode,
                workers: workers(entry),
                data_dir: self.data_dir(entry).unwrap_or_default(),
                handover,
                instance: entry.instance.clone(),
                limits: entry.limits.clone(),
                vendor: entry.vendor.clone(),
                priority: entry.priority,
                config: entry.config.clone(),
                registration: Arc::new(Registration::new(self.identity.clone(), image.account)),
            };
            let begun = Instant::now();
            let opened = OpenedInstance::open(image, settings, config, self.housekeeping.clone()).await?;
            phases.open_us = micros(begun);
            let (begun, constructed) = (Instant::now(), AtomicU64::new(0));
            let tell = |stage| {
                if stage == Stage::Health {
                    constructed.store(micros(begun), Ordering::Relaxed);
                }
            };
            let instance = Arc::new(opened.create(self.events.clone(), tell).await?);
            phases.construct_us = constructed.into_inner();
            phases.health_us = micros(begun).saturating_sub(phases.construct_us);
            instance.watched_by(&self.watchdog);
            Ok(Started { instance, phases })
        };
        blame(path, created.await)
    }

    /// Reads the secrets that the configuration refers to.
    async fn resolved(&self, entry: &PluginEntry) -> Result<ResolvedConfig, CreateError> {
        let table = entry.config.clone();
        // Secrets are files, which may stand where reading takes for ever.
        let limit = entry.limits.create;
        let config = housekeeping::run("mini-chat-config", move || table.resolve(&ProcessSecrets));
        self.housekeeping
            .until(after(limit), config)
            .await
            .ok_or_else(|| CreateError::Deadline { plugin: entry.name.clone(), stage: Stage::Open, limit })?
            .map_err(|_| CreateError::ThreadLost { plugin: entry.name.clone(), stage: Stage::Open })?
            .map_err(|source| CreateError::Config { plugin: entry.name.clone(), source })
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

    /// A private copy of the file, if there is room to map it.
    async fn copied(&self, source: Source, entry: &PluginEntry) -> Result<Copied, LoadError> {
        let image = match source {
            Source::Linked(plugin) => return Ok(Copied::Linked(plugin)),
            Source::File(image) => image,
        };
        let (directory, max_images) = (Arc::clone(&self.image_dir), self.max_images);
        let path = image.path().to_owned();
        let job = housekeeping::run("mini-chat-load", move || {
            budget::probe(image.path(), max_images)?;
            let copy = directory.store(&image.descriptor().id, &image)?;
            Ok(Copied::File(image, copy))
        });
        self.within(path, entry, job).await
    }

    /// A fresh mapping of the file, so that each instance has statics of its own.
    async fn image(&self, source: Copied, entry: &PluginEntry, phases: &mut Phases) -> Result<OpenedImage, LoadError> {
        let (image, copy) = match source {
            Copied::Linked(plugin) => return OpenedImage::in_process(plugin),
            Copied::File(image, copy) => (image, copy),
        };
        let (identity, max_images) = (self.identity.clone(), self.max_images);
        let path = image.path().to_owned();
        let job = housekeeping::run("mini-chat-load", move || {
            let room = budget::take(image.path(), max_images)?;
            let begun = Instant::now();
            let mapped = MappedImage::map(&image, copy, room)?;
            let map_us = micros(begun);
            let begun = Instant::now();
            Ok((mapped.open(&identity)?, map_us, micros(begun)))
        });
        let (image, map_us, entry_us) = self.within(path, entry, job).await?;
        (phases.map_us, phases.entry_us) = (map_us, entry_us);
        Ok(image)
    }

    /// What a job on the file gives, within the limit. A job waits for the linker even if it does not map: its thread does not
    /// begin while a library hangs.
    async fn within<T>(
        &self,
        path: PathBuf,
        entry: &PluginEntry,
        job: impl Future<Output = Result<Result<T, LoadError>, JobLost>>,
    ) -> Result<T, LoadError> {
        let limit = entry.limits.create;
        match self.housekeeping.until(after(limit), job).await {
            Some(Ok(done)) => done,
            Some(Err(JobLost)) => Err(LoadError::OpenLost { path }),
            None => {
                turn::is_over(&path, limit / 2);
                Err(held_up(&path, limit).unwrap_or(LoadError::OpenHangs { path, limit }))
            }
        }
    }
}

fn path_of(source: &Source) -> Option<PathBuf> {
    match source {
        Source::File(image) => Some(image.path().to_owned()),
        Source::Linked(_) => None,
    }
}

/// What has taken too long because another file holds up the dynamic linker is no fault of this one.
fn held_up(path: &Path, limit: Duration) -> Option<LoadError> {
    // Half the limit: a mapping that only happens at this moment is not what held it up.
    let other = turn::held_for(limit / 2).filter(|other| other != path)?;
    Some(LoadError::LinkerHeldUp { path: path.to_owned(), other, limit })
}

/// The same of a step of the plugin's, or of reading its secrets.
fn blame<T>(path: Option<PathBuf>, started: Result<T, PluginFailure>) -> Result<T, PluginFailure> {
    started.map_err(|failure| match (&failure, path) {
        (PluginFailure::Create(CreateError::Deadline { limit, .. }), Some(path)) => {
            held_up(&path, *limit).map_or(failure, PluginFailure::from)
        }
        _ => failure,
    })
}

fn workers(entry: &PluginEntry) -> u32 {
    u32::from(entry.workers.unwrap_or_else(default_workers))
}

/// What systemd's `StateDirectory=` gives: the first of its directories.
pub(crate) fn state_directory() -> Option<PathBuf> {
    let all = std::env::var_os("STATE_DIRECTORY").filter(|all| !all.is_empty())?;
    std::env::split_paths(&all).next()
}

fn default_workers() -> u16 {
    std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get().min(4)).unwrap_or(4))
}
