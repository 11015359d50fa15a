//! The cancellation bridge: one mirror in the plugin per token of the host, however many calls use it.
//!
//! Linked code is the yardstick. `cancel()` on the host's token cancels the mirror at once, on the thread that cancels,
//! without waiting for a poll; a token cancelled before the call gives a mirror cancelled before the plugin's first line.
//! A mirror is a child of the instance's lifetime token, so it hears retirement also when its link is gone.
//!
//! A link is an owned `cancelled` future of the host's token, polled once with a waker that cancels the mirror: no task.
//! Links that no pending call uses are kept; of more than [`KEPT_LINKS`] those that were looked up longest ago are dropped and
//! counted, but none that is the last one of a thread's share (`recent.rs`).
//!
//! # Invariants
//!
//! 1. **No lock of the bridge is held while touching a token, cancelling, waking, or dropping a link**: a link's callback
//!    runs inside the host's `cancel()`, and may touch anything.
//! 2. A link's waker holds the mirror, not the link, so links and tokens form no cycle.
//! 3. A mirror's handle is freed once, when the last of link, waker and calls lets go of it.

use std::sync::Arc;
use std::task::Wake;

use mini_chat_plugin_abi::call::FfiToken;
use mini_chat_plugin_abi::instance::FfiInstance;
use mini_chat_plugin_abi::module::PluginModuleRef;

mod links;
mod recent;
#[cfg(test)]
mod tests;

use links::{LinkTable, Mirrors};
pub(crate) use recent::{Cancellation, Recent};

/// Links kept per generation while no pending call uses them.
pub(crate) const KEPT_LINKS: usize = 4096;

/// A mirror with what connects it to the host's token.
pub(crate) type Link = links::Link<Mirror>;

/// The links of one generation.
pub(crate) type Bridge = LinkTable<Source>;

impl Bridge {
    /// A bridge to an instance that stays open while links are made.
    pub(crate) fn to(module: PluginModuleRef, instance: FfiInstance) -> Self {
        Self::new(Source { module, instance }, KEPT_LINKS)
    }
}

/// Makes mirrors in an instance.
pub(crate) struct Source {
    module: PluginModuleRef,
    instance: FfiInstance,
}

impl Mirrors for Source {
    type Mirror = Mirror;

    fn mirror(&self) -> Mirror {
        let Self { module, instance } = *self;
        Mirror { token: module.token_new()(instance), cancel: module.token_cancel(), free: module.token_free() }
    }
}

/// The plugin's token that mirrors one of the host's.
#[derive(Debug)]
pub(crate) struct Mirror {
    token: FfiToken,
    cancel: extern "C" fn(FfiToken),
    free: extern "C" fn(FfiToken),
}

impl Mirror {
    /// The handle, to lend to a call that is made while this is alive.
    pub(crate) fn token(&self) -> FfiToken {
        self.token
    }
}

impl Wake for Mirror {
    fn wake(self: Arc<Self>) {
        (self.cancel)(self.token);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.cancel)(self.token);
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // Invariant 3.
        (self.free)(self.token);
    }
}
