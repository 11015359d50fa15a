//! The events that the audit trait delivers.
//!
//! Plain data, read and written as JSON by serde; enumerations are written in snake case. What a turn event is made of has
//! a file of its own, `audit_models/parts.rs`.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

mod parts;

pub use parts::{
    AttachmentKind, AttachmentMetadata, AuditUsageTokens, LatencyMs, LicenseDecision, PolicyDecisions, QuotaDecision,
    QuotaScope, ToolCalls,
};

/// What a [`TurnAuditEvent`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnAuditEventType {
    /// The turn was completed.
    TurnCompleted,
    /// The turn failed.
    TurnFailed,
}

impl fmt::Display for TurnAuditEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TurnCompleted => "turn_completed",
            Self::TurnFailed => "turn_failed",
        })
    }
}

/// What a [`TurnMutationAuditEvent`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnMutationAuditEventType {
    /// The turn was run again.
    TurnRetry,
    /// The user changed the message and ran the turn again.
    TurnEdit,
}

impl fmt::Display for TurnMutationAuditEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TurnRetry => "turn_retry",
            Self::TurnEdit => "turn_edit",
        })
    }
}

/// What a [`TurnDeleteAuditEvent`] reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnDeleteAuditEventType {
    /// The turn was deleted.
    #[default]
    TurnDelete,
}

impl fmt::Display for TurnDeleteAuditEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TurnDelete => "turn_delete",
        })
    }
}

/// Who asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequesterType {
    /// A person.
    User,
    /// The system itself.
    System,
}

/// A turn was completed or failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TurnAuditEvent {
    /// Which of the two.
    pub event_type: TurnAuditEventType,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// The tenant.
    pub tenant_id: Uuid,
    /// Who asked for the turn.
    pub requester_type: RequesterType,
    /// Trace that the turn belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The user.
    pub user_id: Uuid,
    /// The chat.
    pub chat_id: Uuid,
    /// The turn.
    pub turn_id: Uuid,
    /// The request that ran the turn.
    pub request_id: Uuid,
    /// The model that the user chose.
    pub selected_model: String,
    /// The model that answered.
    pub effective_model: String,
    /// Number of the policy version that the turn ran under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version_applied: Option<u64>,
    /// Tokens used.
    pub usage: AuditUsageTokens,
    /// How long it took.
    pub latency_ms: LatencyMs,
    /// What was decided before it ran.
    pub policy_decisions: PolicyDecisions,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What the user wrote; redacted and cut by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What the model answered; redacted and cut by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// What was attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentMetadata>,
    /// How often tools were called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<ToolCalls>,
}

/// A turn was retried or edited, which made a new request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TurnMutationAuditEvent {
    /// Which of the two.
    pub event_type: TurnMutationAuditEventType,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// The tenant.
    pub tenant_id: Uuid,
    /// Who asked for it.
    pub requester_type: RequesterType,
    /// Trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The user who did it.
    pub actor_user_id: Uuid,
    /// The chat.
    pub chat_id: Uuid,
    /// The turn.
    pub turn_id: Uuid,
    /// The request that was replaced.
    pub original_request_id: Uuid,
    /// The request that replaces it.
    pub new_request_id: Uuid,
}

impl TurnMutationAuditEvent {
    /// An event that says that a turn was run again.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "one argument per field, in the order of the fields")]
    pub fn new_retry(
        timestamp: OffsetDateTime,
        tenant_id: Uuid,
        requester_type: RequesterType,
        trace_id: Option<String>,
        actor_user_id: Uuid,
        chat_id: Uuid,
        turn_id: Uuid,
        original_request_id: Uuid,
        new_request_id: Uuid,
    ) -> Self {
        Self {
            event_type: TurnMutationAuditEventType::TurnRetry,
            timestamp,
            tenant_id,
            requester_type,
            trace_id,
            actor_user_id,
            chat_id,
            turn_id,
            original_request_id,
            new_request_id,
        }
    }

    /// An event that says that a turn was edited.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "one argument per field, in the order of the fields")]
    pub fn new_edit(
        timestamp: OffsetDateTime,
        tenant_id: Uuid,
        requester_type: RequesterType,
        trace_id: Option<String>,
        actor_user_id: Uuid,
        chat_id: Uuid,
        turn_id: Uuid,
        original_request_id: Uuid,
        new_request_id: Uuid,
    ) -> Self {
        Self {
            event_type: TurnMutationAuditEventType::TurnEdit,
            timestamp,
            tenant_id,
            requester_type,
            trace_id,
            actor_user_id,
            chat_id,
            turn_id,
            original_request_id,
            new_request_id,
        }
    }
}

/// A turn was run again: a [`TurnMutationAuditEvent`] of type [`TurnRetry`](TurnMutationAuditEventType::TurnRetry).
pub type TurnRetryAuditEvent = TurnMutationAuditEvent;

/// A turn was edited: a [`TurnMutationAuditEvent`] of type [`TurnEdit`](TurnMutationAuditEventType::TurnEdit).
pub type TurnEditAuditEvent = TurnMutationAuditEvent;

/// A turn was deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TurnDeleteAuditEvent {
    /// What happened.
    pub event_type: TurnDeleteAuditEventType,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// The tenant.
    pub tenant_id: Uuid,
    /// Who asked for it.
    pub requester_type: RequesterType,
    /// Trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The user who did it.
    pub actor_user_id: Uuid,
    /// The chat.
    pub chat_id: Uuid,
    /// The turn.
    pub turn_id: Uuid,
    /// The request that ran the turn.
    pub request_id: Uuid,
}
