//! Step 1 of the life cycle: which files of a directory are candidates.
//!
//! Nothing is opened here. Whatever stands under a name `*.so` becomes a [`Candidate`], also a directory, a pipe or a
//! dangling link: an operator who dropped it there must get an error for it (from [`Candidate::read`]), not silence.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::LoadError;

mod versions;

pub(crate) use versions::{Arranged, PluginFile, arrange, version_of};
pub use versions::{choice, usable};

/// A path that may hold a plugin. Made by [`candidates`] or [`Candidate::from_path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    path: PathBuf,
}

impl Candidate {
    /// A single file that somebody named. It need not end in `.so`, nor exist yet.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path as found or given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The candidates that stand directly in `dirs`: every name `*.so` that is not hidden. Sorted by name within each
/// directory; the directories keep their order, and a path that occurs twice is returned once.
///
/// # Errors
/// [`LoadError::DirectoryUnreadable`] for the first directory that is absent or cannot be listed to its end.
pub fn candidates(dirs: &[PathBuf]) -> Result<Vec<Candidate>, LoadError> {
    let mut all: Vec<Candidate> = Vec::new();
    for dir in dirs {
        let unreadable = |error| LoadError::DirectoryUnreadable { path: dir.clone(), error };
        let mut here = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if is_plugin_name(&entry.file_name()) {
                here.push(Candidate::from_path(entry.path()));
            }
        }
        here.sort();
        here.retain(|candidate| !all.contains(candidate));
        all.append(&mut here);
    }
    Ok(all)
}

/// `*.so`, not hidden. A half-copied `x.so.tmp` or `.x.so.Xy12` does not count.
fn is_plugin_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.len() > b".so".len() && !name.starts_with(b".") && name.ends_with(b".so")
}

#[cfg(test)]
mod tests;
