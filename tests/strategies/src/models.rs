//! Strategies for what the model-policy trait speaks of.

use mini_chat_plugin_sdk::models::{
    EstimationBudgets, KillSwitches, ModelApiParams, ModelCatalogEntry, ModelFeatures, ModelGeneralConfig,
    ModelInputType, ModelPerformance, ModelPreference, ModelSupportedEndpoints, ModelTier, ModelTokenPolicy,
    ModelToolSupport, PolicySnapshot, PolicyVersionInfo, TierLimits, UsageEvent, UsageTokens, UserLicenseStatus,
    UserLimits,
};
use proptest::option;
use proptest::prelude::*;

use super::scalars::{f64s, i32s, i64s, list, text, time, u32s, u64s, uuid};

enums! {
    model_tier: ModelTier { Standard, Premium }
}

structs! {
    policy_version_info: PolicyVersionInfo {
        user_id: uuid(),
        policy_version: u64s(),
        generated_at: time(),
    }
    policy_snapshot: PolicySnapshot {
        user_id: uuid(),
        policy_version: u64s(),
        model_catalog: list(model_catalog_entry()),
        kill_switches: kill_switches(),
    }
    kill_switches: KillSwitches {
        disable_premium_tier: any::<bool>(),
        force_standard_tier: any::<bool>(),
        disable_web_search: any::<bool>(),
        disable_file_search: any::<bool>(),
        disable_images: any::<bool>(),
        disable_code_interpreter: any::<bool>(),
    }
    model_catalog_entry: ModelCatalogEntry {
        model_id: text(),
        provider_model_id: text(),
        display_name: text(),
        description: text(),
        version: text(),
        provider_id: text(),
        provider_display_name: text(),
        icon: text(),
        tier: model_tier(),
        enabled: any::<bool>(),
        multimodal_capabilities: list(text()),
        context_window: u32s(),
        max_output_tokens: u32s(),
        max_input_tokens: u32s(),
        input_tokens_credit_multiplier_micro: u64s(),
        output_tokens_credit_multiplier_micro: u64s(),
        multiplier_display: text(),
        estimation_budgets: estimation_budgets(),
        max_retrieved_chunks_per_turn: u32s(),
        max_tool_calls: u32s(),
        general_config: model_general_config(),
        preference: option::of(model_preference()),
        system_prompt: text(),
        thread_summary_prompt: text(),
    }
    estimation_budgets: EstimationBudgets {
        bytes_per_token_conservative: u32s(),
        fixed_overhead_tokens: u32s(),
        safety_margin_pct: u32s(),
        image_token_budget: u32s(),
        tool_surcharge_tokens: u32s(),
        web_search_surcharge_tokens: u32s(),
        code_interpreter_surcharge_tokens: u32s(),
        minimal_generation_floor: u32s(),
    }
    model_preference: ModelPreference {
        is_default: any::<bool>(),
        sort_order: i32s(),
    }
    model_general_config: ModelGeneralConfig {
        config_type: text(),
        available_from: time(),
        max_file_size_mb: u32s(),
        api_params: model_api_params(),
        features: model_features(),
        input_type: model_input_type(),
        tool_support: model_tool_support(),
        supported_endpoints: model_supported_endpoints(),
        token_policy: model_token_policy(),
        performance: model_performance(),
    }
    model_api_params: ModelApiParams {
        temperature: f64s(),
        top_p: f64s(),
        frequency_penalty: f64s(),
        presence_penalty: f64s(),
        stop: list(text()),
    }
    model_features: ModelFeatures {
        streaming: any::<bool>(),
        function_calling: any::<bool>(),
        structured_output: any::<bool>(),
        fine_tuning: any::<bool>(),
        distillation: any::<bool>(),
        fim_completion: any::<bool>(),
        chat_prefix_completion: any::<bool>(),
    }
    model_input_type: ModelInputType {
        text: any::<bool>(),
        image: any::<bool>(),
        audio: any::<bool>(),
        video: any::<bool>(),
    }
    model_tool_support: ModelToolSupport {
        web_search: any::<bool>(),
        file_search: any::<bool>(),
        image_generation: any::<bool>(),
        code_interpreter: any::<bool>(),
        computer_use: any::<bool>(),
        mcp: any::<bool>(),
    }
    model_supported_endpoints: ModelSupportedEndpoints {
        chat_completions: any::<bool>(),
        responses: any::<bool>(),
        realtime: any::<bool>(),
        assistants: any::<bool>(),
        batch_api: any::<bool>(),
        fine_tuning: any::<bool>(),
        embeddings: any::<bool>(),
        videos: any::<bool>(),
        image_generation: any::<bool>(),
        image_edit: any::<bool>(),
        audio_speech_generation: any::<bool>(),
        audio_transcription: any::<bool>(),
        audio_translation: any::<bool>(),
        moderations: any::<bool>(),
        completions: any::<bool>(),
    }
    model_token_policy: ModelTokenPolicy {
        input_tokens_credit_multiplier: f64s(),
        output_tokens_credit_multiplier: f64s(),
    }
    model_performance: ModelPerformance {
        response_latency_ms: u32s(),
        speed_tokens_per_second: u32s(),
    }
    user_limits: UserLimits {
        user_id: uuid(),
        policy_version: u64s(),
        standard: tier_limits(),
        premium: tier_limits(),
    }
    tier_limits: TierLimits {
        limit_daily_credits_micro: i64s(),
        limit_monthly_credits_micro: i64s(),
    }
    user_license_status: UserLicenseStatus {
        active: any::<bool>(),
    }
    usage_tokens: UsageTokens {
        input_tokens: u64s(),
        output_tokens: u64s(),
    }
}

#[cfg(not(mini_chat_abi = "1.2"))]
structs! {
    usage_event: UsageEvent {
        tenant_id: uuid(),
        user_id: uuid(),
        chat_id: uuid(),
        turn_id: uuid(),
        request_id: uuid(),
        effective_model: text(),
        selected_model: text(),
        terminal_state: text(),
        billing_outcome: text(),
        usage: option::of(usage_tokens()),
        actual_credits_micro: i64s(),
        settlement_method: text(),
        policy_version_applied: i64s(),
        timestamp: time(),
    }
}

#[cfg(mini_chat_abi = "1.2")]
structs! {
    usage_event: UsageEvent {
        tenant_id: uuid(),
        user_id: uuid(),
        chat_id: uuid(),
        turn_id: uuid(),
        request_id: uuid(),
        effective_model: text(),
        selected_model: text(),
        terminal_state: text(),
        billing_outcome: text(),
        usage: option::of(usage_tokens()),
        actual_credits_micro: i64s(),
        settlement_method: text(),
        policy_version_applied: i64s(),
        web_search_calls: u32s(),
        code_interpreter_calls: u32s(),
        timestamp: time(),
    }
}
