//! One call: first poll inside it, then, if it is pending, a future that crosses.
//!
//! # Invariants
//!
//! 1. A [`Body`]'s `future` borrows from the plugin's value behind its `instance`; `Body::drop` drops `future` first, and
//!    `future` leaves a `Body` in no other way.
//! 2. `handle` and `context` are what the rules of `mini_chat_plugin_abi::module` say: valid for the call.

use std::future::Future;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use async_ffi::{FfiContext, FfiFuture};
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiExecutionMode, FfiReply};
use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::instance::FfiInstance;
use tokio::task::JoinHandle;

use super::definition::PluginDefinition;
use super::guard;
use super::instance::Instance;
use super::reply::IntoReply;
use crate::call::{CallInfo, OwnedCallInfo};

/// A method's future as `async_trait` makes it.
pub(crate) type BoxFuture<'a, O> = Pin<Box<dyn Future<Output = O> + Send + 'a>>;

/// Starts a call and polls it once.
///
/// `make` gives the method's future; what it fails with is the call's answer. `out` is written exactly once.
///
/// # Safety
///
/// `handle` is an instance of `T` (invariant 1 of [`super::instance`]).
pub(crate) unsafe fn call<T, O, F>(
    handle: FfiInstance,
    context: &FfiCallContext<'_>,
    waker: &mut FfiContext<'_>,
    out: &mut MaybeUninit<FfiCall<O::Record>>,
    make: F,
) where
    T: PluginDefinition,
    O: IntoReply,
    F: for<'p> FnOnce(&'p Instance<T>) -> Result<BoxFuture<'p, O>, FfiError>,
{
    // SAFETY: invariant 2; the borrow ends with this call.
    let instance: &Instance<T> = unsafe { Instance::borrow(handle) };
    let _entered = instance.handle().enter();
    let outcome = guard::catch(|| {
        let isolated = understood(context, O::FAULT)?;
        let info = CallInfo::of(context);
        let mut future = make(instance)?;
        if !isolated {
            let poll = info.scope(|| waker.with_context(|cx| future.as_mut().poll(cx)));
            if let Poll::Ready(output) = poll {
                drop(future);
                return Ok(FfiCall::Ready(output.into_reply()));
            }
        }
        // SAFETY: invariant 2.
        let instance = unsafe { Instance::<T>::share(handle) };
        instance.live.fetch_add(1, Ordering::Relaxed);
        // SAFETY: invariant 1: the Body keeps what the future borrows from alive, and drops the future first.
        let future = unsafe { std::mem::transmute::<BoxFuture<'_, O>, BoxFuture<'static, O>>(future) };
        let body = Body { future: ManuallyDrop::new(future), info: info.to_owned(), instance };
        let crossing = if isolated { Crossing::spawn(body) } else { Crossing::Inline(body) };
        Ok(FfiCall::Pending(FfiFuture::new(crossing)))
    });
    out.write(match outcome {
        Ok(Ok(call)) => call,
        Ok(Err(error)) => FfiCall::Ready(FfiReply::RErr(error)),
        Err(caught) => FfiCall::Ready(FfiReply::RErr(caught.into_ffi(O::FAULT))),
    });
}

/// Whether the call is to run on the plugin's runtime; an error if the context asks for what this release does not know.
fn understood(context: &FfiCallContext<'_>, fault: FfiErrorKind) -> Result<bool, FfiError> {
    let unsupported = |what: String| FfiError::new(FfiErrorOrigin::UNSUPPORTED, fault, what);
    let mut next = context.extensions;
    // SAFETY: invariant 2: the chain is valid for the call.
    while let Some(extension) = unsafe { next.as_ref() } {
        if extension.must_understand != 0 {
            return Err(unsupported(format!(
                "the host's call has the addition {}, which this plugin does not know but must understand",
                extension.kind
            )));
        }
        next = extension.next;
    }
    match context.mode {
        FfiExecutionMode::INLINE => Ok(false),
        FfiExecutionMode::ISOLATED => Ok(true),
        other => Err(unsupported(format!("the plugin does not know the execution mode {other:?}"))),
    }
}

/// A pending call's future with what it needs: dropped, as polled, inside the plugin's runtime and panic guard.
struct Body<T: PluginDefinition, O: IntoReply> {
    future: ManuallyDrop<BoxFuture<'static, O>>,
    info: OwnedCallInfo,
    instance: Arc<Instance<T>>,
}

impl<T: PluginDefinition, O: IntoReply> Future for Body<T, O> {
    type Output = FfiReply<O::Record>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let future = &mut this.future;
        match guard::catch(|| this.info.scope(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(output.into_reply()),
            Err(caught) if this.instance.closed() => Poll::Ready(runtime_gone(O::FAULT, &caught.message)),
            Err(caught) => Poll::Ready(FfiReply::RErr(caught.into_ffi(O::FAULT))),
        }
    }
}

impl<T: PluginDefinition, O: IntoReply> Drop for Body<T, O> {
    fn drop(&mut self) {
        // A spawn inside the Drop of the author's future needs the runtime too.
        let _entered = self.instance.handle().enter();
        // SAFETY: invariant 1: this is the only place that drops it, and it is not used again.
        let _ = guard::catch(|| unsafe { ManuallyDrop::drop(&mut self.future) });
        self.instance.live.fetch_sub(1, Ordering::Release);
    }
}

fn runtime_gone<R>(fault: FfiErrorKind, why: &str) -> FfiReply<R> {
    FfiReply::RErr(FfiError::new(
        FfiErrorOrigin::RUNTIME_GONE,
        fault,
        format!("the plugin's runtime is shutting down: {why}"),
    ))
}

/// The future that the host holds.
enum Crossing<T: PluginDefinition, O: IntoReply> {
    /// Polled on the caller's thread.
    Inline(Body<T, O>),
    /// Runs on the plugin's runtime; this only waits.
    Spawned(AbortOnDrop<FfiReply<O::Record>>),
    /// Has answered.
    Done,
}

impl<T: PluginDefinition, O: IntoReply> Crossing<T, O> {
    fn spawn(body: Body<T, O>) -> Self {
        let handle = body.instance.handle().clone();
        Self::Spawned(AbortOnDrop(handle.spawn(body)))
    }
}

// A Body is moved only before it is first polled or into a task: what is polled is the boxed future inside.
impl<T: PluginDefinition, O: IntoReply> Unpin for Crossing<T, O> {}
impl<T: PluginDefinition, O: IntoReply> Unpin for Body<T, O> {}

impl<T: PluginDefinition, O: IntoReply> Future for Crossing<T, O> {
    type Output = FfiReply<O::Record>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Self::Inline(body) = this
            && body.instance.isolate()
            && let Self::Inline(body) = std::mem::replace(this, Self::Done)
        {
            *this = Self::spawn(body);
        }
        let reply = match this {
            Self::Inline(body) => {
                let instance = Arc::clone(&body.instance);
                let _entered = instance.handle().enter();
                std::task::ready!(Pin::new(body).poll(cx))
            }
            Self::Spawned(task) => match std::task::ready!(Pin::new(&mut task.0).poll(cx)) {
                Ok(reply) => reply,
                Err(error) => runtime_gone(O::FAULT, &error.to_string()),
            },
            Self::Done => runtime_gone(O::FAULT, "polled after it had answered"),
        };
        *this = Self::Done;
        Poll::Ready(reply)
    }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop<R>(JoinHandle<R>);

impl<R> Drop for AbortOnDrop<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
