//! The part of a slot that calls go through: the instance that serves now, and whether calls wait.
//!
//! # Invariants
//!
//! 1. The gate of the current instance is closed only while the door is held, or after the instance has left the door. So a
//!    call that finds it closed finds a hold, or another instance, or none.
//! 2. A hold is taken away before it is said to be over, and what waits asks to be notified before it looks whether it is. So
//!    what waits hears of the end, and then finds no hold, or a later one.

use crate::sync::{Arc, ArcSwapOption, AtomicBool, Lent, Notify, Ordering};

/// What can be behind a door.
pub(crate) trait Serves: Sized {
    /// A call under way.
    type Entered;

    /// Begins a call of what a door lends; nothing if that is being ended, or is none.
    fn enter(lent: Lent<Self>) -> Option<Self::Entered>;
}

/// The current instance, and the hold, if there is one.
pub(crate) struct Door<I, T> {
    current: ArcSwapOption<I>,
    hold: ArcSwapOption<Hold<T>>,
}

/// Calls wait while an exclusive plugin is replaced.
#[derive(Debug)]
pub(crate) struct Hold<T> {
    /// On what terms they wait.
    pub(crate) terms: T,
    over: AtomicBool,
    released: Notify,
}

/// Why a call cannot begin now.
pub(crate) enum Shut<T> {
    /// Nothing serves.
    Empty,
    /// It is to try again when the hold is over.
    Held(Arc<Hold<T>>),
}

impl<T> Hold<T> {
    /// Ready when the hold is over.
    pub(crate) async fn over(&self) {
        loop {
            // Invariant 2.
            let released = self.released.notified();
            if self.over.load(Ordering::Acquire) {
                return;
            }
            released.await;
        }
    }
}

impl<I: Serves, T> Door<I, T> {
    /// Nothing is behind it.
    pub(crate) fn new() -> Self {
        Self { current: ArcSwapOption::empty(), hold: ArcSwapOption::empty() }
    }

    /// Puts an instance behind the door, or none, and gives the one that was there.
    pub(crate) fn flip(&self, instance: Option<Arc<I>>) -> Option<Arc<I>> {
        self.current.swap(instance)
    }

    pub(crate) fn current(&self) -> Option<Arc<I>> {
        self.current.load_full()
    }

    /// From now on, calls that cannot begin wait until [`release`](Self::release).
    pub(crate) fn hold(&self, terms: T) {
        self.hold.store(Some(Arc::new(Hold { terms, over: AtomicBool::default(), released: Notify::default() })));
    }

    /// Ends the hold, if there is one: what waited tries again.
    pub(crate) fn release(&self) {
        // Invariant 2.
        if let Some(hold) = self.hold.swap(None) {
            hold.over.store(true, Ordering::Release);
            hold.released.notify_waiters();
        }
    }

    /// Begins a call of the instance that serves now.
    pub(crate) fn enter(&self) -> Result<I::Entered, Shut<T>> {
        loop {
            // Lent: callers on several threads count no reference.
            let lent = self.current.load();
            let empty = lent.is_none();
            if let Some(entered) = I::enter(lent) {
                return Ok(entered);
            }
            if empty {
                return Err(Shut::Empty);
            }
            // Invariant 1: without a hold there is something else to be found.
            if let Some(hold) = self.hold.load_full() {
                return Err(Shut::Held(hold));
            }
        }
    }
}
