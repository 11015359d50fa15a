//! The audit fan-out: every event goes to *every* audit plugin, and none of them can delay it for the others or lose it.
//!
//! [`PluginHost::audit_fan_out`](crate::PluginHost::audit_fan_out) makes an [`AuditFanOut`], which follows loads, swaps and
//! retirements by itself. Each event is
//!
//! 1. sanitised, once ([`crate::sanitize`]);
//! 2. handed to each plugin that has not taken it at an earlier try, is not left alone for having failed (`breaker.rs`), and
//!    has not too many deliveries under way;
//! 3. reported on, plugin by plugin ([`AuditReport`]), and as one answer in which only required plugins count;
//! 4. remembered, if there will be another try (`memory.rs`).
//!
//! Deliveries of one event run at once, each within the deadline of its plugin. With more than one, those to plugins whose last
//! answer was not a good one, or that have held a caller's thread of late, run on their plugins' own threads, whatever their
//! modes. The others are polled by the caller, one after the other: a hop to another thread each would cost many times the
//! calls. If one of them holds the caller's thread all the same, a lookout sees it, and what waits behind it goes on elsewhere
//! some milliseconds later. A plugin that has failed is tried again on a thread of its own, which nobody waits for. So this
//! needs no runtime and no timer of its caller, and works under any executor.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `roster.rs` | which plugins there are |
//! | `member.rs` | one of them: its settings, its breaker, its counters |
//! | `breaker.rs` | when one is left alone |
//! | `memory.rs` | who has an event already, and when one is stuck |
//! | `round.rs` | one try to deliver one event |
//! | `delivery.rs` | one event on its way to one plugin |
//! | `relay.rs` | the deliveries of one event, and what becomes of them while one holds the thread |
//! | `lookout.rs` | who sees that |
//! | `held.rs` | and for how long the plugin runs on its own threads then |
//! | `stopwatch.rs`, `clock.rs` | how long a plugin took |
//! | `event.rs` | what the four kinds of events have in common |
//! | `report.rs`, `counters.rs` | what became of one event, and of all |
//! | `ledger.rs` | what all fan-outs of a host have counted, for its metrics |

mod breaker;
mod clock;
mod counters;
mod delivery;
mod event;
mod held;
mod ledger;
mod lookout;
mod member;
mod memory;
mod relay;
mod report;
mod roster;
mod round;
mod stopwatch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use tokio::sync::watch;
#[cfg(mini_chat_abi = "1.2")]
use tokio_util::sync::CancellationToken;

pub use counters::{FanOutCounters, PluginCounters};
pub(crate) use ledger::{Ledger, RESULTS};
pub use report::{AuditReport, Outcome, PluginDelivery};

use crate::config::AuditDelivery;
use crate::sanitize::{DEFAULT_LIMIT, Sanitizer};
use crate::status::HostSnapshot;
use clock::Clock;
use counters::Emits;
use event::{AuditEvent, Cancel, Edit, Retry};
use ledger::Tally;
use lookout::Lookout;
use memory::Memory;
use roster::{Handles, Roster};
use round::Round;

/// How a fan-out works. What concerns one plugin stands in its `[plugins.NAME.audit]`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FanOutConfig {
    /// Whether events are sanitised; they are. Only for hosts that have done so themselves.
    pub sanitize: bool,
    /// The most bytes of a text of an event; 8 KiB.
    pub text_limit: usize,
    /// Whether its events are counted in the metric `mini_chat_audit_emit_total`; they are. Not for hosts that count
    /// there themselves.
    pub count_emits: bool,
    /// Of how many events that were not delivered everywhere is remembered which plugins have them; 65,536, each of about
    /// 200 bytes and 50 per plugin.
    pub remember: NonZeroUsize,
    /// Settings by name of the plugin, instead of those of `plugins.toml`.
    pub plugins: BTreeMap<String, AuditDelivery>,
}

impl Default for FanOutConfig {
    fn default() -> Self {
        let remember = NonZeroUsize::new(65_536).expect("not zero");
        Self { sanitize: true, text_limit: DEFAULT_LIMIT, count_emits: true, remember, plugins: BTreeMap::new() }
    }
}

/// Delivers audit events to every audit plugin of a host.
///
/// It is an audit plugin itself: a host calls it in the place of one. Whoever wants to know more than that answer calls the
/// `deliver_*` methods. Any thread may call it, at any time, under any executor; also after the host has ended, when plugins
/// answer as ones that do not serve.
///
/// A call that is dropped half-way gives up what is under way; which plugins had taken the event is remembered.
pub struct AuditFanOut {
    shared: Arc<Shared>,
}

