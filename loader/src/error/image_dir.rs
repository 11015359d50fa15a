//! [`ImageDirError`]: no place for the private copies. The host cannot load anything.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why no image directory could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageDirError {
    /// The directory that the operator named is not usable. Nothing else was tried.
    #[error("image directory {dir}: {problem}; correct it or name another image_dir")]
    Unusable {
        /// The directory named.
        dir: PathBuf,
        /// What is wrong with it.
        problem: ImageDirProblem,
    },
    /// Plugins cannot be held in memory either.
    #[error("no place for private plugin images: memory: {error}{}; name an image_dir", Tried(tried))]
    Memory {
        /// Why a memory file could not be made.
        error: io::Error,
        /// The directories tried before.
        tried: Vec<(PathBuf, ImageDirProblem)>,
    },
}

/// What is wrong with a directory, found by trying it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageDirProblem {
    /// It does not exist.
    #[error("does not exist")]
    Missing,
    /// Something else has that name.
    #[error("is not a directory")]
    NotADirectory,
    /// Its file system is mounted read-only.
    #[error("is on a read-only file system")]
    ReadOnly,
    /// Its file system forbids executing.
    #[error("is on a file system mounted noexec (or a security policy forbids executing from it)")]
    NoExec,
    /// No room for even one page.
    #[error("is full ({free} bytes free)")]
    Full {
        /// Bytes that the host's user may still write.
        free: u64,
    },
    /// Others could exchange what the host puts there.
    #[error("may be changed by others (owner uid {uid}, mode {mode:04o})")]
    Insecure {
        /// Its owner.
        uid: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Any other failure.
    #[error("cannot be used: {0}")]
    Io(io::Error),
}

impl ImageDirProblem {
    /// A stable code per variant, for JSON output and tests.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotADirectory => "not-a-directory",
            Self::ReadOnly => "read-only",
            Self::NoExec => "noexec",
            Self::Full { .. } => "full",
            Self::Insecure { .. } => "insecure",
            Self::Io(_) => "io",
        }
    }
}

/// `; tried DIR: it is …` for each.
struct Tried<'a>(&'a [(PathBuf, ImageDirProblem)]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(dir, problem)| write!(f, "; tried {}: {problem}", dir.display()))
    }
}
