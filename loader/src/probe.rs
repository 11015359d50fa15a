//! [`Probe`]: what a liveness probe, a readiness probe and a scrape ask of a host.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::events::HostEvent;
use crate::handle::Handle;
use crate::metrics::Collector;
use crate::status::{HostStatus, Readiness};

/// Asks a host how it is: for the part of a program that answers probes. Cheap to clone, usable from any thread. It does
/// not keep the host: once that is gone it is not alive, and there is nothing to collect. The methods are those of
/// [`PluginHost`](crate::PluginHost).
#[derive(Clone)]
pub struct Probe {
    handle: Handle,
    collector: Arc<Collector>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("readiness", &self.readiness()).finish_non_exhaustive()
    }
}

impl Probe {
    pub(crate) fn new(handle: Handle, collector: Arc<Collector>) -> Self {
        Self { handle, collector }
    }

    /// Whether every required plugin serves.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.handle.readiness()
    }

    /// Ready, with true, as soon as the host shows that it is at work; with false once it has ended. Not ready while it
    /// hangs.
    pub async fn is_alive(&self) -> bool {
        self.handle.is_alive().await
    }

    /// What serves, what does not, and why.
    #[must_use]
    pub fn status(&self) -> HostStatus {
        self.handle.status()
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.handle.events()
    }

    /// Copies what was counted into the `metrics` facade now.
    pub fn collect_metrics(&self) {
        self.collector.collect();
    }
}
