//! The caller's waker as a plugin gets it: its panics end here.
//!
//! A waker is the caller's code, and a plugin runs it: on the plugin's threads, inside its runtime, while it drops things.
//! A panic there could only abort the process, since no panic crosses the boundary. What is lost with it is that one
//! wake-up; the call's own timer still wakes the caller at the deadline.
//!
//! # Invariants
//!
//! 1. The data of a waker with [`LENT`] is a [`Lent`] that lives as long as that waker, which never leaves [`guarded`]:
//!    whoever wants to keep it clones it, and a clone owns what it needs.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};

use crate::contain::contained;

#[cfg(test)]
mod tests;

/// What a plugin is lent for a poll.
struct Lent<'a> {
    waker: &'a Waker,
    /// It was woken during the poll, by reference: the caller polls again at once.
    woken: AtomicBool,
}

/// Runs `f` with a context whose waker does not panic; with whether it was woken meanwhile (not: a clone of it). Costs an
/// allocation only when the waker is cloned.
#[inline]
pub(super) fn guarded<R>(cx: &mut Context<'_>, f: impl FnOnce(&mut Context<'_>) -> R) -> (R, bool) {
    let lent = Lent { waker: cx.waker(), woken: AtomicBool::new(false) };
    let data = std::ptr::from_ref(&lent).cast();
    // SAFETY: invariant 1: `lent` outlives the new waker, whose functions are those of LENT.
    let waker = unsafe { Waker::new(data, &LENT) };
    let output = f(&mut Context::from_waker(&waker));
    (output, lent.woken.load(Ordering::Relaxed))
}

static LENT: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| ());

/// # Safety
///
/// Invariant 1 holds for `data`.
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: invariant 1, by the caller.
    let waker = unsafe { &*data.cast::<Lent<'_>>() }.waker;
    let owned = match contained("cloning the waker of a call", || waker.clone()) {
        Some(waker) => Waker::from(Arc::new(Owned(Some(waker)))),
        // The loader clones it next, for the deadline's timer: on the caller's own stack, which gets the panic then.
        None => Waker::noop().clone(),
    };
    let owned = ManuallyDrop::new(owned);
    RawWaker::new(owned.data(), owned.vtable())
}

/// # Safety
///
/// Invariant 1 holds for `data`.
unsafe fn wake(data: *const ()) {
    // SAFETY: invariant 1, by the caller.
    let lent = unsafe { &*data.cast::<Lent<'_>>() };
    // Not by a wake-up that was lost.
    if contained("the waker of a call", || lent.waker.wake_by_ref()).is_some() {
        lent.woken.store(true, Ordering::Relaxed);
    }
}

/// A clone; nothing only while it is dropped.
struct Owned(Option<Waker>);

impl Wake for Owned {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waker) = &self.0 {
            contained("the waker of a call", || waker.wake_by_ref());
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let waker = self.0.take();
        contained("dropping the waker of a call", || drop(waker));
    }
}
