//! Writing an image, and who removes it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::place::free_bytes;
use super::{ImageDir, Place, memory};
use crate::error::LoadError;
use crate::verify::VerifiedImage;

/// Process-wide, so that no path is ever used twice: for a path it knows, glibc returns the old library.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The verified bytes under a path for dlopen. Dropped without [`Self::keep`], the copy is removed.
#[derive(Debug)]
pub struct StoredImage {
    path: PathBuf,
    memory: Option<OwnedFd>,
    remove: bool,
}

impl StoredImage {
    /// The path for dlopen.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To be called once the image is mapped. The file stays (debuggers and profilers read it) until the [`ImageDir`]
    /// is dropped. A memory file stays open for the life of the process: its number, used again, would make dlopen
    /// return this library for another one's path.
    pub fn keep(mut self) -> KeptImage {
        self.remove = false;
        std::mem::forget(self.memory.take());
        KeptImage { path: std::mem::take(&mut self.path) }
    }
}

impl Drop for StoredImage {
    fn drop(&mut self) {
        if self.remove && self.memory.is_none() {
            // Gone already if the whole folder is.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// An image that is mapped: where debuggers find it.
#[derive(Debug)]
pub struct KeptImage {
    path: PathBuf,
}

impl KeptImage {
    /// The path that was mapped.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ImageDir {
    /// Writes the image's bytes to a new private file `<name_stem>-<short digest>-<n>.so` (characters that do not
    /// belong into a file name become `_`). On failure nothing is left behind. Blocks on the disk.
    ///
    /// # Errors
    /// [`LoadError`] of the group "the private copy".
    pub fn store(&self, name_stem: &str, image: &VerifiedImage) -> Result<StoredImage, LoadError> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{n}.so", file_stem(name_stem), image.digest().short());
        match &self.place {
            Place::Folder(folder) => {
                let path = folder.path.join(name);
                write(&path, image.bytes()).map_err(|e| failure(e, &folder.path, image))?;
                Ok(StoredImage { path, memory: None, remove: true })
            }
            Place::Memory => {
                let fd =
                    memory::sealed(&name, image.bytes()).map_err(|e| failure(e, Path::new("/proc/self/fd"), image))?;
                let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
                Ok(StoredImage { path, memory: Some(fd), remove: false })
            }
        }
    }
}

/// All or nothing: on failure the file is gone again.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // `create_new` is O_CREAT | O_EXCL, which does not follow a link either; O_NOFOLLOW says so once more.
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(no_follow).open(path)?;
    fill(file, bytes).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    // Takes the room before the first byte: a file system that allocates late would tell only after dlopen has mapped.
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes.len() as u64) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(errno) => return Err(errno.into()),
    }
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(0o400))
}

fn failure(error: io::Error, dir: &Path, image: &VerifiedImage) -> LoadError {
    let (path, dir) = (image.path().to_path_buf(), dir.to_path_buf());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            LoadError::ImageDirFull { path, needed: image.size(), free: free_bytes(&dir), dir }
        }
        io::ErrorKind::ReadOnlyFilesystem => LoadError::ImageDirReadOnly { path, dir },
        _ => LoadError::ImageDirIo { path, dir, error },
    }
}

/// At most 100 characters that mean nothing to a shell or a file system.
fn file_stem(stem: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }
    };
    let mut stem: String = stem.chars().take(100).map(safe).collect();
    if stem.is_empty() || stem.starts_with(['.', '-']) {
        stem.insert(0, '_');
    }
    stem
}
