//! [`Lookout`]: sees that a plugin holds the thread of a caller that has more to deliver.
//!
//! A round has a seat while it is polled. A thread looks at the seats every other millisecond; a poll that it has seen for
//! [`STALL`] holds its thread, whoever's fault that is, and what the round has not in its hands is taken away from it
//! ([`Rescue`]). That is never wrong, only dearer than to wait, so the kernel is not asked whether the thread sleeps, computes or
//! has no processor. When there was no round for [`CALM`] the thread sleeps until the next one wakes it. It begins with the
//! first round, and ends with its fan-out.
//!
//! # Invariants
//!
//! 1. No round is polled unseen. Who takes a seat looks afterwards whether the thread sleeps; the thread says that it sleeps
//!    before it looks at the seats for the last time. Both use the lock of the seat's shard in between, so either the thread sees
//!    the seat or the other one sees that it sleeps.
//! 2. No lock is held while a round is told anything, and the lock of a shard only for moments.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::Dispatch;

use crate::contain::contained;
use crate::per_thread::{SHARDS, shard};

/// How long a poll is seen until it holds its thread.
const STALL: Duration = Duration::from_millis(5);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// How often a poll is seen again at least: a thread that had no processor itself has not seen how long anything took.
const AGAIN: u32 = 2;
/// Without a round for so long, the thread sleeps.
pub(super) const CALM: Duration = Duration::from_millis(500);

/// What a rescuer does.
pub(super) type Job = Box<dyn FnOnce() + Send>;
/// Starts a thread.
pub(super) type Spawn = dyn Fn(Job) -> std::io::Result<()> + Send + Sync;

/// Something that is polled on a thread that may be held.
pub(super) trait Rescue: Send + Sync {
    /// Goes on elsewhere with what that thread has not in its hands. An error: not with all of it, there was no thread.
    fn rescue(self: Arc<Self>, spawn: &Spawn) -> std::io::Result<()>;
}

/// The lookout of one fan-out.
pub(super) struct Lookout(Arc<Shared>);

struct Shared {
    shards: [Shard; SHARDS],
    /// The thread sleeps, or there is none yet. Changed under the lock of `control` only.
    asleep: AtomicBool,
    control: Mutex<Control>,
    changed: Condvar,
    spawn: Box<Spawn>,
    /// It has been said that there was no thread.
    warned: AtomicBool,
    looks: AtomicU64,
}

/// Seats of the rounds that some threads poll. A line of the cache each, so that these ask no other ones.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    taken: Vec<(u64, Arc<dyn Rescue>)>,
    /// How many there were.
    count: u64,
}

#[derive(Default)]
struct Control {
    running: bool,
    stopping: bool,
}

/// A round is polled as long as this exists.
pub(super) struct Seat<'l> {
    shared: &'l Shared,
    shard: usize,
    number: u64,
}

/// Starts a rescuer.
fn start(job: Job) -> std::io::Result<()> {
    thread::Builder::new().name("mini-chat-audit-rescue".to_owned()).spawn(job).map(drop)
}

impl Lookout {
    pub(super) fn new() -> Self {
        Self::with_spawn(Box::new(start))
    }

    pub(super) fn with_spawn(spawn: Box<Spawn>) -> Self {
        Self::asleep(spawn, true)
    }

    /// Without the thread that looks: only [`rescue_all`](Self::rescue_all) takes anything away.
    #[cfg(test)]
    pub(super) fn blind() -> Self {
        Self::asleep(Box::new(start), false)
    }

    fn asleep(spawn: Box<Spawn>, asleep: bool) -> Self {
        Self(Arc::new(Shared {
            shards: std::array::from_fn(|_| Shard::default()),
            asleep: AtomicBool::new(asleep),
            control: Mutex::default(),
            changed: Condvar::new(),
            spawn,
            warned: AtomicBool::new(false),
            looks: AtomicU64::new(0),
        }))
    }

