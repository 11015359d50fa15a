//! An instance of a plugin on the host's side: opened, created, serving, ended.
//!
//! 1. [`OpenedInstance::open`]: the plugin reads its configuration and starts its runtime.
//! 2. [`OpenedInstance::create`]: the author's constructor, then the health check; gives an [`Instance`].
//! 3. [`Serves::enter`]: a call begins; the instance is open as long as one is under way.
//! 4. [`Instance::quiesce`], [`Instance::export_state`], [`Instance::resume`]: what it does for a successor.
//! 5. [`Instance::end`]: drain, retire, shutdown hook, close.
//!
//! The steps of the author's code run isolated, on the plugin's runtime, with the host's timer: one that never returns
//! costs its limit and no more.
//!
//! # Invariants
//!
//! 1. `Live` closes the plugin's handle when it is dropped, once; every user of the handle holds the `Live`.
//! 2. A call is under way only between entering and leaving the instance's [`Gate`].

mod end;
pub(crate) mod handover;
mod live;
mod opened;
mod refusal;
mod trial;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mini_chat_plugin_abi::call::FfiExecutionMode;
use mini_chat_plugin_abi::instance::FfiInstance;
use mini_chat_plugin_abi::module::{PluginAuditRef, PluginModelPolicyRef};
use tokio_util::sync::CancellationToken;

pub(crate) use end::Ended;
pub(crate) use handover::Handover;
pub(crate) use live::Live;
pub(crate) use opened::{OpenedInstance, Settings};
pub(crate) use trial::{Class, Shares, Trial};

use crate::call::Terms;
use crate::cancel::{Bridge, Cancellation, Recent};
use crate::config::ExecutionMode;
use crate::counter::Sharded;
use crate::door::Serves;
use crate::events::{Events, HostEvent};
use crate::gate::Gate;
use crate::heap::Account;
use crate::method::{Kind, Method};
use crate::metrics::Tally;
use crate::open::OpenedImage;
use crate::sync::Lent;
use crate::watchdog::{Rule, Trip, Watchdog, Watched};
use trial::{Failures, OnTrial};

/// A created instance: it can serve.
pub(crate) struct Instance {
    pub(crate) policy: Option<PluginModelPolicyRef>,
    pub(crate) audit: Option<PluginAuditRef>,
    pub(crate) image: OpenedImage,
    pub(crate) settings: Settings,
    /// Of the limits, by method.
    deadlines: [Duration; Method::ALL.len()],
    pub(crate) since: SystemTime,
    recent: Recent,
    pub(crate) bridge: Bridge,
    pub(crate) tally: Arc<Tally>,
    pub(crate) failures: Sharded,
    classes: Failures,
    trial: OnTrial,
    gate: Gate,
    /// Calls run isolated now: always, never, or as the watchdog says.
    isolated: AtomicBool,
    /// The number by which the watchdog knows it; 0: not watched.
    watch: u32,
    pub(crate) isolations: Sharded,
    events: Events,
    baseline: Option<i64>,
    live: Arc<Live>,
}

impl Watched for Instance {
    fn isolate(&self, why: &Trip) {
        match why {
            Trip::Often { count } => self.switch(true, &format!("{count} polls were long ones within the window")),
            Trip::Stuck { held } => self.switch(true, &format!("a poll has held a thread of the host for {held:?}")),
        }
    }

    fn release(&self) {
        self.switch(false, "the clean period is over");
    }
}

/// A call under way: holds the instance open.
pub(crate) struct Entered {
    /// Lent by the slot, which counts no reference: callers on several threads do not meet. Always there.
    instance: Lent<Instance>,
}

impl Entered {
    pub(crate) fn instance(&self) -> &Arc<Instance> {
        self.instance.as_ref().expect("a call enters an instance")
    }

    /// The call is not over at once: what is lent for a while only, of which a thread has few, becomes a share.
    pub(crate) fn keep(&mut self) {
        let lent = std::mem::replace(&mut self.instance, Lent::from_inner(None));
        self.instance = Lent::from_inner(Lent::into_inner(lent));
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Invariant 2.
        if let Some(instance) = &*self.instance {
            instance.gate.leave();
        }
    }
}

impl Serves for Instance {
    type Entered = Entered;

    #[inline]
    fn enter(lent: Lent<Self>) -> Option<Entered> {
        // Invariant 2.
        let open = lent.as_ref().is_some_and(|instance| instance.gate.enter());
        open.then(|| Entered { instance: lent })
    }
}

