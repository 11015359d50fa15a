//! The vtables of a definition: each slot is one `extern "C"` function around [`super::drive::call`].
//!
//! # Invariants
//!
//! 1. The host uses a vtable of `T` only with instances that `open` of the same vtable made (rule 3 of
//!    `mini_chat_plugin_abi::module`).
//! 2. An event argument is initialised, and the host forgets it (rule 4).

use std::future::Future;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;
use std::time::Duration;

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use abi_stable::std_types::{ROption, RResult};
use async_ffi::FfiContext;
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiExecutionMode, FfiToken};
use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::instance::{FfiCloseReport, FfiInstance, FfiOpenArgs};
use mini_chat_plugin_abi::module::{
    PluginAudit, PluginAuditRef, PluginModelPolicy, PluginModelPolicyRef, PluginModule, PluginModuleRef,
};
#[cfg(mini_chat_abi = "1.2")]
use mini_chat_plugin_abi::records::FfiUsageEventV2;
#[cfg(not(mini_chat_abi = "1.0"))]
use mini_chat_plugin_abi::records::FfiUserLicenseStatus;
use mini_chat_plugin_abi::records::{
    FfiPolicySnapshot, FfiPolicyVersionInfo, FfiTurnAuditEvent, FfiTurnDeleteAuditEvent, FfiTurnMutationAuditEvent,
    FfiUsageEvent, FfiUserLimits,
};
use mini_chat_plugin_abi::scalar::FfiUuid;
use mini_chat_plugin_abi::state::FfiState;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::definition::PluginDefinition;
use super::drive::{self, BoxFuture};
use super::guard;
use super::instance::{AnyInstance, Core, Instance};
use super::own_subscriber::looked_for_after;
use super::token;
#[cfg(not(mini_chat_abi = "1.0"))]
use super::trace;
use crate::convert::Domain;
#[cfg(mini_chat_abi = "1.2")]
use crate::convert::Older;
use crate::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use crate::plugin_error::PluginError;

type Out<'a, T> = &'a mut MaybeUninit<FfiCall<T>>;

/// The module of a definition.
#[must_use]
pub(crate) const fn module<T: PluginDefinition>() -> PluginModuleRef {
    PluginModuleRef(Tables::<T>::MODULE.as_prefix())
}

/// The model-policy vtable of a definition whose plugin implements that trait.
#[must_use]
pub const fn model_policy<T>() -> PluginModelPolicyRef
where
    T: PluginDefinition<Plugin: MiniChatModelPolicyPluginClientV1>,
{
    PluginModelPolicyRef(PolicyTable::<T>::TABLE.as_prefix())
}

/// The audit vtable of a definition whose plugin implements that trait.
#[must_use]
pub const fn audit<T>() -> PluginAuditRef
where
    T: PluginDefinition<Plugin: MiniChatAuditPluginClientV1>,
{
    PluginAuditRef(AuditTable::<T>::TABLE.as_prefix())
}

struct Tables<T>(PhantomData<T>);

/// Slots that run a hook of the author's on the created plugin.
macro_rules! hook_slots {
    ($($hook:ident($record:ty)),+ $(,)?) => {
        $(extern "C" fn $hook(
            handle: FfiInstance,
            context: &FfiCallContext<'_>,
            waker: &mut FfiContext<'_>,
            out: Out<'_, $record>,
        ) {
            // SAFETY: invariant 1.
            unsafe {
                drive::call::<T, _, _>(handle, context, waker, out, |instance, _| {
                    let plugin = instance.plugin()?;
                    Ok(boxed(async move { looked_for_after(T::$hook(plugin)).await }))
                });
            }
        })+
    };
}

impl<T: PluginDefinition> Tables<T> {
    staticref! {const MODULE: WithMetadata<PluginModule> = WithMetadata::new(PluginModule {
        open: Self::open,
        create: Self::create,
        health: Self::health,
        shutdown: Self::shutdown,
        retire: Self::retire,
        close: Self::close,
        set_mode: Self::set_mode,
        in_flight: Self::in_flight,
        token_new: Self::token_new,
        token_cancel,
        token_free,
        quiesce: Self::quiesce,
        resume: Self::resume,
        export_state: Self::export_state,
        model_policy: match T::MODEL_POLICY { Some(table) => ROption::RSome(table), None => ROption::RNone },
        audit: match T::AUDIT { Some(table) => ROption::RSome(table), None => ROption::RNone },
        #[cfg(not(mini_chat_abi = "1.0"))]
        tracing_changed: trace::changed,
    });}

    extern "C" fn open(args: &FfiOpenArgs<'_>) -> RResult<FfiInstance, FfiError> {
        match guard::catch(|| Instance::<T>::open(args)) {
            Ok(result) => result.into(),
            Err(caught) => RResult::RErr(caught.into_ffi(FfiErrorKind::TRANSIENT)),
        }
    }

