//! What a plugin may know of the call it is serving.
//!
//! Inside a method of one of the traits, on the thread that polls it, these functions tell the host's deadline and the
//! call's identity. In a task that the method spawned, and when the plugin is linked statically and called without a
//! host, they give `None`: read them in the method and pass them on.

use std::cell::Cell;
use std::time::Duration;

use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::call::{FfiCallContext, FfiExecutionMode, FfiToken};

/// Time left until the host stops waiting for the call; zero if it has passed. None: no limit, or not in a call.
#[must_use]
pub fn remaining() -> Option<Duration> {
    let deadline = current(|info| info.deadline_ns)?;
    if deadline == 0 {
        return None;
    }
    Some(Duration::from_nanos(deadline.saturating_sub(monotonic_ns())))
}

/// When the host stops waiting for the call. None: no limit, or not in a call.
#[must_use]
pub fn deadline() -> Option<std::time::Instant> {
    Some(std::time::Instant::now() + remaining()?)
}

/// The host's number for the call, unique in its process, for logs. None: not in a call.
#[must_use]
pub fn call_id() -> Option<u64> {
    current(|info| info.call_id)
}

/// 1 for the first try of a delivery, 2 for the second, … None: the caller did not say, or not in a call.
#[must_use]
pub fn attempt() -> Option<u32> {
    current(|info| info.attempt).filter(|attempt| *attempt != 0)
}

/// The same text for every attempt to deliver one event. None: there is none, or not in a call.
#[must_use]
pub fn idempotency_key() -> Option<String> {
    current(|info| info.idempotency_key.as_str().to_owned()).filter(|key| !key.is_empty())
}

/// The W3C Trace Context `traceparent` of the caller. None: there is none, or not in a call.
#[must_use]
pub fn traceparent() -> Option<String> {
    current(|info| info.traceparent.as_str().to_owned()).filter(|text| !text.is_empty())
}

/// What a call's context says, kept by a pending call.
pub(crate) struct OwnedCallInfo {
    deadline_ns: u64,
    call_id: u64,
    attempt: u32,
    mode: FfiExecutionMode,
    idempotency_key: Box<str>,
    traceparent: Box<str>,
}

// Invariant 1: `CURRENT` is null or points at a context that is borrowed by a `scope` which is running on this thread; the
// scope resets it before it returns or unwinds.
thread_local! {
    static CURRENT: Cell<*const FfiCallContext<'static>> = const { Cell::new(std::ptr::null()) };
}

fn current<R>(read: impl FnOnce(&FfiCallContext<'_>) -> R) -> Option<R> {
    // SAFETY: invariant 1; the reference does not leave `read`, which runs inside the scope.
    unsafe { CURRENT.get().as_ref() }.map(read)
}

/// Runs `f` with this as the current call of the thread.
#[inline]
pub(crate) fn scope<R>(context: &FfiCallContext<'_>, f: impl FnOnce() -> R) -> R {
    struct Reset(*const FfiCallContext<'static>);
    impl Drop for Reset {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    // Invariant 1.
    let _reset = Reset(CURRENT.replace(std::ptr::from_ref(context).cast()));
    f()
}

impl OwnedCallInfo {
    pub(crate) fn of(context: &FfiCallContext<'_>) -> Self {
        Self {
            deadline_ns: context.deadline_ns,
            call_id: context.call_id,
            attempt: context.attempt,
            mode: context.mode,
            idempotency_key: context.idempotency_key.as_str().into(),
            traceparent: context.traceparent.as_str().into(),
        }
    }

    /// Runs `f` with this as the current call of the thread.
    pub(crate) fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let context = FfiCallContext {
            deadline_ns: self.deadline_ns,
            call_id: self.call_id,
            attempt: self.attempt,
            mode: self.mode,
            idempotency_key: FfiStr::new(&self.idempotency_key),
            traceparent: FfiStr::new(&self.traceparent),
            // What is said of a call does not include these two.
            token: FfiToken::NONE,
            extensions: std::ptr::null(),
        };
        scope(&context, f)
    }
}

/// Now, in nanoseconds of the clock that deadlines are given in.
#[doc(hidden)]
#[must_use]
pub fn monotonic_ns() -> u64 {
    #[cfg(unix)]
    {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` is valid for the call, which writes nothing else; CLOCK_MONOTONIC exists on every unix.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
    }
    #[cfg(not(unix))]
    {
        use std::sync::OnceLock;
        static START: OnceLock<std::time::Instant> = OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed().as_nanos() as u64
    }
}
