//! Counters for the call path: threads spread over several cache lines, so that two busy threads seldom share one.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// Counters per [`Sharded`].
const SHARDS: usize = 16;

#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard(AtomicI64);

/// A counter that many threads add to and few read.
#[derive(Debug, Default)]
pub(crate) struct Sharded {
    shards: [Shard; SHARDS],
}

thread_local! {
    // Without destructors: an allocation may come from a thread-local destructor, after all others have run.
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    static CALL_IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    SHARD.with(|cell| {
        if cell.get() == usize::MAX {
            cell.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        cell.get()
    })
}

impl Sharded {
    pub(crate) fn add(&self, value: i64) {
        self.shards[shard()].0.fetch_add(value, Ordering::Relaxed);
    }

    /// The sum: exact once nobody adds, near while somebody does.
    pub(crate) fn sum(&self) -> i64 {
        self.shards.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }
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
