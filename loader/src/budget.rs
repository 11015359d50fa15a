//! The budget of images: whether this process has room for one library more.
//!
//! Libraries are never unmapped, so each swap takes something for good: memory, mappings, up to two files, and one of the
//! 1024 keys for thread-local values that a process has. Where those run out, the process is aborted ("out of TLS keys"),
//! so before each mapping it is asked here, and a refusal costs the candidate only.
//!
//! What is asked for is a margin, since others need such things too, and what a library takes is not known beforehand.
//!
//! # Invariants
//!
//! 1. A key is deleted by the function that created it, which gives it to nobody and sets no value under it.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::error::LoadError;

#[cfg(test)]
mod tests;

/// Images that a process may have, where nobody says otherwise.
pub(crate) const DEFAULT_IMAGES: u32 = 256;

/// Keys for thread-local values that must be left.
const KEYS: usize = 16;
/// File descriptors that must be left.
const FILES: u64 = 32;
/// Mappings that must be left: a library has about six, a thread two.
const MAPS: u64 = 256;

/// Images that are mapped in this process, by whichever host.
static RESIDENT: AtomicU64 = AtomicU64::new(0);

/// What is left for libraries in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Headroom {
    /// Libraries mapped in this process, those of ended plugins and of other hosts too.
    pub images_used: u64,
    /// How many this host lets there be.
    pub images_limit: u64,
    /// Whether enough keys for thread-local values are left.
    pub keys_ok: bool,
    /// File descriptors left; none if the system does not say, or sets no limit.
    pub fds_free: Option<u64>,
    /// Memory mappings left; none if the system does not say.
    pub maps_free: Option<u64>,
}

/// Libraries mapped in this process.
pub(crate) fn mapped() -> u64 {
    RESIDENT.load(Ordering::Relaxed)
}

/// What there is now.
pub(crate) fn headroom(limit: u32) -> Headroom {
    let free = |count: Option<Count>| count.map(|count| count.limit.saturating_sub(count.used));
    Headroom {
        images_used: mapped(),
        images_limit: limit.into(),
        keys_ok: keys().is_ok(),
        fds_free: free(files()),
        maps_free: free(maps()),
    }
}

/// Room for one image; given back when dropped, unless the image [stays](Self::keep).
#[derive(Debug)]
pub(crate) struct Room(());

impl Room {
    /// The image is mapped, and so stays.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        RESIDENT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes room for one image.
pub(crate) fn take(path: &Path, limit: u32) -> Result<Room, LoadError> {
    let refused = |short, count: Count, remedy| {
        let path = path.to_owned();
        LoadError::ImageBudget { path, short, used: count.used, limit: count.limit, remedy }
    };
    let limit = u64::from(limit);
    let one_more = |used: u64| (used < limit).then_some(used + 1);
    let taken = RESIDENT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
    let room = match taken {
        Ok(_) => Room(()),
        Err(used) => return Err(refused("mapped libraries", Count { used, limit }, ", or raise max_images of [host]")),
    };
    if let Err(count) = keys() {
        return Err(refused("keys for thread-local values", count, ""));
    }
    if let Some(count) = files().filter(|count| count.lacks(FILES)) {
        return Err(refused("file descriptors", count, ", or raise its limit of open files"));
    }
    if let Some(count) = maps().filter(|count| count.lacks(MAPS)) {
        return Err(refused("memory mappings", count, ", or raise the sysctl vm.max_map_count"));
    }
    Ok(room)
}

/// Whether there is room now; takes none. For who would do much before taking it.
pub(crate) fn probe(path: &Path, limit: u32) -> Result<(), LoadError> {
    take(path, limit).map(drop)
}

#[derive(Debug, Clone, Copy)]
struct Count {
    used: u64,
    limit: u64,
}

impl Count {
    fn lacks(self, margin: u64) -> bool {
        self.limit.saturating_sub(self.used) < margin
    }
}

/// Whether [`KEYS`] keys can be had; else how many are taken.
///
/// Another thread may need a key at the same moment, so the last ones are not taken to find out: a key is a place in a
/// table, lowest first, so one from near the table's end tells that few are left.
fn keys() -> Result<(), Count> {
    // SAFETY: no pointers; an unknown name gives -1.
    let limit = u64::try_from(unsafe { libc::sysconf(libc::_SC_THREAD_KEYS_MAX) }).unwrap_or(128);
    let mut taken: Vec<libc::pthread_key_t> = Vec::with_capacity(KEYS);
    let mut used = None;
    while used.is_none() && taken.len() < KEYS {
        let (mut key, ours) = (0, taken.len() as u64);
        // SAFETY: `key` is valid for the call; there is no destructor to be run for values (invariant 1).
        if unsafe { libc::pthread_key_create(&raw mut key, None) } != 0 {
            used = Some(limit.saturating_sub(ours));
            break;
        }
        // All places before this one are taken; those behind it may not suffice.
        let place = u64::from(key);
        if limit.saturating_sub(place) < KEYS as u64 - ours {
            used = Some(place.saturating_sub(ours));
        }
        taken.push(key);
    }
    for key in taken {
        // SAFETY: created above, and nobody else knows it (invariant 1).
        unsafe { libc::pthread_key_delete(key) };
    }
    used.map_or(Ok(()), |used| Err(Count { used, limit }))
}

fn files() -> Option<Count> {
    let limit = getrlimit(Resource::Nofile).current?;
    // The listing itself is one of them.
    let used = std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    Some(Count { used: used as u64, limit })
}

fn maps() -> Option<Count> {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()?;
    let used = std::fs::read("/proc/self/maps").ok()?.iter().filter(|byte| **byte == b'\n').count();
    Some(Count { used: used as u64, limit })
}
