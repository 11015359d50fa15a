//! The plugin's functions: [`PluginModule`] (life cycle) and one vtable per trait.
//!
//! Implemented by: plugin. Called by: host.
//!
//! # Life of an instance
//!
//! 1. `open` checks the configuration, copies the predecessor's state and starts the instance's runtime; none of the
//!    author's code runs but the deserialisation of the configuration type.
//! 2. `create` runs the author's constructor. Exactly once per instance.
//! 3. `health`, and the methods of the traits, any number of times, from any thread, concurrently; also `export_state`,
//!    whose result is then a hint ([`FfiStateKind::HINT`](crate::state::FfiStateKind::HINT)).
//! 4. A plugin that has the hook `quiesce` is exclusive: before its successor is created the host lets no more calls in,
//!    waits for those under way, and calls `quiesce`. Then it calls none but `export_state` (whose result is now
//!    [`EXACT`](crate::state::FfiStateKind::EXACT)), `resume`, and those of the next two steps. If there is to be no
//!    successor after all, `resume` leads back to step 3. A `quiesce` that failed, or did not end in time, is followed by
//!    `resume` as well: the plugin may have given up a part.
//! 5. `retire` cancels the lifetime token; `shutdown` runs the author's hook.
//! 6. `close` gives the instance back and stops its runtime.
//!
//! `quiesce`, `resume` and an exact `export_state` run while callers wait: the host gives them the time for which it holds
//! calls. It discards a state of more than [`MAX_STATE_BYTES`](crate::state::MAX_STATE_BYTES), with a warning; the
//! successor is then opened without one.
//!
//! # Rules that hold for every function here
//!
//! 1. It never unwinds: a panic of the author's code is caught inside the plugin and comes back as an [`FfiError`] with
//!    origin `PANIC`; functions that return nothing report it to the host's log.
//! 2. It may be called from any thread unless its text says otherwise.
//! 3. `instance` is one that `open` returned and `close` has not been called for.
//! 4. **Arguments passed as `&mut MaybeUninit<Record>` are moved out by the plugin, always**, whatever the outcome; the
//!    caller forgets them. Rationale: a large event is not copied through registers and stack again.
//! 5. `out` is written exactly once before the function returns.
//! 6. The `FfiContext` is the caller's waker, borrowed for the call.

use core::mem::MaybeUninit;

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{ROption, RResult};
use async_ffi::FfiContext;

use crate::call::{FfiCall, FfiCallContext, FfiExecutionMode, FfiToken};
use crate::error::FfiError;
use crate::instance::{FfiCloseReport, FfiInstance, FfiOpenArgs};
#[cfg(mini_chat_abi = "1.2")]
use crate::records::FfiUsageEventV2;
#[cfg(not(mini_chat_abi = "1.0"))]
use crate::records::FfiUserLicenseStatus;
use crate::records::{
    FfiPolicySnapshot, FfiPolicyVersionInfo, FfiTurnAuditEvent, FfiTurnDeleteAuditEvent, FfiTurnMutationAuditEvent,
    FfiUsageEvent, FfiUserLimits,
};
use crate::scalar::FfiUuid;
use crate::state::FfiState;

