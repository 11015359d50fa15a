//! One call: first poll inside it, then, if it is pending, a future that crosses.
//!
//! # Invariants
//!
//! 1. A [`Body`]'s `future` borrows from the plugin's value behind its `instance`; `Body::drop` drops `future` first, and
//!    `future` leaves a `Body` in no other way.
//! 2. `handle` and `context` are what the rules of `mini_chat_plugin_abi::module` say: valid for the call.

use std::any::Any;
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
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::definition::PluginDefinition;
use super::guard;
use super::instance::{AnyInstance, Core, Instance};
use super::reply::IntoReply;
use super::trace::CallSpan;
use crate::call::{OwnedCallInfo, scope};

#[cfg(test)]
mod tests;

/// A method's future as `async_trait` makes it.
pub(crate) type BoxFuture<'a, O> = Pin<Box<dyn Future<Output = O> + Send + 'a>>;

/// Starts a call and polls it once.
///
/// `make` gives the method's future; what it fails with is the call's answer. With `true` it runs none of the author's code:
/// that is left to the future's first poll. `out` is written exactly once.
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
    F: for<'p> FnOnce(&'p Instance<T>, bool) -> Result<BoxFuture<'p, O>, FfiError>,
{
    // SAFETY: invariant 2; the borrow ends with this call.
    let instance: &Instance<T> = unsafe { Instance::borrow(handle) };
    let mut make = Some(make);
    let mut make = |defer| match make.take() {
        Some(make) => make(instance, defer),
        None => unreachable!("a call is started once"),
    };
    // SAFETY: invariant 2.
    let share = || -> Arc<dyn AnyInstance> { unsafe { Instance::<T>::share(handle) } };
    // SAFETY: `share` shares the instance that `make` borrows from.
    unsafe { start(instance.core(), context, waker, out, &mut make, &share) }
}

