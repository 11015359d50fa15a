//! What the scanner asks of the system besides the files: the time, and whether the times of files can be believed.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Never steps; measures how far two looks are apart.
    pub(crate) steady: Instant,
    /// Nanoseconds since the epoch: the clock by which a local file system stamps its files.
    pub(crate) wall: i128,
}

/// Replaced in tests, which then need not wait.
pub(crate) trait World: Send + std::fmt::Debug {
    fn now(&self) -> Moment;
    /// Whether this machine's own clock stamps the files there, at each write. Not so where another machine writes, whose
    /// clock may be wrong, or where what it wrote is noticed late.
    fn stamps_by_our_clock(&self, path: &Path) -> bool;
}

#[derive(Debug)]
pub(crate) struct System;

/// `statfs` numbers of file systems that only this machine writes: ext2 to ext4, xfs, btrfs, tmpfs, ramfs, overlayfs, f2fs,
/// zfs, bcachefs, squashfs, erofs. Any other one is asked to show the same bytes twice.
const LOCAL: [u32; 11] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0x0102_1994,
    0x8584_58f6,
    0x794c_7630,
    0xf2f5_2010,
    0x2fc1_2fc1,
    0xca45_1a4e,
    0x7371_7368,
    0xe0f5_e1e2,
];

impl World for System {
    fn now(&self) -> Moment {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
            // A clock before 1970: every file is from the future, and none is old.
            Err(_) => i128::MIN / 2,
        };
        Moment { steady: Instant::now(), wall }
    }

    // The type of the number differs from platform to platform, its 32 bits do not.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::unnecessary_cast)]
    fn stamps_by_our_clock(&self, path: &Path) -> bool {
        rustix::fs::statfs(path).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
    }
}
