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
use std::task::{Context, Poll};
use std::time::Duration;

use abi_stable::std_types::RResult;
use async_ffi::{ContextExt, FfiContext, FfiFuture};
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiExecutionMode, FfiReply, FfiToken};
use mini_chat_plugin_abi::error::FfiError;
use mini_chat_plugin_sdk::call::monotonic_ns;
use mini_chat_plugin_sdk::convert::HeapBytes;
use tokio_util::sync::WaitForCancellationFutureOwned;

pub use options::CallOptions;
pub(crate) use outcome::{Failure, FromFailure, Subject};

use crate::cancel::Cancellation;
use crate::housekeeping::{Sleep, after};
use crate::instance::Live;
use crate::metrics::Took;
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

/// A call that has ended.
pub(crate) struct Ended<R> {
    pub(crate) answer: Result<R, Fault>,
    pub(crate) took: Took,
}

/// One call: `start` makes the crossing call, when this is first polled. Dropped before its end, it takes the crossing
/// future with it, so `live` is of an instance that is open as long as this exists (invariant 2).
///
/// What is answered at once goes the short way here: nothing large is moved, and nothing is kept for a second poll.
pub(crate) async fn call<R, S>(live: &Live, terms: &Terms, cancellation: Option<Cancellation<'_>>, start: S) -> Ended<R>
where
    R: HeapBytes,
    S: FnOnce(&FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>),
{
    let token = cancellation.as_ref().map_or(FfiToken::NONE, Cancellation::mirror);
    let mut start = Some(start);
    let began_ns = monotonic_ns();
    let first = poll_fn(|cx| {
        let start = start.take().expect("this is ready at its first poll");
        Poll::Ready(begin(terms, token, began_ns, start, cx))
    });
    match first.await {
        FfiCall::Ready(reply) => Ended { answer: answered(live, reply), took: Took { began_ns, at_once: true } },
        FfiCall::Pending(future) => {
            // The time that its first poll took is the plugin's.
            let left = Duration::from_nanos(deadline_ns(terms, began_ns).saturating_sub(monotonic_ns()));
            let waiting = Waiting {
                future,
                deadline: live.housekeeping().sleep_until(after(left)),
                cancelled: cancellation.as_ref().map(|call| Box::pin(call.token().clone().cancelled_owned())),
                grace: None,
                // Its start has polled it once.
                polled: true,
            };
            let answer = Pending { waiting: Some(Box::new(waiting)), live, terms }.await;
            // The mirror is there as long as the crossing future.
            drop(cancellation);
            Ended { answer, took: Took { began_ns, at_once: false } }
        }
    }
}

fn deadline_ns(terms: &Terms, began_ns: u64) -> u64 {
    began_ns.saturating_add(u64::try_from(terms.deadline.as_nanos()).unwrap_or(u64::MAX))
}

/// Makes the crossing call.
fn begin<R>(
    terms: &Terms,
    token: FfiToken,
    began_ns: u64,
    start: impl FnOnce(&FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>),
    cx: &mut Context<'_>,
) -> FfiCall<R> {
    let mut out = MaybeUninit::uninit();
    CallOptions::with_current(|options| {
        let context = FfiCallContext {
            deadline_ns: deadline_ns(terms, began_ns),
            call_id: next_call_id(),
            attempt: options.map_or(0, |options| options.attempt),
            mode: match options {
                Some(options) if options.isolated => FfiExecutionMode::ISOLATED,
                _ => terms.mode,
            },
            idempotency_key: FfiStr::new(options.map_or("", |options| &options.idempotency_key)),
            traceparent: FfiStr::new(options.map_or("", |options| &options.traceparent)),
            token,
            extensions: std::ptr::null(),
        };
        let _poll = watchdog::begin(terms.watch);
        waker::guarded(cx, |cx| cx.with_ffi_context(|waker| start(&context, waker, &mut out)));
    });
    // SAFETY: invariant 1.
    unsafe { out.assume_init() }
}

/// A reply that has come: its buffers are the host's now.
fn answered<R: HeapBytes>(live: &Live, reply: FfiReply<R>) -> Result<R, Fault> {
    if let Some(account) = live.account() {
        account.moved_out(match &reply {
            RResult::ROk(record) => record.heap_bytes(),
            RResult::RErr(error) => error.heap_bytes(),
        });
    }
    reply.into_result().map_err(Fault::Ffi)
}

/// A call that was not answered at once.
struct Pending<'a, R> {
    /// None once it has ended.
    waiting: Option<Box<Waiting<R>>>,
    live: &'a Live,
    terms: &'a Terms,
}

struct Waiting<R> {
    future: FfiFuture<FfiReply<R>>,
    deadline: Sleep,
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    grace: Option<Sleep>,
    /// The crossing future was polled already, for the poll that is to come.
    polled: bool,
}

// Nothing in it is pinned in place: what is polled is boxed or crosses as a pointer.
impl<R> Unpin for Pending<'_, R> {}

impl<R: HeapBytes> Future for Pending<'_, R> {
    type Output = Result<R, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { waiting, live, terms } = &mut *self;
        let now = waiting.as_mut().expect("a call is not polled after it has answered");
        if !std::mem::take(&mut now.polled) {
            let polled = {
                let _poll = watchdog::begin(terms.watch);
                waker::guarded(cx, |cx| Pin::new(&mut now.future).poll(cx))
            };
            if let Poll::Ready(reply) = polled {
                // Its drop is the plugin's code: it is watched.
                self.let_go();
                return Poll::Ready(answered(self.live, reply));
            }
        }
        let Some(fault) = now.reason_to_stop(live, terms, cx) else { return Poll::Pending };
        self.let_go();
        Poll::Ready(Err(fault))
    }
}

impl<R> Waiting<R> {
    /// The plugin has no answer yet: is there a reason to stop waiting?
    fn reason_to_stop(&mut self, live: &Live, terms: &Terms, cx: &mut Context<'_>) -> Option<Fault> {
        let mut reason = None;
        if Pin::new(&mut self.deadline).poll(cx).is_ready() {
            reason = Some(Fault::Deadline(terms.deadline));
        } else if terms.stops && live.given_up() {
            // After the deadline's timer is registered: giving up wakes the timers.
            reason = Some(Fault::Gone);
        }
        if let Some(cancelled) = &mut self.cancelled
            && cancelled.as_mut().poll(cx).is_ready()
        {
            self.cancelled = None;
            self.grace = Some(live.housekeeping().sleep_until(after(terms.grace)));
        }
        if let Some(grace) = &mut self.grace
            && Pin::new(grace).poll(cx).is_ready()
        {
            reason = reason.or(Some(Fault::Cancelled(terms.grace)));
        }
        reason
    }
}

impl<R> Pending<'_, R> {
    /// Drops the crossing future, if there is one: the plugin's code runs, so the watchdog looks.
    fn let_go(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            let _poll = watchdog::begin(self.terms.watch);
            drop(waiting);
        }
    }
}

impl<R> Drop for Pending<'_, R> {
    fn drop(&mut self) {
        self.let_go();
    }
}
