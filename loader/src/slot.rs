//! A slot: one name, and the instance that serves under it now, or the reason why none does.
//!
//! Handles point at the slot, so they never go stale.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;

use crate::instance::{Entered, Instance};

/// One name.
pub(crate) struct Slot {
    name: Arc<str>,
    current: ArcSwapOption<Instance>,
    reason: Mutex<Reason>,
}

/// Why nothing serves.
#[derive(Debug, Clone)]
pub(crate) struct Reason {
    /// A stable code.
    pub(crate) kind: &'static str,
    /// For people.
    pub(crate) text: String,
}

impl Slot {
    pub(crate) fn new(name: &str, kind: &'static str, text: impl Into<String>) -> Self {
        let reason = Mutex::new(Reason { kind, text: text.into() });
        Self { name: name.into(), current: ArcSwapOption::empty(), reason }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Puts an instance into the slot and gives the one that was there.
    pub(crate) fn flip(&self, instance: Arc<Instance>) -> Option<Arc<Instance>> {
        self.current.swap(Some(instance))
    }

    /// Empties the slot; `kind` and `text` say why.
    pub(crate) fn vacate(&self, kind: &'static str, text: impl Into<String>) -> Option<Arc<Instance>> {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Reason { kind, text: text.into() };
        self.current.swap(None)
    }

    pub(crate) fn current(&self) -> Option<Arc<Instance>> {
        self.current.load_full()
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins a call of the instance that serves now.
    pub(crate) fn enter(&self) -> Result<Entered, Reason> {
        loop {
            let Some(instance) = self.current.load_full() else { return Err(self.reason()) };
            // An instance that is being ended has left the slot before.
            if let Some(entered) = instance.enter() {
                return Ok(entered);
            }
        }
    }
}
