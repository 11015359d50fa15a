//! The model catalogue of a policy snapshot.

use mini_chat_plugin_abi::records::{FfiEstimationBudgets, FfiModelCatalogEntry, FfiModelPreference, FfiModelTier};

use crate::convert::macros::{enumeration, record};
use crate::models::{EstimationBudgets, ModelCatalogEntry, ModelPreference, ModelTier};

enumeration!(ModelTier as FfiModelTier { Standard = STANDARD, Premium = PREMIUM });

record!(ModelCatalogEntry as FfiModelCatalogEntry {
    model_id, provider_model_id, display_name, description, version, provider_id, provider_display_name, icon, tier,
    enabled, multimodal_capabilities, context_window, max_output_tokens, max_input_tokens,
    input_tokens_credit_multiplier_micro, output_tokens_credit_multiplier_micro, multiplier_display,
    estimation_budgets, max_retrieved_chunks_per_turn, max_tool_calls, general_config, preference, system_prompt,
    thread_summary_prompt,
});

record!(EstimationBudgets as FfiEstimationBudgets {
    bytes_per_token_conservative, fixed_overhead_tokens, safety_margin_pct, image_token_budget, tool_surcharge_tokens,
    web_search_surcharge_tokens, code_interpreter_surcharge_tokens, minimal_generation_floor,
});

record!(ModelPreference as FfiModelPreference { is_default, sort_order });
