//! The model catalogue of a policy snapshot.

use abi_stable::StableAbi;
use abi_stable::std_types::ROption;

use crate::buffer::{FfiString, FfiVec};
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;
use crate::records::model_config::FfiModelGeneralConfig;

open_enum! {
    /// Price tier of a model.
    FfiModelTier {
        /// The standard tier.
        STANDARD = 1,
        /// The premium tier.
        PREMIUM = 2,
    }
}

/// One model of the catalogue: who offers it, what it can do, what it costs.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelCatalogEntry {
    /// Name of the model in this product.
    pub model_id: FfiString,
    /// Name of the model at its provider.
    pub provider_model_id: FfiString,
    /// Name shown to people.
    pub display_name: FfiString,
    /// Description shown to people.
    pub description: FfiString,
    /// Version shown to people.
    pub version: FfiString,
    /// Identifier of the provider.
    pub provider_id: FfiString,
    /// Name of the provider shown to people.
    pub provider_display_name: FfiString,
    /// URL of an icon; empty if there is none.
    pub icon: FfiString,
    /// The price tier that the model belongs to.
    pub tier: FfiModelTier,
    /// Whether the model may be chosen.
    pub enabled: bool,
    /// What it can do besides text, such as `VISION_INPUT`.
    pub multimodal_capabilities: FfiVec<FfiString>,
    /// Tokens that input and output may have together.
    pub context_window: u32,
    /// Tokens that one answer may have.
    pub max_output_tokens: u32,
    /// Tokens that one request may have.
    pub max_input_tokens: u32,
    /// Credits per input token, in millionths.
    pub input_tokens_credit_multiplier_micro: u64,
    /// Credits per output token, in millionths.
    pub output_tokens_credit_multiplier_micro: u64,
    /// The multiplier as shown to people, such as `1.5x`.
    pub multiplier_display: FfiString,
    /// How the tokens of a turn are estimated before it runs.
    pub estimation_budgets: FfiEstimationBudgets,
    /// Chunks that file search may add to one turn.
    pub max_retrieved_chunks_per_turn: u32,
    /// Tool calls that one turn may make.
    pub max_tool_calls: u32,
    /// Settings and abilities of the model at its provider.
    pub general_config: FfiModelGeneralConfig,
    /// How the user has ranked the model, if at all.
    pub preference: ROption<FfiModelPreference>,
    /// System prompt of every chat with the model; empty if there is none.
    pub system_prompt: FfiString,
    /// Prompt for summarising a thread; empty if there is none.
    pub thread_summary_prompt: FfiString,
}

assert_layout!(FfiModelCatalogEntry: size 544, align 8 {
    model_id: 0, provider_model_id: 24, display_name: 48, description: 72, version: 96, provider_id: 120,
    provider_display_name: 144, icon: 168, tier: 192, enabled: 196, multimodal_capabilities: 200,
    context_window: 224, max_output_tokens: 228, max_input_tokens: 232, input_tokens_credit_multiplier_micro: 240,
    output_tokens_credit_multiplier_micro: 248, multiplier_display: 256, estimation_budgets: 280,
    max_retrieved_chunks_per_turn: 312, max_tool_calls: 316, general_config: 320, preference: 480,
    system_prompt: 496, thread_summary_prompt: 520,
});

/// Numbers from which the tokens of a turn are estimated before it runs.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiEstimationBudgets {
    /// Bytes of text taken as one token.
    pub bytes_per_token_conservative: u32,
    /// Tokens added to every turn.
    pub fixed_overhead_tokens: u32,
    /// Per cent added to the sum.
    pub safety_margin_pct: u32,
    /// Tokens per image.
    pub image_token_budget: u32,
    /// Tokens added if tools are offered.
    pub tool_surcharge_tokens: u32,
    /// Tokens added if web search is offered.
    pub web_search_surcharge_tokens: u32,
    /// Tokens added if the code interpreter is offered.
    pub code_interpreter_surcharge_tokens: u32,
    /// Tokens that must be left for the answer.
    pub minimal_generation_floor: u32,
}

assert_layout!(FfiEstimationBudgets: size 32, align 4 {
    bytes_per_token_conservative: 0, fixed_overhead_tokens: 4, safety_margin_pct: 8, image_token_budget: 12,
    tool_surcharge_tokens: 16, web_search_surcharge_tokens: 20, code_interpreter_surcharge_tokens: 24,
    minimal_generation_floor: 28,
});

/// How a user has ranked a model.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelPreference {
    /// It is the user's default.
    pub is_default: bool,
    /// Place in the list; lower comes first.
    pub sort_order: i32,
}

assert_layout!(FfiModelPreference: size 8, align 4 { is_default: 0, sort_order: 4 });
