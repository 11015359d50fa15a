//! What hears of changes: inotify, through crate `notify`, or something else in tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// What was heard of a real path. Never more than a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Somebody who wrote to it closed it, or it was renamed to this path.
    Completed(PathBuf),
    /// Made, written to, or gone.
    Changed(PathBuf),
    /// Mode, owner, times.
    Touched(PathBuf),
    /// Something was not heard.
    Lost,
}

/// Why a directory is not watched.
#[derive(Debug)]
pub(super) enum Unwatched {
    /// It is not there.
    Absent,
    /// The system has no more watches to give.
    Exhausted(String),
    /// This directory cannot be watched.
    Refused(String),
}

/// Called on a thread of the backend's.
pub(super) type Hear = Arc<dyn Fn(Heard) + Send + Sync>;

/// What makes one.
pub(super) type Make = Box<dyn Fn(Hear) -> Result<Box<dyn Backend>, Unwatched> + Send>;

pub(super) trait Backend {
    /// Watches a directory, not what lies deeper. Called again, it does nothing, unless another directory has the path by
    /// now: then `unwatch` it first.
    fn watch(&mut self, directory: &Path) -> Result<(), Unwatched>;
    fn unwatch(&mut self, directory: &Path);
}

struct Inotify(RecommendedWatcher);

/// Its events come on a thread of crate `notify`, which ends when the backend is dropped.
pub(super) fn inotify(hear: Hear) -> Result<Box<dyn Backend>, Unwatched> {
    let handler = move |event: notify::Result<notify::Event>| match event {
        Ok(event) => translate(event, &*hear),
        Err(_) => hear(Heard::Lost),
    };
    let watcher = notify::recommended_watcher(handler).map_err(|error| Unwatched::Exhausted(error.to_string()))?;
    Ok(Box::new(Inotify(watcher)))
}

impl Backend for Inotify {
    fn watch(&mut self, directory: &Path) -> Result<(), Unwatched> {
        self.0.watch(directory, RecursiveMode::NonRecursive).map_err(|error| match &error.kind {
            ErrorKind::PathNotFound => Unwatched::Absent,
            ErrorKind::MaxFilesWatch => Unwatched::Exhausted("all inotify watches of this user are in use".to_owned()),
            ErrorKind::Io(io) if io.kind() == io::ErrorKind::NotFound => Unwatched::Absent,
            _ => Unwatched::Refused(error.to_string()),
        })
    }

    fn unwatch(&mut self, directory: &Path) {
        // A directory that is gone has taken its watch along.
        let _ = self.0.unwatch(directory);
    }
}

pub(super) fn translate(event: notify::Event, hear: &dyn Fn(Heard)) {
    if event.need_rescan() || event.paths.is_empty() {
        return hear(Heard::Lost);
    }
    let heard: fn(PathBuf) -> Heard = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Heard::Completed,
        // Whoever looks opens; that must not be a reason to look.
        EventKind::Access(_) => return,
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Heard::Completed,
        // Both halves come by themselves.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return,
        EventKind::Modify(ModifyKind::Metadata(_)) => Heard::Touched,
        _ => Heard::Changed,
    };
    event.paths.into_iter().map(heard).for_each(hear);
}
