//! A fan-out over plugins and a time that are made up.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnMutationAuditEvent, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use tokio::sync::watch;

use crate::audit::clock::Clock;
use crate::audit::lookout::Lookout;
use crate::audit::{AuditFanOut, FanOutConfig, Ledger};
use crate::call::CallOptions;
use crate::config::AuditDelivery;
use crate::status::{HostSnapshot, PluginSnapshot};

/// A time that passes when it is told to.
#[derive(Clone)]
pub(super) struct Time(Arc<Mutex<Instant>>);

impl Default for Time {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Time {
    pub(super) fn pass(&self, how_long: Duration) {
        *self.0.lock().unwrap() += how_long;
    }

    pub(super) fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Clock::Told(Arc::new(move || *time.lock().unwrap()))
    }
}

/// What a plugin does with an event.
#[derive(Clone)]
pub(super) enum Act {
    Take,
    Transient,
    Permanent,
    Timeout,
    /// Never answers.
    Never,
    /// Takes it, after so long.
    TakeAfter(Duration),
    /// Does this when it is polled, until it takes it.
    Polls(Arc<Polled>),
}

type Polled = dyn Fn(&mut Context<'_>) -> Poll<()> + Send + Sync;

impl Act {
    pub(super) fn polls(poll: impl Fn(&mut Context<'_>) -> Poll<()> + Send + Sync + 'static) -> Self {
        Self::Polls(Arc::new(poll))
    }

    /// Does this, and takes it.
    pub(super) fn runs(run: impl Fn() + Send + Sync + 'static) -> Self {
        Self::polls(move |_| {
            run();
            Poll::Ready(())
        })
    }
}

/// What a plugin was called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) method: &'static str,
    /// Trace id, the one text that every event has.
    pub(super) text: String,
    pub(super) options: CallOptions,
    /// Name of the span that it was called in.
    pub(super) span: Option<&'static str>,
}

/// A plugin that does as its script says, and takes every event once that has ended.
pub(super) struct Plugin {
    pub(super) script: Mutex<VecDeque<Act>>,
    pub(super) calls: Mutex<Vec<Call>>,
    time: Time,
}

impl Plugin {
    pub(super) fn does(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().extend(acts);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    async fn act(&self, method: &'static str, text: Option<String>) -> Result<(), MiniChatAuditPluginError> {
        let options = CallOptions::with_current(|options| options.cloned().unwrap_or_default());
        let span = tracing::Span::current().metadata().map(|span| span.name());
        self.calls.lock().unwrap().push(Call { method, text: text.unwrap_or_default(), options, span });
        let act = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match act.unwrap_or(Act::Take) {
            Act::Take => Ok(()),
            Act::Transient => Err(MiniChatAuditPluginError::Transient("down".to_owned())),
            Act::Permanent => Err(MiniChatAuditPluginError::Permanent("never".to_owned())),
            Act::Timeout => Err(MiniChatAuditPluginError::PluginTimeout),
            Act::Never => pending().await,
            Act::Polls(poll) => {
                poll_fn(|cx| poll(cx)).await;
                Ok(())
            }
            Act::TakeAfter(how_long) => {
                self.time.pass(how_long);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl MiniChatAuditPluginClientV1 for Plugin {
    async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.act("turn", event.trace_id).await
    }

    async fn emit_turn_retry_audit(&self, event: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.act("retry", event.trace_id).await
    }

    async fn emit_turn_edit_audit(&self, event: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.act("edit", event.trace_id).await
    }

    async fn emit_turn_delete_audit(&self, event: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.act("delete", event.trace_id).await
    }
}

/// A fan-out with what it stands on.
pub(super) struct World {
    pub(super) fan_out: AuditFanOut,
    pub(super) time: Time,
    snapshots: watch::Sender<HostSnapshot>,
}

impl World {
    pub(super) fn new(config: FanOutConfig) -> Self {
        let (time, snapshots) = (Time::default(), watch::Sender::default());
        let absent = Plugin { script: Mutex::default(), calls: Mutex::default(), time: time.clone() };
        absent.does(vec![Act::Transient; 1000]);
        let absent = Arc::new(absent);
        let handles = Box::new(move |_: &str| Arc::clone(&absent) as _);
        // Or whatever else the machine does could take deliveries away.
        let senses = (time.clock(), Lookout::blind());
        let fan_out = AuditFanOut::with_senses(snapshots.subscribe(), handles, config, &Ledger::default(), senses);
        Self { fan_out, time, snapshots }
    }

    /// With these plugins, all required.
    pub(super) fn with<const N: usize>(names: [&str; N]) -> (Self, [Arc<Plugin>; N]) {
        let world = Self::new(FanOutConfig::default());
        let plugins = names.map(|name| world.add(name, |_| ()));
        (world, plugins)
    }

    /// With these plugins, each of which has taken an event.
    pub(super) fn settled<const N: usize>(names: [&str; N]) -> (Self, [Arc<Plugin>; N]) {
        let (world, plugins) = Self::with(names);
        let report = futures_executor::block_on(world.fan_out.deliver_turn(numbered(0)));
        assert!(report.result().is_ok(), "{report:?}");
        (world, plugins)
    }

    /// A plugin serves from now on.
    pub(super) fn add(&self, name: &str, settings: impl FnOnce(&mut PluginSnapshot)) -> Arc<Plugin> {
        let plugin = Arc::new(Plugin { script: Mutex::default(), calls: Mutex::default(), time: self.time.clone() });
        let mut snapshot = PluginSnapshot {
            name: name.to_owned(),
            instance: None,
            vendor: None,
            priority: None,
            generation: Some(1),
            state: "serving",
            wanted: true,
            required: true,
            delivery: None,
            model_policy: None,
            audit: Some(Arc::clone(&plugin) as _),
        };
        settings(&mut snapshot);
        self.snapshots.send_modify(|host| host.plugins.push(snapshot));
        plugin
    }

    /// Something about a plugin has changed.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut PluginSnapshot)) {
        self.snapshots.send_modify(|host| {
            change(host.plugins.iter_mut().find(|plugin| plugin.name == name).expect("the plugin"));
        });
    }

    /// The state of a plugin's breaker.
    pub(super) fn breaker(&self, name: &str) -> &'static str {
        let plugins = self.fan_out.counters().plugins;
        plugins.into_iter().find(|plugin| &*plugin.plugin == name).expect("the plugin").breaker
    }
}

/// Delivery settings that differ from the default in this.
pub(super) fn delivery(change: impl FnOnce(&mut AuditDelivery)) -> AuditDelivery {
    let mut settings = AuditDelivery::default();
    change(&mut settings);
    settings
}

pub(super) fn turn() -> TurnAuditEvent {
    serde_json::from_value(serde_json::json!({
        "event_type": "turn_completed", "timestamp": "2026-01-02T03:04:05Z", "requester_type": "user",
        "tenant_id": "00000000-0000-0000-0000-000000000001", "user_id": "00000000-0000-0000-0000-000000000002",
        "chat_id": "00000000-0000-0000-0000-000000000003", "turn_id": "00000000-0000-0000-0000-000000000004",
        "request_id": "00000000-0000-0000-0000-000000000005", "selected_model": "m", "effective_model": "m",
        "usage": { "input_tokens": 1, "output_tokens": 2 }, "latency_ms": {},
        "policy_decisions": { "quota": { "decision": "d" } }
    }))
    .expect("an event")
}

/// A turn that differs from others by its number.
pub(super) fn numbered(number: u128) -> TurnAuditEvent {
    TurnAuditEvent { request_id: uuid::Uuid::from_u128(number), trace_id: Some(number.to_string()), ..turn() }
}

pub(super) fn mutation(kind: &str) -> TurnMutationAuditEvent {
    serde_json::from_value(serde_json::json!({
        "event_type": kind, "timestamp": "2026-01-02T03:04:05Z", "requester_type": "user",
        "tenant_id": "00000000-0000-0000-0000-000000000001", "actor_user_id": "00000000-0000-0000-0000-000000000002",
        "chat_id": "00000000-0000-0000-0000-000000000003", "turn_id": "00000000-0000-0000-0000-000000000004",
        "original_request_id": "00000000-0000-0000-0000-000000000005",
        "new_request_id": "00000000-0000-0000-0000-000000000006"
    }))
    .expect("an event")
}

pub(super) fn delete() -> TurnDeleteAuditEvent {
    serde_json::from_value(serde_json::json!({
        "event_type": "turn_delete", "timestamp": "2026-01-02T03:04:05Z", "requester_type": "user",
        "tenant_id": "00000000-0000-0000-0000-000000000001", "actor_user_id": "00000000-0000-0000-0000-000000000002",
        "chat_id": "00000000-0000-0000-0000-000000000003", "turn_id": "00000000-0000-0000-0000-000000000004",
        "request_id": "00000000-0000-0000-0000-000000000005"
    }))
    .expect("an event")
}

/// Waits until the condition holds, half a minute at most.
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < limit, "not within half a minute: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
