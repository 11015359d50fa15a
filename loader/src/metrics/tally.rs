//! [`Tally`]: how the calls of one generation ended and how long they took, counted on the threads that made them.
//!
//! What it costs a call that is answered at once: one addition to a counter of the thread's own share. A duration is
//! measured for each of the first [`EXACT`] such calls of a method and share, and then for one in [`SAMPLED`], which
//! counts for all of them: what a clock costs is a tenth of such a call. What waits, or fails, is measured always.

use std::sync::atomic::{AtomicU64, Ordering};

use mini_chat_plugin_sdk::call::monotonic_ns;

use super::names::DURATION_BUCKETS;
use crate::method::Method;
use crate::per_thread::{SHARDS, is_own, shard};

/// Calls answered at once of which each is measured.
pub(super) const EXACT: u64 = 1024;
/// Of how many calls answered at once one is measured afterwards.
pub(super) const SAMPLED: u64 = 16;
/// One more than there are bounds: for what takes longer.
pub(super) const BUCKETS: usize = DURATION_BUCKETS.len() + 1;
pub(super) const METHODS: usize = Method::ALL.len();

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// How a call ended, as the plugin's part of it: what a caller is told is the matter of `call/outcome.rs`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Outcome { $($(#[$doc])* $variant,)* }
        pub(super) const NAMES: [&str; OUTCOMES] = [$($name),*];
        /// How many there are.
        pub(super) const OUTCOMES: usize = [$($name),*].len();
    };
}

outcomes! {
    /// With a value.
    Ok = "ok",
    /// The plugin says: not found.
    NotFound = "not_found",
    /// The plugin says: try again (its own time-out is one of these).
    Transient = "transient",
    /// The plugin says: never try again.
    Permanent = "permanent",
    /// The plugin says: it cannot.
    Internal = "internal",
    /// The plugin panicked.
    Panic = "panic",
    /// The deadline passed.
    Deadline = "deadline",
    /// Cancelled, and the grace period passed.
    Cancelled = "cancelled",
    /// The generation ended first.
    Stopped = "stopped",
    /// The answer cannot be expressed on this side.
    Undecodable = "undecodable",
    /// The caller has dropped the call.
    Dropped = "dropped",
    /// There was nothing to call.
    NotServing = "not_serving",
}

/// When a call began, and whether it was answered by its first poll.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    /// By the clock of [`monotonic_ns`].
    pub(crate) began_ns: u64,
    pub(crate) at_once: bool,
}

#[derive(Debug, Default)]
struct Bucket {
    count: AtomicU64,
    nanos: AtomicU64,
}

/// One method.
#[derive(Debug, Default)]
struct Row {
    /// Calls answered at once with a value; they are not among the outcomes.
    at_once: AtomicU64,
    outcomes: [AtomicU64; OUTCOMES],
    buckets: [Bucket; BUCKETS],
}

impl Row {
    fn measure(&self, nanos: u64, weight: u64, own: bool) {
        let bucket = &self.buckets[bucket(nanos)];
        add(&bucket.count, weight, own);
        add(&bucket.nanos, nanos.saturating_mul(weight), own);
    }
}

/// Adds, and gives what was there before. `own`: nobody else writes it.
fn add(counter: &AtomicU64, value: u64, own: bool) -> u64 {
    if own {
        let before = counter.load(Ordering::Relaxed);
        counter.store(before.wrapping_add(value), Ordering::Relaxed);
        before
    } else {
        counter.fetch_add(value, Ordering::Relaxed)
    }
}

/// The place of a duration.
pub(super) fn bucket(nanos: u64) -> usize {
    static BOUNDS: [u64; BUCKETS - 1] = {
        let mut bounds = [0; BUCKETS - 1];
        let mut i = 0;
        while i < bounds.len() {
            // Exact: all bounds are whole hundreds of nanoseconds.
            bounds[i] = (DURATION_BUCKETS[i] * 1e9 + 0.5) as u64;
            i += 1;
        }
        bounds
    };
    BOUNDS.partition_point(|bound| *bound < nanos)
}

