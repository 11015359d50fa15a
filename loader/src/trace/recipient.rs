//! [`Recipient`]: the one subscriber that gets what an image traces, and what of its spans is still open.
//!
//! The subscriber is that of the thread that created the instance; where that had none, the first that is met on a thread
//! that the plugin traces on. It stays the same from then on, because the numbers of spans mean something to it only.
//!
//! Two things about how it is called:
//!
//! - As the default of the thread, for as long as the call takes. A subscriber may look there for itself: the registry of
//!   `tracing-subscriber` closes a span's parent by way of the thread's default, which on a plugin's thread may be none, and
//!   on another thread of the host another subscriber, where the number names another span.
//! - Not from within a subscriber. Host code that a subscriber runs and that calls a plugin would otherwise log of its own
//!   logging, without end. What a host's own callsites write there, `tracing` passes over; so is what a plugin writes. Spans
//!   that there are end there as everywhere.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tracing_core::subscriber::NoSubscriber;
use tracing_core::{Dispatch, dispatcher};

/// The subscriber of an image's open instances.
#[derive(Debug, Default)]
pub(crate) struct Recipient {
    subscriber: OnceLock<Dispatch>,
    /// References to spans that were given and not taken back. A plugin that gives back what it never had makes it too low:
    /// then some of its spans stay open.
    spans: AtomicI64,
    /// A closed instance waits for its spans: whoever takes the last reference back has to say so.
    awaited: AtomicBool,
}

impl Recipient {
    /// The subscriber of the calling thread, if it has one.
    pub(crate) fn of_this_thread() -> Self {
        let recipient = Self::default();
        recipient.settle(&dispatcher::get_default(Clone::clone));
        recipient
    }

    /// The subscriber, which is `current` from now on if there was none yet.
    fn settle<'a>(&'a self, current: &'a Dispatch) -> &'a Dispatch {
        match self.subscriber.get() {
            Some(subscriber) => subscriber,
            None if current.is::<NoSubscriber>() => current,
            None => self.subscriber.get_or_init(|| current.clone()),
        }
    }

    /// Runs `act` with the subscriber as the thread's default; not within a subscriber.
    pub(crate) fn as_default<R>(&self, act: impl FnOnce() -> R) -> Option<R> {
        // Not `get_default`, which gives "none" both within a subscriber and where there is none. Within one the thread's
        // default is borrowed: to set another would panic.
        let found;
        let subscriber = if let Some(settled) = self.subscriber.get() {
            dispatcher::get_current(|_| ())?;
            settled
        } else {
            found = dispatcher::get_current(Clone::clone)?;
            self.settle(&found)
        };
        Some(dispatcher::with_default(subscriber, act))
    }

    /// Runs `act`, which makes or asks something new, as the macros of `tracing` would: what is written meanwhile is written
    /// from within the subscriber.
    pub(super) fn write<R>(&self, act: impl FnOnce(&Dispatch) -> R) -> Option<R> {
        self.as_default(|| dispatcher::get_current(act)).flatten()
    }

    /// Runs `act`, which goes on with or ends a span that there is.
    pub(super) fn go_on<R>(&self, act: impl FnOnce(&Dispatch) -> R) -> Option<R> {
        let subscriber = self.subscriber.get()?;
        if dispatcher::get_current(|_| ()).is_some() {
            Some(dispatcher::with_default(subscriber, || act(subscriber)))
        } else {
            Some(act(subscriber))
        }
    }

    /// A plugin has a reference to a span more.
    pub(super) fn given(&self) {
        self.spans.fetch_add(1, Ordering::SeqCst);
    }

    /// A plugin has one less; whether it was the last one, and there may be a closed instance that waits for it.
    pub(super) fn taken_back(&self) -> bool {
        self.spans.fetch_sub(1, Ordering::SeqCst) <= 1 && self.awaited.load(Ordering::SeqCst)
    }

    /// Whether no span is open. To be asked after [`Self::set_awaited`]: else the last one may be taken back in between,
    /// and nobody would say so.
    pub(crate) fn is_done(&self) -> bool {
        self.spans.load(Ordering::SeqCst) <= 0
    }

    /// Whether closed instances wait for their spans. Under the lock of those who do.
    pub(crate) fn set_awaited(&self, awaited: bool) {
        self.awaited.store(awaited, Ordering::SeqCst);
    }

    /// What [`Self::set_awaited`] said.
    #[cfg(test)]
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::SeqCst)
    }
}
