//! What became of events that were not delivered everywhere, so that a retry goes only to those that lack it, and an event
//! that one plugin never takes does not block what stands behind it for ever.
//!
//! Bounded: the event that was tried longest ago is forgotten first. What is forgotten is delivered again, which a plugin can
//! tell by the idempotency key.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use super::event::EventKey;
use crate::config::AuditDelivery;

/// How often a plugin has refused an event, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusals {
    pub(super) count: u32,
    pub(super) first: Instant,
}

/// When an event counts as stuck: so many refusals, and so long since the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct StuckRule {
    pub(super) refusals: u32,
    pub(super) after: Duration,
}

impl From<&AuditDelivery> for StuckRule {
    fn from(settings: &AuditDelivery) -> Self {
        Self { refusals: settings.stuck_refusals, after: settings.stuck_after }
    }
}

impl Refusals {
    pub(super) fn one_more(before: Option<Self>, now: Instant) -> Self {
        match before {
            Some(before) => Self { count: before.count.saturating_add(1), ..before },
            None => Self { count: 1, first: now },
        }
    }

    pub(super) fn is_stuck(self, now: Instant, rule: StuckRule) -> bool {
        self.count >= rule.refusals && now.saturating_duration_since(self.first) >= rule.after
    }
}

/// What one plugin did with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Accepted,
    Refused(Refusals),
    Stuck(Refusals),
}

/// By plugin; a handful.
type ByPlugin = Vec<(Arc<str>, Past)>;

/// The memory of a fan-out.
#[derive(Debug)]
pub(super) struct Memory {
    events: Mutex<LruCache<EventKey, ByPlugin>>,
    /// How many there are, to be read without the lock.
    count: AtomicUsize,
}

impl Memory {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self { events: Mutex::new(LruCache::sparse(capacity)), count: AtomicUsize::new(0) }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<EventKey, ByPlugin>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of an event; nothing is known of most.
    pub(super) fn recall(&self, key: &EventKey) -> ByPlugin {
        if self.len() == 0 {
            return ByPlugin::new();
        }
        self.lock().get(key).cloned().unwrap_or_default()
    }

    /// It is delivered: nobody will try again.
    pub(super) fn forget(&self, key: &EventKey) {
        if self.len() == 0 {
            return;
        }
        let mut events = self.lock();
        events.pop(key);
        self.count.store(events.len(), Ordering::Relaxed);
    }

    pub(super) fn accepted(&self, key: EventKey, plugin: &Arc<str>) {
        self.note(key, plugin, |_| Past::Accepted);
    }

    /// It was refused once more; how often by now, if that makes it stuck.
    pub(super) fn refused(&self, key: EventKey, plugin: &Arc<str>, now: Instant, rule: StuckRule) -> Option<Refusals> {
        let past = self.note(key, plugin, |before| {
            let before = match before {
                // It was accepted while another try was under way.
                Some(Past::Accepted) => return Past::Accepted,
                Some(Past::Refused(refusals) | Past::Stuck(refusals)) => Some(refusals),
                None => None,
            };
            let refusals = Refusals::one_more(before, now);
            if refusals.is_stuck(now, rule) { Past::Stuck(refusals) } else { Past::Refused(refusals) }
        });
        match past {
            Past::Stuck(refusals) => Some(refusals),
            Past::Accepted | Past::Refused(_) => None,
        }
    }

    fn note(&self, key: EventKey, plugin: &Arc<str>, now: impl FnOnce(Option<Past>) -> Past) -> Past {
        let mut events = self.lock();
        let by_plugin = events.get_or_insert_mut(key, ByPlugin::new);
        let place = by_plugin.iter().position(|(known, _)| known == plugin);
        let past = now(place.map(|place| by_plugin[place].1));
        match place {
            Some(place) => by_plugin[place].1 = past,
            None => by_plugin.push((Arc::clone(plugin), past)),
        }
        self.count.store(events.len(), Ordering::Relaxed);
        past
    }
}
