//! One call of a plugin, as the host sees it.
//!
//! Nothing crosses before the future is first polled. That first poll calls the plugin's function, which polls its own
//! future once; only a pending call gets a crossing future, a timer for its deadline, and an ear on its token.
//!
//! # Invariants
//!
//! 1. A function of a vtable writes its `out` argument before it returns (rule 5 of `mini_chat_plugin_abi::module`).
//! 2. A call holds its instance: the functions are called, and the crossing future is polled and dropped, while it is
//!    open.

mod options;
mod outcome;
mod waker;

use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use abi_stable::std_types::RResult;
use async_ffi::{ContextExt, FfiContext, FfiFuture};
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiExecutionMode, FfiReply, FfiToken};
use mini_chat_plugin_abi::error::FfiError;
use mini_chat_plugin_sdk::call::monotonic_ns;
use mini_chat_plugin_sdk::convert::HeapBytes;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub use options::CallOptions;
pub(crate) use outcome::{Failure, FromFailure, Subject};

use crate::cancel::Link;
use crate::housekeeping::{Sleep, after};
use crate::instance::Live;
use crate::per_thread::next_call_id;
use crate::watchdog;

/// What a call may take, and how it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long the caller waits.
    pub(crate) deadline: Duration,
    /// How long it waits after it has cancelled.
    pub(crate) grace: Duration,
    /// Where the plugin's code runs.
    pub(crate) mode: FfiExecutionMode,
    /// The number by which the watchdog knows the instance; 0: not watched.
    pub(crate) watch: u32,
    /// Whether it ends when the instance is given up. A shutdown hook does not: it comes after that.
    pub(crate) stops: bool,
}

/// Why a call has no answer of the plugin's own making, or which error the plugin made.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An error that crossed.
    Ffi(FfiError),
    /// The deadline passed.
    Deadline(Duration),
    /// Cancelled, and the grace period passed.
    Cancelled(Duration),
    /// The instance was given up while the call was under way.
    Gone,
}

/// One call without a token: `start` makes the crossing call, when this is first polled. Dropped before its end, it takes the
/// crossing future with it, so `live` is of an instance that is open as long as this exists (invariant 2).
pub(crate) async fn call<R, S>(live: &Live, terms: &Terms, start: S) -> Result<R, Fault>
where
    R: HeapBytes,
    S: FnOnce(&FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>),
{
    let mut start = Some(start);
    let began_ns = monotonic_ns();
    let first = poll_fn(|cx| {
        let start = start.take().expect("this is ready at its first poll");
        Poll::Ready(cross(terms, FfiToken::NONE, began_ns, start, cx))
    });
    match first.await {
        (FfiCall::Ready(reply), _) => answered(live, reply),
        (FfiCall::Pending(future), woken) => {
            let mut waiting = Waiting::new(*terms, began_ns, (future, woken), None);
            poll_fn(|cx| waiting.poll(live, cx)).await
        }
    }
}

fn deadline_ns(terms: &Terms, began_ns: u64) -> u64 {
    began_ns.saturating_add(u64::try_from(terms.deadline.as_nanos()).unwrap_or(u64::MAX))
}

/// Makes the crossing call; with whether the caller was woken meanwhile, so that it polls again at once. The instance is open
/// until this returns, and as long as what is pending exists (invariant 2); the mirror as well.
#[inline]
pub(crate) fn cross<R>(
    terms: &Terms,
    token: FfiToken,
    began_ns: u64,
    start: impl FnOnce(&FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>),
    cx: &mut Context<'_>,
) -> (FfiCall<R>, bool) {
    let mut out = MaybeUninit::uninit();
    let woken = CallOptions::with_current(|options| {
        let context = FfiCallContext {
            deadline_ns: deadline_ns(terms, began_ns),
            call_id: next_call_id(),
            attempt: options.map_or(0, |options| options.attempt),
            mode: match options {
                Some(options) if options.isolated => FfiExecutionMode::ISOLATED,
                _ => terms.mode,
            },
            idempotency_key: FfiStr::new(options.map_or("", CallOptions::key)),
            traceparent: FfiStr::new(options.map_or("", CallOptions::parent)),
            token,
            extensions: std::ptr::null(),
        };
        let _poll = watchdog::begin(terms.watch);
        waker::guarded(cx, |cx| cx.with_ffi_context(|waker| start(&context, waker, &mut out))).1
    });
    // SAFETY: invariant 1.
    (unsafe { out.assume_init() }, woken)
}

