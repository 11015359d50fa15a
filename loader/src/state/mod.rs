//! The state directory: what a host must know of its last life.
//!
//! | in it | what it is |
//! | --- | --- |
//! | `state.json` | [`Record`]: per plugin the last good build, the marker of one that is on trial, the quarantine, the pin |
//! | `images/DIGEST` | the bytes of the last good builds |
//! | `configs/DIGEST` | the `plugins.toml` that they, and the host, were last accepted with; mode 0600, as it may hold secrets |
//! | `lock` | locked by the host that uses the directory |
//!
//! The marker is written before a build that is not the last good one is mapped, and taken back once it is found good, is
//! refused, or the host ends in order. So a host that finds one knows that its predecessor came to a sudden end with that
//! build: it does not run into it again.
//!
//! Everything is written to a file beside, flushed and renamed: a crash leaves the old or the new, never half of one. What is
//! read is believed as much as the directory is: it must belong to root or to the host's user, and nobody else may write to
//! it. Images are verified again before they are mapped.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `memory.rs` | whether there is one, and what a start finds in it |
//! | `record.rs` | what is kept |
//! | `keeper.rs` | the thread that writes |
//! | `recover.rs` | back to builds and configurations |

mod keeper;
mod memory;
mod record;
mod recover;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

pub(crate) use keeper::{Keeper, Material, Written};
pub(crate) use memory::{Memory, Remembered};
pub(crate) use record::{Barred, ConfigRef, Good, Kept, Pin, Record, Tried};

use crate::error::StateDirError;
use crate::verify::Digest;

/// In systemd's state directory, beside the data directories of plugins: `@` is in no plugin's name.
const SUBDIRECTORY: &str = "@host";
const STATE: &str = "state.json";
/// A file larger than that is not one of ours.
const MOST: u64 = 16 * 1024 * 1024;

/// Where a host keeps what it must know after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StateDirChoice {
    /// In `@host` of the first directory of `$STATE_DIRECTORY` (set by systemd); without it nowhere, with a warning.
    #[default]
    Automatic,
    /// In this directory, which is made if it is not there.
    At(PathBuf),
    /// Nowhere: a restart knows nothing of what was good and what was not.
    Off,
}

impl StateDirChoice {
    /// The directory; none if there is to be none.
    pub(crate) fn path(self) -> Result<Option<PathBuf>, StateDirError> {
        match self {
            Self::Off => Ok(None),
            Self::At(path) => Ok(Some(path)),
            Self::Automatic => match crate::start::state_directory() {
                Some(path) => Ok(Some(path.join(SUBDIRECTORY))),
                None => Err(StateDirError::None),
            },
        }
    }
}

/// An open state directory, for as long as the lock is held.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes the directory if it is not there, locks it, tries whether it can be written to. Blocks on the disk.
    pub(crate) fn open(path: &Path) -> Result<Self, StateDirError> {
        let io = |error| StateDirError::Io { dir: path.to_owned(), error };
        let path = std::path::absolute(path).map_err(io)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io)?;
        let meta = std::fs::metadata(&path).map_err(io)?;
        let trusted = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
        if !trusted || meta.mode() & 0o022 != 0 {
            return Err(StateDirError::Insecure { dir: path, uid: meta.uid(), mode: meta.mode() & 0o7777 });
        }
        let lock = path.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock).map_err(io)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StateDirError::InUse { dir: path }),
            other => other.map_err(|errno| io(errno.into()))?,
        }
        let state = Self { path, _lock: lock };
        for folder in [state.images(), state.configs()] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        }
        // Says now what would otherwise be found out when it matters.
        state.put(&state.path.join(".probe"), 0o600, b"probe").map_err(io)?;
        let _ = std::fs::remove_file(state.path.join(".probe"));
        Ok(state)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    fn configs(&self) -> PathBuf {
        self.path.join("configs")
    }

    /// Where the image of a good build is.
    pub(crate) fn image(&self, digest: &Digest) -> PathBuf {
        self.images().join(digest.to_string())
    }

    /// A `plugins.toml` that was good.
    pub(crate) fn config(&self, digest: &Digest) -> io::Result<String> {
        let text = std::fs::read_to_string(self.configs().join(digest.to_string()))?;
        let found = Digest::of(text.as_bytes());
        if found == *digest { Ok(text) } else { Err(io::Error::other("its content is not what was kept")) }
    }

    /// What was kept; nothing if there is nothing that can be read, which is said.
    pub(crate) fn read(&self) -> Record {
        let path = self.path.join(STATE);
        let read = || -> io::Result<Option<Vec<u8>>> {
            let mut bytes = Vec::new();
            match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?.take(MOST + 1).read_to_end(&mut bytes)?,
            };
            Ok(Some(bytes))
        };
        let found = match read() {
            Ok(None) => return Record::default(),
            Ok(Some(bytes)) => serde_json::from_slice::<Record>(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let why = match found {
            Ok(record) if record.format == record::FORMAT => return record,
            Ok(record) => format!("expected format {}, found {}", record::FORMAT, record.format),
            Err(error) => error,
        };
        let aside = self.path.join("state.json.unreadable");
        let moved = std::fs::rename(&path, &aside);
        tracing::error!(
            ?moved,
            "{}: cannot be used, and is put aside as {}; what was good and what was not is forgotten: {why}",
            path.display(),
            aside.display()
        );
        Record::default()
    }

    /// Writes `state.json`.
    fn write(&self, record: &Record) -> io::Result<()> {
        let json = serde_json::to_vec_pretty(record)?;
        self.put(&self.path.join(STATE), 0o600, &json)
    }

    /// A whole file or none, on the disk when this returns.
    fn put(&self, path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.path);
        let beside = folder.join(".new");
        let _ = std::fs::remove_file(&beside);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(bytes)?;
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()?;
            std::fs::rename(&beside, path)?;
            File::open(folder)?.sync_all()
        })();
        written.inspect_err(|_| {
            let _ = std::fs::remove_file(&beside);
        })
    }
}

#[cfg(test)]
mod tests;
