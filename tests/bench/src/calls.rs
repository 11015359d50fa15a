//! What is called: every method, with small and large arguments, answered at once and later.
//!
//! A case is one `async` block that makes some calls one after the other; a linked plugin and a loaded one are the same trait
//! object to it.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::Duration;

use measured::{ASKS, CATALOGUES, SLEEPS, WAITS, WAKES_ITSELF};
use mini_chat_plugin_sdk::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::heap::Lap;

/// Whoever answers.
#[derive(Clone)]
pub struct Plugin {
    /// The one trait.
    pub policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    /// The other one.
    pub audit: Arc<dyn MiniChatAuditPluginClientV1>,
}

impl Plugin {
    /// A plugin that is a trait object by itself.
    pub fn linked() -> Self {
        Self::configured(&measured::Config::default())
    }

    /// The same, configured.
    pub fn configured(config: &measured::Config) -> Self {
        let body = Arc::new(measured::Measured::new(config));
        Self { policy: body.clone(), audit: body }
    }
}

type Laps = Pin<Box<dyn Future<Output = Duration> + Send>>;

/// One case.
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Makes so many calls.
    pub calls: Box<dyn Fn(Plugin, u64) -> Laps + Send + Sync>,
}

impl Case {
    fn new(name: impl Into<String>, calls: impl Fn(Plugin, u64) -> Laps + Send + Sync + 'static) -> Self {
        Self { name: name.into(), calls: Box::new(calls) }
    }
}

const USER: Uuid = Uuid::from_u128(0x5eed);

/// Bytes of events that are made beforehand at a time.
const PREPARED: usize = 4 << 20;

/// Calls before those that count: the token is known to the bridge then, and code and data are near, whoever had the turn before.
#[must_use]
pub fn warm_up(calls: u64) -> u64 {
    calls.div_ceil(10).min(100)
}

/// A case whose calls all use one token: a caller's own `cancel` for a whole turn, as mini-chat has it. `with`: what is there in
/// each run beside the plugin.
macro_rules! case {
    ($name:expr, $(with $kept:ident,)? |$plugin:ident, $token:ident| $call:expr) => {
        Case::new($name, move |$plugin, calls| {
            $(let $kept = $kept.clone();)?
            Box::pin(async move {
                let $token = CancellationToken::new();
                for _ in 0..warm_up(calls) {
                    let _ = black_box($call.await);
                }
                let lap = Lap::begin();
                for _ in 0..calls {
                    let _ = black_box($call.await);
                }
                lap.end()
            })
        })
    };
}

/// A case that gives an event away with each call; the events are there beforehand.
macro_rules! event_case {
    ($name:expr, $event:expr, |$plugin:ident, $event_of_call:ident, $token:ident| $call:expr) => {{
        let (event, size) = $event;
        Case::new($name, move |$plugin, calls| {
            let event = event.clone();
            Box::pin(async move {
                let $token = CancellationToken::new();
                let mut took = Duration::ZERO;
                let mut left = usize::try_from(calls).unwrap_or(usize::MAX);
                while left > 0 {
                    let now = left.min((PREPARED / size).max(1));
                    left -= now;
                    let warm = usize::try_from(warm_up(now as u64)).unwrap_or(1);
                    let mut events = vec![event.clone(); warm + now].into_iter();
                    for $event_of_call in events.by_ref().take(warm) {
                        let _ = black_box($call.await);
                    }
                    let lap = Lap::begin();
                    for $event_of_call in events {
                        let _ = black_box($call.await);
                    }
                    took += lap.end();
                }
                took
            })
        })
    }};
}

/// An audit event with texts of `size` bytes in all, and about how much it takes.
fn audit_event(size: usize) -> (TurnAuditEvent, usize) {
    let fixture = include_str!("../../fixtures/mini-chat/full/TurnAuditEvent.json");
    let mut event: TurnAuditEvent = serde_json::from_str(fixture).expect("the fixture is an event");
    event.prompt = (size > 0).then(|| "p".repeat(size / 2));
    event.response = (size > 0).then(|| "r".repeat(size - size / 2));
    (event, size + 4096)
}

fn usage_event() -> (UsageEvent, usize) {
    let fixture = include_str!("../../fixtures/mini-chat/full/UsageEvent.json");
    (serde_json::from_str(fixture).expect("the fixture is an event"), 1024)
}

/// The other three events of the audit trait.
fn small<E: serde::de::DeserializeOwned>(fixture: &str) -> (E, usize) {
    (serde_json::from_str(fixture).expect("the fixture is an event"), 1024)
}

/// What is answered at the first poll.
pub fn ready() -> Vec<Case> {
    let mut cases = vec![
        case!("get_current_policy_version", |plugin, token| {
            plugin.policy.get_current_policy_version(USER, token.clone())
        }),
        case!("get_user_limits", |plugin, token| plugin.policy.get_user_limits(USER, 7, token.clone())),
        case!("check_user_license", |plugin, token| plugin.policy.check_user_license(USER, token.clone())),
        event_case!("publish_usage", usage_event(), |plugin, event, token| {
            plugin.policy.publish_usage(event, token.clone())
        }),
    ];
    cases.extend(CATALOGUES.into_iter().filter(|models| *models != LARGE).map(snapshot));
    cases.extend([0, 1, 16, 256].map(audit));
    macro_rules! small_events {
        ($($method:ident($event:ty): $file:literal,)*) => {
            $(cases.push(event_case!(
                stringify!($method),
                small::<$event>(include_str!(concat!("../../fixtures/mini-chat/full/", $file))),
                |plugin, event, _token| plugin.audit.$method(event)
            ));)*
        };
    }
    small_events! {
        emit_turn_retry_audit(TurnRetryAuditEvent): "TurnRetryAuditEvent.json",
        emit_turn_edit_audit(TurnEditAuditEvent): "TurnEditAuditEvent.json",
        emit_turn_delete_audit(TurnDeleteAuditEvent): "TurnDeleteAuditEvent.json",
    }
    cases
}

