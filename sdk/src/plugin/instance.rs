//! One instance: the author's plugin, its runtime, its lifetime token.
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
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use super::definition::PluginDefinition;
use super::guard;
use super::host::{self, Host};
use crate::config;
use crate::context::{PluginContext, Purpose};

/// One created (or about to be created) plugin.
pub(crate) struct Instance<T: PluginDefinition> {
    plugin: OnceLock<T::Plugin>,
    /// Context and configuration until `create` takes them.
    start: Mutex<Option<(PluginContext, T::Config)>>,
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    lifetime: CancellationToken,
    /// Pending calls move to the runtime at their next poll.
    isolate: AtomicBool,
    closed: AtomicBool,
    /// Futures of pending calls.
    pub(crate) live: AtomicU64,
}

impl<T: PluginDefinition> Instance<T> {
    /// Checks the configuration and starts the runtime.
    pub(crate) fn open(args: &FfiOpenArgs<'_>) -> Result<FfiInstance, FfiError> {
        let purpose = match args.purpose {
            FfiPurpose::SERVE => Purpose::Serve,
            FfiPurpose::PREFLIGHT => Purpose::Preflight,
            other => {
                return Err(FfiError::new(
                    FfiErrorOrigin::UNSUPPORTED,
                    FfiErrorKind::PERMANENT,
                    format!("the plugin does not know the purpose {other:?}"),
                ));
            }
        };
        let host = Host { handle: args.host, services: args.services };
        if super::loaded_by().is_some() {
            host::set_of_image(host);
        }
        let config = config::read::<T::Config>(args.config.as_str()).map_err(config::ConfigFault::into_ffi)?;
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
            purpose,
            lifetime: lifetime.clone(),
            data_dir: (!data_dir.is_empty()).then(|| PathBuf::from(data_dir)),
            host,
        };
        let instance = Self {
            plugin: OnceLock::new(),
            start: Mutex::new(Some((context, config))),
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            lifetime,
            isolate: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            live: AtomicU64::new(0),
        };
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
        instance.lifetime.cancel();
        instance.closed.store(true, Ordering::Release);
        let live_calls = instance.live.load(Ordering::Acquire);
        let runtime = instance.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The plugin's value goes first, while its runtime is still there for what its Drop may want to do.
        drop(instance);
        let start = Instant::now();
        if let Some(runtime) = runtime {
            // A task's drop is the author's code.
            let _ = guard::catch(|| runtime.shutdown_timeout(limit));
        }
        let runtime_stopped = u32::from(start.elapsed() < limit);
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

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn lifetime(&self) -> &CancellationToken {
        &self.lifetime
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
}

impl<T: PluginDefinition> Drop for Instance<T> {
    fn drop(&mut self) {
        let _entered = self.handle.enter();
        // The drops of the plugin, its context and its configuration are the author's code.
        let _ = guard::catch(|| drop(self.plugin.take()));
        let start = self.start.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = guard::catch(|| drop(start));
        if let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}
