//! What the audit event of a turn is made of.

use abi_stable::StableAbi;
use abi_stable::std_types::ROption;

use crate::buffer::FfiString;
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;
use crate::scalar::FfiUuid;

open_enum! {
    /// What an attachment is.
    FfiAttachmentKind {
        /// A document.
        DOCUMENT = 1,
        /// An image.
        IMAGE = 2,
    }
}

open_enum! {
    /// Which quota a decision is about.
    FfiQuotaScope {
        /// Tokens.
        TOKENS = 1,
        /// Web searches.
        WEB_SEARCH = 2,
    }
}

/// What is recorded of an attachment.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiAttachmentMetadata {
    /// The attachment.
    pub attachment_id: FfiUuid,
    /// What it is.
    pub attachment_kind: FfiAttachmentKind,
    /// Name of the file.
    pub filename: ROption<FfiString>,
    /// Media type.
    pub content_type: ROption<FfiString>,
    /// Size in bytes.
    pub size_bytes: ROption<u64>,
    /// Whether the image was sent to the model.
    pub image_used_in_turn: ROption<bool>,
    /// Summary of the document.
    pub doc_summary: ROption<FfiString>,
}

assert_layout!(FfiAttachmentMetadata: size 144, align 8 {
    attachment_id: 0, attachment_kind: 16, filename: 24, content_type: 56, size_bytes: 88, image_used_in_turn: 104,
    doc_summary: 112,
});

/// Tokens that a turn used, with the model that used them.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiAuditUsageTokens {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// The model.
    pub model: ROption<FfiString>,
}

assert_layout!(FfiAuditUsageTokens: size 48, align 8 { input_tokens: 0, output_tokens: 8, model: 16 });

/// How long a turn took.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiLatencyMs {
    /// Milliseconds to the first token.
    pub ttft_ms: ROption<u64>,
    /// Milliseconds to the end.
    pub total_ms: ROption<u64>,
}

assert_layout!(FfiLatencyMs: size 32, align 8 { ttft_ms: 0, total_ms: 16 });

/// What the licence check decided.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiLicenseDecision {
    /// The feature that was asked for.
    pub feature: FfiString,
    /// The decision.
    pub decision: FfiString,
}

assert_layout!(FfiLicenseDecision: size 48, align 8 { feature: 0, decision: 24 });

/// What the quota check decided.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiQuotaDecision {
    /// The decision.
    pub decision: FfiString,
    /// The quota that decided.
    pub quota_scope: ROption<FfiQuotaScope>,
    /// The tier that the turn was moved down from.
    pub downgrade_from: ROption<FfiString>,
    /// Why it was moved down.
    pub downgrade_reason: ROption<FfiString>,
}

assert_layout!(FfiQuotaDecision: size 96, align 8 {
    decision: 0, quota_scope: 24, downgrade_from: 32, downgrade_reason: 64,
});

/// What was decided before a turn ran.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiPolicyDecisions {
    /// The licence check, if there was one.
    pub license: ROption<FfiLicenseDecision>,
    /// The quota check.
    pub quota: FfiQuotaDecision,
}

assert_layout!(FfiPolicyDecisions: size 152, align 8 { license: 0, quota: 56 });

/// How often a turn called tools.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiToolCalls {
    /// Calls of file search.
    pub file_search_calls: ROption<u64>,
    /// Calls of web search.
    pub web_search_calls: ROption<u64>,
}

assert_layout!(FfiToolCalls: size 32, align 8 { file_search_calls: 0, web_search_calls: 16 });
