//! Folders that dead processes left. A process that was killed cannot clean up; its lock is gone, though.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};

/// How our folders are named: this, the process id, `-` and 16 hex digits.
pub(super) const FOLDER_PREFIX: &str = "mini-chat-plugins-";
/// The marker on which a living process holds the lock.
pub(super) const LOCK: &str = ".lock";

/// Removes what is stale in `base`. Never fails: what cannot be removed stays, with a message at debug level.
pub(super) fn remove_stale(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX);
        // `symlink_metadata`: a link of that name is nothing that we made.
        let Ok(meta) = std::fs::symlink_metadata(entry.path()) else {
            continue;
        };
        if !ours || !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
            continue;
        }
        match remove_if_unlocked(&entry.path()) {
            Ok(true) => {
                tracing::debug!(dir = %entry.path().display(), "removed a stale folder of plugin images")
            }
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(dir = %entry.path().display(), %error, "cannot remove a stale folder")
            }
        }
    }
}

fn remove_if_unlocked(folder: &Path) -> io::Result<bool> {
    // For writing: over NFS an exclusive lock needs that.
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let marker = match rustix::fs::open(folder.join(LOCK), flags, Mode::empty()) {
        Ok(marker) => File::from(marker),
        // Either just being made, or its maker died in that instant. Only an empty one goes, and a living maker
        // notices and makes another.
        Err(rustix::io::Errno::NOENT) => return std::fs::remove_dir(folder).map(|()| true),
        Err(errno) => return Err(errno.into()),
    };
    if flock(&marker, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    // With the lock held nobody else removes it; `remove_dir_all` does not follow links.
    std::fs::remove_dir_all(folder).map(|()| true)
}
