//! [`CallOptions`]: what a caller may say of a call beside its arguments.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What the calls made inside a future tell the plugin, beside their arguments.
///
/// The traits' signatures have no place for these, so they surround the call:
///
/// ```
/// # async fn example(audit: &dyn mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1,
/// #                  event: mini_chat_plugin_sdk::audit_models::TurnAuditEvent) {
/// use mini_chat_plugin_loader::CallOptions;
/// CallOptions::new()
///     .attempt(2)
///     .idempotency_key("tenant:turn_completed:request")
///     .scope(audit.emit_turn_audit(event))
///     .await
///     .ok();
/// # }
/// ```
///
/// The plugin reads them with `mini_chat_plugin_sdk::call`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOptions {
    pub(crate) attempt: u32,
    /// None if it is empty; shared, as a fan-out says the same to several plugins.
    idempotency_key: Option<Arc<str>>,
    traceparent: Option<Arc<str>>,
    /// The call runs on the plugin's own threads, whatever its mode. Not told to the plugin.
    pub(crate) isolated: bool,
}

// Invariant 1: `CURRENT` is null or points at the options of a scope that is being polled on this thread; the poll resets
// it before it returns or unwinds.
thread_local! {
    static CURRENT: Cell<*const CallOptions> = const { Cell::new(ptr::null()) };
}

impl CallOptions {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// 1 for the first try of a delivery, 2 for the second, …
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The same text for every attempt to deliver one event.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        let key: String = key.into();
        self.share_idempotency_key(key.into());
        self
    }

    /// W3C Trace Context `traceparent` of the caller.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        let traceparent: String = traceparent.into();
        self.traceparent = Some(traceparent.into()).filter(|text: &Arc<str>| !text.is_empty());
        self
    }

    /// `future`, with these options for every call that is first polled inside it.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let mut future = Box::pin(future);
        std::future::poll_fn(move |cx| self.poll_in(future.as_mut(), cx))
    }

    /// [`idempotency_key`](Self::idempotency_key), of a text that others have too.
    pub(crate) fn share_idempotency_key(&mut self, key: Arc<str>) {
        self.idempotency_key = Some(key).filter(|key| !key.is_empty());
    }

    /// The idempotency key; empty if there is none.
    pub(crate) fn key(&self) -> &str {
        self.idempotency_key.as_deref().unwrap_or_default()
    }

    /// The traceparent; empty if there is none.
    pub(crate) fn parent(&self) -> &str {
        self.traceparent.as_deref().unwrap_or_default()
    }

    /// One poll of what is in [`scope`](Self::scope).
    pub(crate) fn poll_in<F: Future + ?Sized>(&self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        struct Reset(*const CallOptions);
        impl Drop for Reset {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _reset = Reset(CURRENT.replace(self));
        future.poll(cx)
    }

    /// Runs `read` with the options in force on this thread.
    pub(crate) fn with_current<R>(read: impl FnOnce(Option<&Self>) -> R) -> R {
        // SAFETY: invariant 1; the reference does not leave `read`, which runs inside the poll.
        read(unsafe { CURRENT.get().as_ref() })
    }
}
