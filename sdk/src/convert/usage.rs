//! The billing event of a finished turn.

#[cfg(mini_chat_abi = "1.2")]
use mini_chat_plugin_abi::records::FfiUsageEventV2;
use mini_chat_plugin_abi::records::{FfiUsageEvent, FfiUsageTokens};

#[cfg(mini_chat_abi = "1.2")]
use crate::convert::macros::older_record;
use crate::convert::macros::record;
use crate::models::{UsageEvent, UsageTokens};

#[cfg(not(mini_chat_abi = "1.2"))]
record!(UsageEvent as FfiUsageEvent {
    tenant_id, user_id, chat_id, turn_id, request_id, effective_model, selected_model, terminal_state,
    billing_outcome, usage, actual_credits_micro, settlement_method, policy_version_applied, timestamp,
});

#[cfg(mini_chat_abi = "1.2")]
record!(UsageEvent as FfiUsageEventV2 {
    tenant_id, user_id, chat_id, turn_id, request_id, effective_model, selected_model, terminal_state,
    billing_outcome, usage, actual_credits_micro, settlement_method, policy_version_applied, web_search_calls,
    code_interpreter_calls, timestamp,
});

#[cfg(mini_chat_abi = "1.2")]
older_record!(UsageEvent as FfiUsageEvent {
    tenant_id, user_id, chat_id, turn_id, request_id, effective_model, selected_model, terminal_state,
    billing_outcome, usage, actual_credits_micro, settlement_method, policy_version_applied, timestamp,
} without { web_search_calls = 0, code_interpreter_calls = 0 });

record!(UsageTokens as FfiUsageTokens { input_tokens, output_tokens });
