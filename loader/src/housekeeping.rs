//! The loader's own thread: timers that depend on no runtime of the caller.
//!
//! A [`Sleep`] works under any executor. Work that may block (reading, hashing, dlopen, closing an instance) runs on
//! threads of its own, see [`run`], so that it can delay neither a deadline nor the caller.
//!
//! # Invariants
//!
//! 1. No lock of this module is held while a waker is called, cloned or dropped.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::contain::contained;

#[cfg(test)]
mod tests;

type Key = (Instant, u64);

#[derive(Debug, Default)]
struct Timers {
    wakers: BTreeMap<Key, Waker>,
    /// When the thread looks again by itself: none is never. Sooner than the first timer, if one that was before it is gone.
    looks_at: Option<Instant>,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Shared {
    timers: Mutex<Timers>,
    changed: Condvar,
    next: AtomicU64,
}

/// The thread; it ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Housekeeping {
    shared: Arc<Shared>,
    _stop: Arc<Stop>,
}

#[derive(Debug)]
struct Stop(Weak<Shared>);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.timers.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
            shared.changed.notify_all();
        }
    }
}

impl Housekeeping {
    /// Starts the thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("mini-chat-housekeeping".to_owned()).spawn(move || of_thread.run())?;
        let stop = Arc::new(Stop(Arc::downgrade(&shared)));
        Ok(Self { shared, _stop: stop })
    }

    /// A future that is ready once `at` has passed.
    pub(crate) fn sleep_until(&self, at: Instant) -> Sleep {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        Sleep { shared: Arc::clone(&self.shared), key: (at, number), registered: false }
    }

    /// Wakes every sleeper, to look around.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let timers = self.shared.timers.lock().unwrap_or_else(PoisonError::into_inner);
            let keys: Vec<Key> = timers.wakers.keys().copied().collect();
            drop(timers);
            keys.into_iter().filter_map(|key| self.shared.take(&key)).collect()
        };
        // Invariant 1.
        wakers.into_iter().for_each(wake);
    }

    /// `future`'s output, or nothing once `at` has passed.
    pub(crate) async fn until<F: Future>(&self, at: Instant, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        let mut sleep = self.sleep_until(at);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut sleep).poll(cx).map(|()| None)
        })
        .await
    }
}

impl Shared {
    fn take(&self, key: &Key) -> Option<Waker> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner).wakers.remove(key)
    }

    fn run(&self) {
        let mut timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        while !timers.stopping {
            let now = Instant::now();
            let due = match timers.wakers.first_key_value() {
                Some((key, _)) if key.0 <= now => timers.wakers.pop_first(),
                _ => None,
            };
            if let Some((_, waker)) = due {
                drop(timers);
                // Invariant 1.
                wake(waker);
                timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            timers.looks_at = timers.wakers.first_key_value().map(|(key, _)| key.0);
            timers = match timers.looks_at {
                Some(at) => self.changed.wait_timeout(timers, at - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(timers).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// A waker is the caller's code: its panic must end neither the thread nor the end of an instance.
fn wake(waker: Waker) {
    contained("the waker of a timer", || waker.wake());
}

/// Ready once its time has passed.
#[derive(Debug)]
pub(crate) struct Sleep {
    shared: Arc<Shared>,
    key: Key,
    registered: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.key.0 <= Instant::now() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut timers = self.shared.timers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = timers.wakers.insert(self.key, waker);
        // Not for each timer that is the first: a call after the other would wake the thread each time, for nothing.
        let too_late = timers.looks_at.is_none_or(|at| self.key.0 < at);
        if too_late {
            timers.looks_at = Some(self.key.0);
        }
        drop(timers);
        drop(before);
        if too_late {
            self.shared.changed.notify_one();
        }
        self.registered = true;
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.registered {
            // Invariant 1: the lock is released by the time the waker is dropped.
            drop(self.shared.take(&self.key));
        }
    }
}

/// The thread of a job could not be started, or the job panicked.
#[derive(Debug)]
pub(crate) struct JobLost;

/// Runs `job` on a thread of its own. A caller that stops waiting leaves the thread to itself.
pub(crate) fn run<T, J>(name: &str, job: J) -> impl Future<Output = Result<T, JobLost>> + Send + use<T, J>
where
    T: Send + 'static,
    J: FnOnce() -> T + Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let dispatch = tracing::dispatcher::get_default(Clone::clone);
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // The job's log goes where its caller's goes.
        let output = tracing::dispatcher::with_default(&dispatch, job);
        let _ = sender.send(output);
    });
    async move {
        started.map_err(|_| JobLost)?;
        receiver.await.map_err(|_| JobLost)
    }
}

/// Now plus a limit; far in the future rather than an overflow.
pub(crate) fn after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(365 * 24 * 3600))
}
