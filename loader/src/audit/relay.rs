//! [`Relay`]: the deliveries of one event to several plugins, so that any thread can go on with those that another one has not
//! in its hands.
//!
//! They are begun and polled one after the other on the caller's thread, which costs nothing beside the calls themselves.
//! Should a plugin hold that thread, the [lookout](super::lookout) has the others taken away from it: to a thread where those
//! that have not begun are begun, isolated, and those that are isolated are polled to their end, as none of it runs code of a
//! plugin; and, for each that waits inline, to a thread of its own, since it may be the next to block. The caller gets their
//! outcomes when its thread is back. If no thread can be had, or those that there are cannot begin, nothing is taken.
//!
//! # Invariants
//!
//! 1. A delivery is in its place, or with the one thread that took it from there under the lock and polls it: the caller's,
//!    which puts it back while it is pending, or a rescuer, which keeps it. So each is begun once, and polled by one at a time.
//! 2. No lock is held while a plugin's code or a waker is called or dropped.
//! 3. A rescuer gives an outcome for each that it took, whatever becomes of it, unless the caller has given all up.
//! 4. When the caller has all outcomes, or has given up, nothing of a plugin is left in here: the last thread to let go of a
//!    relay, whichever that is, runs none of its code.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_executor::block_on;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable, join_all};
use futures_util::task::AtomicWaker;
use tracing::{Dispatch, Span};

use super::delivery::Delivery;
use super::event::{AuditEvent, Cancel};
use super::lookout::{Rescue, Spawn};
use super::report::Outcome;

/// The deliveries of one event to several plugins.
pub(super) struct Relay<E> {
    caller: Caller,
    cancel: Cancel,
    state: Mutex<State<E>>,
    /// Woken when a rescuer has an outcome.
    pub(super) round: AtomicWaker,
}

/// In whose name the calls are made, wherever that is.
struct Caller {
    dispatch: Dispatch,
    span: Span,
}

struct State<E> {
    /// The last that begins takes it, the others clones.
    event: Option<E>,
    to_begin: usize,
    /// Invariant 1: none while a thread polls it, and once it has ended or was taken away.
    places: Vec<Option<Delivery<'static>>>,
    /// What rescuers have in hand, or had.
    away: Vec<AbortHandle>,
    /// What they have found, until the caller fetches it.
    found: Vec<(usize, Outcome)>,
    given_up: bool,
}