    extern "C" fn create(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        waker: &mut FfiContext<'_>,
        out: Out<'_, ()>,
    ) {
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, _| {
                let Some((context, config)) = instance.take_start() else {
                    return Err(FfiError::new(
                        FfiErrorOrigin::UNSUPPORTED,
                        FfiErrorKind::PERMANENT,
                        "the instance was created before".to_owned(),
                    ));
                };
                Ok(boxed(async move {
                    let plugin = looked_for_after(T::create(context, config)).await?;
                    instance.set_plugin(plugin);
                    Ok::<(), PluginError>(())
                }))
            });
        }
    }

    hook_slots! { health(()), shutdown(()), quiesce(()), resume(()), export_state(FfiState) }

    extern "C" fn retire(handle: FfiInstance) {
        // SAFETY: invariant 1.
        let instance = unsafe { Instance::<T>::borrow(handle) };
        // What waits for the token is woken here: the author's wakers may panic.
        let _ = guard::catch(|| instance.core().lifetime().cancel());
    }

    extern "C" fn close(handle: FfiInstance, limit_ms: u64) -> FfiCloseReport {
        // SAFETY: invariant 1; the host does not use it again.
        let close = || unsafe { Instance::<T>::close(handle, Duration::from_millis(limit_ms)) };
        guard::catch(close).unwrap_or(FfiCloseReport { live_calls: 0, runtime_stopped: 0, reserved: 0 })
    }

    extern "C" fn set_mode(handle: FfiInstance, mode: FfiExecutionMode) {
        // SAFETY: invariant 1.
        unsafe { Instance::<T>::borrow(handle) }.core().set_isolate(mode == FfiExecutionMode::ISOLATED);
    }

    extern "C" fn in_flight(handle: FfiInstance) -> u64 {
        // SAFETY: invariant 1.
        unsafe { Instance::<T>::borrow(handle) }.core().live.load(Ordering::Acquire)
    }

    extern "C" fn token_new(handle: FfiInstance) -> FfiToken {
        // SAFETY: invariant 1.
        token::new(unsafe { Instance::<T>::borrow(handle) }.core().lifetime())
    }
}

extern "C" fn token_cancel(mirror: FfiToken) {
    // SAFETY: the host passes a mirror that it has not freed (contract of `token_cancel`).
    if let Some(token) = unsafe { token::get(mirror) } {
        // What waits for the token is woken here: the author's wakers may panic.
        let _ = guard::catch(|| token.cancel());
    }
}

extern "C" fn token_free(mirror: FfiToken) {
    // SAFETY: the host passes a mirror that it has not freed, and does not use it again (contract of `token_free`).
    let _ = guard::catch(|| unsafe { token::free(mirror) });
}

fn boxed<'a, O>(future: impl Future<Output = O> + Send + 'a) -> BoxFuture<'a, O> {
    Box::pin(future)
}

/// A method's future. `defer`: what `make` itself does (for a method written without `async_trait` that is the author's
/// code) happens at the future's first poll, on the plugin's runtime.
fn started<'p, O: 'p>(defer: bool, make: impl FnOnce() -> BoxFuture<'p, O> + Send + 'p) -> BoxFuture<'p, O> {
    if defer { boxed(async move { make().await }) } else { make() }
}

/// The token of a call: the mirror that the host named, or one that hears retirement.
fn call_token(core: &Core, context: &FfiCallContext<'_>) -> CancellationToken {
    // SAFETY: the host passes a mirror that it has not freed, or null (contract of `FfiCallContext::token`).
    unsafe { token::get(context.token) }.unwrap_or_else(|| core.lifetime().child_token())
}

fn uuid(from: FfiUuid) -> Uuid {
    Uuid::from_bytes(from.bytes)
}

/// An event argument until it is taken: dropped if the call ends before.
struct Argument<'a, R>(Option<&'a mut MaybeUninit<R>>);

impl<'a, R> Argument<'a, R> {
    fn new(slot: &'a mut MaybeUninit<R>) -> Self {
        Self(Some(slot))
    }

    /// Moves the event out and converts it; an event that this side cannot express is permanent for this plugin.
    fn take<D: Domain<Record = R>>(mut self) -> Result<D, FfiError> {
        let slot = self.0.take().expect("an argument is taken once, by value");
        // SAFETY: invariant 2; the slot has left `self`, so it is read once.
        D::from_record(unsafe { slot.assume_init_read() }).map_err(|error| {
            FfiError::new(
                FfiErrorOrigin::CONVERSION,
                FfiErrorKind::PERMANENT,
                format!("the plugin cannot express this event: {error}"),
            )
        })
    }
}

impl<R> Drop for Argument<'_, R> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            // SAFETY: invariant 2; the slot was not taken.
            unsafe { slot.assume_init_drop() };
        }
    }
}

struct PolicyTable<T>(PhantomData<T>);

