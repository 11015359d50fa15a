//! [`Unsent`]: events that were not delivered though nobody will bring them again, or that the end of the plugin cut off.
//! They are counted, and named in the host's log.

use std::sync::atomic::{AtomicU64, Ordering};

use mini_chat_plugin_sdk::{LogLevel, PluginContext};

use crate::failure::Failure;

/// Ids in one log record; with more events there are more records.
const IDS: usize = 100;

/// Counts and names them.
#[derive(Debug)]
pub(crate) struct Unsent {
    context: PluginContext,
    count: AtomicU64,
}

impl Unsent {
    pub(crate) fn new(context: PluginContext) -> Self {
        Self { context, count: AtomicU64::new(0) }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Their calls had been answered with Ok.
    pub(crate) fn lost(&self, ids: &[String], failure: &Failure) {
        self.note(LogLevel::Error, "are lost, as their calls had been answered with Ok", ids, failure);
    }

    /// Their calls are answered with an error.
    pub(crate) fn told(&self, ids: &[String], failure: &Failure) {
        self.note(LogLevel::Warn, "were not accepted, and their calls are told so", ids, failure);
    }

    fn note(&self, level: LogLevel, what: &str, ids: &[String], failure: &Failure) {
        let new = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let all = self.count.fetch_add(new, Ordering::Relaxed).saturating_add(new);
        for ids in ids.chunks(IDS) {
            let (number, names) = (ids.len(), ids.join(" "));
            let message = format!("{number} audit events ({all} so far) {what}: {failure}; ids: {names}");
            self.context.log(level, &message);
        }
    }
}
