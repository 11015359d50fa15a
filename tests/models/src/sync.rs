//! Twins of what the loader's `sync` gives.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
pub(crate) use std::sync::PoisonError;

pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

pub(crate) use crate::notify::Notify;
pub(crate) use crate::token::{CancellationToken, WaitForCancellationFutureOwned};

/// See the loader's.
pub(crate) fn fence_in_models() {
    loom::sync::atomic::fence(Ordering::SeqCst);
}

loom::thread_local! {
    static HELD: Cell<u32> = Cell::new(0);
}

/// To be said by everything that must not be called under a lock of the loader's.
pub(crate) fn called_out() {
    HELD.with(|held| assert_eq!(held.get(), 0, "a lock is held while calling out"));
}

/// Loom's, with an account of the locks that a thread holds.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, T>, PoisonError<MutexGuard<'_, T>>> {
        let guard = self.0.lock().expect("loom ends at the first panic");
        HELD.with(|held| held.set(held.get() + 1));
        Ok(MutexGuard(Some(guard)))
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.0 = None;
        HELD.with(|held| held.set(held.get() - 1));
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("there until it is dropped")
    }
}