/// A token of its own for each call; pending calls; calls that are cancelled, and calls that are dropped.
pub fn other() -> Vec<Case> {
    vec![
        case!("a token of its own", |plugin, _token| {
            plugin.policy.get_current_policy_version(USER, CancellationToken::new())
        }),
        case!("wakes itself once", |plugin, token| {
            plugin.policy.get_current_policy_version(WAKES_ITSELF, token.clone())
        }),
        case!("timer of 1 ms", |plugin, token| plugin.policy.get_current_policy_version(SLEEPS, token.clone())),
        case!("cancelled while pending", |plugin, _token| cancelled(&plugin)),
        case!("dropped while pending", |plugin, token| dropped(&plugin, &token)),
    ]
}

/// A call that waits for a server; its plugin has to know which ([`loopback`](crate::loopback)).
pub fn asks() -> Case {
    case!("HTTP on loopback", |plugin, token| async {
        let answer = plugin.policy.get_current_policy_version(ASKS, token.clone()).await;
        answer.unwrap_or_else(|error| panic!("no answer over HTTP: {error}"))
    })
}

/// A snapshot with so many models.
fn snapshot(models: u64) -> Case {
    case!(format!("get_policy_snapshot, {models} models"), |plugin, token| {
        plugin.policy.get_policy_snapshot(USER, models, token.clone())
    })
}

/// More models than fit into a poll of a millisecond.
const LARGE: u64 = 1000;

/// What holds its thread so long that an adaptive plugin is isolated for it: to be the last case of its host.
pub fn large() -> Case {
    snapshot(LARGE)
}

/// An audit event with so many KiB of text.
pub fn audit(kib: usize) -> Case {
    event_case!(format!("emit_turn_audit, {kib} KiB"), audit_event(kib << 10), |plugin, event, _token| {
        plugin.audit.emit_turn_audit(event)
    })
}

/// The first of the cases alone, for what compares ways rather than cases.
pub fn smallest() -> Case {
    ready().swap_remove(0)
}

/// The smallest call, each on another runtime.
pub fn hopping(runtime: Handle) -> Case {
    case!("a hop", with runtime, |plugin, token| {
        let (policy, token) = (Arc::clone(&plugin.policy), token.clone());
        runtime.spawn(async move { policy.get_current_policy_version(USER, token).await })
    })
}

/// Linked plugins, one after the other.
struct Row(Vec<Plugin>);

#[async_trait]
impl MiniChatAuditPluginClientV1 for Row {
    async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        let (last, others) = self.0.split_last().expect("there is one");
        for plugin in others {
            plugin.audit.emit_turn_audit(event.clone()).await?;
        }
        last.audit.emit_turn_audit(event).await
    }

    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        unimplemented!("no case calls it")
    }

    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        unimplemented!("no case calls it")
    }

    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        unimplemented!("no case calls it")
    }
}

/// So many linked plugins, each of which is given the event.
pub fn in_a_row(plugins: usize) -> Arc<dyn MiniChatAuditPluginClientV1> {
    Arc::new(Row((0..plugins).map(|_| Plugin::linked()).collect()))
}

async fn cancelled(plugin: &Plugin) {
    let token = CancellationToken::new();
    let mut call = pin!(plugin.policy.get_current_policy_version(WAITS, token.clone()));
    pending_once(call.as_mut()).await;
    token.cancel();
    let _ = call.await;
}

async fn dropped(plugin: &Plugin, token: &CancellationToken) {
    let mut call = plugin.policy.get_current_policy_version(WAITS, token.clone());
    pending_once(call.as_mut()).await;
}

/// Polls it once.
async fn pending_once(mut call: Pin<&mut (impl Future + ?Sized)>) {
    poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending(), "it waits for its token");
        Poll::Ready(())
    })
    .await;
}

/// Where a host's calls run.
pub enum Executor {
    /// All on the thread that waits.
    Current(Runtime),
    /// On a worker.
    Multi(Runtime),
}

impl Executor {
    /// `current_thread`.
    pub fn current() -> Self {
        Self::Current(Builder::new_current_thread().enable_time().build().expect("a runtime"))
    }

    /// `multi_thread`, with two workers.
    pub fn multi() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build();
        Self::Multi(runtime.expect("a runtime"))
    }

    /// One of each kind, on which a linked plugin can use the network; the hosts above have no reactor, as a wait with one takes
    /// another way.
    pub fn connected() -> [Self; 2] {
        let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let current = Builder::new_current_thread().enable_all().build();
        [Self::Current(current.expect("a runtime")), Self::Multi(multi.expect("a runtime"))]
    }

    /// Makes the calls of a case.
    pub fn run(&self, case: &Case, plugin: &Plugin, calls: u64) -> Duration {
        let laps = (case.calls)(plugin.clone(), calls);
        match self {
            Self::Current(runtime) => runtime.block_on(laps),
            Self::Multi(runtime) => runtime.block_on(runtime.spawn(laps)).expect("no call panics"),
        }
    }
}

/// Two callers at once, each on a thread and with a token of its own: the time of the slower one.
pub fn two_callers(case: &Case, plugin: &Plugin, calls: u64) -> Duration {
    let start = Barrier::new(2);
    let caller = || {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let laps = (case.calls)(plugin.clone(), calls);
        start.wait();
        runtime.block_on(laps)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(caller);
        let own = caller();
        own.max(other.join().expect("no call panics"))
    })
}
