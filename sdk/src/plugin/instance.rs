//! One instance: the author's plugin, its runtime, its lifetime token.
//!
//! [`Instance`] has what depends on the plugin's type, [`Core`] the rest: what is generic is compiled once more for each
//! plugin, and counts in its size and build time.
//!
//! # Invariants
//!
//! 1. An `FfiInstance` is a leaked `Arc<Instance<T>>`, made by [`Instance::open`] of the same `T` whose vtable it is used
//!    with, until [`Instance::close`] takes it back (rule 3 of `mini_chat_plugin_abi::module`).
//! 2. `plugin` is set at most once and dropped only with the instance, so a reference to it lives as long as an `Arc` of
//!    the instance.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::instance::{FfiCloseReport, FfiInstance, FfiOpenArgs, FfiPurpose};
use mini_chat_plugin_abi::state::FfiStateKind;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::definition::{PluginConfig, PluginDefinition};
use super::guard;
use super::host::Host;
use super::trace::Forwarding;
use crate::config;
use crate::context::{Handover, PluginContext, Purpose};

/// What an instance has whatever its plugin is.
pub(crate) struct Core {
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    lifetime: CancellationToken,
    /// Pending calls move to the runtime at their next poll.
    isolate: AtomicBool,
    closed: AtomicBool,
    /// Futures of pending calls.
    pub(crate) live: AtomicU64,
    host: Host,
    /// What the plugin traces and logs goes to the host until the instance is closed, the drop of its plugin included.
    forwarding: Mutex<Option<Forwarding>>,
}

impl Core {
    /// Starts the runtime, and puts together what the constructor will be told.
    fn start(
        args: &FfiOpenArgs<'_>,
        told: Told,
        forwarding: Option<Forwarding>,
    ) -> Result<(Self, PluginContext), FfiError> {
        let name = args.name.as_str();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(args.workers.max(1) as usize)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|error| {
                FfiError::new(
                    FfiErrorOrigin::PLUGIN,
                    FfiErrorKind::TRANSIENT,
                    format!("the plugin's runtime could not be started: {error}"),
                )
            })?;
        let lifetime = CancellationToken::new();
        let data_dir = args.data_dir.as_str();
        let context = PluginContext {
            instance_name: name.to_owned(),
            generation: args.generation,
            purpose: told.purpose,
            lifetime: lifetime.clone(),
            data_dir: (!data_dir.is_empty()).then(|| PathBuf::from(data_dir)),
            handover: told.handover,
            host: Host { handle: args.host, services: args.services },
        };
        let core = Self {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            lifetime,
            isolate: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            live: AtomicU64::new(0),
            host: context.host,
            forwarding: Mutex::new(forwarding),
        };
        Ok((core, context))
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn lifetime(&self) -> &CancellationToken {
        &self.lifetime
    }

    /// The instance's host.
    pub(crate) fn host(&self) -> Host {
        self.host
    }

    pub(crate) fn set_isolate(&self, on: bool) {
        self.isolate.store(on, Ordering::Relaxed);
    }