impl<E: AuditEvent> Relay<E> {
    pub(super) fn new((event, cancel): (E, Cancel), deliveries: Vec<Delivery<'static>>) -> Self {
        let to_begin = deliveries.len();
        let places = deliveries.into_iter().map(Some).collect();
        let caller = Caller { dispatch: tracing::dispatcher::get_default(Clone::clone), span: Span::current() };
        let (away, found) = (Vec::new(), Vec::new());
        let state = Mutex::new(State { event: Some(event), to_begin, places, away, found, given_up: false });
        Self { caller, cancel, state, round: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delivery at this place, if it is to be polled: all that are here if they are to hear of `another_waker`.
    pub(super) fn take(&self, place: usize, another_waker: bool) -> Option<Delivery<'static>> {
        self.state().places[place].take_if(|delivery| another_waker || delivery.is_due())
    }

    /// It is pending.
    pub(super) fn put_back(&self, place: usize, delivery: Delivery<'static>) {
        self.state().places[place] = Some(delivery);
    }

    /// Lets a delivery begin when it is polled next.
    pub(super) fn begin(self: &Arc<Self>, delivery: &mut Delivery<'static>) {
        let (relay, member) = (Arc::clone(self), Arc::clone(delivery.member()));
        delivery.begin(Box::pin(async move {
            // The event, which is large, goes from here into the call, and by no other way.
            let emitting = {
                let relay = relay;
                relay.event().emit(&*member.client, relay.cancel.clone())
            };
            emitting.await
        }));
    }

    /// The event, for one delivery.
    fn event(&self) -> E {
        let mut state = self.state();
        state.to_begin -= 1;
        let event = if state.to_begin == 0 { state.event.take() } else { state.event.clone() };
        event.expect("it is there for as many as there are")
    }

    /// What rescuers have found since this was asked last.
    pub(super) fn found(&self) -> Vec<(usize, Outcome)> {
        std::mem::take(&mut self.state().found)
    }

    /// The caller does not want to know any more. What was found already.
    pub(super) fn give_up(&self) -> Vec<(usize, Outcome)> {
        let mut state = self.state();
        state.given_up = true;
        let (places, away) = (std::mem::take(&mut state.places), std::mem::take(&mut state.away));
        let found = std::mem::take(&mut state.found);
        drop(state);
        // Invariant 2. Rescuers first: what is dropped here may block.
        away.iter().for_each(AbortHandle::abort);
        drop(places);
        found
    }

    /// On a rescuer's thread: goes on with some of the deliveries, to their end.
    fn go_on(self: &Arc<Self>, with: Share) {
        let mut taken = Vec::new();
        {
            let mut state = self.state();
            let State { places, away, .. } = &mut *state;
            for (place, here) in places.iter_mut().enumerate() {
                let Some(delivery) = here.take_if(|here| with.has(place, here)) else { continue };
                let (abort, aborted) = AbortHandle::new_pair();
                away.push(abort);
                let owed = Owed { relay: Arc::clone(self), place: delivery.place, outcome: None };
                taken.push((owed, delivery, aborted));
            }
        }
        let going = taken.into_iter().map(|(owed, mut delivery, aborted)| {
            if !delivery.has_begun() {
                delivery.isolate();
                self.begin(&mut delivery);
            }
            owed.settle(delivery, aborted)
        });
        let _in_its_name = self.caller.span.enter();
        block_on(join_all(going));
    }
}

/// What a rescuer takes.
#[derive(Debug, Clone, Copy)]
enum Share {
    /// All of which no poll runs code of a plugin.
    Apart,
    /// What waits inline at this place.
    Inline(usize),
}

impl Share {
    fn has(self, place: usize, delivery: &Delivery<'_>) -> bool {
        match self {
            Self::Apart => delivery.runs_apart(),
            Self::Inline(own) => own == place && !delivery.runs_apart(),
        }
    }
}

impl<E: AuditEvent> Rescue for Relay<E> {
    fn rescue(self: Arc<Self>, spawn: &Spawn) -> std::io::Result<()> {
        let mut shares = Vec::new();
        let apart = {
            let state = self.state();
            let here = || state.places.iter().enumerate().filter_map(|(place, here)| Some((place, here.as_ref()?)));
            shares.extend(here().filter(|(_, here)| !here.runs_apart()).map(|(place, _)| Share::Inline(place)));
            here().any(|(_, here)| here.runs_apart())
        };
        // Those first that can least wait: they have not begun.
        for share in apart.then_some(Share::Apart).into_iter().chain(shares) {
            let relay = Arc::clone(&self);
            // A thread takes what it finds, once it has begun: what it does not find the caller has.
            spawn(Box::new(move || {
                tracing::dispatcher::with_default(&relay.caller.dispatch, || relay.go_on(share));
            }))?;
        }
        Ok(())
    }
}

/// A delivery that a rescuer owes an outcome (invariant 3).
struct Owed<E: AuditEvent> {
    relay: Arc<Relay<E>>,
    /// That of the plugin.
    place: usize,
    outcome: Option<Outcome>,
}

impl<E: AuditEvent> Owed<E> {
    async fn settle(mut self, mut delivery: Delivery<'static>, aborted: AbortRegistration) {
        let delivered = Abortable::new(poll_fn(|cx| delivery.poll(cx)), aborted).await;
        self.outcome = delivered.ok();
        // The plugin's code, if it was given up; the outcome is told in any case.
        drop(delivery);
    }
}

impl<E: AuditEvent> Drop for Owed<E> {
    fn drop(&mut self) {
        let outcome = self.outcome.take();
        let outcome =
            outcome.unwrap_or_else(|| Outcome::Transient("the thread that delivered it has failed".to_owned()));
        let mut state = self.relay.state();
        if state.given_up {
            return;
        }
        state.found.push((self.place, outcome));
        drop(state);
        self.relay.round.wake();
    }
}
