//! Step 3 of the life cycle: the private file that the bytes are mapped from.
//!
//! dlopen wants a path. Handing it the plugin's own path would map whatever stands there by then, and glibc returns
//! the old library for a path it has seen. So the judged bytes go to a file of our own: mode 0400, in a folder of mode
//! 0700 per [`ImageDir`], under a name that was never used before and shows up in gdb and perf.
//!
//! The folder holds a marker `.lock` on which this process keeps a lock. A folder whose lock is free belongs to a
//! process that died; the next [`ImageDir::open`] removes it.

mod memory;
mod place;
mod stale;
mod store;

use std::fs::File;
use std::path::{Path, PathBuf};

pub use crate::error::{ImageDirError, ImageDirProblem};
pub use store::{KeptImage, StoredImage};

/// Where the private images shall live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ImageDirChoice {
    /// In this directory and nowhere else.
    Explicit(PathBuf),
    /// The first usable of `$CACHE_DIRECTORY` (set by systemd), `$TMPDIR` and `/tmp`, else memory.
    #[default]
    Automatic,
    /// In sealed memory files. Each plugin then costs its size in memory for the life of the process, and debuggers
    /// see no file name.
    Memory,
}

/// An open place for private images. Dropping it removes its folder; images that are mapped stay mapped.
#[derive(Debug)]
pub struct ImageDir {
    place: Place,
    passed_over: Vec<(PathBuf, ImageDirProblem)>,
}

#[derive(Debug)]
enum Place {
    Folder(Folder),
    Memory,
}

/// A folder of our own, for as long as the lock is held.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The process that made it: a forked child must not remove it.
    owner: rustix::process::Pid,
    _lock: File,
}

impl ImageDir {
    /// Finds, probes (writable, room, mapping as code) and opens a place, and removes folders that dead processes left
    /// there. Blocks on the disk.
    ///
    /// Of [`ImageDirChoice::Automatic`], places that fail are passed over with a warning, see [`Self::passed_over`].
    ///
    /// # Errors
    /// [`ImageDirError`] when the explicit directory, or every place, is unusable.
    pub fn open(choice: ImageDirChoice) -> Result<Self, ImageDirError> {
        let mut passed_over = Vec::new();
        match choice {
            ImageDirChoice::Explicit(dir) => {
                return match place::open(&dir) {
                    Ok(folder) => Ok(Self { place: Place::Folder(folder), passed_over }),
                    Err(problem) => Err(ImageDirError::Unusable { dir, problem }),
                };
            }
            ImageDirChoice::Automatic => {
                for dir in place::automatic() {
                    match place::open(&dir) {
                        Ok(folder) => {
                            return Ok(Self { place: Place::Folder(folder), passed_over });
                        }
                        Err(problem) => {
                            tracing::warn!(dir = %dir.display(), %problem, "image directory passed over");
                            passed_over.push((dir, problem));
                        }
                    }
                }
                tracing::warn!("plugin images are held in memory: set image_dir to a directory that allows executing");
            }
            ImageDirChoice::Memory => {}
        }
        match memory::probe() {
            Ok(()) => Ok(Self { place: Place::Memory, passed_over }),
            Err(error) => Err(ImageDirError::Memory { error, tried: passed_over }),
        }
    }

    /// The folder of the images; `None` when they are held in memory.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(&folder.path),
            Place::Memory => None,
        }
    }

    /// The directories of [`ImageDirChoice::Automatic`] that could not be used, and why.
    pub fn passed_over(&self) -> &[(PathBuf, ImageDirProblem)] {
        &self.passed_over
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.owner != rustix::process::getpid() {
            return;
        }
        // The lock is still held here (fields drop later), so nobody else is removing the folder.
        if let Err(error) = std::fs::remove_dir_all(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %self.path.display(), %error, "cannot remove the folder of plugin images");
        }
    }
}