impl<T> PolicyTable<T>
where
    T: PluginDefinition<Plugin: MiniChatModelPolicyPluginClientV1>,
{
    staticref! {const TABLE: WithMetadata<PluginModelPolicy> = WithMetadata::new(PluginModelPolicy {
        get_current_policy_version: Self::get_current_policy_version,
        get_policy_snapshot: Self::get_policy_snapshot,
        get_user_limits: Self::get_user_limits,
        publish_usage: Self::publish_usage,
        #[cfg(not(mini_chat_abi = "1.0"))]
        check_user_license: Self::check_user_license,
        #[cfg(mini_chat_abi = "1.2")]
        publish_usage_v2: Self::publish_usage_v2,
    });}

    extern "C" fn get_current_policy_version(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        user_id: FfiUuid,
        waker: &mut FfiContext<'_>,
        out: Out<'_, FfiPolicyVersionInfo>,
    ) {
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                let token = call_token(instance.core(), context);
                let plugin = instance.plugin()?;
                Ok(started(defer, move || plugin.get_current_policy_version(uuid(user_id), token)))
            });
        }
    }

    extern "C" fn get_policy_snapshot(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        user_id: FfiUuid,
        policy_version: u64,
        waker: &mut FfiContext<'_>,
        out: Out<'_, FfiPolicySnapshot>,
    ) {
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                let token = call_token(instance.core(), context);
                let plugin = instance.plugin()?;
                Ok(started(defer, move || plugin.get_policy_snapshot(uuid(user_id), policy_version, token)))
            });
        }
    }

    extern "C" fn get_user_limits(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        user_id: FfiUuid,
        policy_version: u64,
        waker: &mut FfiContext<'_>,
        out: Out<'_, FfiUserLimits>,
    ) {
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                let token = call_token(instance.core(), context);
                let plugin = instance.plugin()?;
                Ok(started(defer, move || plugin.get_user_limits(uuid(user_id), policy_version, token)))
            });
        }
    }

    extern "C" fn publish_usage(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        payload: &mut MaybeUninit<FfiUsageEvent>,
        waker: &mut FfiContext<'_>,
        out: Out<'_, ()>,
    ) {
        let payload = Argument::new(payload);
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                #[cfg(not(mini_chat_abi = "1.2"))]
                let payload = payload.take()?;
                // From a host that knows no more of it: what it lacks has its default.
                #[cfg(mini_chat_abi = "1.2")]
                let Older(payload) = payload.take()?;
                let token = call_token(instance.core(), context);
                let plugin = instance.plugin()?;
                Ok(started(defer, move || plugin.publish_usage(payload, token)))
            });
        }
    }

    #[cfg(not(mini_chat_abi = "1.0"))]
    extern "C" fn check_user_license(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        user_id: FfiUuid,
        waker: &mut FfiContext<'_>,
        out: Out<'_, FfiUserLicenseStatus>,
    ) {
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                let token = call_token(instance.core(), context);
                let plugin = instance.plugin()?;
                Ok(started(defer, move || plugin.check_user_license(uuid(user_id), token)))
            });
        }
    }

    #[cfg(mini_chat_abi = "1.2")]
    extern "C" fn publish_usage_v2(
        handle: FfiInstance,
        context: &FfiCallContext<'_>,
        payload: &mut MaybeUninit<FfiUsageEventV2>,
        waker: &mut FfiContext<'_>,
        out: Out<'_, ()>,
    ) {
        let payload = Argument::new(payload);
        // SAFETY: invariant 1.
        unsafe {
            drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                let payload = payload.take()?;
                let token = call_token(instance.core(), context);
                let plugin = instance.plugin()?;
                Ok(started(defer, move || plugin.publish_usage(payload, token)))
            });
        }
    }
}

struct AuditTable<T>(PhantomData<T>);

macro_rules! audit_slots {
    ($($method:ident($record:ty)),+ $(,)?) => {
        $(extern "C" fn $method(
            handle: FfiInstance,
            context: &FfiCallContext<'_>,
            record: &mut MaybeUninit<$record>,
            waker: &mut FfiContext<'_>,
            out: Out<'_, ()>,
        ) {
            let event = Argument::new(record);
            // SAFETY: invariant 1.
            unsafe {
                drive::call::<T, _, _>(handle, context, waker, out, |instance, defer| {
                    let (plugin, event) = (instance.plugin()?, event.take()?);
                    #[cfg(not(mini_chat_abi = "1.2"))]
                    return Ok(started(defer, move || plugin.$method(event)));
                    // An older host names no token: it is one that hears retirement.
                    #[cfg(mini_chat_abi = "1.2")]
                    {
                        let token = call_token(instance.core(), context);
                        Ok(started(defer, move || plugin.$method(event, token)))
                    }
                });
            }
        })+
    };
}

impl<T> AuditTable<T>
where
    T: PluginDefinition<Plugin: MiniChatAuditPluginClientV1>,
{
    staticref! {const TABLE: WithMetadata<PluginAudit> = WithMetadata::new(PluginAudit {
        emit_turn_audit: Self::emit_turn_audit,
        emit_turn_retry_audit: Self::emit_turn_retry_audit,
        emit_turn_edit_audit: Self::emit_turn_edit_audit,
        emit_turn_delete_audit: Self::emit_turn_delete_audit,
    });}

    audit_slots! {
        emit_turn_audit(FfiTurnAuditEvent),
        emit_turn_retry_audit(FfiTurnMutationAuditEvent),
        emit_turn_edit_audit(FfiTurnMutationAuditEvent),
        emit_turn_delete_audit(FfiTurnDeleteAuditEvent),
    }
}
