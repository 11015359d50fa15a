//! What the model-policy trait speaks of: policy versions and snapshots, limits, licences, usage events.
//!
//! Plain data, read and written as JSON by serde. Reading passes over unknown keys, so that a document of a newer release
//! is understood. The model catalogue has a file of its own, `models/catalog.rs`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

mod catalog;

pub use catalog::{
    EstimationBudgets, ModelApiParams, ModelCatalogEntry, ModelFeatures, ModelGeneralConfig, ModelInputType,
    ModelPerformance, ModelPreference, ModelSupportedEndpoints, ModelTier, ModelTokenPolicy, ModelToolSupport,
};

/// Which policy version is current for a user.
#[derive(Debug, Clone)]
pub struct PolicyVersionInfo {
    /// Whose policy it is.
    pub user_id: Uuid,
    /// Number of the version; grows with every change of the policy.
    pub policy_version: u64,
    /// When the version was made.
    pub generated_at: OffsetDateTime,
}

/// Everything one policy version says to one user.
#[derive(Debug, Clone)]
pub struct PolicySnapshot {
    /// Whose policy it is.
    pub user_id: Uuid,
    /// Number of the version.
    pub policy_version: u64,
    /// The models that the user may see, in the order they are shown in.
    pub model_catalog: Vec<ModelCatalogEntry>,
    /// What is switched off.
    pub kill_switches: KillSwitches,
}

/// Switches by which an operator turns features off for everybody.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KillSwitches {
    /// No premium model may be used.
    pub disable_premium_tier: bool,
    /// Every turn runs on a standard model.
    pub force_standard_tier: bool,
    /// No web search.
    pub disable_web_search: bool,
    /// No file search.
    pub disable_file_search: bool,
    /// No images, in or out.
    pub disable_images: bool,
    /// No code interpreter.
    pub disable_code_interpreter: bool,
}

/// What a user may spend under one policy version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserLimits {
    /// Whose limits they are.
    pub user_id: Uuid,
    /// Number of the version.
    pub policy_version: u64,
    /// Limits of the standard tier.
    pub standard: TierLimits,
    /// Limits of the premium tier.
    pub premium: TierLimits,
}

/// What may be spent on one tier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TierLimits {
    /// Credits per day, in millionths.
    pub limit_daily_credits_micro: i64,
    /// Credits per month, in millionths.
    pub limit_monthly_credits_micro: i64,
}

/// Whether a user is licensed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserLicenseStatus {
    /// The user holds an active licence.
    pub active: bool,
}

/// What a finished turn used and cost, for billing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsageEvent {
    /// The tenant.
    pub tenant_id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The chat.
    pub chat_id: Uuid,
    /// The turn.
    pub turn_id: Uuid,
    /// The request that ran the turn.
    pub request_id: Uuid,
    /// The model that answered.
    pub effective_model: String,
    /// The model that the user chose.
    pub selected_model: String,
    /// How the turn ended.
    pub terminal_state: String,
    /// How it is billed.
    pub billing_outcome: String,
    /// Tokens used, if the provider said.
    pub usage: Option<UsageTokens>,
    /// Credits charged, in millionths; negative gives back.
    pub actual_credits_micro: i64,
    /// How the charge was worked out.
    pub settlement_method: String,
    /// Number of the policy version that the turn ran under.
    pub policy_version_applied: i64,
    /// How often the web was searched.
    #[cfg(mini_chat_abi = "1.2")]
    #[serde(default)]
    pub web_search_calls: u32,
    /// How often the code interpreter ran.
    #[cfg(mini_chat_abi = "1.2")]
    #[serde(default)]
    pub code_interpreter_calls: u32,
    /// When the turn was settled.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
}

/// Tokens that a turn used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UsageTokens {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
}
