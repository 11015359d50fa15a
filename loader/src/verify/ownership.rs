//! Who may have written the bytes. Judged on the open descriptor, so that nobody can exchange the file in between.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;

use crate::error::LoadError;

/// Group or others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In a sticky directory only an owner may rename or remove an entry.
const STICKY: u32 = 0o1000;

/// Whose files are loaded. The default trusts root and the effective user of the host, and refuses a file, or a file in
/// a directory, that belongs to somebody else or that group or others may write to (a sticky directory aside).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnershipPolicy {
    /// Further owners to trust, as numeric user ids.
    pub trusted_uids: Vec<u32>,
    /// Ask nothing about owner and mode. For a developer's machine only.
    pub allow_insecure: bool,
}

impl OwnershipPolicy {
    /// Judges the open file (`stat` is its `fstat`) that was opened as `path`.
    pub(super) fn judge(&self, path: &Path, file: impl AsFd, stat: &Stat) -> Result<(), LoadError> {
        if self.allow_insecure {
            return Ok(());
        }
        self.judge_owner(path, || "it".to_owned(), stat.st_uid)?;
        if stat.st_mode & WRITABLE_BY_OTHERS != 0 {
            return Err(LoadError::WritableByOthers { path: path.into(), mode: stat.st_mode & 0o7777 });
        }
        for dir in directories(path, file) {
            let found =
                rustix::fs::stat(&dir).map_err(|e| LoadError::Unreadable { path: dir.clone(), error: e.into() })?;
            // Who owns the directory may exchange the file for another one that is itself beyond reproach.
            self.judge_owner(path, || format!("its directory {}", dir.display()), found.st_uid)?;
            if found.st_mode & WRITABLE_BY_OTHERS != 0 && found.st_mode & STICKY == 0 {
                let mode = found.st_mode & 0o7777;
                return Err(LoadError::DirectoryWritableByOthers { path: path.into(), dir, mode });
            }
        }
        Ok(())
    }
}

impl OwnershipPolicy {
    fn judge_owner(&self, path: &Path, what: impl FnOnce() -> String, uid: u32) -> Result<(), LoadError> {
        let euid = rustix::process::geteuid().as_raw();
        if uid == 0 || uid == euid || self.trusted_uids.contains(&uid) {
            return Ok(());
        }
        Err(LoadError::UntrustedOwner { path: path.into(), what: what(), uid, euid })
    }
}

/// The directory of the name, and the one of the file itself if a symbolic link led elsewhere.
fn directories(path: &Path, file: impl AsFd) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(dir) if dir.as_os_str().is_empty() => Some(PathBuf::from(".")),
        Some(dir) => Some(dir.to_path_buf()),
        None => None,
    };
    let mut dirs: Vec<_> = parent(path).into_iter().collect();
    let real = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file.as_fd())));
    // A file unlinked since then reads as "… (deleted)": its directory no longer matters for what was opened, but it
    // is still judged. Without /proc only the directory of the name is.
    if let Some(dir) = real.ok().as_deref().and_then(parent)
        && !dirs.contains(&dir)
    {
        dirs.push(dir);
    }
    dirs
}
