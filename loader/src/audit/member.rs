//! [`Member`]: one plugin as the fan-out knows it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;

use super::breaker::{Admission, Breaker, Change, Rule, Verdict};
use super::clock::Clock;
use super::counters::PluginCounters;
use super::held::Held;
use super::ledger::Deliveries;
use super::report::Outcome;
use super::stopwatch::Stopwatch;
use crate::config::AuditDelivery;

/// One plugin with its present settings.
pub(super) struct Member {
    pub(super) name: Arc<str>,
    pub(super) client: Arc<dyn MiniChatAuditPluginClientV1>,
    pub(super) required: bool,
    pub(super) settings: AuditDelivery,
    /// What served when this was made.
    pub(super) generation: Option<u64>,
    /// Outlives changes of the settings.
    pub(super) state: Arc<State>,
}

/// How a plugin does.
#[derive(Debug)]
pub(super) struct State {
    breaker: Mutex<Breaker>,
    in_flight: AtomicU32,
    /// The breaker's epoch, plus one, as long as it is closed and the last answer was a good one; else 0. Read on each delivery
    /// beside the lock, which one that goes on being good does not need.
    clean: AtomicU64,
    held: Held,
    deliveries: Arc<Deliveries>,
    opened: AtomicU64,
    probes: AtomicU64,
    accepted_probes: AtomicU64,
}

impl State {
    pub(super) fn new(deliveries: Arc<Deliveries>) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new()),
            in_flight: AtomicU32::new(0),
            clean: AtomicU64::new(0),
            held: Held::default(),
            deliveries,
            opened: AtomicU64::new(0),
            probes: AtomicU64::new(0),
            accepted_probes: AtomicU64::new(0),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another build serves: what was held against the one before is not its fault.
    pub(super) fn reset(&self) {
        let mut breaker = self.breaker();
        breaker.reset();
        self.note_clean(&breaker);
        drop(breaker);
        self.held.reset();
    }

    fn note_clean(&self, breaker: &Breaker) {
        self.clean.store(breaker.clean().map_or(0, |epoch| epoch + 1), Ordering::Relaxed);
    }

    /// The breaker's epoch, if the last answer was a good one.
    fn clean(&self) -> Option<u64> {
        self.clean.load(Ordering::Relaxed).checked_sub(1)
    }
}

impl Member {
    /// Begins a delivery, or says why there is none.
    pub(super) fn admit(self: &Arc<Self>, clock: &Clock, now: Instant) -> Result<Pass, Outcome> {
        let before = self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        // From here on the pass keeps that count.
        let (member, stopwatch) = (Arc::clone(self), Stopwatch::new(clock.clone()));
        let mut pass = Pass { member, stopwatch, epoch: None, probe: false, clean: false };
        if before >= self.settings.max_in_flight {
            return Err(Outcome::BulkheadFull);
        }
        if let Some(epoch) = self.state.clean() {
            (pass.epoch, pass.clean) = (Some(epoch), self.state.held.is_over(now));
            return Ok(pass);
        }
        match self.state.breaker().admit(now) {
            Admission::Pass(epoch) => pass.epoch = Some(epoch),
            Admission::Probe(epoch) => (pass.epoch, pass.probe) = (Some(epoch), true),
            Admission::Refused => return Err(Outcome::BreakerOpen { probing: false }),
        }
        Ok(pass)
    }

    /// Counts the outcome of a delivery.
    pub(super) fn count(&self, outcome: &Outcome) {
        self.state.deliveries.count(outcome);
    }

    /// A delivery was given up by the caller.
    pub(super) fn abandoned(&self) {
        self.state.deliveries.abandoned();
    }

    pub(super) fn counters(&self) -> PluginCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let [results @ .., abandoned] = self.state.deliveries.read();
        PluginCounters {
            plugin: Arc::clone(&self.name),
            required: self.required,
            breaker: self.state.breaker().name(),
            in_flight: self.state.in_flight.load(Ordering::Relaxed),
            results,
            abandoned,
            opened: read(&self.state.opened),
            probes: read(&self.state.probes),
            accepted_probes: read(&self.state.accepted_probes),
        }
    }
}

/// A delivery that may take place. Dropped without an answer, it was given up.
pub(super) struct Pass {
    pub(super) member: Arc<Member>,
    pub(super) stopwatch: Stopwatch,
    /// None once it has been judged, or if it was not admitted.
    epoch: Option<u64>,
    pub(super) probe: bool,
    /// The caller may poll it, also if it has more to deliver: the plugin's last answer was a good one, and it has held nobody
    /// of late.
    pub(super) clean: bool,
}

impl Pass {
    /// The plugin has answered.
    pub(super) fn answered(&mut self, outcome: &Outcome) {
        if self.probe {
            self.member.state.probes.fetch_add(1, Ordering::Relaxed);
            let accepted = u64::from(outcome.is_accepted());
            self.member.state.accepted_probes.fetch_add(accepted, Ordering::Relaxed);
        }
        let verdict = match outcome {
            _ if self.is_slow() => Verdict::Failed,
            Outcome::Accepted => Verdict::Good,
            Outcome::Permanent(_) => Verdict::Permanent,
            _ => Verdict::Failed,
        };
        self.judge(verdict);
    }

    /// A poll of it has held the thread of whoever polled it.
    pub(super) fn has_held(&self) {
        self.member.state.held.note(self.stopwatch.clock().now());
    }

    fn is_slow(&self) -> bool {
        self.stopwatch.spent() >= self.member.settings.slow
    }

    fn judge(&mut self, verdict: Verdict) {
        let Some(epoch) = self.epoch.take() else { return };
        let (name, state) = (&self.member.name, &self.member.state);
        if verdict == Verdict::Good && state.clean() == Some(epoch) {
            // As before.
            return;
        }
        let change = {
            let mut breaker = state.breaker();
            let now = self.stopwatch.clock().now();
            let change = breaker.record(epoch, verdict, now, Rule::from(&self.member.settings));
            state.note_clean(&breaker);
            change
        };
        match change {
            Change::None => {}
            Change::Opened { pause, anew } => {
                state.opened.fetch_add(1, Ordering::Relaxed);
                if anew {
                    tracing::warn!(
                        plugin = &**name,
                        "audit plugin is left alone for {pause:?}: it has failed too often"
                    );
                }
            }
            Change::Closed => tracing::info!(plugin = &**name, "audit plugin takes events again"),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.epoch.is_some() {
            let verdict = if self.is_slow() { Verdict::Failed } else { Verdict::Unknown };
            self.judge(verdict);
        }
        self.member.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
