//! [`Delivery`]: one event on its way to one plugin.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::event::{AuditEvent, Cancel, Emitting};
use super::held;
use super::member::{Member, Pass};
use super::report::Outcome;
use crate::call::CallOptions;
use crate::contain::quietly;

/// One event on its way to one plugin. Dropped before its end, it was given up.
pub(super) struct Delivery<'c> {
    /// That of the plugin among all.
    pub(super) place: usize,
    /// Dropped before the pass: it counts until it is gone.
    call: Option<Emitting<'c>>,
    options: CallOptions,
    pub(super) pass: Pass,
}

impl<'c> Delivery<'c> {
    pub(super) fn new(place: usize, options: CallOptions, pass: Pass) -> Self {
        Self { place, call: None, options, pass }
    }

    pub(super) fn member(&self) -> &Arc<Member> {
        &self.pass.member
    }

    /// It runs on the plugin's own threads; said before it begins.
    pub(super) fn isolate(&mut self) {
        self.options.isolated = true;
    }

    /// Whether a poll of it runs none of the plugin's code: it is isolated, or can be.
    pub(super) fn runs_apart(&self) -> bool {
        self.options.isolated || !self.has_begun()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.call.is_some()
    }

    /// Whether a poll may find something new, as long as it has the same waker.
    pub(super) fn is_due(&self) -> bool {
        !self.has_begun() || self.pass.stopwatch.is_woken()
    }

    pub(super) fn begin(&mut self, call: Emitting<'c>) {
        self.call = Some(call);
    }

    /// Polls a delivery that has begun. A panic is an outcome: the others' deliveries go on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Self { call, options, pass, .. } = self;
        let polled = quietly(|| {
            let call = call.as_mut().expect("it has begun, and not ended");
            let mut scoped = poll_fn(|cx| options.poll_in(call.as_mut(), cx));
            // What is isolated is not answered at once.
            if options.isolated || pass.stopwatch.has_alarm() {
                pass.stopwatch.poll(Pin::new(&mut scoped), cx)
            } else {
                pass.stopwatch.first(Pin::new(&mut scoped), cx)
            }
        });
        if !options.isolated && pass.stopwatch.last_poll() >= held::LONG {
            pass.has_held();
        }
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => Outcome::from(answer),
            Err(message) => Outcome::Transient(format!("its client panicked: {message}")),
        };
        let ended = call.take();
        let _ = quietly(move || drop(ended));
        pass.answered(&outcome);
        Poll::Ready(outcome)
    }
}

impl Delivery<'static> {
    /// The whole of it, where it stands in nobody's way.
    pub(super) async fn alone<E: AuditEvent>(self, event: E, cancel: Cancel) -> Outcome {
        let member = Arc::clone(self.member());
        let mut delivery: Delivery<'_> = self;
        delivery.begin(event.emit(&*member.client, cancel));
        poll_fn(|cx| delivery.poll(cx)).await
    }
}
