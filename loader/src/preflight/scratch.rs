//! The scratch data directory of a trial: made for it, and removed after it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::image_dir::ImageDir;

/// A path that nothing has: among the private copies, where the directory goes with them should this process die.
pub(crate) fn path(images: &ImageDir) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let name = format!("mini-chat-scratch-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    images.folder().map_or_else(std::env::temp_dir, Path::to_owned).join(name)
}

/// The directory, for as long as this lives.
#[derive(Debug)]
pub(super) struct Scratch<'a>(&'a Path);

impl<'a> Scratch<'a> {
    pub(super) fn create(path: &'a Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(self.0) {
            tracing::warn!(dir = %self.0.display(), %error, "cannot remove the scratch directory of a trial");
        }
    }
}
