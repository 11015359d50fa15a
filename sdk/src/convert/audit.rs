//! The audit events: a turn ended, was run again, was deleted.

use mini_chat_plugin_abi::records::{
    FfiRequesterType, FfiTurnAuditEvent, FfiTurnAuditEventType, FfiTurnDeleteAuditEvent, FfiTurnDeleteAuditEventType,
    FfiTurnMutationAuditEvent, FfiTurnMutationAuditEventType,
};

use crate::audit_models::{
    RequesterType, TurnAuditEvent, TurnAuditEventType, TurnDeleteAuditEvent, TurnDeleteAuditEventType,
    TurnMutationAuditEvent, TurnMutationAuditEventType,
};
use crate::convert::macros::{enumeration, record};

enumeration!(TurnAuditEventType as FfiTurnAuditEventType { TurnCompleted = TURN_COMPLETED, TurnFailed = TURN_FAILED });

enumeration!(TurnMutationAuditEventType as FfiTurnMutationAuditEventType { TurnRetry = TURN_RETRY, TurnEdit = TURN_EDIT });

enumeration!(TurnDeleteAuditEventType as FfiTurnDeleteAuditEventType { TurnDelete = TURN_DELETE });

enumeration!(RequesterType as FfiRequesterType { User = USER, System = SYSTEM });

record!(TurnAuditEvent as FfiTurnAuditEvent {
    event_type, timestamp, tenant_id, requester_type, trace_id, user_id, chat_id, turn_id, request_id, selected_model,
    effective_model, policy_version_applied, usage, latency_ms, policy_decisions, error_code, prompt, response,
    attachments, tool_calls,
});

record!(TurnMutationAuditEvent as FfiTurnMutationAuditEvent {
    event_type, timestamp, tenant_id, requester_type, trace_id, actor_user_id, chat_id, turn_id, original_request_id,
    new_request_id,
});

record!(TurnDeleteAuditEvent as FfiTurnDeleteAuditEvent {
    event_type, timestamp, tenant_id, requester_type, trace_id, actor_user_id, chat_id, turn_id, request_id,
});