/// A reply that has come: its buffers are the host's now.
#[inline]
pub(crate) fn answered<R: HeapBytes>(live: &Live, reply: FfiReply<R>) -> Result<R, Fault> {
    if let Some(account) = live.account() {
        account.moved_out(match &reply {
            RResult::ROk(record) => record.heap_bytes(),
            RResult::RErr(error) => error.heap_bytes(),
        });
    }
    reply.into_result().map_err(Fault::Ffi)
}

/// What a call that was not answered at once waits for.
pub(crate) struct Waiting<R> {
    /// None once it has ended.
    future: Option<FfiFuture<FfiReply<R>>>,
    /// The mirror is there as long as the crossing future, which is dropped before it.
    _link: Option<Arc<Link>>,
    terms: Terms,
    began_ns: u64,
    /// The host's token, until it is listened to.
    token: Option<CancellationToken>,
    /// The crossing future was polled already, for the poll that is to come; and whether that has woken the caller.
    polled: Option<bool>,
    ears: Option<Ears>,
}

/// By what a call that waits is woken, beside the plugin.
struct Ears {
    deadline: Sleep,
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    grace: Option<Sleep>,
}

impl<R> Waiting<R> {
    /// For a crossing future that its start has polled once, which may have woken the caller. What may be cancelled: the host's
    /// token, and its link.
    pub(crate) fn new(
        terms: Terms,
        began_ns: u64,
        (future, woken): (FfiFuture<FfiReply<R>>, bool),
        cancelled: Option<(CancellationToken, Arc<Link>)>,
    ) -> Self {
        let (token, link) = cancelled.unzip();
        Self { future: Some(future), _link: link, terms, began_ns, token, polled: Some(woken), ears: None }
    }

    /// The plugin has no answer yet: is there a reason to stop waiting?
    fn reason_to_stop(&mut self, live: &Live, cx: &mut Context<'_>) -> Option<Fault> {
        let Self { terms, began_ns, token, ears, .. } = self;
        let Ears { deadline, cancelled, grace } = ears.get_or_insert_with(|| {
            // The time that its polls took is the plugin's.
            let left = Duration::from_nanos(deadline_ns(terms, *began_ns).saturating_sub(monotonic_ns()));
            let deadline = live.housekeeping().sleep_until(after(left));
            Ears { deadline, cancelled: token.take().map(|token| Box::pin(token.cancelled_owned())), grace: None }
        });
        let mut reason = None;
        if Pin::new(deadline).poll(cx).is_ready() {
            reason = Some(Fault::Deadline(terms.deadline));
        } else if terms.stops && live.given_up() {
            // After the deadline's timer is registered: giving up wakes the timers.
            reason = Some(Fault::Gone);
        }
        if let Some(waits) = cancelled
            && waits.as_mut().poll(cx).is_ready()
        {
            *cancelled = None;
            *grace = Some(live.housekeeping().sleep_until(after(terms.grace)));
        }
        if let Some(grace) = grace
            && Pin::new(grace).poll(cx).is_ready()
        {
            reason = reason.or(Some(Fault::Cancelled(terms.grace)));
        }
        reason
    }

    /// Drops the crossing future, if there is one: the plugin's code runs, so the watchdog looks.
    pub(crate) fn let_go(&mut self) {
        if let Some(future) = self.future.take() {
            let _poll = watchdog::begin(self.terms.watch);
            drop(future);
        }
    }
}

impl<R: HeapBytes> Waiting<R> {
    /// The rest of the call, until it is ready. The instance, whose `live` it is, is open (invariant 2).
    pub(crate) fn poll(&mut self, live: &Live, cx: &mut Context<'_>) -> Poll<Result<R, Fault>> {
        let future = self.future.as_mut().expect("a call is not polled after it has answered");
        match self.polled.take() {
            // Once: whoever wakes itself at its first poll seldom waits for anything. The caller polls again at once.
            Some(true) => return Poll::Pending,
            Some(false) => {}
            None => {
                let (polled, _) = {
                    let _poll = watchdog::begin(self.terms.watch);
                    waker::guarded(cx, |cx| Pin::new(future).poll(cx))
                };
                if let Poll::Ready(reply) = polled {
                    // Its drop is the plugin's code: it is watched.
                    self.let_go();
                    return Poll::Ready(answered(live, reply));
                }
            }
        }
        let Some(fault) = self.reason_to_stop(live, cx) else { return Poll::Pending };
        self.let_go();
        Poll::Ready(Err(fault))
    }
}

impl<R> Drop for Waiting<R> {
    fn drop(&mut self) {
        self.let_go();
    }
}
