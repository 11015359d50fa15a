//! A slot: one name, and the instance that serves under it now, or the reason why none does.
//!
//! Handles point at the slot, so they never go stale.
//! Calls go through its [`Door`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::config::AuditDelivery;
use crate::door::{self, Door, Shut};
use crate::housekeeping::{Housekeeping, after};
use crate::instance::{Entered, Instance};
use crate::metrics::Ledger;
use crate::per_thread::makes_calls;
use crate::status::{EndedPlugin, SwapStatus, Zombie};

/// How many ended generations are remembered.
const RETIRED: usize = 8;

/// One name.
pub(crate) struct Slot {
    name: Arc<str>,
    door: Door<Instance, Terms>,
    reason: Mutex<Reason>,
    swap: Mutex<SwapStatus>,
    zombies: Mutex<Vec<Weak<Instance>>>,
    /// How the last generations ended, the latest last.
    retired: Mutex<VecDeque<EndedPlugin>>,
    /// The id of the plugin that is to serve here.
    library: Mutex<Option<String>>,
    ledger: Ledger,
    /// Whether the host is not ready without it.
    required: AtomicBool,
    wishes: Mutex<Wishes>,
}

/// What its entry says beside what an instance is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wishes {
    /// It is to serve.
    pub(crate) wanted: bool,
    /// `required` of the entry.
    pub(crate) required: bool,
    /// How events are delivered to it, if the entry says so.
    pub(crate) audit: Option<AuditDelivery>,
}

/// Why nothing serves.
#[derive(Debug, Clone)]
pub(crate) struct Reason {
    /// A stable code.
    pub(crate) kind: &'static str,
    /// For people.
    pub(crate) text: String,
}

/// Why a call cannot begin now.
pub(crate) enum Closed {
    /// Nothing serves.
    Empty(Reason),
    /// An exclusive plugin is being replaced: it is to try again after that.
    Held(Arc<Hold>),
}

/// Calls wait while an exclusive plugin is replaced.
pub(crate) type Hold = door::Hold<Terms>;

/// How long calls wait.
#[derive(Debug)]
pub(crate) struct Terms {
    limit: Duration,
    housekeeping: Housekeeping,
}

impl Hold {
    /// Ready when the hold is over; an error in words if that takes longer than its limit, or than the call may take.
    pub(crate) async fn released(&self, deadline: Duration) -> Result<(), String> {
        let limit = self.terms.limit.min(deadline);
        let waited = self.terms.housekeeping.until(after(limit), self.over()).await;
        waited.ok_or_else(|| format!("it is being replaced by another build, and that took longer than {limit:?}"))
    }
}

impl Slot {
    pub(crate) fn new(name: &str, kind: &'static str, text: impl Into<String>) -> Self {
        let reason = Mutex::new(Reason { kind, text: text.into() });
        Self {
            name: name.into(),
            door: Door::new(),
            reason,
            swap: Mutex::default(),
            zombies: Mutex::default(),
            retired: Mutex::default(),
            library: Mutex::default(),
            ledger: Ledger::default(),
            required: AtomicBool::new(false),
            wishes: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What its calls come to.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Puts an instance into the slot and gives the one that was there.
    pub(crate) fn flip(&self, instance: Arc<Instance>) -> Option<Arc<Instance>> {
        self.ledger.enter(&instance);
        self.door.flip(Some(instance))
    }

    /// Says why nothing serves.
    pub(crate) fn because(&self, kind: &'static str, text: impl Into<String>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Reason { kind, text: text.into() };
    }

    /// Empties the slot; `kind` and `text` say why.
    pub(crate) fn vacate(&self, kind: &'static str, text: impl Into<String>) -> Option<Arc<Instance>> {
        self.because(kind, text);
        self.door.flip(None)
    }

    pub(crate) fn current(&self) -> Option<Arc<Instance>> {
        self.door.current()
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is being done about its contents.
    pub(crate) fn swap_status(&self) -> SwapStatus {
        let mut zombies = self.zombies.lock().unwrap_or_else(PoisonError::into_inner);
        zombies.retain(|zombie| zombie.strong_count() > 0);
        let zombies = zombies
            .iter()
            .filter_map(Weak::upgrade)
            .map(|instance| Zombie { generation: instance.settings.generation, in_flight: instance.in_flight() });
        let zombies = zombies.filter(|zombie| zombie.in_flight > 0).collect();
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        SwapStatus { zombies, retired, ..self.swap.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    pub(crate) fn set_swap_status(&self, swap: SwapStatus) {
        *self.swap.lock().unwrap_or_else(PoisonError::into_inner) = swap;
    }

    /// Whether the host is not ready without it.
    pub(crate) fn is_required(&self) -> bool {
        self.required.load(Ordering::Relaxed)
    }

    pub(crate) fn set_required(&self, required: bool) {
        self.required.store(required, Ordering::Relaxed);
    }

    /// The id of the plugin that is to serve here.
    pub(crate) fn library(&self) -> Option<String> {
        self.library.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_library(&self, id: &str) {
        let mut library = self.library.lock().unwrap_or_else(PoisonError::into_inner);
        if library.as_deref() != Some(id) {
            *library = Some(id.to_owned());
        }
    }

    /// Remembers how a generation ended.
    pub(crate) fn add_retired(&self, ended: EndedPlugin) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        if retired.len() == RETIRED {
            retired.pop_front();
        }
        retired.push_back(ended);
    }

    pub(crate) fn wishes(&self) -> Wishes {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_wishes(&self, wishes: Wishes) {
        *self.wishes.lock().unwrap_or_else(PoisonError::into_inner) = wishes;
    }

    /// Lists an instance as one that should have ended.
    pub(crate) fn add_zombie(&self, instance: &Arc<Instance>) {
        self.zombies.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(instance));
    }

    /// From now on, calls that cannot begin wait until [`release`](Self::release), each at most for `limit`.
    pub(crate) fn hold(&self, limit: Duration, housekeeping: &Housekeeping) {
        self.door.hold(Terms { limit, housekeeping: housekeeping.clone() });
    }

    /// Ends the hold, if there is one: what waited tries again.
    pub(crate) fn release(&self) {
        self.door.release();
    }

    /// Begins a call of the instance that serves now.
    pub(crate) fn enter(&self) -> Result<Entered, Closed> {
        makes_calls();
        self.door.enter().map_err(|shut| match shut {
            Shut::Empty => Closed::Empty(self.reason()),
            Shut::Held(hold) => Closed::Held(hold),
        })
    }
}
