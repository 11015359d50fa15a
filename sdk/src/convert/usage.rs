//! The billing event of a finished turn.

use mini_chat_plugin_abi::records::{FfiUsageEvent, FfiUsageTokens};

use crate::convert::macros::record;
use crate::models::{UsageEvent, UsageTokens};

record!(UsageEvent as FfiUsageEvent {
    tenant_id, user_id, chat_id, turn_id, request_id, effective_model, selected_model, terminal_state,
    billing_outcome, usage, actual_credits_micro, settlement_method, policy_version_applied, timestamp,
});

record!(UsageTokens as FfiUsageTokens { input_tokens, output_tokens });
