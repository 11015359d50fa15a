//! The watchdog of the `adaptive` mode: sees polls that hold a thread of the host while they are *in progress*.
//!
//! Each thread that polls plugin code inline has a seat: one word that says which instance it is polling, and in which
//! poll. Beginning and ending a poll is one relaxed store each; the call path reads no clock. The watchdog's thread
//! samples the seats. A poll seen in two samples has run that long; which part of that time is the plugin's doing, and not
//! that of a busy machine, `sample` works out from the kernel's account of the thread.
//!
//! What trips it: [`Rule`]. What happens then is decided by [`Watched::isolate`]: new calls run isolated, pending ones move
//! at their next poll or drop, while the long poll may still go on. After a clean period the instance is inline again; each
//! further trip doubles the period.
//!
//! # Invariants
//!
//! 1. No lock of this module is held while an instance is told anything.

mod machine;
mod sample;
mod seat;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use sample::Samples;
pub(crate) use seat::begin;

/// When an instance is to be isolated, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// A poll longer than this is a long one.
    pub(crate) long: Duration,
    /// This many long polls within `window` trip.
    pub(crate) count: usize,
    /// See `count`.
    pub(crate) window: Duration,
    /// One poll longer than this trips by itself.
    pub(crate) stuck: Duration,
    /// How long the first isolation lasts.
    pub(crate) clean: Duration,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            long: Duration::from_millis(1),
            count: 3,
            window: Duration::from_secs(10),
            stuck: Duration::from_millis(100),
            clean: Duration::from_secs(60),
        }
    }
}

/// Between two samples while polls are seen.
const BUSY: Duration = Duration::from_micros(500);
/// Between two samples while none is.
const IDLE: Duration = Duration::from_millis(20);
/// How long no poll must be seen until the samples become rare.
const CALM: Duration = Duration::from_millis(500);

/// What an instance is to the watchdog.
pub(crate) trait Watched: Send + Sync {
    /// Run isolated from now on, because of `why`.
    fn isolate(&self, why: &Trip);
    /// Run inline again.
    fn release(&self);
}

/// Why an instance was isolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trip {
    /// Several long polls within the window.
    Often {
        /// How many.
        count: usize,
    },
    /// One poll held its thread for at least this long, and may still do so.
    Stuck {
        /// How long so far.
        held: Duration,
    },
}

/// A number for an instance, unique in the process, never 0.
pub(crate) fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).max(1)
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    watched: HashMap<u32, (Weak<dyn Watched>, Rule)>,
    stopping: bool,
    running: bool,
}

/// The watchdog of one host. Its thread runs while there is something to watch.
#[derive(Clone)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    _stop: Arc<Stop>,
}

struct Stop(Weak<Shared>);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.state.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
            shared.changed.notify_all();
        }
    }
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared::default());
        let stop = Arc::new(Stop(Arc::downgrade(&shared)));
        Self { shared, _stop: stop }
    }

    /// Watches an instance for as long as it exists.
    pub(crate) fn watch(&self, number: u32, instance: Weak<dyn Watched>, rule: Rule) -> std::io::Result<()> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.watched.insert(number, (instance, rule));
        if !state.running {
            let shared = Arc::clone(&self.shared);
            thread::Builder::new().name("mini-chat-watchdog".to_owned()).spawn(move || shared.run())?;
            state.running = true;
        }
        Ok(())
    }
}

impl Shared {
    fn run(&self) {
        let mut samples = Samples::new();
        let mut last_poll_seen = Instant::now();
        loop {
            let calm = last_poll_seen.elapsed() > CALM;
            let watched = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let pause = if calm { IDLE } else { BUSY };
                let mut state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
                if state.stopping {
                    return;
                }
                state.watched.retain(|_, (instance, _)| instance.strong_count() > 0);
                state.watched.clone()
            };
            // Invariant 1: from here on no lock is held.
            samples.release(&watched);
            if samples.take(&watched) {
                last_poll_seen = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests;