impl Instance {
    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    /// Under which it is known: as configured, else the plugin's id.
    pub(crate) fn gts_segment(&self) -> &str {
        self.settings.instance.as_deref().unwrap_or(&self.image.descriptor.id)
    }

    /// As configured, else as the plugin says.
    pub(crate) fn vendor(&self) -> &str {
        self.settings.vendor.as_deref().unwrap_or(&self.image.descriptor.vendor)
    }

    /// As configured, else as the plugin says.
    pub(crate) fn priority(&self) -> i16 {
        self.settings.priority.unwrap_or(self.image.descriptor.priority)
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    pub(crate) fn raw(&self) -> FfiInstance {
        self.live.raw
    }

    pub(crate) fn terms(&self, method: Method) -> Terms {
        Terms {
            deadline: self.deadlines[method as usize],
            grace: self.settings.limits.grace,
            mode: if self.isolated() { FfiExecutionMode::ISOLATED } else { FfiExecutionMode::INLINE },
            watch: self.watch,
            stops: true,
        }
    }

    /// How long a call may take.
    pub(crate) fn deadline(&self, method: Method) -> Duration {
        self.deadlines[method as usize]
    }

    /// Whether its calls run isolated now.
    pub(crate) fn isolated(&self) -> bool {
        self.isolated.load(Ordering::Relaxed)
    }

    /// Lets the watchdog look at it, if its mode is adaptive.
    pub(crate) fn watched_by(self: &Arc<Self>, watchdog: &Watchdog) {
        if self.watch == 0 {
            return;
        }
        let this = Arc::downgrade(self);
        if let Err(error) = watchdog.watch(self.watch, this, Rule::default()) {
            tracing::error!(plugin = self.name(), "no thread for the watchdog: {error}; the plugin runs isolated");
            self.switch(true, "the watchdog's thread could not be started");
        }
    }

    fn switch(&self, isolate: bool, why: &str) {
        self.isolated.store(isolate, Ordering::Relaxed);
        let mode = if isolate { FfiExecutionMode::ISOLATED } else { FfiExecutionMode::INLINE };
        self.live.module.set_mode()(self.live.raw, mode);
        let now = if isolate { ExecutionMode::Isolated } else { ExecutionMode::Inline };
        if isolate {
            self.isolations.add(1);
            tracing::warn!(plugin = self.name(), "calls run isolated from now on: {why}");
        } else {
            tracing::info!(plugin = self.name(), "calls run inline again: {why}");
        }
        self.events.send(HostEvent::ModeChanged { plugin: self.name().to_owned(), now, why: why.to_owned() });
    }

    /// Counts a failed call, and judges it if the instance is on probation; whether it is.
    pub(crate) fn failed(&self, class: Class) -> bool {
        self.failures.add(1);
        self.classes.add(class);
        let trial = self.trial.current();
        if let Some(trial) = &trial {
            trial.judge(class, &self.classes, self.calls());
        }
        trial.is_some()
    }

    /// How it has done so far.
    pub(crate) fn shares(&self) -> Shares {
        Shares::of(&self.classes, self.calls())
    }

    /// Begins its probation.
    pub(crate) fn try_out(&self, trial: Trial) {
        self.trial.begin(trial);
    }

    /// Ends its probation.
    pub(crate) fn trust(&self) {
        self.trial.end();
    }

    /// Whether it is on probation.
    pub(crate) fn on_trial(&self) -> bool {
        self.trial.current().is_some()
    }

    pub(crate) fn account(&self) -> Option<&'static Account> {
        self.live.account
    }

    /// The link of a token of the caller's.
    #[inline]
    pub(crate) fn cancellation(&self, token: &CancellationToken) -> Cancellation<'_> {
        Cancellation::new(&self.bridge, &self.recent, token)
    }

    pub(crate) fn serves(&self, kind: Kind) -> bool {
        match kind {
            Kind::ModelPolicy => self.policy.is_some(),
            Kind::Audit => self.audit.is_some(),
        }
    }

    /// Calls begun so far.
    pub(crate) fn calls(&self) -> i64 {
        self.tally.calls() + self.in_flight()
    }

    /// Calls under way.
    pub(crate) fn in_flight(&self) -> i64 {
        self.gate.in_flight()
    }

    /// Bytes of heap that the plugin holds; none when it is linked statically.
    pub(crate) fn live_heap(&self) -> Option<i64> {
        self.live.account.map(Account::live)
    }
}
