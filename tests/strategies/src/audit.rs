//! Strategies for the events of the audit trait.

use mini_chat_plugin_sdk::audit_models::{
    AttachmentKind, AttachmentMetadata, AuditUsageTokens, LatencyMs, LicenseDecision, PolicyDecisions, QuotaDecision,
    QuotaScope, RequesterType, ToolCalls, TurnAuditEvent, TurnAuditEventType, TurnDeleteAuditEvent,
    TurnDeleteAuditEventType, TurnMutationAuditEvent, TurnMutationAuditEventType,
};
use proptest::option;
use proptest::prelude::*;

use super::scalars::{list, text, time, u64s, uuid};

enums! {
    turn_audit_event_type: TurnAuditEventType { TurnCompleted, TurnFailed }
    turn_mutation_audit_event_type: TurnMutationAuditEventType { TurnRetry, TurnEdit }
    turn_delete_audit_event_type: TurnDeleteAuditEventType { TurnDelete }
    requester_type: RequesterType { User, System }
    attachment_kind: AttachmentKind { Document, Image }
    quota_scope: QuotaScope { Tokens, WebSearch }
}

structs! {
    turn_audit_event: TurnAuditEvent {
        event_type: turn_audit_event_type(),
        timestamp: time(),
        tenant_id: uuid(),
        requester_type: requester_type(),
        trace_id: option::of(text()),
        user_id: uuid(),
        chat_id: uuid(),
        turn_id: uuid(),
        request_id: uuid(),
        selected_model: text(),
        effective_model: text(),
        policy_version_applied: option::of(u64s()),
        usage: audit_usage_tokens(),
        latency_ms: latency_ms(),
        policy_decisions: policy_decisions(),
        error_code: option::of(text()),
        prompt: option::of(text()),
        response: option::of(text()),
        attachments: list(attachment_metadata()),
        tool_calls: option::of(tool_calls()),
    }
    turn_mutation_audit_event: TurnMutationAuditEvent {
        event_type: turn_mutation_audit_event_type(),
        timestamp: time(),
        tenant_id: uuid(),
        requester_type: requester_type(),
        trace_id: option::of(text()),
        actor_user_id: uuid(),
        chat_id: uuid(),
        turn_id: uuid(),
        original_request_id: uuid(),
        new_request_id: uuid(),
    }
    turn_delete_audit_event: TurnDeleteAuditEvent {
        event_type: turn_delete_audit_event_type(),
        timestamp: time(),
        tenant_id: uuid(),
        requester_type: requester_type(),
        trace_id: option::of(text()),
        actor_user_id: uuid(),
        chat_id: uuid(),
        turn_id: uuid(),
        request_id: uuid(),
    }
    attachment_metadata: AttachmentMetadata {
        attachment_id: uuid(),
        attachment_kind: attachment_kind(),
        filename: option::of(text()),
        content_type: option::of(text()),
        size_bytes: option::of(u64s()),
        image_used_in_turn: option::of(any::<bool>()),
        doc_summary: option::of(text()),
    }
    audit_usage_tokens: AuditUsageTokens {
        input_tokens: u64s(),
        output_tokens: u64s(),
        model: option::of(text()),
    }
    latency_ms: LatencyMs {
        ttft_ms: option::of(u64s()),
        total_ms: option::of(u64s()),
    }
    license_decision: LicenseDecision {
        feature: text(),
        decision: text(),
    }
    quota_decision: QuotaDecision {
        decision: text(),
        quota_scope: option::of(quota_scope()),
        downgrade_from: option::of(text()),
        downgrade_reason: option::of(text()),
    }
    policy_decisions: PolicyDecisions {
        license: option::of(license_decision()),
        quota: quota_decision(),
    }
    tool_calls: ToolCalls {
        file_search_calls: option::of(u64s()),
        web_search_calls: option::of(u64s()),
    }
}
