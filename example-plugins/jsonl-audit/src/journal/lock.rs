//! One writer per file: a lock on a file beside it.
//!
//! The lock is not on the file itself, which is another one after each rotation. The lock file stays when the lock is
//! given back: whoever removed it could remove the one that somebody else has just locked.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use mini_chat_plugin_sdk::PluginError;

use super::{beside, private};

/// Why a journal could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// Another instance has it.
    Held(PathBuf),
    /// There is something that is no file.
    NotAFile(PathBuf),
    /// The system refused.
    Io(io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl OpenError {
    /// As the constructor's error; `path` is the one from the configuration.
    pub(crate) fn into_plugin_error(self, path: &Path) -> PluginError {
        match self {
            Self::Held(real) => PluginError::retryable(format!(
                "{} is being written by another instance, which holds the lock {}: give each instance a `path` of its \
                 own, or wait until the other has ended",
                real.display(),
                beside(&real, "lock").display()
            )),
            Self::NotAFile(real) => PluginError::permanent(format!(
                "path: expected a file or nothing at {}, found something else",
                real.display()
            )),
            Self::Io(error) => PluginError::retryable(format!("open {}: {error}", path.display())),
        }
    }
}

/// The path with links resolved, so that two ways to one file meet at one lock.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, OpenError> {
    match fs::canonicalize(path) {
        Ok(real) if real.metadata()?.is_file() => Ok(real),
        Ok(real) => Err(OpenError::NotAFile(real)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(error.into()) };
            Ok(fs::canonicalize(parent)?.join(name))
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock of a file; it is held until the answer is dropped.
pub(super) fn take(path: &Path) -> Result<File, OpenError> {
    let lock = private().write(true).create(true).truncate(false).open(beside(path, "lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Held(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Checks that the file could be opened, without creating, locking or changing anything.
pub(crate) fn check(path: &Path) -> Result<(), OpenError> {
    let real = real_path(path)?;
    match fs::OpenOptions::new().append(true).open(&real) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}
