//! Twins of what the loader's `sync` gives.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
pub(crate) use std::sync::PoisonError;

pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

pub(crate) use crate::notify::Notify;
pub(crate) use crate::token::{CancellationToken, WaitForCancellationFutureOwned};

loom::thread_local! {
    /// A sequentially consistent store of this thread, with no fence since.
    static WROTE: Cell<bool> = Cell::new(false);
}

/// Loom takes sequentially consistent accesses for acquiring and releasing ones, and knows sequential consistency of fences
/// only. What the gate needs of it is that a store and a load after it keep their order: here is the fence that does so, if
/// both ask for it. If either asks for less, there is none, and the models fail.
fn wrote(order: Ordering) {
    if order == Ordering::SeqCst {
        WROTE.with(|wrote| wrote.set(true));
    }
}

/// See [`wrote`].
fn reads(order: Ordering) {
    if order == Ordering::SeqCst && WROTE.with(|wrote| wrote.replace(false)) {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
pub(crate) struct AtomicBool(loom::sync::atomic::AtomicBool);

impl AtomicBool {
    pub(crate) fn load(&self, order: Ordering) -> bool {
        reads(order);
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: bool, order: Ordering) {
        self.0.store(value, order);
        wrote(order);
    }
}

#[derive(Debug, Default)]
pub(crate) struct AtomicI64(loom::sync::atomic::AtomicI64);

impl AtomicI64 {
    pub(crate) fn load(&self, order: Ordering) -> i64 {
        reads(order);
        self.0.load(order)
    }

    #[allow(dead_code, reason = "what has a shard for itself is not in the models")]
    pub(crate) fn store(&self, value: i64, order: Ordering) {
        self.0.store(value, order);
        wrote(order);
    }

    pub(crate) fn fetch_add(&self, value: i64, order: Ordering) -> i64 {
        let before = self.0.fetch_add(value, order);
        wrote(order);
        before
    }
}

/// A fake of arc-swap's: one order of all that is done with it, and who reads has heard of what was done before the write.
/// Arc-swap promises both.
#[derive(Debug)]
pub(crate) struct ArcSwapOption<T>(loom::sync::Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn empty() -> Self {
        Self(loom::sync::Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Lent<T> {
        Lent(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        drop(self.swap(value));
    }

    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.0.lock().unwrap(), value)
    }
}

/// A share in place of what is lent: both keep it alive.
#[derive(Debug)]
pub(crate) struct Lent<T>(Option<Arc<T>>);

impl<T> Deref for Lent<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Option<Arc<T>> {
        &self.0
    }
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
