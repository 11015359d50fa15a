//! [`Journal`]: the file, and what is done to it. Blocking; used by the writer's thread only.
//!
//! # Invariants
//!
//! 1. While a `Journal` exists it holds the lock of its file, so nobody who keeps to the lock writes the file.
//! 2. The first `len` bytes of the file are whole lines. What lies behind them (only if `torn`) is a line that could not
//!    be written and not be taken back either; nothing is appended before it is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mini_chat_plugin_sdk::{LogLevel, PluginContext};

use crate::config::{Rotation, Settings, SyncWhen};

mod lock;
mod rotate;
mod tail;

pub(crate) use lock::{OpenError, check};

/// The open file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    torn: bool,
    /// Lines have been written since the last fsync.
    dirty: bool,
    sync: SyncWhen,
    rotation: Option<Rotation>,
    /// The last attempt to put the file aside failed, and a warning says so.
    rotation_failed: bool,
    context: PluginContext,
    _lock: File,
    #[cfg(test)]
    pub(crate) syncs: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Journal {
    /// Takes the lock, opens or creates the file, and sets aside what a crash left at its end.
    pub(crate) fn open(settings: &Settings, context: PluginContext) -> Result<Self, OpenError> {
        let path = lock::real_path(&settings.path)?;
        let lock = lock::take(&path)?;
        let (file, len) = open_file(&path, &context)?;
        let mut journal = Self {
            path,
            file,
            len,
            torn: false,
            dirty: false,
            sync: settings.sync,
            rotation: settings.rotation,
            rotation_failed: false,
            context,
            _lock: lock,
            #[cfg(test)]
            syncs: std::sync::Arc::default(),
        };
        journal.sync_directory()?;
        Ok(journal)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lines have been written since the last fsync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Notices that somebody moved, deleted, truncated or lengthened the file. To be called before a batch of lines.
    pub(crate) fn refresh(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let moved = match fs::metadata(&self.path) {
            Ok(there) => !same_file(&ours, &there),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error),
        };
        if moved {
            // What was written must not be lost sight of unsynced.
            self.sync()?;
            if self.torn {
                self.file.set_len(self.len)?;
                self.torn = false;
            }
            (self.file, self.len) = open_file(&self.path, &self.context)?;
            self.sync_directory()?;
        } else if !self.torn {
            self.len = ours.len();
        }
        Ok(())
    }

    /// Appends one line, which ends in a line break: all of it or, with an error, nothing.
    pub(crate) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        debug_assert!(line.ends_with(b"\n"));
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        self.rotate_for(line.len() as u64);
        // The file is in append mode. This is one write(2), unless that stops short: then the next one tells why.
        match self.file.write_all(line) {
            Ok(()) => {
                self.len += line.len() as u64;
                self.dirty = true;
                Ok(())
            }
            Err(error) => {
                // Invariant 2.
                self.torn = self.file.set_len(self.len).is_err();
                Err(error)
            }
        }
    }

    /// Forces onto the disk what was written, unless the configuration says never.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if !self.dirty || self.sync == SyncWhen::Never {
            return Ok(());
        }
        self.file.sync_data()?;
        self.dirty = false;
        #[cfg(test)]
        self.syncs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Forces the file's name onto the disk.
    fn sync_directory(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        if self.sync != SyncWhen::Never
            && let Some(directory) = self.path.parent()
        {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }

    fn warn(&self, message: &str) {
        self.context.log(LogLevel::Warn, message);
    }
}

/// Options for a file that others may not read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Opens or creates the file for appending, and sets aside half a line at its end. The file and its length.
fn open_file(path: &Path, context: &PluginContext) -> io::Result<(File, u64)> {
    let mut file = private().read(true).append(true).create(true).open(path)?;
    let len = file.metadata()?.len();
    let whole = tail::end_of_last_line(&mut file, len)?;
    if whole < len {
        let aside = beside(path, "torn");
        tail::set_aside(&mut file, whole, &aside)?;
        context.log(
            LogLevel::Warn,
            &format!(
                "{} ended in {} bytes of a line that was never finished; they are now at the end of {}",
                path.display(),
                len - whole,
                aside.display()
            ),
        );
    }
    Ok((file, whole))
}

/// The path with something added to its name.
fn beside(path: &Path, suffix: impl std::fmt::Display) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    name.into()
}

#[cfg(unix)]
fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn same_file(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

#[cfg(test)]
pub(crate) mod tests;

#[cfg(test)]
impl Journal {
    /// Goes on in another file.
    pub(crate) fn replace(&mut self, path: &str, file: File) {
        (self.path, self.file, self.len) = (path.into(), file, 0);
    }
}
