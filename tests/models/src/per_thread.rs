//! As the loader's, with fewer shards: every thread is in the same one all its life.

use std::cell::Cell;

pub(crate) const SHARDS: usize = 2;

loom::thread_local! {
    static SHARD: Cell<usize> = Cell::new(0);
}

pub(crate) fn shard() -> usize {
    SHARD.with(Cell::get)
}

/// Puts this thread into another shard than the first.
pub(crate) fn use_second_shard() {
    SHARD.with(|shard| shard.set(1));
}

/// Threads may share any of them.
#[allow(dead_code, reason = "see `counter`")]
pub(crate) fn is_own(_: usize) -> bool {
    false
}
