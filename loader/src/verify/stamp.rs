//! [`Stamp`]: which file stands under a path and in which state, without reading it.

use std::path::Path;

use rustix::fs::Stat;

/// Device, inode, size and both times: as long as all are the same, so are the bytes. Two writes within one tick of the
/// file system's clock look the same; whoever relies on a stamp first lets the file settle for longer than a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Device and inode.
    pub(crate) file: (u64, u64),
    size: i64,
    /// Last write to the content, in nanoseconds since the epoch.
    pub(crate) modified: i128,
    /// Last change of anything, a rename included, in nanoseconds since the epoch.
    pub(crate) changed: i128,
    /// Of a symbolic link that leads nowhere, not of a file.
    dangling: bool,
}

impl Stamp {
    // The types of the fields are those of the platform.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            file: (stat.st_dev as u64, stat.st_ino as u64),
            size: stat.st_size as i64,
            modified: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            dangling: false,
        }
    }

    /// What stands under `path` now; `None` if nothing does, or nobody can tell.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        match rustix::fs::stat(path) {
            Ok(stat) => Some(Self::of(&stat)),
            Err(_) => rustix::fs::lstat(path).ok().map(|link| Self { dangling: true, ..Self::of(&link) }),
        }
    }
}
