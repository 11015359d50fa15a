//! What a fan-out has done so far: [`FanOutCounters`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::report::Outcome;
use crate::sanitize::Hits;

/// What a fan-out has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FanOutCounters {
    /// Events that every required plugin has: result `ok` of `mini_chat_audit_emit_total`.
    pub ok: u64,
    /// Events that some required plugin lacks, or whose delivery its caller gave up: result `failed`.
    pub failed: u64,
    /// Events for which there was no plugin: result `dropped`.
    pub dropped: u64,
    /// Events of which is remembered which plugins have them.
    pub remembered: usize,
    /// What the sanitiser has replaced.
    pub redactions: Hits,
    /// The plugins that there are now, by name.
    pub plugins: Vec<PluginCounters>,
}

/// The deliveries to one plugin so far.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginCounters {
    /// The name of its slot.
    pub plugin: Arc<str>,
    /// Whether it is required now.
    pub required: bool,
    /// State of its breaker: `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Deliveries under way.
    pub in_flight: u32,
    pub(super) results: [u64; Outcome::NAMES.len()],
    /// Deliveries that the caller gave up.
    pub abandoned: u64,
    /// How often its breaker has opened.
    pub opened: u64,
    /// Probes that were answered. Their events are counted as `breaker_open` when they are reported.
    pub probes: u64,
    /// Probes that the plugin accepted.
    pub accepted_probes: u64,
}

impl PluginCounters {
    /// Deliveries by result: each name of [`Outcome::NAMES`] with its count.
    pub fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        std::iter::zip(Outcome::NAMES, self.results)
    }

    /// Deliveries with this result; zero for a name that is none.
    #[must_use]
    pub fn with(&self, result: &str) -> u64 {
        self.results().find(|(name, _)| *name == result).map_or(0, |(_, count)| count)
    }
}

/// Each event once.
#[derive(Debug, Default)]
pub(super) struct Emits {
    pub(super) ok: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) dropped: AtomicU64,
}

impl Emits {
    /// By result.
    pub(super) fn read(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("ok", read(&self.ok)), ("failed", read(&self.failed)), ("dropped", read(&self.dropped))]
    }

    pub(super) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
