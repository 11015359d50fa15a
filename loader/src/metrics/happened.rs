//! [`Happened`]: what a host's events come to. Events are rare, so there is one lock.

use std::collections::BTreeMap;

use crate::config::ExecutionMode;
use crate::events::HostEvent;

/// Counts by kind.
pub(super) type Kinds = BTreeMap<&'static str, u64>;

/// Since the host was built.
#[derive(Debug, Clone, Default)]
pub(crate) struct Happened {
    pub(super) plugins: BTreeMap<String, ToPlugin>,
    pub(super) file_refusals: Kinds,
    pub(super) config_refusals: u64,
}

/// To one plugin.
#[derive(Debug, Clone, Default)]
pub(super) struct ToPlugin {
    pub(super) swaps: u64,
    pub(super) isolations: u64,
    /// In constructors and health checks, those of trials too.
    pub(super) panics: u64,
    pub(super) refusals: Kinds,
    pub(super) rollbacks: Kinds,
    /// Of the last generation that has ended, where that is known.
    pub(super) heap_growth: Option<i64>,
}

impl Happened {
    /// Counts an event.
    pub(crate) fn note(&mut self, event: &HostEvent) {
        match event {
            HostEvent::ModeChanged { plugin, now: ExecutionMode::Isolated, .. } => self.to(plugin).isolations += 1,
            // Back to what stood by is no swap.
            HostEvent::Serving { plugin, generation, replaces: Some(before), .. } if before < generation => {
                self.to(plugin).swaps += 1;
            }
            HostEvent::Refused { plugin, kind, .. } => {
                let plugin = self.to(plugin);
                *plugin.refusals.entry(kind).or_default() += 1;
                plugin.panics += u64::from(*kind == "create-panicked");
            }
            HostEvent::RolledBack { plugin, kind, .. } => *self.to(plugin).rollbacks.entry(kind).or_default() += 1,
            HostEvent::Retired { plugin, heap_growth_bytes: Some(bytes), .. } => {
                self.to(plugin).heap_growth = Some(*bytes);
            }
            HostEvent::FileRefused { kind, .. } => *self.file_refusals.entry(kind).or_default() += 1,
            HostEvent::ConfigRefused { .. } => self.config_refusals += 1,
            _ => {}
        }
    }

    fn to(&mut self, plugin: &str) -> &mut ToPlugin {
        self.plugins.entry(plugin.to_owned()).or_default()
    }
}
