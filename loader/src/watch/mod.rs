//! Says when to look at files again: something happened in a plugin directory or to a configuration file, or time has
//! passed.
//!
//! Nothing that was heard is believed: it means "look", and whoever looks finds out ([`crate::scan`]). The one exception is
//! that a file was closed after writing or renamed into place, which nobody can see by looking ([`Wake::completed`]).
//! Events get lost (network file systems, mounts, full queues), so there is a look every now and then in any case.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `spots.rs` | which directories and names matter |
//! | `eyes.rs` | sets watches, or polls |
//! | `backend.rs` | inotify |
//!
//! # Invariants
//!
//! 1. No lock of this module is held while `tell` is called, or a backend is.

mod backend;
mod eyes;
mod spots;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::contain::contained;
use backend::{Heard, Make};
use eyes::Eyes;
use spots::Spots;

/// How long the end of a watcher waits for its thread, which may be held up in the system; then it is left to itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// What to watch. A path need not exist, yet or any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Directories in which every name matters.
    pub(crate) directories: Vec<PathBuf>,
    /// Single files.
    pub(crate) files: Vec<PathBuf>,
}

/// Look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wake {
    /// Files that were closed after writing, or renamed into place, and not written to since: a target file, or a path
    /// directly in a target directory, spelled as the target is.
    pub(crate) completed: Vec<PathBuf>,
    /// Why.
    pub(crate) cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Something happened, or may have happened while watches were set.
    Events,
    /// Nothing was heard for a while.
    Periodic,
    /// Nothing can be heard.
    Polling,
}

/// How long what takes.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// A burst of events has ended.
    quiet: Duration,
    /// A burst is not waited for any longer.
    most: Duration,
    /// Between looks while nothing happens.
    rescan: Duration,
    /// Between looks while nothing can be heard.
    poll: Duration,
    /// Between attempts to hear again.
    retry: Duration,
}

impl Timing {
    fn with(rescan: Duration) -> Self {
        Self {
            quiet: Duration::from_millis(50),
            most: Duration::from_millis(500),
            rescan: rescan.max(Duration::from_millis(100)),
            poll: Duration::from_secs(2),
            retry: Duration::from_secs(60),
        }
    }
}

/// Watches until it is dropped. Dropping it waits for a `tell` under way, for a moment; after that none follows but one
/// that takes longer.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Watcher {
    /// Starts the thread `mini-chat-watch`, on which `tell` is called. The first call comes as soon as the watches stand:
    /// what happened before is not heard, so look then. `rescan`: how often to look in any case, at most every 100 ms.
    ///
    /// # Errors
    /// The thread cannot be started. That nothing can be watched is no error: see [`Cause::Polling`].
    pub(crate) fn start(
        targets: Targets,
        rescan: Duration,
        tell: impl Fn(Wake) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        Self::start_with(targets, Timing::with(rescan), Box::new(backend::inotify), tell)
    }

    fn start_with(
        targets: Targets,
        timing: Timing,
        make: Make,
        tell: impl Fn(Wake) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.inbox().given = targets.clone();
        let of_thread = Arc::clone(&shared);
        // Its log goes where that of the host goes.
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new().name("mini-chat-watch".to_owned()).spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                contained("the watcher", || of_thread.run(targets, timing, make, &tell));
            });
            of_thread.inbox().ended = true;
            of_thread.changed.notify_all();
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Other targets from now on. A wake follows when they are watched; the same targets again are no news, so that whoever
    /// sets them at each wake does not wake itself.
    pub(crate) fn set_targets(&self, targets: Targets) {
        let mut inbox = self.shared.inbox();
        if inbox.given != targets {
            inbox.given = targets.clone();
            inbox.targets = Some(targets);
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut inbox = self.shared.inbox();
        inbox.stop = true;
        self.shared.changed.notify_all();
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() == thread::current().id() {
            return;
        }
        // A thread that was just started may be held up by a library that hangs while it is mapped: no wait for ever.
        let until = Instant::now() + PATIENCE;
        while !inbox.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            inbox = self.shared.changed.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(inbox);
        let _ = thread.join();
    }
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

#[derive(Default)]
struct Inbox {
    /// What matters now.
    spots: Arc<Spots>,
    completed: BTreeSet<PathBuf>,
    /// When the first and the last event of a burst came.
    burst: Option<(Instant, Instant)>,
    /// The last targets that were set.
    given: Targets,
    /// Likewise, not yet watched.
    targets: Option<Targets>,
    stop: bool,
    ended: bool,
}

/// Why the thread woke up.
enum Due {
    Stop,
    Targets(Targets),
    Look(Cause),
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On the backend's thread.
    fn hear(&self, heard: Heard) {
        let mut inbox = self.inbox();
        let spots = Arc::clone(&inbox.spots);
        match &heard {
            Heard::Lost => inbox.completed.clear(),
            Heard::Completed(path) | Heard::Changed(path) | Heard::Touched(path) if !spots.concerns(path) => return,
            Heard::Completed(path) => inbox.completed.extend(spots.named(path)),
            Heard::Changed(path) => {
                for named in spots.named(path) {
                    inbox.completed.remove(&named);
                }
            }
            Heard::Touched(_) => {}
        }
        let now = Instant::now();
        let first = inbox.burst.map(|(first, _)| first);
        inbox.burst = Some((first.unwrap_or(now), now));
        if first.is_none() {
            self.changed.notify_all();
        }
    }

    fn run(self: &Arc<Self>, mut targets: Targets, timing: Timing, make: Make, tell: &dyn Fn(Wake)) {
        let ears = Arc::clone(self);
        let mut eyes = Eyes::new(make, Arc::new(move |heard| ears.hear(heard)), timing);
        let publish = |spots| self.inbox().spots = spots;
        let mut cause = Cause::Events;
        loop {
            // Before the look: what happens from here on is heard, so nothing falls between.
            eyes.refresh(&targets, &publish);
            let completed = {
                let mut inbox = self.inbox();
                inbox.burst = None;
                std::mem::take(&mut inbox.completed).into_iter().collect()
            };
            // Invariant 1.
            contained("whoever is told of changed files", || tell(Wake { completed, cause }));
            let (pause, idle) =
                if eyes.polls() { (timing.poll, Cause::Polling) } else { (timing.rescan, Cause::Periodic) };
            cause = match self.wait(&timing, Instant::now() + pause.min(timing.rescan), idle) {
                Due::Stop => return,
                Due::Targets(new) => {
                    targets = new;
                    Cause::Events
                }
                Due::Look(cause) => cause,
            };
        }
    }

    fn wait(&self, timing: &Timing, idle_at: Instant, idle: Cause) -> Due {
        let mut inbox = self.inbox();
        loop {
            if inbox.stop {
                return Due::Stop;
            }
            if let Some(targets) = inbox.targets.take() {
                return Due::Targets(targets);
            }
            let burst_over = inbox.burst.map(|(first, last)| (last + timing.quiet).min(first + timing.most));
            let now = Instant::now();
            if burst_over.is_some_and(|at| at <= now) {
                return Due::Look(Cause::Events);
            }
            if idle_at <= now {
                return Due::Look(idle);
            }
            let left = burst_over.map_or(idle_at, |at| at.min(idle_at)) - now;
            inbox = self.changed.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests;
