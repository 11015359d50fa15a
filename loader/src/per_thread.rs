//! Numbers that each thread has of its own, so that the call path need not ask the other threads.
//!
//! # Invariants
//!
//! 1. A shard below [`OWN`] is the shard of one thread at a time: its bit in `TAKEN` is set by that thread, and cleared when the
//!    thread has another shard. Who sets it next has heard of all that was done with it (acquire, release).

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// How many shards there are.
pub(crate) const SHARDS: usize = OWN + SHARED;

/// Shards that one thread has for itself: threads that make calls, until there are no more.
const OWN: usize = 16;
/// Shards of all other threads.
const SHARED: usize = 8;

/// No shard yet.
const NONE: usize = usize::MAX;

static TAKEN: AtomicU32 = AtomicU32::new(0);

thread_local! {
    // Without destructors: an allocation may come from a thread-local destructor, after all others have run.
    static SHARD: Cell<usize> = const { Cell::new(NONE) };
    static CALL_IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    static ASKED: Cell<bool> = const { Cell::new(false) };
    static OWNED: Cell<Option<Owned>> = const { Cell::new(None) };
}

/// A shard below [`OWN`] that is this thread's.
struct Owned(usize);

impl Owned {
    fn take() -> Option<Self> {
        let free = |taken: u32| {
            let shard = (!taken).trailing_zeros();
            (shard < OWN as u32).then(|| taken | 1 << shard)
        };
        // Invariant 1.
        let before = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, free).ok()?;
        Some(Self((!before).trailing_zeros() as usize))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Invariant 1.
        SHARD.set(shared());
        TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
    }
}

/// A shard that this thread may have to share.
fn shared() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    OWN + NEXT.fetch_add(1, Ordering::Relaxed) % SHARED
}

/// The shard of this thread: less than [`SHARDS`]. It changes twice at the most: at the first call that the thread makes, and
/// when the thread ends.
#[inline]
pub(crate) fn shard() -> usize {
    SHARD.with(|cell| {
        if cell.get() == NONE {
            cell.set(shared());
        }
        cell.get()
    })
}

/// Whether no other thread has this shard.
#[inline]
pub(crate) fn is_own(shard: usize) -> bool {
    shard < OWN
}

/// This thread makes calls: from now on it has a shard of its own, if there is one left. Waits for the dynamic linker the
/// first time, as every thread-local with a destructor does, so this is not for threads that must go on while a library hangs.
#[inline]
pub(crate) fn makes_calls() {
    if !ASKED.get() {
        ask();
    }
}

#[cold]
fn ask() {
    ASKED.set(true);
    let _ = OWNED.try_with(|owned| {
        if let Some(shard) = Owned::take() {
            SHARD.set(shard.0);
            owned.set(Some(shard));
        }
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_have_one_and_it_is_given_back() {
        let barrier = std::sync::Barrier::new(2 * OWN);
        let mut shards: Vec<_> = std::thread::scope(|scope| {
            let in_thread = || {
                makes_calls();
                barrier.wait();
                shard()
            };
            let threads: Vec<_> = (0..2 * OWN).map(|_| scope.spawn(in_thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(shards.iter().all(|shard| *shard < SHARDS));
        shards.retain(|shard| is_own(*shard));
        let all = shards.len();
        shards.sort_unstable();
        shards.dedup();
        assert_eq!(shards.len(), all);

        let own = (0..10 * OWN).filter(|_| {
            let in_thread = || {
                let before = shard();
                assert!(!is_own(before));
                makes_calls();
                is_own(shard())
            };
            std::thread::spawn(in_thread).join().unwrap()
        });
        // Threads of other tests may have some.
        assert!(own.count() > OWN, "no thread gives its shard back");
    }
}
