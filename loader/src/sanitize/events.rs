//! The fields of the audit events: every text is sanitised, each by itself.
//!
//! The events are taken apart exhaustively: a field that is added to one does not compile until it stands here.

use std::borrow::Cow;

use mini_chat_plugin_sdk::audit_models::{
    AttachmentMetadata, AuditUsageTokens, LicenseDecision, PolicyDecisions, QuotaDecision, TurnAuditEvent,
    TurnDeleteAuditEvent, TurnMutationAuditEvent,
};

use super::Sanitizer;

impl Sanitizer {
    /// The event with every text sanitised; texts that need no change are not touched.
    #[must_use]
    pub fn turn(&self, mut event: TurnAuditEvent) -> TurnAuditEvent {
        let TurnAuditEvent {
            event_type: _,
            timestamp: _,
            tenant_id: _,
            requester_type: _,
            trace_id,
            user_id: _,
            chat_id: _,
            turn_id: _,
            request_id: _,
            selected_model,
            effective_model,
            policy_version_applied: _,
            usage: AuditUsageTokens { input_tokens: _, output_tokens: _, model },
            latency_ms: _,
            policy_decisions: PolicyDecisions { license, quota },
            error_code,
            prompt,
            response,
            attachments,
            tool_calls: _,
        } = &mut event;
        let QuotaDecision { decision, quota_scope: _, downgrade_from, downgrade_reason } = quota;
        let texts = [selected_model, effective_model, decision];
        let optional = [trace_id, model, downgrade_from, downgrade_reason, error_code, prompt, response];
        texts.into_iter().chain(optional.into_iter().flatten()).for_each(|text| self.field(text));
        if let Some(LicenseDecision { feature, decision }) = license {
            self.field(feature);
            self.field(decision);
        }
        for attachment in attachments {
            let AttachmentMetadata {
                attachment_id: _,
                attachment_kind: _,
                filename,
                content_type,
                size_bytes: _,
                image_used_in_turn: _,
                doc_summary,
            } = attachment;
            [filename, content_type, doc_summary].into_iter().flatten().for_each(|text| self.field(text));
        }
        event
    }

    /// Likewise for what reports a retry.
    #[must_use]
    pub fn turn_retry(&self, event: TurnMutationAuditEvent) -> TurnMutationAuditEvent {
        self.mutation(event)
    }

    /// Likewise for what reports an edit.
    #[must_use]
    pub fn turn_edit(&self, event: TurnMutationAuditEvent) -> TurnMutationAuditEvent {
        self.mutation(event)
    }

    fn mutation(&self, mut event: TurnMutationAuditEvent) -> TurnMutationAuditEvent {
        let TurnMutationAuditEvent {
            event_type: _,
            timestamp: _,
            tenant_id: _,
            requester_type: _,
            trace_id,
            actor_user_id: _,
            chat_id: _,
            turn_id: _,
            original_request_id: _,
            new_request_id: _,
        } = &mut event;
        trace_id.iter_mut().for_each(|text| self.field(text));
        event
    }

    /// Likewise for what reports a deletion.
    #[must_use]
    pub fn turn_delete(&self, mut event: TurnDeleteAuditEvent) -> TurnDeleteAuditEvent {
        let TurnDeleteAuditEvent {
            event_type: _,
            timestamp: _,
            tenant_id: _,
            requester_type: _,
            trace_id,
            actor_user_id: _,
            chat_id: _,
            turn_id: _,
            request_id: _,
        } = &mut event;
        trace_id.iter_mut().for_each(|text| self.field(text));
        event
    }

    fn field(&self, text: &mut String) {
        if let Cow::Owned(changed) = self.text(text) {
            *text = changed;
        }
    }
}
