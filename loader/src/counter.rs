//! Counters for the call path: threads spread over several cache lines, so that two busy threads seldom share one.

use crate::per_thread::{SHARDS, is_own, shard};
use crate::sync::{AtomicI64, Ordering};

#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard(AtomicI64);

/// A counter that many threads add to and few read.
#[derive(Debug, Default)]
pub(crate) struct Sharded {
    shards: [Shard; SHARDS],
}

impl Sharded {
    /// What this thread did before happens before what a thread does that finds this in the [`sum`](Self::sum).
    pub(crate) fn add(&self, value: i64) {
        let place = shard();
        let shard = &self.shards[place].0;
        if is_own(place) {
            // Nobody else writes it: a load and a store are a third of the price.
            shard.store(shard.load(Ordering::Relaxed).wrapping_add(value), Ordering::Release);
        } else {
            shard.fetch_add(value, Ordering::Release);
        }
    }

    /// The same, and sequentially consistent.
    pub(crate) fn add_in_order(&self, value: i64) {
        self.shards[shard()].0.fetch_add(value, Ordering::SeqCst);
    }

    /// The sum: exact once nobody adds, near while somebody does. Sequentially consistent.
    pub(crate) fn sum(&self) -> i64 {
        self.shards.iter().map(|shard| shard.0.load(Ordering::SeqCst)).sum()
    }
}
