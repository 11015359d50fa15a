//! The watchdog of the `adaptive` mode: sees polls that hold a thread of the host while they are *in progress*.
//!
//! Each thread that polls plugin code inline has a [`Seat`]: one word that says which instance it is polling, and in which
//! poll. Beginning and ending a poll is one relaxed store each; the call path reads no clock. The watchdog's thread
//! samples the seats. A poll seen in two samples has run that long; the part of that time in which its thread waited for a
//! processor is not the plugin's doing (a busy machine) and is taken off, as the kernel tells it
//! (`/proc/self/task/TID/schedstat`, second field).
//!
//! What trips it: [`Rule`]. What happens then is decided by [`Watched::isolate`]: new calls run isolated, pending ones move
//! at their next poll, while the long poll may still go on. After a clean period the instance is inline again; each further
//! trip doubles the period.
//!
//! # Invariants
//!
//! 1. A seat is written by its thread only; the watchdog reads. A word that changes between two samples is another poll.
//! 2. No lock of this module is held while an instance is told anything.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

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

/// Longest isolation, however often it tripped.
const LONGEST_CLEAN: Duration = Duration::from_secs(3600);

/// Between two samples while polls are seen.
const BUSY: Duration = Duration::from_micros(500);
/// Between two samples while none is.
const IDLE: Duration = Duration::from_millis(20);
/// How long no poll must be seen until the samples become rare.
const CALM: Duration = Duration::from_millis(500);
/// A sample later than this after the one before says more of the machine than of a plugin.
const LATE: Duration = Duration::from_millis(10);

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

/// One thread's word: what it is polling now. 0: nothing.
struct Seat {
    word: AtomicU64,
    /// The kernel's account of how long the thread waited for a processor; opened by the thread, readable by any.
    waited: Option<File>,
}

impl Seat {
    /// How long the thread has waited for a processor since it began; none where the kernel does not tell.
    fn waited(&self) -> Option<Duration> {
        let mut text = [0_u8; 96];
        let length = self.waited.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    }
}

static SEATS: Mutex<Vec<Weak<Seat>>> = Mutex::new(Vec::new());

thread_local! {
    static SEAT: Arc<Seat> = new_seat();
    static POLLS: Cell<u32> = const { Cell::new(0) };
}

fn new_seat() -> Arc<Seat> {
    let seat = Arc::new(Seat { word: AtomicU64::new(0), waited: File::open("/proc/thread-self/schedstat").ok() });
    let mut seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
    seats.retain(|seat| seat.strong_count() > 0);
    seats.push(Arc::downgrade(&seat));
    seat
}

/// A poll in progress: ends when dropped.
pub(crate) struct Poll {
    before: Option<u64>,
}

/// Begins a poll of the instance with this number on the current thread; 0: not watched.
pub(crate) fn begin(number: u32) -> Poll {
    if number == 0 {
        return Poll { before: None };
    }
    // A thread that is ending has no seat: its polls go unseen.
    let before = SEAT.try_with(|seat| {
        let poll = POLLS.get().wrapping_add(1);
        POLLS.set(poll);
        let before = seat.word.load(Ordering::Relaxed);
        seat.word.store(u64::from(number) << 32 | u64::from(poll), Ordering::Relaxed);
        before
    });
    Poll { before: before.ok() }
}

impl Drop for Poll {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let _ = SEAT.try_with(|seat| seat.word.store(before, Ordering::Relaxed));
        }
    }
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

/// What is known of one seat from the samples so far.
struct Seen {
    word: u64,
    at: Instant,
    waited: Option<Duration>,
    /// Time that the poll has held its thread, without waiting for a processor.
    held: Duration,
    /// The part of it that was seen by samples in time: what only long polls are judged by.
    sure: Duration,
    counted: bool,
}

/// What is known of one instance.
#[derive(Default)]
struct History {
    long: VecDeque<Instant>,
    isolated_until: Option<Instant>,
    trips: u32,
}

impl Shared {
    fn run(&self) {
        let mut seen: HashMap<usize, Seen> = HashMap::new();
        let mut histories: HashMap<u32, History> = HashMap::new();
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
            histories.retain(|number, _| watched.contains_key(number));
            // Invariant 2: from here on no lock is held.
            let now = Instant::now();
            for (number, (instance, _)) in &watched {
                let history = histories.entry(*number).or_default();
                if history.isolated_until.is_some_and(|until| until <= now) {
                    history.isolated_until = None;
                    if let Some(instance) = instance.upgrade() {
                        instance.release();
                    }
                }
            }
            if sample(&mut seen, &mut histories, &watched, now) {
                last_poll_seen = now;
            }
        }
    }
}

/// Looks at every seat once. Whether any poll of a watched instance was seen.
fn sample(
    seen: &mut HashMap<usize, Seen>,
    histories: &mut HashMap<u32, History>,
    watched: &HashMap<u32, (Weak<dyn Watched>, Rule)>,
    now: Instant,
) -> bool {
    let seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut any = false;
    let mut present = Vec::with_capacity(seats.len());
    for seat in seats.iter().filter_map(Weak::upgrade) {
        let key = Arc::as_ptr(&seat) as usize;
        let word = seat.word.load(Ordering::Relaxed);
        let number = u32::try_from(word >> 32).unwrap_or(0);
        let Some((instance, rule)) = watched.get(&number) else { continue };
        any = true;
        present.push(key);
        let entry = match seen.get_mut(&key) {
            Some(entry) if entry.word == word => entry,
            _ => {
                // The first sight of this poll: its account begins when it is seen again.
                let first = Seen {
                    word,
                    at: now,
                    waited: seat.waited(),
                    held: Duration::ZERO,
                    sure: Duration::ZERO,
                    counted: false,
                };
                seen.insert(key, first);
                continue;
            }
        };
        let passed = now - entry.at;
        let waited = seat.waited();
        let waiting = match (waited, entry.waited) {
            (Some(after), Some(before)) => after.saturating_sub(before),
            _ => Duration::ZERO,
        };
        (entry.at, entry.waited) = (now, waited);
        let held = passed.saturating_sub(waiting);
        entry.held += held;
        // In a late sample the watchdog itself did not get a processor: the machine is busy, or was stopped as a whole.
        if passed <= LATE {
            entry.sure += held;
        }
        let history = histories.entry(number).or_default();
        let trip = judge(entry, history, rule, now);
        if let (Some(trip), Some(instance)) = (trip, instance.upgrade()) {
            let clean = rule.clean.saturating_mul(1 << history.trips.min(16)).min(LONGEST_CLEAN);
            history.isolated_until = Some(now + clean);
            history.trips += 1;
            history.long.clear();
            instance.isolate(&trip);
        }
    }
    seen.retain(|key, _| present.contains(key));
    any
}

fn judge(entry: &mut Seen, history: &mut History, rule: &Rule, now: Instant) -> Option<Trip> {
    if history.isolated_until.is_some() {
        return None;
    }
    if entry.held > rule.stuck {
        return Some(Trip::Stuck { held: entry.held });
    }
    if entry.sure > rule.long && !entry.counted {
        entry.counted = true;
        history.long.push_back(now);
        while history.long.front().is_some_and(|at| now - *at > rule.window) {
            history.long.pop_front();
        }
        if history.long.len() >= rule.count {
            return Some(Trip::Often { count: history.long.len() });
        }
    }
    None
}

#[cfg(test)]
mod tests;
