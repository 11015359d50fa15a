//! Step 2a: the bytes of a candidate, from one open and one read.
//!
//! Everything later (structure, digest, descriptor, private copy) looks at these bytes in private memory: a mapped file
//! that somebody truncates would kill the process with SIGBUS, and a second open could meet another file.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::{Digest, OwnershipPolicy, Stamp};
use crate::error::LoadError;
use crate::find::Candidate;

/// What [`Candidate::read`] accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadLimits {
    /// The largest file, in bytes. Default 512 MiB.
    pub max_bytes: u64,
    /// Whose files.
    pub ownership: OwnershipPolicy,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { max_bytes: 512 << 20, ownership: OwnershipPolicy::default() }
    }
}

/// A file's bytes, as read once. Only [`Candidate::read`] makes one.
pub struct ReadImage {
    path: PathBuf,
    bytes: Vec<u8>,
    digest: Digest,
    modified: SystemTime,
    stamp: Stamp,
    sparse: Vec<Range<u64>>,
}

impl ReadImage {
    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 of [`Self::bytes`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The length in bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The file's modification time when it was read.
    pub fn modified(&self) -> SystemTime {
        self.modified
    }

    /// The same, known under the path of the file that it is a copy of.
    pub(crate) fn of(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// Which file it was, in which state.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Ranges for which the file system holds no data (a file copied out of order, or a sparse one).
    pub(super) fn sparse(&self) -> &[Range<u64>] {
        &self.sparse
    }
}

impl std::fmt::Debug for ReadImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadImage").field("path", &self.path).field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Candidate {
    /// Opens the file once, judges its kind, owner, mode and size on that descriptor, and reads it once. Blocks on the
    /// disk, never on a pipe: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`LoadError`] of the group "finding and reading".
    pub fn read(self, limits: &ReadLimits) -> Result<ReadImage, LoadError> {
        let path = self.path().to_path_buf();
        let unreadable = |error: io::Error| LoadError::Unreadable { path: path.clone(), error };
        let file = open(&path)?;
        let before = rustix::fs::fstat(&file).map_err(|e| unreadable(e.into()))?;
        if let Some(found) = odd_kind(&before) {
            return Err(LoadError::NotRegular { path, found });
        }
        limits.ownership.judge(&path, &file, &before)?;
        let size = u64::try_from(before.st_size).unwrap_or(0);
        if size == 0 {
            return Err(LoadError::Empty { path });
        }
        if size > limits.max_bytes {
            return Err(LoadError::TooLarge { path, size, limit: limits.max_bytes });
        }
        let sparse = holes(&file, size);
        let mut file = File::from(file);
        let bytes = read_to(&mut file, size).map_err(unreadable)?;
        let after = rustix::fs::fstat(&file).map_err(|e| unreadable(e.into()))?;
        if bytes.len() as u64 != size || !same_content(&before, &after) {
            // The larger of the two tells more: a file that grew reads as one byte more than expected.
            let after = (bytes.len() as u64).max(u64::try_from(after.st_size).unwrap_or(0));
            return Err(LoadError::ChangedWhileReading { path, before: size, after });
        }
        let (digest, modified) = (Digest::of(&bytes), modified(&before));
        Ok(ReadImage { path, bytes, digest, modified, stamp: Stamp::of(&before), sparse })
    }
}

/// `O_NONBLOCK`: opening a pipe for reading returns at once. `O_NOCTTY`: a terminal does not become ours.
fn open(path: &Path) -> Result<OwnedFd, LoadError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| {
        match (errno, std::fs::read_link(path)) {
            (Errno::NOENT, Ok(target)) => LoadError::DanglingLink { path: path.into(), target },
            (Errno::NOENT, Err(_)) => LoadError::Missing { path: path.into() },
            // Sockets and devices without a driver cannot be opened at all; the name tells why.
            _ => match rustix::fs::stat(path).ok().as_ref().and_then(odd_kind) {
                Some(found) => LoadError::NotRegular { path: path.into(), found },
                None => LoadError::Unreadable { path: path.into(), error: errno.into() },
            },
        }
    })
}

/// The kind in words, unless it is a regular file.
fn odd_kind(stat: &Stat) -> Option<&'static str> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("directory"),
        FileType::Fifo => Some("named pipe"),
        FileType::Socket => Some("socket"),
        FileType::CharacterDevice => Some("character device"),
        FileType::BlockDevice => Some("block device"),
        _ => Some("special file"),
    }
}

/// Up to `size + 1` bytes: the one more shows that the file has grown.
fn read_to(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let room = usize::try_from(size).ok().and_then(|size| size.checked_add(1)).ok_or(io::ErrorKind::OutOfMemory)?;
    bytes.try_reserve_exact(room).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.take(size + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn same_content(a: &Stat, b: &Stat) -> bool {
    (a.st_size, a.st_mtime, a.st_mtime_nsec) == (b.st_size, b.st_mtime, b.st_mtime_nsec)
}

fn modified(stat: &Stat) -> SystemTime {
    let nanos = Duration::from_nanos(stat.st_mtime_nsec);
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    if stat.st_mtime >= 0 { SystemTime::UNIX_EPOCH + seconds + nanos } else { SystemTime::UNIX_EPOCH - seconds + nanos }
}

/// Where the file system holds no data. A hint only: a file system that cannot tell names no hole.
fn holes(file: impl AsFd, size: u64) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Ok(start) = rustix::fs::seek(&file, SeekFrom::Hole(at)) {
        if start >= size {
            break;
        }
        let end = rustix::fs::seek(&file, SeekFrom::Data(start)).unwrap_or(size).min(size);
        if end <= start {
            break;
        }
        found.push(start..end);
        at = end;
    }
    // Reading begins at the front again; the descriptor is new, so this cannot fail for a file that can be sought.
    let _ = rustix::fs::seek(&file, SeekFrom::Start(0));
    found
}
