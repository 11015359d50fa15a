//! The billing event of a finished turn, as of the draft of ABI 1.2 (`ABI.md`).

use abi_stable::StableAbi;
use abi_stable::std_types::ROption;

use crate::buffer::FfiString;
use crate::records::layout::assert_layout;
use crate::records::usage::FfiUsageTokens;
use crate::scalar::{FfiTime, FfiUuid};

/// What a finished turn used and cost, for billing: [`FfiUsageEvent`](super::usage::FfiUsageEvent) and two counts more.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiUsageEventV2 {
    /// The tenant.
    pub tenant_id: FfiUuid,
    /// The user.
    pub user_id: FfiUuid,
    /// The chat.
    pub chat_id: FfiUuid,
    /// The turn.
    pub turn_id: FfiUuid,
    /// The request that ran the turn.
    pub request_id: FfiUuid,
    /// The model that answered.
    pub effective_model: FfiString,
    /// The model that the user chose.
    pub selected_model: FfiString,
    /// How the turn ended.
    pub terminal_state: FfiString,
    /// How it is billed.
    pub billing_outcome: FfiString,
    /// Tokens used, if the provider said.
    pub usage: ROption<FfiUsageTokens>,
    /// Credits charged, in millionths; negative gives back.
    pub actual_credits_micro: i64,
    /// How the charge was worked out.
    pub settlement_method: FfiString,
    /// Number of the policy version that the turn ran under.
    pub policy_version_applied: i64,
    /// How often the web was searched.
    pub web_search_calls: u32,
    /// How often the code interpreter ran.
    pub code_interpreter_calls: u32,
    /// When the turn was settled.
    pub timestamp: FfiTime,
}

assert_layout!(FfiUsageEventV2: size 264, align 8 {
    tenant_id: 0, user_id: 16, chat_id: 32, turn_id: 48, request_id: 64, effective_model: 80, selected_model: 104,
    terminal_state: 128, billing_outcome: 152, usage: 176, actual_credits_micro: 200, settlement_method: 208,
    policy_version_applied: 232, web_search_calls: 240, code_interpreter_calls: 244, timestamp: 248,
});
