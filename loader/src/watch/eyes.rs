//! [`Eyes`]: keeps watches on the right directories, or falls back to polling. Belongs to the watcher's thread.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::backend::{Backend, Hear, Make, Unwatched};
use super::spots::Spots;
use super::{Targets, Timing};
use crate::contain;

/// A directory may come into being, piece by piece, while watches are being set: so often it is looked again.
const ROUNDS: usize = 8;

pub(super) struct Eyes {
    make: Make,
    hear: Hear,
    timing: Timing,
    backend: Option<Box<dyn Backend>>,
    /// What is watched: path, device and inode.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// When polling: when watching is tried again.
    retry_at: Option<Instant>,
}

impl Eyes {
    pub(super) fn new(make: Make, hear: Hear, timing: Timing) -> Self {
        Self { make, hear, timing, backend: None, watched: BTreeMap::new(), retry_at: None }
    }

    pub(super) fn polls(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Watches what has to be watched now. `publish` is told what matters before anything of it can be heard.
    pub(super) fn refresh(&mut self, targets: &Targets, publish: &dyn Fn(Arc<Spots>)) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        // Crate `notify` panics where its thread is gone.
        let done = contain::quietly(|| self.watch_all(targets, publish));
        let Err(why) = done.unwrap_or_else(Err) else {
            if self.retry_at.take().is_some() {
                tracing::info!("plugin directories are watched again");
            }
            return;
        };
        let dropped = self.backend.take();
        let _ = contain::quietly(|| drop(dropped));
        self.watched.clear();
        if !self.polls() {
            tracing::warn!(
                "plugin directories and configuration files cannot be watched: {why}; they are looked at every {:?} instead. \
                 Raise the system settings fs.inotify.max_user_watches and fs.inotify.max_user_instances",
                self.timing.poll
            );
        }
        self.retry_at = Some(Instant::now() + self.timing.retry);
    }

    fn watch_all(&mut self, targets: &Targets, publish: &dyn Fn(Arc<Spots>)) -> Result<(), String> {
        for _ in 0..ROUNDS {
            let spots = Arc::new(Spots::resolve(targets));
            publish(Arc::clone(&spots));
            if !self.watch(&spots)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether anything was watched for the first time, or vanished meanwhile: then the paths may lead elsewhere.
    fn watch(&mut self, spots: &Spots) -> Result<bool, String> {
        let backend = match &mut self.backend {
            Some(backend) => backend,
            None => self.backend.insert((self.make)(Arc::clone(&self.hear)).map_err(reason)?),
        };
        self.watched.retain(|directory, _| {
            let stays = spots.directories.contains_key(directory);
            if !stays {
                backend.unwatch(directory);
            }
            stays
        });
        let mut again = false;
        for (directory, spot) in &spots.directories {
            let found = std::fs::metadata(directory).ok().map(|found| (found.dev(), found.ino()));
            let before = self.watched.get(directory).copied();
            if before.is_some() && before != found {
                backend.unwatch(directory);
                self.watched.remove(directory);
            }
            // Also what seems to be watched: a directory that was renamed away and back has lost its watch.
            match backend.watch(directory) {
                Ok(()) => {
                    again |= before != found;
                    self.watched.extend(found.map(|found| (directory.clone(), found)));
                }
                Err(Unwatched::Absent) => again = true,
                // The way to a target: the periodic look must do.
                Err(Unwatched::Refused(why)) if !spot.is_target() => {
                    tracing::debug!(directory = %directory.display(), "not watched: {why}");
                }
                Err(why) => return Err(reason(why)),
            }
        }
        Ok(again)
    }
}

fn reason(why: Unwatched) -> String {
    match why {
        Unwatched::Absent => "it is gone".to_owned(),
        Unwatched::Exhausted(why) | Unwatched::Refused(why) => why,
    }
}
