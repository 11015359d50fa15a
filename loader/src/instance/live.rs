//! The plugin's handle of an instance, closed once, whatever happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mini_chat_plugin_abi::instance::{FfiCloseReport, FfiInstance};
use mini_chat_plugin_abi::module::PluginModuleRef;

use crate::heap::Account;
use crate::housekeeping::Housekeeping;
use crate::services::Registration;

/// How long closing an instance may wait for its runtime's threads.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How much longer closing may take as a whole: the plugin's drop comes first.
pub(super) const CLOSE_MARGIN: Duration = Duration::from_secs(1);

/// The plugin's handle of an instance, and what a call of it needs.
pub(crate) struct Live {
    pub(super) module: PluginModuleRef,
    pub(super) raw: FfiInstance,
    pub(super) name: Arc<str>,
    pub(super) account: Option<&'static Account>,
    /// What the plugin asks of its host is answered until it is closed.
    pub(super) registration: Arc<Registration>,
    pub(super) housekeeping: Housekeeping,
    pub(super) given_up: AtomicBool,
    pub(super) closed: AtomicBool,
}

impl Live {
    pub(crate) fn account(&self) -> Option<&'static Account> {
        self.account
    }

    pub(crate) fn housekeeping(&self) -> &Housekeeping {
        &self.housekeeping
    }

    /// Whether the instance's calls are to end now.
    pub(crate) fn given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.housekeeping.wake_all();
    }

    /// Blocks for up to [`CLOSE_LIMIT`].
    pub(super) fn close(&self) -> Option<FfiCloseReport> {
        // Invariant 1.
        let first = !self.closed.swap(true, Ordering::AcqRel);
        first.then(|| self.module.close()(self.raw, u64::try_from(CLOSE_LIMIT.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        // The last user of an instance may be a call on the host's runtime.
        close_apart(self.module, self.raw, &self.name, Arc::clone(&self.registration));
    }
}

/// Closes an instance on a thread of its own: closing blocks.
pub(super) fn close_apart(module: PluginModuleRef, raw: FfiInstance, plugin: &str, registration: Arc<Registration>) {
    let limit = u64::try_from(CLOSE_LIMIT.as_millis()).unwrap_or(u64::MAX);
    let closing = std::thread::Builder::new().name("mini-chat-close".to_owned());
    let close = move || {
        module.close()(raw, limit);
        drop(registration);
    };
    if closing.spawn(close).is_err() {
        tracing::error!(plugin, "no thread to close an instance: it stays open");
    }
}

/// What `open` gave, until a [`Live`] has it: one that comes after its limit is closed, not forgotten.
pub(super) struct Unclaimed {
    pub(super) module: PluginModuleRef,
    pub(super) raw: Option<FfiInstance>,
    pub(super) name: Arc<str>,
    pub(super) registration: Arc<Registration>,
}

impl Unclaimed {
    pub(super) fn claim(mut self) -> FfiInstance {
        self.raw.take().expect("it is claimed once, by value")
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            close_apart(self.module, raw, &self.name, Arc::clone(&self.registration));
        }
    }
}
