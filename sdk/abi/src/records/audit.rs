//! The audit events: a turn ended, was run again, was deleted.

use abi_stable::StableAbi;
use abi_stable::std_types::ROption;

use crate::buffer::{FfiString, FfiVec};
use crate::open_enum::open_enum;
use crate::records::audit_parts::{
    FfiAttachmentMetadata, FfiAuditUsageTokens, FfiLatencyMs, FfiPolicyDecisions, FfiToolCalls,
};
use crate::records::layout::assert_layout;
use crate::scalar::{FfiTime, FfiUuid};

open_enum! {
    /// What a [`FfiTurnAuditEvent`] reports.
    FfiTurnAuditEventType {
        /// The turn was completed.
        TURN_COMPLETED = 1,
        /// The turn failed.
        TURN_FAILED = 2,
    }
}

open_enum! {
    /// What a [`FfiTurnMutationAuditEvent`] reports.
    FfiTurnMutationAuditEventType {
        /// The turn was run again.
        TURN_RETRY = 1,
        /// The user changed the message and ran the turn again.
        TURN_EDIT = 2,
    }
}

open_enum! {
    /// What a [`FfiTurnDeleteAuditEvent`] reports.
    FfiTurnDeleteAuditEventType {
        /// The turn was deleted.
        TURN_DELETE = 1,
    }
}

open_enum! {
    /// Who asked for something.
    FfiRequesterType {
        /// A person.
        USER = 1,
        /// The system itself.
        SYSTEM = 2,
    }
}

/// A turn was completed or failed.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiTurnAuditEvent {
    /// Which of the two.
    pub event_type: FfiTurnAuditEventType,
    /// When it happened.
    pub timestamp: FfiTime,
    /// The tenant.
    pub tenant_id: FfiUuid,
    /// Who asked for the turn.
    pub requester_type: FfiRequesterType,
    /// Trace that the turn belongs to.
    pub trace_id: ROption<FfiString>,
    /// The user.
    pub user_id: FfiUuid,
    /// The chat.
    pub chat_id: FfiUuid,
    /// The turn.
    pub turn_id: FfiUuid,
    /// The request that ran the turn.
    pub request_id: FfiUuid,
    /// The model that the user chose.
    pub selected_model: FfiString,
    /// The model that answered.
    pub effective_model: FfiString,
    /// Number of the policy version that the turn ran under.
    pub policy_version_applied: ROption<u64>,
    /// Tokens used.
    pub usage: FfiAuditUsageTokens,
    /// How long it took.
    pub latency_ms: FfiLatencyMs,
    /// What was decided before it ran.
    pub policy_decisions: FfiPolicyDecisions,
    /// Why it failed.
    pub error_code: ROption<FfiString>,
    /// What the user wrote; redacted and cut by the caller.
    pub prompt: ROption<FfiString>,
    /// What the model answered; redacted and cut by the caller.
    pub response: ROption<FfiString>,
    /// What was attached.
    pub attachments: FfiVec<FfiAttachmentMetadata>,
    /// How often tools were called.
    pub tool_calls: ROption<FfiToolCalls>,
}

assert_layout!(FfiTurnAuditEvent: size 600, align 8 {
    event_type: 0, timestamp: 8, tenant_id: 24, requester_type: 40, trace_id: 48, user_id: 80, chat_id: 96,
    turn_id: 112, request_id: 128, selected_model: 144, effective_model: 168, policy_version_applied: 192,
    usage: 208, latency_ms: 256, policy_decisions: 288, error_code: 440, prompt: 472, response: 504,
    attachments: 536, tool_calls: 560,
});

/// A turn was retried or edited, which made a new request.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiTurnMutationAuditEvent {
    /// Which of the two.
    pub event_type: FfiTurnMutationAuditEventType,
    /// When it happened.
    pub timestamp: FfiTime,
    /// The tenant.
    pub tenant_id: FfiUuid,
    /// Who asked for it.
    pub requester_type: FfiRequesterType,
    /// Trace that it belongs to.
    pub trace_id: ROption<FfiString>,
    /// The user who did it.
    pub actor_user_id: FfiUuid,
    /// The chat.
    pub chat_id: FfiUuid,
    /// The turn.
    pub turn_id: FfiUuid,
    /// The request that was replaced.
    pub original_request_id: FfiUuid,
    /// The request that replaces it.
    pub new_request_id: FfiUuid,
}

assert_layout!(FfiTurnMutationAuditEvent: size 160, align 8 {
    event_type: 0, timestamp: 8, tenant_id: 24, requester_type: 40, trace_id: 48, actor_user_id: 80, chat_id: 96,
    turn_id: 112, original_request_id: 128, new_request_id: 144,
});

/// A turn was deleted.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiTurnDeleteAuditEvent {
    /// What happened.
    pub event_type: FfiTurnDeleteAuditEventType,
    /// When it happened.
    pub timestamp: FfiTime,
    /// The tenant.
    pub tenant_id: FfiUuid,
    /// Who asked for it.
    pub requester_type: FfiRequesterType,
    /// Trace that it belongs to.
    pub trace_id: ROption<FfiString>,
    /// The user who did it.
    pub actor_user_id: FfiUuid,
    /// The chat.
    pub chat_id: FfiUuid,
    /// The turn.
    pub turn_id: FfiUuid,
    /// The request that ran the turn.
    pub request_id: FfiUuid,
}

assert_layout!(FfiTurnDeleteAuditEvent: size 144, align 8 {
    event_type: 0, timestamp: 8, tenant_id: 24, requester_type: 40, trace_id: 48, actor_user_id: 80, chat_id: 96,
    turn_id: 112, request_id: 128,
});
