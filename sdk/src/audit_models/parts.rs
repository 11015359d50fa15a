//! What a [`TurnAuditEvent`](super::TurnAuditEvent) is made of.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A document.
    Document,
    /// An image.
    Image,
}

/// Which quota a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaScope {
    /// Tokens.
    Tokens,
    /// Web searches.
    WebSearch,
}

/// What is recorded of an attachment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttachmentMetadata {
    /// The attachment.
    pub attachment_id: Uuid,
    /// What it is.
    pub attachment_kind: AttachmentKind,
    /// Name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Whether the image was sent to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_used_in_turn: Option<bool>,
    /// Summary of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_summary: Option<String>,
}

/// Tokens that a turn used, with the model that used them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditUsageTokens {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// How long a turn took.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LatencyMs {
    /// Milliseconds to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// Milliseconds to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
}

/// What the licence check decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LicenseDecision {
    /// The feature that was asked for.
    pub feature: String,
    /// The decision.
    pub decision: String,
}

/// What the quota check decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuotaDecision {
    /// The decision.
    pub decision: String,
    /// The quota that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_scope: Option<QuotaScope>,
    /// The tier that the turn was moved down from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade_from: Option<String>,
    /// Why it was moved down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade_reason: Option<String>,
}

/// What was decided before a turn ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyDecisions {
    /// The licence check, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<LicenseDecision>,
    /// The quota check.
    pub quota: QuotaDecision,
}

/// How often a turn called tools.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToolCalls {
    /// Calls of file search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_search_calls: Option<u64>,
    /// Calls of web search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search_calls: Option<u64>,
}
