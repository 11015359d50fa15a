//! Counts allocations: the host's heap is the plugin's, too.
//!
//! # Invariants
//!
//! 1. What the allocator is asked for is passed on to the system's as it came.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static WANTED: AtomicBool = AtomicBool::new(false);

#[global_allocator]
static HEAP: Counting = Counting;

/// Adds one, if this thread is counted. Not when times are taken: a counter that all threads share has a price.
fn count() {
    if COUNTED.get() {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: invariant 1: `System` keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: invariant 1, by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: invariant 1, by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: invariant 1, by the caller.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: invariant 1, by the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Counts what the laps in `work` allocate, each on the thread that runs it: what a call leaves to other threads is not counted.
pub fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    WANTED.store(true, Ordering::Relaxed);
    work();
    WANTED.store(false, Ordering::Relaxed);
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// The measured part of a run, on one thread.
pub struct Lap(Instant);

impl Lap {
    /// Begins it.
    pub fn begin() -> Self {
        COUNTED.set(WANTED.load(Ordering::Relaxed));
        Self(Instant::now())
    }

    /// Ends it, on the thread that began it.
    pub fn end(self) -> Duration {
        let took = self.0.elapsed();
        COUNTED.set(false);
        took
    }
}
