//! Trials without a host, for tools: what a host would find out before it maps a plugin.

use std::sync::Arc;

use super::{Preflight, PreflightLevel, PreflightReport, Preflighter};
use crate::config::{HostSection, PluginEntry};
use crate::error::{BuildError, PluginFailure};
use crate::events::Events;
use crate::housekeeping::Housekeeping;
use crate::image_dir::{ImageDir, ImageDirChoice};
use crate::services::HostIdentity;
use crate::start::{Source, Starter, state_directory};
use crate::verify::VerifiedImage;
use crate::watchdog::Watchdog;

/// Tries plugins as a host with the same `[host]` section would; maps none into this process.
pub struct Checker {
    starter: Starter,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker").field("preflighter", &self.starter.preflighter).finish_non_exhaustive()
    }
}

impl Checker {
    /// Finds a place for private copies, as [`PluginHost::builder`](crate::PluginHost::builder) does; `name` and `version`
    /// are those of the host that plugins are told of. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`BuildError::ImageDir`], [`BuildError::Thread`], and [`BuildError::NoPreflight`] if `preflight` is
    /// [`Preflight::Off`], or [`Preflight::Automatic`] in a program that did not call
    /// [`preflight_child`](super::preflight_child).
    pub fn new(
        (name, version): (&str, &str),
        section: &HostSection,
        preflight: &Preflight,
    ) -> Result<Self, BuildError> {
        let preflighter = Preflighter::new(preflight, u64::from(section.preflight_memory) << 20);
        if !preflighter.is_on() {
            return Err(BuildError::NoPreflight);
        }
        let choice = section.image_dir.clone().map_or(ImageDirChoice::Automatic, ImageDirChoice::Explicit);
        let starter = Starter {
            housekeeping: Housekeeping::start()?,
            watchdog: Watchdog::new(),
            events: Events::new(),
            image_dir: Arc::new(ImageDir::open(choice)?),
            preflighter,
            max_images: section.max_images,
            identity: HostIdentity { name: name.to_owned(), version: version.to_owned() },
            data_dir: section.data_dir.clone().or_else(state_directory),
        };
        Ok(Self { starter })
    }

    /// Tries `image` with the settings and configuration of `entry`, no further than `most` and than the plugin allows.
    /// Runs under any executor.
    ///
    /// # Errors
    ///
    /// What a host would say of it.
    pub async fn check(
        &self,
        image: Arc<VerifiedImage>,
        entry: &PluginEntry,
        most: PreflightLevel,
    ) -> Result<PreflightReport, PluginFailure> {
        let prepared = self.starter.preflight(Some(most), Source::File(image), entry, None, 1).await?;
        Ok(prepared.report.expect("a checker has a program for trials"))
    }
}
