//! [`Held`]: whether callers may poll a plugin on their own threads, as far as it has held one of them.
//!
//! A poll that takes long costs the other deliveries of its event some milliseconds ([`lookout`](super::lookout)), so a plugin
//! that has done it runs on its own threads for a while, twice as long each time it does it soon again. A shorter poll counts
//! for nothing here: on a machine with more to do than it has processors any poll may take some milliseconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A poll of this length holds its thread; as for the watchdog of the adaptive mode.
pub(super) const LONG: Duration = Duration::from_millis(100);
/// How long it runs on its own threads for the first time.
const FIRST: Duration = Duration::from_secs(1);
/// And at most.
const LONGEST: Duration = Duration::from_secs(60);

/// What was seen of one plugin.
#[derive(Debug, Default)]
pub(super) struct Held {
    last: Mutex<Option<Pause>>,
    /// There was one. Most plugins never have one: nobody locks anything for them.
    any: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Held {
    fn last(&self) -> std::sync::MutexGuard<'_, Option<Pause>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A poll of it has just ended, which has held the caller's thread.
    pub(super) fn note(&self, now: Instant) {
        let mut last = self.last();
        let length = match *last {
            // It held several callers at once: that is one time.
            Some(pause) if now < pause.until => return,
            Some(pause) if now.saturating_duration_since(pause.until) < pause.length => (pause.length * 2).min(LONGEST),
            _ => FIRST,
        };
        *last = Some(Pause { until: now + length, length });
        self.any.store(true, Ordering::Relaxed);
    }

    /// Another build serves.
    pub(super) fn reset(&self) {
        *self.last() = None;
    }

    /// Whether callers may poll it.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        !self.any.load(Ordering::Relaxed) || self.last().is_none_or(|pause| pause.until <= now)
    }
}
