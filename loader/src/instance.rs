//! An instance of a plugin on the host's side: opened, created, serving, ended.
//!
//! 1. [`OpenedInstance::open`]: the plugin reads its configuration and starts its runtime.
//! 2. [`OpenedInstance::create`]: the author's constructor, then the health check; gives an [`Instance`].
//! 3. [`Instance::enter`]: a call begins; the instance is open as long as one is under way.
//! 4. [`Instance::end`]: drain, retire, shutdown hook, close.
//!
//! The steps of the author's code run isolated, on the plugin's runtime, with the host's timer: one that never returns
//! costs its limit and no more.
//!
//! # Invariants
//!
//! 1. `Live` closes the plugin's handle when it is dropped, once; every user of the handle holds the `Live`.
//! 2. A call is under way only between entering and leaving the instance's [`Gate`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use abi_stable::std_types::ROption;
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::call::FfiExecutionMode;
use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::instance::{FfiCloseReport, FfiInstance, FfiOpenArgs, FfiPurpose};
use mini_chat_plugin_abi::module::{PluginAuditRef, PluginModelPolicyRef, PluginModuleRef};
use serde::Deserialize;

use crate::call::{Cancellation, Fault, HostCall, Terms};
use crate::cancel::Bridge;
use crate::config::{ConfigTable, ExecutionMode, Limits, ResolvedConfig};
use crate::counter::Sharded;
use crate::error::{CreateError, Stage};
use crate::events::{Events, HostEvent};
use crate::gate::Gate;
use crate::heap::Account;
use crate::housekeeping::{self, Housekeeping, after};
use crate::method::{Kind, Method};
use crate::open::OpenedImage;
use crate::services::{self, Registration};
use crate::watchdog::{self, Rule, Trip, Watchdog, Watched};

/// How long closing an instance may wait for its runtime's threads.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How much longer closing may take as a whole: the plugin's drop comes first.
const CLOSE_MARGIN: Duration = Duration::from_secs(1);

/// The plugin's handle of an instance, and what a call of it needs.
pub(crate) struct Live {
    module: PluginModuleRef,
    raw: FfiInstance,
    name: Arc<str>,
    account: Option<&'static Account>,
    /// What the plugin asks of its host is answered until it is closed.
    registration: Arc<Registration>,
    housekeeping: Housekeeping,
    given_up: AtomicBool,
    closed: AtomicBool,
}

impl Live {
    pub(crate) fn account(&self) -> Option<&'static Account> {
        self.account
    }

    pub(crate) fn housekeeping(&self) -> &Housekeeping {
        &self.housekeeping
    }

    /// Whether the instance's calls are to end now.
    pub(crate) fn given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.housekeeping.wake_all();
    }

    /// Blocks for up to [`CLOSE_LIMIT`].
    fn close(&self) -> Option<FfiCloseReport> {
        // Invariant 1.
        let first = !self.closed.swap(true, Ordering::AcqRel);
        first.then(|| self.module.close()(self.raw, u64::try_from(CLOSE_LIMIT.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        // The last user of an instance may be a call on the host's runtime.
        close_apart(self.module, self.raw, &self.name, Arc::clone(&self.registration));
    }
}

/// Closes an instance on a thread of its own: closing blocks.
fn close_apart(module: PluginModuleRef, raw: FfiInstance, plugin: &str, registration: Arc<Registration>) {
    let limit = u64::try_from(CLOSE_LIMIT.as_millis()).unwrap_or(u64::MAX);
    let closing = std::thread::Builder::new().name("mini-chat-close".to_owned());
    let close = move || {
        module.close()(raw, limit);
        drop(registration);
    };
    if closing.spawn(close).is_err() {
        tracing::error!(plugin, "no thread to close an instance: it stays open");
    }
}

/// What `open` gave, until a [`Live`] has it: one that comes after its limit is closed, not forgotten.
struct Unclaimed {
    module: PluginModuleRef,
    raw: Option<FfiInstance>,
    name: Arc<str>,
    registration: Arc<Registration>,
}

impl Unclaimed {
    fn claim(mut self) -> FfiInstance {
        self.raw.take().expect("it is claimed once, by value")
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            close_apart(self.module, raw, &self.name, Arc::clone(&self.registration));
        }
    }
}

/// What an instance is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: Arc<str>,
    pub(crate) generation: u64,
    pub(crate) mode: ExecutionMode,
    pub(crate) workers: u32,
    pub(crate) data_dir: String,
    pub(crate) limits: Limits,
    pub(crate) vendor: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) priority: Option<i16>,
    pub(crate) config: ConfigTable,
    pub(crate) registration: Arc<Registration>,
}