    pub(crate) fn isolate(&self) -> bool {
        self.isolate.load(Ordering::Relaxed)
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Retires the instance and takes out its runtime and what it forwards by; with the number of calls that were still alive.
    fn retire(&self) -> (Option<Runtime>, Option<Forwarding>, u64) {
        // What waits for the token is woken here: the author's wakers may panic.
        let _ = guard::catch(|| self.lifetime.cancel());
        self.closed.store(true, Ordering::Release);
        let live_calls = self.live.load(Ordering::Acquire);
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        (runtime, self.forwarding.lock().unwrap_or_else(PoisonError::into_inner).take(), live_calls)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

/// What the constructor is told that a host of a later release may say in words of its own.
struct Told {
    purpose: Purpose,
    handover: Option<Handover>,
}

impl Told {
    fn read(args: &FfiOpenArgs<'_>) -> Result<Self, FfiError> {
        let unknown = |what: String| {
            let message = format!("the plugin does not know the {what}");
            FfiError::new(FfiErrorOrigin::UNSUPPORTED, FfiErrorKind::PERMANENT, message)
        };
        let purpose = match args.purpose {
            FfiPurpose::SERVE => Purpose::Serve,
            FfiPurpose::PREFLIGHT => Purpose::Preflight,
            other => return Err(unknown(format!("purpose {other:?}"))),
        };
        let handover = |exact| Some(Handover { bytes: Arc::from(args.state.as_slice()), exact });
        let handover = match args.state_kind {
            FfiStateKind::NONE => None,
            FfiStateKind::HINT => handover(false),
            FfiStateKind::EXACT => handover(true),
            other => return Err(unknown(format!("kind {other:?} of a predecessor's state"))),
        };
        Ok(Self { purpose, handover })
    }
}

/// Stops a runtime, waiting at most `limit`; whether it stopped within it.
fn stop(runtime: Option<Runtime>, limit: Duration) -> bool {
    let start = Instant::now();
    if let Some(runtime) = runtime {
        // A task's drop is the author's code.
        let _ = guard::catch(|| runtime.shutdown_timeout(limit));
    }
    start.elapsed() < limit
}

/// One created (or about to be created) plugin.
pub(crate) struct Instance<T: PluginDefinition> {
    plugin: OnceLock<T::Plugin>,
    /// Context and configuration until `create` takes them.
    start: Mutex<Option<(PluginContext, T::Config)>>,
    /// Last: the runtime goes after what may still use it.
    core: Core,
}

/// An instance of whatever plugin.
pub(crate) trait AnyInstance: Send + Sync {
    fn core(&self) -> &Core;
}

impl<T: PluginDefinition> AnyInstance for Instance<T> {
    fn core(&self) -> &Core {
        &self.core
    }
}

impl<T: PluginDefinition> Instance<T> {
    /// Checks the configuration and starts the runtime.
    pub(crate) fn open(args: &FfiOpenArgs<'_>) -> Result<FfiInstance, FfiError> {
        let told = Told::read(args)?;
        // Before any code of the author's, which the next line may run.
        let forwarding = Forwarding::begin(Host { handle: args.host, services: args.services }, args.name.as_str());
        let config = T::Config::read(args.config.as_str()).map_err(config::ConfigFault::into_ffi)?;
        let (core, context) = Core::start(args, told, forwarding)?;
        let instance = Self { plugin: OnceLock::new(), start: Mutex::new(Some((context, config))), core };
        Ok(FfiInstance { ptr: Arc::into_raw(Arc::new(instance)).cast() })
    }

    /// The instance behind a handle, for the duration of a call.
    ///
    /// # Safety
    ///
    /// Invariant 1 holds for `handle` and `T`, and goes on to hold for `'a`.
    pub(crate) unsafe fn borrow<'a>(handle: FfiInstance) -> &'a Self {
        // SAFETY: invariant 1, by the caller.
        unsafe { &*handle.ptr.cast::<Self>() }
    }

    /// A share of the instance.
    ///
    /// # Safety
    ///
    /// Invariant 1 holds for `handle` and `T`.
    pub(crate) unsafe fn share(handle: FfiInstance) -> Arc<Self> {
        let ptr = handle.ptr.cast::<Self>();
        // SAFETY: invariant 1, by the caller: `ptr` came from `Arc::into_raw` and its Arc is alive.
        unsafe {
            Arc::increment_strong_count(ptr);
            Arc::from_raw(ptr)
        }
    }

    /// Takes the instance back, drops the plugin's value if nothing uses it, stops the runtime.
    ///
    /// # Safety
    ///
    /// Invariant 1 holds for `handle` and `T`; it is not used again.
    pub(crate) unsafe fn close(handle: FfiInstance, limit: Duration) -> FfiCloseReport {
        // SAFETY: invariant 1, by the caller; this is the one place that takes the leaked Arc back.
        let instance = unsafe { Arc::from_raw(handle.ptr.cast::<Self>()) };
        let (runtime, forwarding, live_calls) = instance.core.retire();
        // The plugin's value goes first, while its runtime is still there for what its Drop may want to do.
        drop(instance);
        let runtime_stopped = u32::from(stop(runtime, limit));
        drop(forwarding);
        FfiCloseReport { live_calls, runtime_stopped, reserved: 0 }
    }

    /// The author's plugin, once created.
    pub(crate) fn plugin(&self) -> Result<&T::Plugin, FfiError> {
        self.plugin.get().ok_or_else(|| {
            FfiError::new(
                FfiErrorOrigin::RUNTIME_GONE,
                FfiErrorKind::TRANSIENT,
                "the instance has not been created".to_owned(),
            )
        })
    }

    pub(crate) fn set_plugin(&self, plugin: T::Plugin) {
        let _ = self.plugin.set(plugin);
    }

    pub(crate) fn take_start(&self) -> Option<(PluginContext, T::Config)> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: PluginDefinition> Drop for Instance<T> {
    fn drop(&mut self) {
        let _entered = self.core.handle.enter();
        // The drops of the plugin, its context and its configuration are the author's code.
        let _ = guard::catch(|| drop(self.plugin.take()));
        let start = self.start.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = guard::catch(|| drop(start));
    }
}