    /// Watches over one poll.
    pub(super) fn watch(&self, round: Arc<dyn Rescue>) -> Seat<'_> {
        let (shared, shard) = (&*self.0, shard());
        let number = {
            let mut seats = shared.seats(shard);
            seats.count += 1;
            let number = seats.count;
            seats.taken.push((number, round));
            number
        };
        // Invariant 1.
        if shared.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
        Seat { shared, shard, number }
    }

    #[cold]
    fn wake(&self) {
        let shared = &self.0;
        let mut control = shared.control();
        if !shared.asleep.load(Ordering::Relaxed) {
            return;
        }
        if control.running {
            shared.asleep.store(false, Ordering::Relaxed);
            shared.changed.notify_one();
            return;
        }
        let (looking, dispatch) = (Arc::clone(shared), tracing::dispatcher::get_default(Clone::clone));
        let look = move || looking.run(&dispatch);
        match thread::Builder::new().name("mini-chat-audit-lookout".to_owned()).spawn(look) {
            Ok(_) => {
                control.running = true;
                shared.asleep.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                drop(control);
                shared.has_no_thread(&error);
            }
        }
    }

    /// Takes everything away from everyone, as if all were held.
    #[cfg(test)]
    pub(super) fn rescue_all(&self) {
        for shard in 0..SHARDS {
            let rounds: Vec<_> = self.0.seats(shard).taken.iter().map(|(_, round)| Arc::clone(round)).collect();
            rounds.into_iter().for_each(|round| round.rescue(&self.0.spawn).expect("a thread"));
        }
    }

    /// How often the thread has looked, and whether it sleeps.
    #[cfg(test)]
    pub(super) fn looks(&self) -> (u64, bool) {
        let _settled = self.0.control();
        (self.0.looks.load(Ordering::Relaxed), self.0.asleep.load(Ordering::Relaxed))
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.0.control().stopping = true;
        self.0.changed.notify_one();
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut seats = self.shared.seats(self.shard);
        // The last one, unless threads share the shard, or one polls a round inside another.
        let left = seats.taken.iter().rposition(|(number, _)| *number == self.number);
        let left = left.map(|place| seats.taken.swap_remove(place));
        drop(seats);
        drop(left);
    }
}

/// A poll that was seen.
struct Sighting {
    shard: usize,
    number: u64,
    since: Instant,
    again: u32,
    rescued: bool,
}

impl Shared {
    fn seats(&self, shard: usize) -> MutexGuard<'_, Seats> {
        self.shards[shard].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, dispatch: &Dispatch) {
        let mut seen = Vec::new();
        let mut counts = [0; SHARDS];
        let mut last_round = Instant::now();
        loop {
            let mut control = self.control();
            if last_round.elapsed() < CALM {
                control = self.changed.wait_timeout(control, PAUSE).unwrap_or_else(PoisonError::into_inner).0;
            } else {
                self.asleep.store(true, Ordering::Relaxed);
                // Invariant 1.
                if (0..SHARDS).any(|shard| !self.seats(shard).taken.is_empty()) {
                    self.asleep.store(false, Ordering::Relaxed);
                }
                let asleep = |control: &mut Control| self.asleep.load(Ordering::Relaxed) && !control.stopping;
                control = self.changed.wait_while(control, asleep).unwrap_or_else(PoisonError::into_inner);
                last_round = Instant::now();
            }
            if control.stopping {
                return;
            }
            drop(control);
            self.looks.fetch_add(1, Ordering::Relaxed);
            if self.look(&mut seen, &mut counts, dispatch) {
                last_round = Instant::now();
            }
        }
    }

    /// Looks at all seats. Whether there was a round since it looked last.
    fn look(&self, seen: &mut Vec<Sighting>, counts: &mut [u64; SHARDS], dispatch: &Dispatch) -> bool {
        let now = Instant::now();
        let before = std::mem::take(seen);
        let (mut any, mut held) = (false, Vec::new());
        for (shard, count) in counts.iter_mut().enumerate() {
            let seats = self.seats(shard);
            any |= !seats.taken.is_empty() || seats.count != *count;
            *count = seats.count;
            for (number, round) in &seats.taken {
                let known = before.iter().find(|known| (known.shard, known.number) == (shard, *number));
                let sighting = match known {
                    Some(known) => Sighting { again: known.again + 1, ..*known },
                    None => Sighting { shard, number: *number, since: now, again: 0, rescued: false },
                };
                let holds = sighting.again >= AGAIN && now.duration_since(sighting.since) >= STALL;
                if holds && !sighting.rescued {
                    held.push((seen.len(), Arc::clone(round)));
                }
                seen.push(sighting);
            }
        }
        // Invariant 2.
        for (sighting, round) in held {
            match contained("taking deliveries from a thread that is held", || round.rescue(&self.spawn)) {
                Some(Err(error)) => {
                    tracing::dispatcher::with_default(dispatch, || self.has_no_thread(&error));
                    // Asked again, after as long.
                    (seen[sighting].since, seen[sighting].again) = (now, 0);
                }
                Some(Ok(())) | None => seen[sighting].rescued = true,
            }
        }
        any
    }

    fn has_no_thread(&self, error: &std::io::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "no thread for audit deliveries that wait behind a plugin that blocks: they wait for as long as it does: \
                 {error}"
            );
        }
    }
}
