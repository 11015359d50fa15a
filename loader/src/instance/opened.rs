//! Opening and creating: the first two steps of an instance, and how a step of the author's code is run.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use abi_stable::std_types::ROption;
use async_ffi::FfiContext;
use mini_chat_plugin_abi::buffer::{FfiBytes, FfiStr};
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiExecutionMode};
use mini_chat_plugin_abi::instance::{FfiInstance, FfiOpenArgs, FfiPurpose};
use mini_chat_plugin_abi::state::FfiStateKind;
use mini_chat_plugin_sdk::convert::HeapBytes;

use super::Instance;
use super::handover::Handover;
use super::live::{Live, Unclaimed};
use super::refusal::create_error;
use super::trial::{Failures, OnTrial};
use crate::call::{self, Fault, Terms};
use crate::cancel::{Bridge, Recent};
use crate::config::{ConfigTable, ExecutionMode, Limits, ResolvedConfig};
use crate::counter::Sharded;
use crate::error::{CreateError, Stage};
use crate::events::Events;
use crate::gate::Gate;
use crate::heap::Account;
use crate::housekeeping::{self, Housekeeping, after};
use crate::method::Method;
use crate::open::OpenedImage;
use crate::services::{self, Registration};
#[cfg(not(mini_chat_abi = "1.0"))]
use crate::trace;
use crate::watchdog;

/// What an instance is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) name: Arc<str>,
    pub(crate) generation: u64,
    pub(crate) purpose: FfiPurpose,
    pub(crate) mode: ExecutionMode,
    pub(crate) workers: u32,
    pub(crate) data_dir: String,
    pub(crate) limits: Limits,
    pub(crate) vendor: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) priority: Option<i16>,
    pub(crate) config: ConfigTable,
    pub(crate) registration: Arc<Registration>,
    /// What a predecessor has exported. `open` passes it on and keeps nothing of it.
    pub(crate) handover: Option<Handover>,
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
        mut settings: Settings,
        config: ResolvedConfig,
        housekeeping: Housekeeping,
    ) -> Result<Self, CreateError> {
        let limit = settings.limits.create;
        let name = Arc::clone(&settings.name);
        let baseline = image.account.map(Account::live);
        let module = image.module;
        let handover = settings.handover.take();
        let job_settings = settings.clone();
        let job = housekeeping::run("mini-chat-open", move || {
            let s = &job_settings;
            let args = FfiOpenArgs {
                name: FfiStr::new(&s.name),
                generation: s.generation,
                purpose: s.purpose,
                workers: s.workers,
                config: FfiStr::new(config.as_json()),
                data_dir: FfiStr::new(&s.data_dir),
                host: s.registration.handle(),
                services: services::services(),
                state: handover.as_ref().map_or(FfiBytes::new(&[]), Handover::bytes),
                state_kind: handover.as_ref().map_or(FfiStateKind::NONE, Handover::kind),
                reserved: 0,
            };
            #[cfg(not(mini_chat_abi = "1.0"))]
            trace::listen(args.host, module.tracing_changed());
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

    /// Runs the author's constructor and health check; `tell` is called before each of the two.
    pub(crate) async fn create(self, events: Events, tell: impl Fn(Stage)) -> Result<Instance, CreateError> {
        let Self { live, image, settings, baseline } = self;
        tell(Stage::Create);
        step(&live, Stage::Create, settings.limits.create, &settings.config, live.module.create()).await?;
        tell(Stage::Health);
        step(&live, Stage::Health, settings.limits.health, &settings.config, live.module.health()).await?;
        let isolated = AtomicBool::new(settings.mode == ExecutionMode::Isolated);
        let watch = if settings.mode == ExecutionMode::Adaptive { watchdog::next_number() } else { 0 };
        Ok(Instance {
            policy: option(image.module.model_policy()),
            audit: option(image.module.audit()),
            recent: Recent::default(),
            bridge: Bridge::to(image.module, live.raw),
            deadlines: Method::ALL.map(|method| settings.limits.deadline(method)),
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
            tally: Arc::default(),
            failures: Sharded::default(),
            classes: Failures::default(),
            trial: OnTrial::default(),
        })
    }
}

fn option<T>(value: ROption<T>) -> Option<T> {
    value.into_option()
}

/// A function of the plugin's module that runs a step of the author's code.
type Step<R> = extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<R>>);

/// One step of the author's code in an instance's life, run by `function`: isolated, within its limit.
pub(super) async fn step<R: HeapBytes>(
    live: &Live,
    stage: Stage,
    limit: Duration,
    config: &ConfigTable,
    function: Step<R>,
) -> Result<R, CreateError> {
    let terms = Terms { deadline: limit, grace: limit, mode: FfiExecutionMode::ISOLATED, watch: 0, stops: false };
    let start = |context: &FfiCallContext<'_>, waker: &mut FfiContext<'_>, out: &mut MaybeUninit<FfiCall<R>>| {
        function(live.raw, context, waker, out);
    };
    call::call(live, &terms, start).await.map_err(|fault| match fault {
        Fault::Ffi(error) => create_error(error, &live.name, stage, config, None),
        // A step has no token and is not given up: it ends by itself or by its deadline.
        Fault::Deadline(_) | Fault::Cancelled(_) | Fault::Gone => {
            CreateError::Deadline { plugin: live.name.to_string(), stage, limit }
        }
    })
}
