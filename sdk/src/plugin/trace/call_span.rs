//! [`CallSpan`]: the caller's span, for a call whose code runs on the plugin's threads.
//!
//! Inline there is nothing to do: the caller's thread is in the span. A call that moves to the plugin's runtime takes a
//! reference to the span along, which each of its polls is in, and its drop as well.

use mini_chat_plugin_abi::tracing::HostTracingRef;

use crate::plugin::host::Host;

/// A reference to a span of the host's.
pub(crate) struct CallSpan {
    functions: HostTracingRef,
    handle: u64,
    span: u64,
}

impl CallSpan {
    /// The span that the calling thread is in; none if it is in none.
    pub(crate) fn current(host: Host) -> Option<Self> {
        let functions = host.tracing()?;
        let current = functions.current_span()(host.handle).span;
        if current == 0 {
            return None;
        }
        let span = functions.clone_span()(host.handle, current);
        (span != 0).then_some(Self { functions, handle: host.handle, span })
    }

    /// The calling thread is in it until the answer is dropped.
    pub(crate) fn enter(&self) -> InSpan<'_> {
        self.functions.enter()(self.handle, self.span);
        InSpan(self)
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.functions.close_span()(self.handle, self.span);
    }
}

pub(crate) struct InSpan<'a>(&'a CallSpan);

impl Drop for InSpan<'_> {
    fn drop(&mut self) {
        let CallSpan { functions, handle, span } = self.0;
        functions.exit()(*handle, *span);
    }
}