/// Life cycle of instances, and the vtables of the traits that the plugin serves.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(option))]
pub struct PluginModule {
    /// `open(args)`: a new instance. Runs the deserialisation of the author's configuration type, so it may take long or
    /// hang if that does: call it on a thread that may be lost.
    pub open: extern "C" fn(&FfiOpenArgs<'_>) -> RResult<FfiInstance, FfiError>,
    /// `create(instance, context, waker, out)`: runs the author's constructor. Honours `context.mode`.
    pub create: extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<()>>),
    /// `health(instance, context, waker, out)`: the author's health check; ready and Ok if there is none.
    pub health: extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<()>>),
    /// `shutdown(instance, context, waker, out)`: the author's hook, to flush; ready and Ok if there is none. At most
    /// once, when no call is under way or the host has given up waiting for those that are.
    pub shutdown: extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<()>>),
    /// `retire(instance)`: cancels the lifetime token, and with it every mirror. May be called again.
    pub retire: extern "C" fn(FfiInstance),
    /// `close(instance, limit_ms)`: drops the plugin's value (once the last call under way is dropped) and stops its
    /// runtime, waiting at most `limit_ms` milliseconds. Blocks: call it on a thread of its own. `instance` is invalid
    /// afterwards; futures of calls that are still alive may still be polled and dropped.
    pub close: extern "C" fn(FfiInstance, u64) -> FfiCloseReport,
    /// `set_mode(instance, mode)`: with `ISOLATED`, futures of pending calls that run inline move to the plugin's
    /// runtime at their next poll. New calls go by their context. `INLINE` ends that.
    pub set_mode: extern "C" fn(FfiInstance, FfiExecutionMode),
    /// `in_flight(instance)`: futures of pending calls that exist in the plugin now. A call inside its first poll is not
    /// among them: the host knows of it.
    pub in_flight: extern "C" fn(FfiInstance) -> u64,
    /// `token_new(instance)`: a token that mirrors one of the host's: a child of the lifetime token.
    pub token_new: extern "C" fn(FfiInstance) -> FfiToken,
    /// `token_cancel(token)`: cancels it, from the calling thread; wakes what waits for it. May be called again.
    pub token_cancel: extern "C" fn(FfiToken),
    /// `token_free(token)`: gives the host's handle back; clones that the plugin holds live on. Once per `token_new`, also
    /// after `close`.
    pub token_free: extern "C" fn(FfiToken),
    /// `quiesce(instance, context, waker, out)`: the author's hook, to give up what only one instance may hold (a port, a
    /// lock, a file's tail) and to flush; ready and Ok if there is none. No call is under way, and none comes until `resume`.
    pub quiesce: extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<()>>),
    /// `resume(instance, context, waker, out)`: the author's hook, to take back what `quiesce` gave up; ready and Ok if
    /// there is none. An instance for which it failed may be resumed again.
    pub resume: extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<()>>),
    /// `export_state(instance, context, waker, out)`: the author's hook; what its successor gets at `open`. Ready and empty
    /// if there is none. The buffer becomes the host's.
    pub export_state:
        extern "C" fn(FfiInstance, &FfiCallContext<'_>, &mut FfiContext<'_>, &mut MaybeUninit<FfiCall<FfiState>>),
    /// The model-policy trait, if served.
    pub model_policy: ROption<PluginModelPolicyRef>,
    /// The audit trait, if served.
    #[sabi(last_prefix_field)]
    pub audit: ROption<PluginAuditRef>,
    /// `tracing_changed()`: what the host's filter says of callsites of this image has changed; the plugin asks again
    /// ([`crate::tracing`], rule 4). At any time, also when the image has no open instance; one call at a time. Since ABI 1.1.
    #[cfg(not(mini_chat_abi = "1.0"))]
    pub tracing_changed: extern "C" fn(),
}

impl RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "mini_chat_plugin";
    const NAME: &'static str = "mini-chat plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings::new(crate::descriptor::ABI_VERSION);
}

/// `MiniChatModelPolicyPluginClientV1`. Arguments: instance, context, (arguments), waker, out.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModelPolicyRef)))]
#[sabi(missing_field(option))]
pub struct PluginModelPolicy {
    /// Get the current policy version for a user.
    pub get_current_policy_version: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        FfiUuid,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<FfiPolicyVersionInfo>>,
    ),
    /// Get the full policy snapshot for a user and a version.
    pub get_policy_snapshot: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        FfiUuid,
        u64,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<FfiPolicySnapshot>>,
    ),
    /// Get a user's credit limits for a version.
    pub get_user_limits: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        FfiUuid,
        u64,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<FfiUserLimits>>,
    ),
    /// Publish a usage event (moved out).
    #[sabi(last_prefix_field)]
    pub publish_usage: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        &mut MaybeUninit<FfiUsageEvent>,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<()>>,
    ),
    /// Check whether a user holds an active licence. Since ABI 1.1; without it the answer is `active: false`, the default
    /// body of the trait.
    #[cfg(not(mini_chat_abi = "1.0"))]
    pub check_user_license: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        FfiUuid,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<FfiUserLicenseStatus>>,
    ),
    /// Publish a usage event (moved out), with what it has since ABI 1.2. A host calls it where it is there, and
    /// `publish_usage` where it is not.
    #[cfg(mini_chat_abi = "1.2")]
    pub publish_usage_v2: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        &mut MaybeUninit<FfiUsageEventV2>,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<()>>,
    ),
}

/// `MiniChatAuditPluginClientV1`. Arguments: instance, context, event (moved out), waker, out.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginAuditRef)))]
#[sabi(missing_field(option))]
pub struct PluginAudit {
    /// A turn completed or failed.
    pub emit_turn_audit: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        &mut MaybeUninit<FfiTurnAuditEvent>,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<()>>,
    ),
    /// A turn was retried.
    pub emit_turn_retry_audit: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        &mut MaybeUninit<FfiTurnMutationAuditEvent>,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<()>>,
    ),
    /// A turn was edited.
    pub emit_turn_edit_audit: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        &mut MaybeUninit<FfiTurnMutationAuditEvent>,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<()>>,
    ),
    /// A turn was deleted.
    #[sabi(last_prefix_field)]
    pub emit_turn_delete_audit: extern "C" fn(
        FfiInstance,
        &FfiCallContext<'_>,
        &mut MaybeUninit<FfiTurnDeleteAuditEvent>,
        &mut FfiContext<'_>,
        &mut MaybeUninit<FfiCall<()>>,
    ),
}
