//! One call: its context ([`FfiCallContext`]) and its outcome ([`FfiCall`]).

use core::ffi::c_void;

use abi_stable::StableAbi;
use abi_stable::std_types::RResult;
use async_ffi::FfiFuture;

use crate::buffer::FfiStr;
use crate::error::FfiError;
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;

/// What a finished call gives.
pub type FfiReply<T> = RResult<T, FfiError>;

/// What a call gives at once: its first poll happened inside it.
///
/// Rationale: most calls are ready at their first poll; only a pending one pays for a boxed future that crosses.
#[repr(C, u8)]
#[derive(StableAbi)]
pub enum FfiCall<T> {
    /// Finished.
    Ready(FfiReply<T>),
    /// Under way, and polled once: the caller's waker will be woken. Dropping the future cancels it; it may be polled and
    /// dropped on any thread.
    Pending(FfiFuture<FfiReply<T>>),
}

open_enum! {
    /// On which thread the plugin's code of a call runs.
    FfiExecutionMode {
        /// On the thread that polls: no hop, but a poll that blocks holds that thread.
        INLINE = 0,
        /// On the plugin's own runtime: the poller only waits.
        ISOLATED = 1,
    }
}

/// A token of the plugin that mirrors one of the host's; made by `PluginModule::token_new`. Null: no token.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfiToken {
    /// Owned by the host, meaningful to the plugin only.
    pub ptr: *const c_void,
}

const _: () = assert!(size_of::<FfiToken>() == size_of::<usize>());

// SAFETY: the pointer is only passed back to the plugin's token functions, which may be called from any thread.
unsafe impl Send for FfiToken {}
// SAFETY: as above.
unsafe impl Sync for FfiToken {}

impl FfiToken {
    /// No token.
    pub const NONE: Self = Self { ptr: core::ptr::null() };
}

/// An addition to a call that this release does not know: one element of a chain.
///
/// A plugin walks the chain. An element whose `kind` it does not know is passed over, unless `must_understand` is not 0:
/// then the call is refused with origin `UNSUPPORTED`.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiCallExtension {
    /// What it is. This release knows none.
    pub kind: u32,
    /// Not 0: a plugin that does not know `kind` must refuse the call.
    pub must_understand: u32,
    /// The next element or null; valid for the call.
    pub next: *const FfiCallExtension,
}

/// What a plugin is told of a call. Owned by the host, valid for the call that it is an argument of; a plugin copies what
/// it needs longer.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiCallContext<'a> {
    /// When the host stops waiting: nanoseconds of `CLOCK_MONOTONIC`; 0 is never.
    pub deadline_ns: u64,
    /// The host's number for this call, unique in the process, for logs.
    pub call_id: u64,
    /// 1 for the first try of a delivery, 2 for the second, …; 0 if the caller did not say.
    pub attempt: u32,
    /// On which thread to run.
    pub mode: FfiExecutionMode,
    /// The same for every attempt to deliver one event; empty if there is none.
    pub idempotency_key: FfiStr<'a>,
    /// W3C Trace Context `traceparent`; empty if there is none.
    pub traceparent: FfiStr<'a>,
    /// Mirror of the caller's cancellation token; null for methods without one.
    pub token: FfiToken,
    /// First element of a chain of additions, or null.
    pub extensions: *const FfiCallExtension,
}

assert_layout!(FfiCallContext: size 72, align 8 {
    deadline_ns: 0, call_id: 8, attempt: 16, mode: 20, idempotency_key: 24, traceparent: 40,
    token: 56, extensions: 64,
});
assert_layout!(FfiCallExtension: size 16, align 8 { kind: 0, must_understand: 4, next: 8 });
