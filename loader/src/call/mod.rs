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

use std::future::Future;
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

/// A token of the host with its link.
pub(crate) type Cancellation = (CancellationToken, Arc<Link>);

/// A call under way. `S` makes the crossing call.
pub(crate) struct HostCall<L, R, S> {
    // Dropped first: the crossing future goes while the instance is open (invariant 2).
    state: State<R, S>,
    terms: Terms,
    cancellation: Option<Cancellation>,
    took: Took,
    live: L,
}

enum State<R, S> {
    New(S),
    Pending(Box<Pending<R>>),
    Done,
}

struct Pending<R> {
    future: FfiFuture<FfiReply<R>>,
    deadline: Sleep,
    cancelled: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    grace: Option<Sleep>,
}

// Nothing in it is pinned in place: what is polled is boxed or crosses as a pointer.
impl<L, R, S> Unpin for HostCall<L, R, S> {}

impl<L, R, S> HostCall<L, R, S>
where
    L: AsRef<Live>,
    R: HeapBytes,
    S: FnOnce(&L, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>),
{
    pub(crate) fn new(live: L, terms: Terms, cancellation: Option<Cancellation>, start: S) -> Self {
        Self { state: State::New(start), terms, cancellation, took: Took::default(), live }
    }

    /// Makes the crossing call; with when its deadline is.
    fn start(&mut self, start: S, cx: &mut Context<'_>) -> (FfiCall<R>, u64) {
        let token = self.cancellation.as_ref().map_or(FfiToken::NONE, |(_, link)| link.mirror().token());
        let limit = u64::try_from(self.terms.deadline.as_nanos()).unwrap_or(u64::MAX);
        let began_ns = monotonic_ns();
        self.took = Took { began_ns, at_once: true };
        let deadline_ns = began_ns.saturating_add(limit);
        let mut out = MaybeUninit::uninit();
        CallOptions::with_current(|options| {
            let context = FfiCallContext {
                deadline_ns,
                call_id: next_call_id(),
                attempt: options.map_or(0, |options| options.attempt),
                mode: match options {
                    Some(options) if options.isolated => FfiExecutionMode::ISOLATED,
                    _ => self.terms.mode,
                },
                idempotency_key: FfiStr::new(options.map_or("", |options| &options.idempotency_key)),
                traceparent: FfiStr::new(options.map_or("", |options| &options.traceparent)),
                token,
                extensions: std::ptr::null(),
            };
            let _poll = watchdog::begin(self.terms.watch);
            waker::guarded(cx, |cx| cx.with_ffi_context(|waker| start(&self.live, &context, waker, &mut out)));
        });
        // SAFETY: invariant 1.
        (unsafe { out.assume_init() }, deadline_ns)
    }

    fn poll_pending(&mut self, mut pending: Box<Pending<R>>, cx: &mut Context<'_>) -> Poll<Result<R, Fault>> {
        let polled = {
            let _poll = watchdog::begin(self.terms.watch);
            waker::guarded(cx, |cx| Pin::new(&mut pending.future).poll(cx))
        };
        let Poll::Ready(reply) = polled else { return self.wait(pending, cx) };
        // Its drop is the plugin's code: the state's drop is watched.
        self.state = State::Pending(pending);
        self.let_go();
        self.finish(reply)
    }

    fn finish(&self, reply: FfiReply<R>) -> Poll<Result<R, Fault>> {
        if let Some(account) = self.live.as_ref().account() {
            account.moved_out(match &reply {
                RResult::ROk(record) => record.heap_bytes(),
                RResult::RErr(error) => error.heap_bytes(),
            });
        }
        Poll::Ready(reply.into_result().map_err(Fault::Ffi))
    }
}

impl<L, R, S> Future for HostCall<L, R, S>
where
    L: AsRef<Live>,
    R: HeapBytes,
    S: FnOnce(&L, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>),
{
    type Output = Ended<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = match std::mem::replace(&mut this.state, State::Done) {
            State::New(start) => match this.start(start, cx) {
                (FfiCall::Ready(reply), _) => this.finish(reply),
                (FfiCall::Pending(future), deadline_ns) => {
                    this.took.at_once = false;
                    // The time that its first poll took is the plugin's.
                    let left = Duration::from_nanos(deadline_ns.saturating_sub(monotonic_ns()));
                    let deadline = this.live.as_ref().housekeeping().sleep_until(after(left));
                    let cancelled =
                        this.cancellation.as_ref().map(|(token, _)| Box::pin(token.clone().cancelled_owned()));
                    // Its start has polled it once.
                    this.wait(Box::new(Pending { future, deadline, cancelled, grace: None }), cx)
                }
            },
            State::Pending(pending) => this.poll_pending(pending, cx),
            State::Done => panic!("a call was polled after it had answered"),
        };
        answer.map(|answer| Ended { answer, took: this.took })
    }
}

impl<L: AsRef<Live>, R, S> HostCall<L, R, S> {
    /// The plugin has no answer yet: is there a reason to stop waiting?
    fn wait(&mut self, mut pending: Box<Pending<R>>, cx: &mut Context<'_>) -> Poll<Result<R, Fault>> {
        let live = self.live.as_ref();
        let mut reason = None;
        if Pin::new(&mut pending.deadline).poll(cx).is_ready() {
            reason = Some(Fault::Deadline(self.terms.deadline));
        } else if self.terms.stops && live.given_up() {
            // After the deadline's timer is registered: giving up wakes the timers.
            reason = Some(Fault::Gone);
        }
        if let Some(cancelled) = &mut pending.cancelled
            && cancelled.as_mut().poll(cx).is_ready()
        {
            pending.cancelled = None;
            pending.grace = Some(live.housekeeping().sleep_until(after(self.terms.grace)));
        }
        if let Some(grace) = &mut pending.grace
            && Pin::new(grace).poll(cx).is_ready()
        {
            reason = reason.or(Some(Fault::Cancelled(self.terms.grace)));
        }
        self.state = State::Pending(pending);
        match reason {
            Some(fault) => {
                self.let_go();
                Poll::Ready(Err(fault))
            }
            None => Poll::Pending,
        }
    }
}

impl<L, R, S> HostCall<L, R, S> {
    /// Drops the crossing future, if there is one: the plugin's code runs, so the watchdog looks.
    fn let_go(&mut self) {
        if let State::Pending(pending) = std::mem::replace(&mut self.state, State::Done) {
            let _poll = watchdog::begin(self.terms.watch);
            drop(pending);
        }
    }
}

impl<L, R, S> Drop for HostCall<L, R, S> {
    fn drop(&mut self) {
        self.let_go();
    }
}
