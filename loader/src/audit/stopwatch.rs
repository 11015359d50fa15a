//! How long a plugin took, whatever its caller was doing meanwhile.
//!
//! Time counts while the plugin is polled, and from then until it wakes its caller. Time in which a caller has been woken and
//! does not come (its thread is busy, or held by another plugin) is not the plugin's.
//!
//! When it wakes its caller an alarm tells, which a call that is answered at its first poll does without.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

use super::clock::Clock;

/// The time of one delivery.
pub(super) struct Stopwatch {
    clock: Clock,
    /// None as long as nobody was given it to wake.
    alarm: Option<Arc<Alarm>>,
    spent: Duration,
    /// The last poll.
    polled: Duration,
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
        let now = self.clock.now();
        *self.last() = Some(now);
        self.caller.wake();
    }
}

impl Stopwatch {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, alarm: None, spent: Duration::ZERO, polled: Duration::ZERO, pending: None }
    }

    /// Polls the plugin's future for the first time. What is not answered at once is polled again, with an alarm.
    pub(super) fn first<F: Future + ?Sized>(
        &mut self,
        mut future: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let polled = self.timed(future.as_mut(), cx);
        if polled.is_ready() { polled } else { self.poll(future, cx) }
    }

    /// Polls the plugin's future.
    pub(super) fn poll<F: Future + ?Sized>(&mut self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.spent = self.spent();
        self.pending = None;
        let alarm = self.alarm.get_or_insert_with(|| {
            let clock = self.clock.clone();
            Arc::new(Alarm { clock, caller: AtomicWaker::new(), last: Mutex::new(None) })
        });
        *alarm.last() = None;
        alarm.caller.register(cx.waker());
        let waker = Waker::from(Arc::clone(alarm));
        self.timed(future, &mut Context::from_waker(&waker))
    }

    fn timed<F: Future + ?Sized>(&mut self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let start = self.clock.now();
        let polled = future.poll(cx);
        let end = self.clock.now();
        self.polled = end.saturating_duration_since(start);
        self.spent += self.polled;
        if polled.is_pending() {
            self.pending = Some(end);
        }
        polled
    }

    /// Whether it was polled with an alarm.
    pub(super) fn has_alarm(&self) -> bool {
        self.alarm.is_some()
    }

    /// Whether the plugin has woken its caller since it was polled.
    pub(super) fn is_woken(&self) -> bool {
        self.alarm.as_ref().is_some_and(|alarm| alarm.last().is_some())
    }

    /// What it has taken so far.
    pub(super) fn spent(&self) -> Duration {
        let waited = self.pending.map(|since| {
            let woken = self.alarm.as_ref().and_then(|alarm| *alarm.last());
            woken.unwrap_or_else(|| self.clock.now()).saturating_duration_since(since)
        });
        self.spent + waited.unwrap_or_default()
    }

    /// What its last poll has taken.
    pub(super) fn last_poll(&self) -> Duration {
        self.polled
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }
}