/// What a probe needs, which outlives the delivery that began it.
struct Shared {
    roster: Roster,
    memory: Memory,
    tally: Arc<Tally>,
    /// It has been said that there is no plugin.
    warned: AtomicBool,
    clock: Clock,
    lookout: Lookout,
}

impl std::fmt::Debug for AuditFanOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditFanOut").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl AuditFanOut {
    pub(crate) fn new(
        snapshots: watch::Receiver<HostSnapshot>,
        handles: Handles,
        config: FanOutConfig,
        ledger: &Ledger,
    ) -> Self {
        Self::with_senses(snapshots, handles, config, ledger, (Clock::System, Lookout::new()))
    }

    fn with_senses(
        snapshots: watch::Receiver<HostSnapshot>,
        handles: Handles,
        config: FanOutConfig,
        ledger: &Ledger,
        (clock, lookout): (Clock, Lookout),
    ) -> Self {
        let FanOutConfig { sanitize, text_limit, count_emits, remember, plugins } = config;
        let tally = Arc::new(Tally::new(sanitize.then(|| Sanitizer::with_limit(text_limit)), count_emits));
        ledger.enter(&tally);
        let shared = Shared {
            roster: Roster::new(snapshots, handles, plugins, Arc::clone(&tally)),
            memory: Memory::new(remember),
            tally,
            warned: AtomicBool::new(false),
            clock,
            lookout,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Delivers what reports a turn.
    pub async fn deliver_turn(&self, event: TurnAuditEvent) -> AuditReport {
        self.deliver(event, Cancel::default()).await
    }

    /// Delivers what reports that a turn was run again.
    pub async fn deliver_turn_retry(&self, event: TurnRetryAuditEvent) -> AuditReport {
        self.deliver(Retry(event), Cancel::default()).await
    }

    /// Delivers what reports that a turn was edited.
    pub async fn deliver_turn_edit(&self, event: TurnEditAuditEvent) -> AuditReport {
        self.deliver(Edit(event), Cancel::default()).await
    }

    /// Delivers what reports that a turn was deleted.
    pub async fn deliver_turn_delete(&self, event: TurnDeleteAuditEvent) -> AuditReport {
        self.deliver(event, Cancel::default()).await
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> FanOutCounters {
        let shared = &*self.shared;
        let [(_, ok), (_, failed), (_, dropped)] = shared.tally.emits.read();
        FanOutCounters {
            ok,
            failed,
            dropped,
            remembered: shared.memory.len(),
            redactions: shared.tally.sanitizer.as_ref().map(Sanitizer::hits).unwrap_or_default(),
            plugins: shared.roster.now().iter().map(|member| member.counters()).collect(),
        }
    }

    async fn deliver<E: AuditEvent>(&self, event: E, cancel: Cancel) -> AuditReport {
        let members = self.shared.roster.now();
        if members.is_empty() {
            return self.shared.drop_event();
        }
        self.shared.warned.store(false, Ordering::Relaxed);
        let event = match &self.shared.tally.sanitizer {
            Some(sanitizer) => event.sanitized(sanitizer),
            None => event,
        };
        Round::new(&self.shared, event.key(), members, cancel).run(event).await
    }
}

impl Shared {
    fn drop_event(&self) -> AuditReport {
        Emits::add(&self.tally.emits.dropped);
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("there is no audit plugin: audit events are dropped until there is one");
        }
        AuditReport::default()
    }
}

macro_rules! audit_client {
    ($($emit:ident($argument:ident: $event:ident) = $delivered:expr,)+) => {
        #[async_trait]
        impl MiniChatAuditPluginClientV1 for AuditFanOut {
            $(async fn $emit(
                &self,
                $argument: $event,
                #[cfg(mini_chat_abi = "1.2")] cancel: CancellationToken,
            ) -> Result<(), MiniChatAuditPluginError> {
                #[cfg(not(mini_chat_abi = "1.2"))]
                let cancel = Cancel();
                #[cfg(mini_chat_abi = "1.2")]
                let cancel = Cancel(cancel);
                self.deliver($delivered, cancel).await.result()
            })+
        }
    };
}

audit_client! {
    emit_turn_audit(event: TurnAuditEvent) = event,
    emit_turn_retry_audit(event: TurnRetryAuditEvent) = Retry(event),
    emit_turn_edit_audit(event: TurnEditAuditEvent) = Edit(event),
    emit_turn_delete_audit(event: TurnDeleteAuditEvent) = event,
}
