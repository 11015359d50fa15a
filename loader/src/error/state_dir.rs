//! [`StateDirError`]: a host without a memory of its last life. It serves nevertheless.

use std::io;
use std::path::PathBuf;

use super::ConfigError;

/// Why there is no state directory, or nothing in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// Nobody named one.
    #[error("no state directory was named, and $STATE_DIRECTORY is not set")]
    None,
    /// It cannot be used.
    #[error("state directory {dir}: expected a directory that can be written to: {error}")]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// Others could write into it.
    #[error(
        "state directory {dir}: expected one that belongs to root or the host's user and that nobody else may write to, \
         found owner uid {uid}, mode {mode:04o}"
    )]
    Insecure {
        /// The directory.
        dir: PathBuf,
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Another host has it.
    #[error("state directory {dir}: another host uses it; give each host one of its own")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Something that was kept is gone or is no longer what it was.
    #[error("{file}: was kept in the state directory, and cannot be read: {error}")]
    Lost {
        /// The file.
        file: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A configuration that was accepted once is not accepted any more.
    #[error("the last good configuration is not accepted any more: {0}")]
    Config(ConfigError),
}