/// [`call`] without the types of plugin and method, which would make one copy of it per method.
///
/// # Safety
///
/// What `make`'s future borrows from lives as long as what `share` gives.
unsafe fn start<'p, O: IntoReply>(
    core: &Core,
    context: &FfiCallContext<'_>,
    waker: &mut FfiContext<'_>,
    out: &mut MaybeUninit<FfiCall<O::Record>>,
    make: &mut dyn FnMut(bool) -> Result<BoxFuture<'p, O>, FfiError>,
    share: &dyn Fn() -> Arc<dyn AnyInstance>,
) {
    let _entered = core.handle().enter();
    // Outside of the guard, so that a panic drops neither: a second panic, of that drop, would abort.
    let (mut future, mut output) = (None, None);
    let begun = guard::catch(|| {
        scope(context, || {
            let isolated = understood(context, O::FAULT)?;
            let made = future.insert(ManuallyDrop::new(make(isolated)?));
            if !isolated {
                if let Poll::Ready(value) = waker.with_context(|cx| made.as_mut().poll(cx)) {
                    output = Some(value);
                    if let Some(mut made) = future.take() {
                        // SAFETY: it is not used again. Should its drop panic: the answer is there.
                        unsafe { ManuallyDrop::drop(&mut made) };
                    }
                }
            }
            Ok(isolated)
        })
    });
    if let Some(output) = output {
        out.write(FfiCall::Ready(output.into_reply()));
        return;
    }
    let failed = |error| FfiCall::Ready(FfiReply::RErr(error));
    let (isolated, future) = match (begun, future) {
        (Ok(Ok(isolated)), Some(future)) => (isolated, future),
        (Ok(Ok(_)), None) => unreachable!("a future that was polled to its end has left its output"),
        (Ok(Err(error)), _) => {
            out.write(failed(error));
            return;
        }
        (Err(caught), future) => {
            if let Some(mut future) = future {
                // SAFETY: it is not used again.
                let _ = guard::catch(|| scope(context, || unsafe { ManuallyDrop::drop(&mut future) }));
            }
            out.write(failed(caught.into_ffi(O::FAULT)));
            return;
        }
    };
    let instance = share();
    core.live.fetch_add(1, Ordering::Relaxed);
    // SAFETY: invariant 1: the Body keeps what the future borrows from alive (contract of this function), and drops the
    // future first.
    let future =
        unsafe { std::mem::transmute::<ManuallyDrop<BoxFuture<'p, O>>, ManuallyDrop<BoxFuture<'static, O>>>(future) };
    let body = Body { future, info: OwnedCallInfo::of(context), span: None, instance };
    let mut crossing = if isolated { Crossing::spawn(body) } else { Crossing::Inline(Some(body)) };
    if isolated {
        // What is pending knows the caller's waker: the task's completion is to wake it. Only the task is looked at here.
        if let Poll::Ready(reply) = waker.with_context(|cx| Pin::new(&mut crossing).poll(cx)) {
            out.write(FfiCall::Ready(reply));
            return;
        }
    }
    out.write(FfiCall::Pending(FfiFuture::new(crossing)));
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
struct Body<O: IntoReply> {
    future: ManuallyDrop<BoxFuture<'static, O>>,
    info: OwnedCallInfo,
    /// The caller's, once the call runs on the plugin's runtime.
    span: Option<CallSpan>,
    instance: Arc<dyn AnyInstance>,
}

impl<O: IntoReply> Future for Body<O> {
    type Output = FfiReply<O::Record>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let _in_span = this.span.as_ref().map(CallSpan::enter);
        let future = &mut this.future;
        match guard::catch(|| this.info.scope(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(output.into_reply()),
            Err(caught) if this.instance.core().closed() => Poll::Ready(runtime_gone(O::FAULT, &caught.message)),
            Err(caught) => Poll::Ready(FfiReply::RErr(caught.into_ffi(O::FAULT))),
        }
    }
}

impl<O: IntoReply> Drop for Body<O> {
    fn drop(&mut self) {
        let core = self.instance.core();
        // A spawn inside the Drop of the author's future needs the runtime too.
        let _entered = core.handle().enter();
        let _in_span = self.span.as_ref().map(CallSpan::enter);
        // SAFETY: invariant 1: this is the only place that drops it, and it is not used again.
        let _ = guard::catch(|| unsafe { ManuallyDrop::drop(&mut self.future) });
        core.live.fetch_sub(1, Ordering::Release);
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
enum Crossing<O: IntoReply> {
    /// Polled on the caller's thread; nothing once it has answered.
    Inline(Option<Body<O>>),
    /// Runs on the plugin's runtime; this only waits.
    Spawned(Task),
}

impl<O: IntoReply> Crossing<O> {
    /// On the thread of the caller, whose span it takes along.
    fn spawn(mut body: Body<O>) -> Self {
        body.span = CallSpan::current(body.instance.core().host());
        let instance = Arc::clone(&body.instance);
        Self::Spawned(Task::spawn(instance.core().handle(), Box::pin(Erased(body))))
    }

    /// The body, if it is on the caller's thread and is not to stay there.
    fn take_to_isolate(&mut self) -> Option<Body<O>> {
        match self {
            Self::Inline(body) => body.take_if(|body| body.instance.core().isolate()),
            Self::Spawned(_) => None,
        }
    }
}

// A Body is moved only before it is first polled or into a task: what is polled is the boxed future inside.
impl<O: IntoReply> Unpin for Crossing<O> {}
impl<O: IntoReply> Unpin for Body<O> {}

impl<O: IntoReply> Future for Crossing<O> {
    type Output = FfiReply<O::Record>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(body) = this.take_to_isolate() {
            *this = Self::spawn(body);
        }
        let reply = match this {
            Self::Inline(Some(body)) => {
                let instance = Arc::clone(&body.instance);
                let _entered = instance.core().handle().enter();
                std::task::ready!(Pin::new(body).poll(cx))
            }
            Self::Spawned(task) => match std::task::ready!(task.poll(cx)) {
                // The task is an `Erased<O>`: nothing else is in there.
                Ok(reply) => match reply.downcast::<FfiReply<O::Record>>() {
                    Ok(reply) => *reply,
                    Err(_) => unreachable!("the task of this call gave the reply of another"),
                },
                Err(why) => runtime_gone(O::FAULT, &why),
            },
            Self::Inline(None) => runtime_gone(O::FAULT, "polled after it had answered"),
        };
        *this = Self::Inline(None);
        Poll::Ready(reply)
    }
}

impl<O: IntoReply> Drop for Crossing<O> {
    /// An isolated instance's code does not run on the caller's thread, the drop of a call that began inline included.
    fn drop(&mut self) {
        if let Some(body) = self.take_to_isolate() {
            // Spawned and aborted: the runtime drops it.
            drop(Self::spawn(body));
        }
    }
}

/// A call's reply, whatever its type is.
type AnyReply = Box<dyn Any + Send>;

/// A [`Body`] as a task: tokio's code for a task, 9 KB, is there once and not once per type of reply. The two allocations
/// are small beside the hop.
struct Erased<O: IntoReply>(Body<O>);

impl<O: IntoReply> Future for Erased<O> {
    type Output = AnyReply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AnyReply> {
        Pin::new(&mut self.0).poll(cx).map(|reply| Box::new(reply) as AnyReply)
    }
}

/// A call on the plugin's runtime, which ends when nobody waits for it any more.
struct Task(JoinHandle<AnyReply>);

impl Task {
    #[inline(never)]
    fn spawn(runtime: &Handle, body: Pin<Box<dyn Future<Output = AnyReply> + Send>>) -> Self {
        Self(runtime.spawn(body))
    }

    #[inline(never)]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<AnyReply, String>> {
        Pin::new(&mut self.0).poll(cx).map_err(|error| error.to_string())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
