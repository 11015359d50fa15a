//! Mirrors of the host's cancellation tokens.
//!
//! A mirror is a child of the instance's lifetime token; the host owns one handle per mirror, calls lend it.
//!
//! # Invariants
//!
//! 1. A non-null `FfiToken` is a leaked `Box<CancellationToken>` made by [`new`] and not yet given to [`free`].

use mini_chat_plugin_abi::call::FfiToken;
use tokio_util::sync::CancellationToken;

/// A new mirror: a child of `lifetime`.
pub(crate) fn new(lifetime: &CancellationToken) -> FfiToken {
    FfiToken { ptr: Box::into_raw(Box::new(lifetime.child_token())).cast() }
}

/// The mirror's token; none for the null handle.
///
/// # Safety
///
/// Invariant 1 holds for `token` or it is null.
pub(crate) unsafe fn get(token: FfiToken) -> Option<CancellationToken> {
    // SAFETY: invariant 1, by the caller.
    unsafe { token.ptr.cast::<CancellationToken>().as_ref() }.cloned()
}

/// Gives the host's handle back.
///
/// # Safety
///
/// Invariant 1 holds for `token` or it is null; it is not used again.
pub(crate) unsafe fn free(token: FfiToken) {
    if !token.ptr.is_null() {
        // SAFETY: invariant 1, by the caller.
        drop(unsafe { Box::from_raw(token.ptr.cast::<CancellationToken>().cast_mut()) });
    }
}
