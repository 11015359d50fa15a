//! Candidates for the base directory, and whether one can be used: found by doing, not by reading flags.
//!
//! Invariant 1 (for `unsafe`): a probing map is private, of one whole page of a file that only this process can reach;
//! it is never read, written or executed, and unmapped before anybody learns its address.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::Folder;
use super::stale::{FOLDER_PREFIX, LOCK, remove_stale};
use crate::error::ImageDirProblem;

const PAGE: usize = 4096;

/// `$CACHE_DIRECTORY` (systemd gives a list, parted by colons: its first), `$TMPDIR` and `/tmp`.
pub(super) fn automatic() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("CACHE_DIRECTORY").map(|list| {
        let first = list.as_bytes().split(|&b| b == b':').next().unwrap_or_default();
        PathBuf::from(std::ffi::OsStr::from_bytes(first))
    });
    let mut all: Vec<_> = cache.into_iter().chain(set("TMPDIR").map(PathBuf::from)).collect();
    all.push("/tmp".into());
    all.dedup();
    all
}

/// Makes and locks our folder in `base` and probes it.
pub(super) fn open(base: &Path) -> Result<Folder, ImageDirProblem> {
    let meta = std::fs::metadata(base).map_err(|e| problem(e, base))?;
    if !meta.is_dir() {
        return Err(ImageDirProblem::NotADirectory);
    }
    let trusted = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
    let shared = meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0;
    if !trusted || shared {
        return Err(ImageDirProblem::Insecure { uid: meta.uid(), mode: meta.mode() & 0o7777 });
    }
    remove_stale(base);
    let folder = make_folder(base).map_err(|e| problem(e, base))?;
    // From here on a failure drops the folder, which removes it.
    probe(&folder.path)?;
    Ok(folder)
}

/// A new locked folder. Tries again if a cleaner of another process was faster between the steps.
fn make_folder(base: &Path) -> io::Result<Folder> {
    let owner = rustix::process::getpid();
    for _ in 0..16 {
        let mut random = [0_u8; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let name = format!("{FOLDER_PREFIX}{}-{:016x}", owner.as_raw_nonzero(), u64::from_ne_bytes(random));
        let path = std::path::absolute(base)?.join(name);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other?,
        }
        match lock(&path) {
            Ok(Some(lock)) => {
                return Ok(Folder { path, owner, _lock: lock });
            }
            Ok(None) => {}
            Err(error) => {
                let _ = std::fs::remove_dir_all(&path);
                return Err(error);
            }
        }
    }
    Err(io::Error::other("other processes keep removing the new folder"))
}

/// The locked marker, or `None` if the folder was taken for a stale one meanwhile.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let marker = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(LOCK));
    let marker = match marker {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match flock(&marker, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        other => other?,
    }
    // Unlinked: the cleaner has had the lock before us.
    Ok((marker.metadata()?.nlink() != 0).then_some(marker))
}

/// Writes one page and maps it as code.
fn probe(folder: &Path) -> Result<(), ImageDirProblem> {
    let path = folder.join(".probe");
    let result = (|| {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&[0; PAGE])?;
        map_as_code(&file)
    })();
    // Also after a failed write: the file may exist. It goes with the folder at the latest.
    let _ = std::fs::remove_file(&path);
    result.map_err(|error| problem(error, folder))
}

/// Maps a page of the file as code; the kernel answers EPERM on a noexec mount, EACCES under some security policies.
pub(super) fn map_as_code(file: impl AsFd) -> io::Result<()> {
    // SAFETY: invariant 1: the address is chosen by the kernel and nothing else of this process is mapped there.
    let mapped: Result<*mut c_void, Errno> =
        unsafe { mmap(std::ptr::null_mut(), PAGE, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, file, 0) };
    match mapped {
        Ok(at) => {
            // SAFETY: invariant 1: exactly the page mapped above, which nobody else knows.
            unsafe { munmap(at, PAGE) }?;
            Ok(())
        }
        Err(Errno::PERM | Errno::ACCESS) => Err(io::Error::new(io::ErrorKind::Unsupported, NoExec)),
        Err(errno) => Err(errno.into()),
    }
}

/// Marks the failure of [`map_as_code`], which has the same errno as a lack of permission.
#[derive(Debug, thiserror::Error)]
#[error("executing is not allowed")]
struct NoExec;

fn problem(error: io::Error, dir: &Path) -> ImageDirProblem {
    if error.get_ref().is_some_and(|inner| inner.is::<NoExec>()) {
        return ImageDirProblem::NoExec;
    }
    match error.kind() {
        io::ErrorKind::NotFound => ImageDirProblem::Missing,
        io::ErrorKind::NotADirectory => ImageDirProblem::NotADirectory,
        io::ErrorKind::ReadOnlyFilesystem => ImageDirProblem::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ImageDirProblem::Full { free: free_bytes(dir) },
        _ => ImageDirProblem::Io(error),
    }
}

/// What the host's user may still write to the file system of `dir`, in bytes; 0 if it cannot tell.
pub(super) fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |vfs| vfs.f_bavail.saturating_mul(vfs.f_frsize))
}
