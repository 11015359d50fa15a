//! The least that loading can cost: `dlopen`, of a file that this process has not mapped yet.
//!
//! # Invariants
//!
//! 1. A library is never closed, and nothing of it is called but what it runs by itself while it is mapped.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use libloading::Library;

/// What it is called in the rows.
pub(super) const NAME: &str = "dlopen alone";

/// Nanoseconds that it takes to map a copy of the library. The copy, which is made in `place` before, does not count: for a path
/// that it knows, the linker gives the old library.
pub(super) fn map(library: &Path, place: &Path) -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let copy = place.join(format!("alone-{}.so", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::copy(library, &copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    let begun = Instant::now();
    // SAFETY: invariant 1: all that runs are the initialisers of a library of this project, which only fill in tables.
    let mapped = unsafe { Library::new(&copy) };
    let took = begun.elapsed();
    std::mem::forget(mapped.unwrap_or_else(|error| panic!("{}: {error}", copy.display())));
    took.as_nanos() as f64
}
