//! Numbers that each thread has of its own, so that the call path need not ask the other threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many shards there are.
pub(crate) const SHARDS: usize = 16;

thread_local! {
    // Without destructors: an allocation may come from a thread-local destructor, after all others have run.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    static CALL_IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The shard of this thread, always the same: less than [`SHARDS`].
pub(crate) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    SHARD.with(|cell| {
        if cell.get() == usize::MAX {
            cell.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        cell.get()
    })
}

/// A number for a call, unique in the process; each thread takes a block at a time.
pub(crate) fn next_call_id() -> u64 {
    const BLOCK: u64 = 1 << 16;
    static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
    CALL_IDS.with(|cell| {
        let (mut next, mut end) = cell.get();
        if next == end {
            next = NEXT_BLOCK.fetch_add(BLOCK, Ordering::Relaxed) + 1;
            end = next + BLOCK;
        }
        cell.set((next + 1, end));
        next
    })
}
