//! Records: the frozen twins of the types that the two traits name.
//!
//! # The freeze rule
//!
//! A released record never changes: no field is added (not even at the end), removed, renamed, reordered or retyped, and
//! no number of an open enumeration is given a new meaning. A change of data is a *new* record, carried by a *new* method
//! at the end of a vtable; conversions with defaults make one domain type of both. Every type therefore has its size, its
//! alignment and all its offsets asserted at compile time beside it (`assert_layout!`, 64-bit targets).
//!
//! What may still grow is an open enumeration: a number that a side does not know is an error of that call, which names the
//! field and the number.
//!
//! # What the fields are
//!
//! | domain | here |
//! | --- | --- |
//! | `String`, `Vec<T>` | [`FfiString`](crate::buffer::FfiString), [`FfiVec`](crate::buffer::FfiVec): the allocation changes owner |
//! | `Option<T>` | `abi_stable::std_types::ROption<T>` |
//! | `Uuid`, `OffsetDateTime` | [`FfiUuid`](crate::scalar::FfiUuid), [`FfiTime`](crate::scalar::FfiTime) |
//! | an `enum` | an open enumeration: a number in a newtype; 0 is never a value |
//! | `bool` | `bool` |
//! | integers, `f64` | themselves; an `f64` keeps its bits |
//!
//! Rationale for `bool`: a byte other than 0 and 1 would be undefined behaviour, but Rust's `bool` is C's `_Bool`, abi_stable
//! checks at load that both sides say `bool`, and both sides are Rust, which cannot make another byte. An integer would cost
//! a check per flag and guard against nothing that is not undefined behaviour already.
//!
//! A record owns all that it points at and may be dropped on either side, on any thread; see the invariants of
//! [`buffer`](crate::buffer). The conversions to domain types stand in the crate `mini-chat-plugin-sdk`.
//!
//! | file | records of |
//! | --- | --- |
//! | [`policy`], [`catalog`], [`model_config`] | `get_current_policy_version`, `get_policy_snapshot` |
//! | [`limits`] | `get_user_limits`, `check_user_license` |
//! | [`usage`] | `publish_usage` |
//! | [`audit`], [`audit_parts`] | `emit_turn_audit`, `emit_turn_retry_audit`, `emit_turn_edit_audit`, `emit_turn_delete_audit` |

pub(crate) mod layout;

pub mod audit;
pub mod audit_parts;
pub mod catalog;
pub mod limits;
pub mod model_config;
pub mod policy;
pub mod usage;
#[cfg(mini_chat_abi = "1.2")]
pub mod usage_v2;

pub use audit::{
    FfiRequesterType, FfiTurnAuditEvent, FfiTurnAuditEventType, FfiTurnDeleteAuditEvent, FfiTurnDeleteAuditEventType,
    FfiTurnMutationAuditEvent, FfiTurnMutationAuditEventType,
};
pub use audit_parts::{
    FfiAttachmentKind, FfiAttachmentMetadata, FfiAuditUsageTokens, FfiLatencyMs, FfiLicenseDecision,
    FfiPolicyDecisions, FfiQuotaDecision, FfiQuotaScope, FfiToolCalls,
};
pub use catalog::{FfiEstimationBudgets, FfiModelCatalogEntry, FfiModelPreference, FfiModelTier};
pub use limits::{FfiTierLimits, FfiUserLicenseStatus, FfiUserLimits};
pub use model_config::{
    FfiModelApiParams, FfiModelFeatures, FfiModelGeneralConfig, FfiModelInputType, FfiModelPerformance,
    FfiModelSupportedEndpoints, FfiModelTokenPolicy, FfiModelToolSupport,
};
pub use policy::{FfiKillSwitches, FfiPolicySnapshot, FfiPolicyVersionInfo};
pub use usage::{FfiUsageEvent, FfiUsageTokens};
#[cfg(mini_chat_abi = "1.2")]
pub use usage_v2::FfiUsageEventV2;
