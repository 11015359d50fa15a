//! What the audit event of a turn is made of.

use mini_chat_plugin_abi::records::{
    FfiAttachmentKind, FfiAttachmentMetadata, FfiAuditUsageTokens, FfiLatencyMs, FfiLicenseDecision,
    FfiPolicyDecisions, FfiQuotaDecision, FfiQuotaScope, FfiToolCalls,
};

use crate::audit_models::{
    AttachmentKind, AttachmentMetadata, AuditUsageTokens, LatencyMs, LicenseDecision, PolicyDecisions, QuotaDecision,
    QuotaScope, ToolCalls,
};
use crate::convert::macros::{enumeration, record};

enumeration!(AttachmentKind as FfiAttachmentKind { Document = DOCUMENT, Image = IMAGE });

enumeration!(QuotaScope as FfiQuotaScope { Tokens = TOKENS, WebSearch = WEB_SEARCH });

record!(AttachmentMetadata as FfiAttachmentMetadata {
    attachment_id, attachment_kind, filename, content_type, size_bytes, image_used_in_turn, doc_summary,
});

record!(AuditUsageTokens as FfiAuditUsageTokens { input_tokens, output_tokens, model });

record!(LatencyMs as FfiLatencyMs { ttft_ms, total_ms });

record!(LicenseDecision as FfiLicenseDecision { feature, decision });

record!(QuotaDecision as FfiQuotaDecision { decision, quota_scope, downgrade_from, downgrade_reason });

record!(PolicyDecisions as FfiPolicyDecisions { license, quota });

record!(ToolCalls as FfiToolCalls { file_search_calls, web_search_calls });
