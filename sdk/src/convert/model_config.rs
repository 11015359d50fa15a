//! Settings and abilities of one model of the catalogue.

use mini_chat_plugin_abi::records::{
    FfiModelApiParams, FfiModelFeatures, FfiModelGeneralConfig, FfiModelInputType, FfiModelPerformance,
    FfiModelSupportedEndpoints, FfiModelTokenPolicy, FfiModelToolSupport,
};

use crate::convert::macros::record;
use crate::models::{
    ModelApiParams, ModelFeatures, ModelGeneralConfig, ModelInputType, ModelPerformance, ModelSupportedEndpoints,
    ModelTokenPolicy, ModelToolSupport,
};

record!(ModelGeneralConfig as FfiModelGeneralConfig {
    config_type, available_from, max_file_size_mb, api_params, features, input_type, tool_support,
    supported_endpoints, token_policy, performance,
});

record!(ModelApiParams as FfiModelApiParams { temperature, top_p, frequency_penalty, presence_penalty, stop });

record!(ModelFeatures as FfiModelFeatures {
    streaming, function_calling, structured_output, fine_tuning, distillation, fim_completion, chat_prefix_completion,
});

record!(ModelInputType as FfiModelInputType { text, image, audio, video });

record!(ModelToolSupport as FfiModelToolSupport {
    web_search, file_search, image_generation, code_interpreter, computer_use, mcp,
});

record!(ModelSupportedEndpoints as FfiModelSupportedEndpoints {
    chat_completions, responses, realtime, assistants, batch_api, fine_tuning, embeddings, videos, image_generation,
    image_edit, audio_speech_generation, audio_transcription, audio_translation, moderations, completions,
});

record!(ModelTokenPolicy as FfiModelTokenPolicy { input_tokens_credit_multiplier, output_tokens_credit_multiplier });

record!(ModelPerformance as FfiModelPerformance { response_latency_ms, speed_tokens_per_second });
