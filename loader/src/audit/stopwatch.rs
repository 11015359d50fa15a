//! How long a plugin took, whatever its caller was doing meanwhile.
//!
//! Time counts while the plugin is polled, and from then until it wakes its caller. Time in which a caller has been woken and
//! does not come (its thread is busy, or held by another plugin) is not the plugin's.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

use super::Clock;

/// The time of one delivery.
pub(super) struct Stopwatch {
    alarm: Arc<Alarm>,
    spent: Duration,
    /// Since when the plugin is waited for.
    pending: Option<Instant>,
}

/// Wakes the caller and notes when.
struct Alarm {
    clock: Clock,
    caller: AtomicWaker,
    last: Mutex<Option<Instant>>,
}

impl Alarm {
    fn last(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = (self.clock)();
        *self.last() = Some(now);
        self.caller.wake();
    }
}

impl Stopwatch {
    pub(super) fn new(clock: Clock) -> Self {
        let alarm = Alarm { clock, caller: AtomicWaker::new(), last: Mutex::new(None) };
        Self { alarm: Arc::new(alarm), spent: Duration::ZERO, pending: None }
    }

    /// Polls the plugin's future.
    pub(super) fn poll<F: Future + ?Sized>(&mut self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.spent = self.spent();
        self.pending = None;
        *self.alarm.last() = None;
        self.alarm.caller.register(cx.waker());
        let waker = Waker::from(Arc::clone(&self.alarm));
        let start = (self.alarm.clock)();
        let polled = future.poll(&mut Context::from_waker(&waker));
        let end = (self.alarm.clock)();
        self.spent += end.saturating_duration_since(start);
        if polled.is_pending() {
            self.pending = Some(end);
        }
        polled
    }

    /// What it has taken so far.
    pub(super) fn spent(&self) -> Duration {
        let waited = self.pending.map(|since| {
            let until = self.alarm.last().unwrap_or_else(|| (self.alarm.clock)());
            until.saturating_duration_since(since)
        });
        self.spent + waited.unwrap_or_default()
    }
}