/// What some threads add to; apart from what others add to.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard([Row; METHODS]);

/// The calls of one generation.
#[derive(Debug)]
pub(crate) struct Tally {
    shards: Box<[Shard]>,
    evicted: AtomicU64,
    panics: AtomicU64,
    by_default: [AtomicU64; METHODS],
}

impl Default for Tally {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { shards, evicted: AtomicU64::new(0), panics: AtomicU64::new(0), by_default: Default::default() }
    }
}

impl Tally {
    /// The row of this thread's share, and whether nobody else writes it.
    fn row(&self, method: Method) -> (&Row, bool) {
        let shard = shard();
        (&self.shards[shard].0[method as usize], is_own(shard))
    }

    /// A call has ended just now.
    pub(crate) fn count(&self, method: Method, outcome: Outcome, took: Took) {
        let (row, own) = self.row(method);
        let weight = if outcome == Outcome::Ok && took.at_once {
            // By its own number, so that calls which alternate are not all passed over.
            let before = add(&row.at_once, 1, own);
            match before {
                0..EXACT => 1,
                _ if before.is_multiple_of(SAMPLED) => SAMPLED,
                _ => return,
            }
        } else {
            add(&row.outcomes[outcome as usize], 1, own);
            1
        };
        row.measure(monotonic_ns().saturating_sub(took.began_ns), weight, own);
    }

    /// A call was dropped by its caller: how long it would have taken nobody knows.
    pub(crate) fn count_dropped(&self, method: Method) {
        let (row, own) = self.row(method);
        add(&row.outcomes[Outcome::Dropped as usize], 1, own);
    }

    /// The shutdown hook panicked.
    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// The plugin is too old for the method: the host answers itself.
    pub(crate) fn count_default(&self, method: Method) {
        self.by_default[method as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many tokens its bridge has evicted so far.
    pub(crate) fn set_evicted(&self, evicted: u64) {
        self.evicted.store(evicted, Ordering::Relaxed);
    }

    /// Calls that have ended.
    pub(crate) fn calls(&self) -> i64 {
        let of_row = |row: &Row| {
            let outcomes = row.outcomes.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
            outcomes + row.at_once.load(Ordering::Relaxed)
        };
        let calls: u64 = self.shards.iter().flat_map(|shard| &shard.0).map(of_row).sum();
        i64::try_from(calls).unwrap_or(i64::MAX)
    }
}

/// One method's share of [`Totals`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MethodTotals {
    pub(super) outcomes: [u64; OUTCOMES],
    /// Count and nanoseconds.
    pub(super) buckets: [(u64, u64); BUCKETS],
    /// Answered by the host, by default.
    pub(super) by_default: u64,
}

impl MethodTotals {
    pub(super) fn panics(&self) -> u64 {
        self.outcomes[Outcome::Panic as usize]
    }
}

/// The sum of tallies.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    pub(super) methods: Vec<MethodTotals>,
    pub(super) evicted: u64,
    pub(super) panics: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self { methods: vec![MethodTotals::default(); METHODS], evicted: 0, panics: 0 }
    }
}

impl Totals {
    pub(super) fn add(&mut self, tally: &Tally) {
        for row in tally.shards.iter().map(|shard| &shard.0) {
            for (total, row) in self.methods.iter_mut().zip(row) {
                total.outcomes[Outcome::Ok as usize] += row.at_once.load(Ordering::Relaxed);
                for (sum, count) in total.outcomes.iter_mut().zip(&row.outcomes) {
                    *sum += count.load(Ordering::Relaxed);
                }
                for (sum, bucket) in total.buckets.iter_mut().zip(&row.buckets) {
                    sum.0 += bucket.count.load(Ordering::Relaxed);
                    sum.1 = sum.1.wrapping_add(bucket.nanos.load(Ordering::Relaxed));
                }
            }
        }
        for (total, count) in self.methods.iter_mut().zip(&tally.by_default) {
            total.by_default += count.load(Ordering::Relaxed);
        }
        self.evicted += tally.evicted.load(Ordering::Relaxed);
        self.panics += tally.panics.load(Ordering::Relaxed);
    }
}