/// An instance whose configuration was accepted and whose runtime runs; no constructor has run.
pub(crate) struct OpenedInstance {
    live: Arc<Live>,
    image: OpenedImage,
    settings: Settings,
    baseline: Option<i64>,
}

impl OpenedInstance {
    /// Opens an instance of `image`. Runs the deserialisation of the author's configuration type: on a thread of its own.
    pub(crate) async fn open(
        image: OpenedImage,
        settings: Settings,
        config: ResolvedConfig,
        housekeeping: Housekeeping,
    ) -> Result<Self, CreateError> {
        let limit = settings.limits.create;
        let name = Arc::clone(&settings.name);
        let baseline = image.account.map(Account::live);
        let module = image.module;
        let job_settings = settings.clone();
        let job = housekeeping::run("mini-chat-open", move || {
            let s = &job_settings;
            let args = FfiOpenArgs {
                name: FfiStr::new(&s.name),
                generation: s.generation,
                purpose: FfiPurpose::SERVE,
                workers: s.workers,
                config: FfiStr::new(config.as_json()),
                data_dir: FfiStr::new(&s.data_dir),
                host: s.registration.handle(),
                services: services::services(),
            };
            let raw = module.open()(&args).into_result()?;
            let registration = Arc::clone(&s.registration);
            Ok(Unclaimed { module, raw: Some(raw), name: Arc::clone(&s.name), registration })
        });
        let raw = match housekeeping.until(after(limit), job).await {
            Some(Ok(Ok(opened))) => opened.claim(),
            Some(Ok(Err(error))) => {
                return Err(create_error(error, &name, Stage::Open, &settings.config, image.account));
            }
            Some(Err(_)) => return Err(CreateError::ThreadLost { plugin: name.to_string(), stage: Stage::Open }),
            None => return Err(CreateError::Deadline { plugin: name.to_string(), stage: Stage::Open, limit }),
        };
        let live = Arc::new(Live {
            module,
            raw,
            name,
            account: image.account,
            registration: Arc::clone(&settings.registration),
            housekeeping,
            given_up: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        Ok(Self { live, image, settings, baseline })
    }

    /// Runs the author's constructor and health check.
    pub(crate) async fn create(self, events: Events) -> Result<Instance, CreateError> {
        let Self { live, image, settings, baseline } = self;
        step(&live, Stage::Create, settings.limits.create, &settings.config).await?;
        step(&live, Stage::Health, settings.limits.health, &settings.config).await?;
        let isolated = AtomicBool::new(settings.mode == ExecutionMode::Isolated);
        let watch = if settings.mode == ExecutionMode::Adaptive { watchdog::next_number() } else { 0 };
        Ok(Instance {
            policy: option(image.module.model_policy()),
            audit: option(image.module.audit()),
            bridge: Bridge::to(image.module, live.raw),
            live,
            image,
            settings,
            isolated,
            watch,
            isolations: Sharded::default(),
            events,
            baseline,
            since: SystemTime::now(),
            gate: Gate::default(),
            calls: Sharded::default(),
            failures: Sharded::default(),
        })
    }
}

fn option<T>(value: ROption<T>) -> Option<T> {
    value.into_option()
}

/// One step of the author's code in an instance's life: isolated, within its limit.
async fn step(live: &Arc<Live>, stage: Stage, limit: Duration, config: &ConfigTable) -> Result<(), CreateError> {
    let terms = Terms { deadline: limit, grace: limit, mode: FfiExecutionMode::ISOLATED, watch: 0, stops: false };
    let module = live.module;
    let function = match stage {
        Stage::Open | Stage::Create => module.create(),
        Stage::Health => module.health(),
        Stage::Shutdown => module.shutdown(),
    };
    let raw = live.raw;
    let call = HostCall::<_, (), _>::new(Arc::clone(live), terms, None, move |_, context, waker, out| {
        function(raw, context, waker, out);
    });
    call.await.map_err(|fault| match fault {
        Fault::Ffi(error) => create_error(error, &live.name, stage, config, None),
        // A step has no token and is not given up: it ends by itself or by its deadline.
        Fault::Deadline(_) | Fault::Cancelled(_) | Fault::Gone => {
            CreateError::Deadline { plugin: live.name.to_string(), stage, limit }
        }
    })
}

/// What a plugin reports of a configuration that it refuses.
#[derive(Deserialize)]
struct Refusal {
    path: String,
    expected: String,
    found: String,
    #[serde(default)]
    known: Vec<String>,
}

/// An error of a step. `account`: whose the error's buffers are still to be taken from.
fn create_error(
    error: FfiError,
    plugin: &str,
    stage: Stage,
    config: &ConfigTable,
    account: Option<&Account>,
) -> CreateError {
    if let Some(account) = account {
        account.moved_out(error.heap_bytes());
    }
    let plugin = plugin.to_owned();
    let message = String::from(error.message);
    let detail = String::from(error.detail);
    let unknown_flags = error.flags & !FfiError::KNOWN_FLAGS != 0;
    match error.origin {
        FfiErrorOrigin::PANIC => {
            CreateError::Panicked { plugin, stage, message, location: (!detail.is_empty()).then_some(detail) }
        }
        FfiErrorOrigin::CONFIG => match serde_json::from_str::<Refusal>(&detail) {
            Ok(refusal) => {
                let key = refusal.path.rsplit('.').next().unwrap_or_default();
                let known: Vec<&str> = refusal.known.iter().map(String::as_str).collect();
                let nearest = crate::config::nearest(key, &known);
                let problem = config.plugin_error(&refusal.path, &refusal.expected, &refusal.found, nearest);
                CreateError::ConfigRefused { plugin, problem }
            }
            Err(_) => CreateError::Failed { plugin, stage, retryable: false, code: 0, retry_after: None, message },
        },
        FfiErrorOrigin::UNSUPPORTED => CreateError::Unsupported { plugin, message },
        _ => CreateError::Failed {
            plugin,
            stage,
            // Kept, never misread: what has flags of a later release may be tried again.
            retryable: error.kind == FfiErrorKind::TRANSIENT || unknown_flags,
            code: error.code,
            retry_after: (error.flags & FfiError::FLAG_RETRY_AFTER != 0)
                .then(|| Duration::from_millis(error.retry_after_ms)),
            message,
        },
    }
}

/// A created instance: it can serve.
pub(crate) struct Instance {
    pub(crate) policy: Option<PluginModelPolicyRef>,
    pub(crate) audit: Option<PluginAuditRef>,
    pub(crate) image: OpenedImage,
    pub(crate) settings: Settings,
    pub(crate) since: SystemTime,
    pub(crate) bridge: Bridge,
    pub(crate) calls: Sharded,
    pub(crate) failures: Sharded,
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
    instance: Arc<Instance>,
}

impl Instance {
    /// Begins a call; nothing if the instance is being ended.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Entered> {
        // Invariant 2.
        self.gate.enter().then(|| Entered { instance: Arc::clone(self) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(crate) fn raw(&self) -> FfiInstance {
        self.live.raw
    }

    pub(crate) fn terms(&self, method: Method) -> Terms {
        Terms {
            deadline: self.settings.limits.deadline(method),
            grace: self.settings.limits.grace,
            mode: if self.isolated() { FfiExecutionMode::ISOLATED } else { FfiExecutionMode::INLINE },
            watch: self.watch,
            stops: true,
        }
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

    pub(crate) fn account(&self) -> Option<&'static Account> {
        self.live.account
    }

    /// A token of the caller's with its link.
    pub(crate) fn cancellation(&self, token: tokio_util::sync::CancellationToken) -> Cancellation {
        let link = self.bridge.link(&token);
        (token, link)
    }

    pub(crate) fn serves(&self, kind: Kind) -> bool {
        match kind {
            Kind::ModelPolicy => self.policy.is_some(),
            Kind::Audit => self.audit.is_some(),
        }
    }

    /// Calls under way.
    pub(crate) fn in_flight(&self) -> i64 {
        self.gate.in_flight()
    }

    /// Bytes of heap that the plugin holds; none when it is linked statically.
    pub(crate) fn live_heap(&self) -> Option<i64> {
        self.live.account.map(Account::live)
    }

    /// Ends the instance, which no slot points at any more: waits for its calls until `drain_until`, gives up on those that
    /// are left, runs the shutdown hook until `end_by`, closes.
    pub(crate) async fn end(self: Arc<Self>, drain_until: std::time::Instant, end_by: std::time::Instant) -> Ended {
        let housekeeping = self.live.housekeeping.clone();
        let mut unfinished = Unfinished { plugin: Some(Arc::clone(&self.settings.name)) };
        self.gate.close();
        let drained = housekeeping.until(drain_until, self.gate.wait_idle()).await.is_some();
        let abandoned_calls = if drained { 0 } else { self.gate.in_flight().max(0) };
        // Cancelling wakes what waits for the lifetime token: the author's wakers.
        let retiring = Arc::clone(&self.live);
        let retire = housekeeping::run("mini-chat-retire", move || retiring.module.retire()(retiring.raw));
        let _ = housekeeping.until(after(CLOSE_LIMIT), retire).await;
        if !drained {
            self.live.give_up();
        }
        let limit = end_by.saturating_duration_since(std::time::Instant::now()).max(Duration::from_millis(100));
        let shutdown = step(&self.live, Stage::Shutdown, limit, &self.settings.config).await.err();
        unfinished.plugin = None;
        let (baseline, account, name) = (self.baseline, self.live.account, self.settings.name.to_string());
        let live = Arc::clone(&self.live);
        drop(self);
        let (closed, runtime_stopped) = match alone(live, &housekeeping).await {
            Some(live) => {
                let close = housekeeping::run("mini-chat-close", move || live.close());
                // The plugin's drop is the author's code: it may never return.
                let closed = housekeeping.until(after(CLOSE_LIMIT + CLOSE_MARGIN), close).await;
                let closed = closed.and_then(Result::ok).flatten();
                (closed, Some(closed.is_some_and(|report| report.runtime_stopped == 1)))
            }
            // A call that was given up still holds it: its end closes it.
            None => (None, None),
        };
        Ended {
            name,
            abandoned_calls,
            shutdown_error: shutdown,
            runtime_stopped,
            heap_growth: closed.and_then(|_| Some(account?.live() - baseline?)),
        }
    }
}

/// Tells of an end that nobody awaited: the shutdown hook has not run to its end.
struct Unfinished {
    plugin: Option<Arc<str>>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(plugin) = &self.plugin {
            tracing::warn!(
                plugin = &**plugin,
                "shutdown() was dropped before it was done: what the plugin has not flushed may be lost"
            );
        }
    }
}

/// The handle itself, once nobody else holds it. Somebody who only looks (the watchdog, a status) soon lets go.
async fn alone(mut live: Arc<Live>, housekeeping: &Housekeeping) -> Option<Live> {
    for _ in 0..50 {
        match Arc::try_unwrap(live) {
            Ok(live) => return Some(live),
            Err(shared) => live = shared,
        }
        housekeeping.sleep_until(after(Duration::from_millis(2))).await;
    }
    None
}

/// How an instance ended.
pub(crate) struct Ended {
    pub(crate) name: String,
    /// Calls that had not ended when the drain limit passed.
    pub(crate) abandoned_calls: i64,
    pub(crate) shutdown_error: Option<CreateError>,
    /// Whether its runtime's threads ended in time; none if it could not be closed yet.
    pub(crate) runtime_stopped: Option<bool>,
    /// Bytes of heap that it holds after its end, beyond those before its start.
    pub(crate) heap_growth: Option<i64>,
}

impl Entered {
    pub(crate) fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }
}

impl AsRef<Live> for Entered {
    fn as_ref(&self) -> &Live {
        &self.instance.live
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Invariant 2.
        self.instance.gate.leave();
    }
}
