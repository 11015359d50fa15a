//! What happens in a host, told to whoever listens.

use serde::Serialize;
use tokio::sync::broadcast;

use crate::config::ExecutionMode;

/// How many events a slow receiver may be behind.
const CAPACITY: usize = 256;

/// Something that happened in a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostEvent {
    /// The watchdog moved a plugin's calls onto the plugin's own runtime, or back.
    ModeChanged {
        /// The name of its slot.
        plugin: String,
        /// Where its calls run now.
        now: ExecutionMode,
        /// Why.
        why: String,
    },
}

/// The sending side.
#[derive(Debug, Clone)]
pub(crate) struct Events(broadcast::Sender<HostEvent>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }

    /// Tells everybody who listens; nobody may.
    pub(crate) fn send(&self, event: HostEvent) {
        let _ = self.0.send(event);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<HostEvent> {
        self.0.subscribe()
    }
}
