//! Settings and abilities of one model of the catalogue.

use abi_stable::StableAbi;

use crate::buffer::{FfiString, FfiVec};
use crate::records::layout::assert_layout;
use crate::scalar::FfiTime;

/// Settings and abilities of a model at its provider.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelGeneralConfig {
    /// GTS type of this configuration.
    pub config_type: FfiString,
    /// Since when the model may be used.
    pub available_from: FfiTime,
    /// Largest file that may be attached, in megabytes.
    pub max_file_size_mb: u32,
    /// Sampling parameters.
    pub api_params: FfiModelApiParams,
    /// Features.
    pub features: FfiModelFeatures,
    /// Kinds of input.
    pub input_type: FfiModelInputType,
    /// Tools.
    pub tool_support: FfiModelToolSupport,
    /// End points.
    pub supported_endpoints: FfiModelSupportedEndpoints,
    /// Prices for display.
    pub token_policy: FfiModelTokenPolicy,
    /// Speed.
    pub performance: FfiModelPerformance,
}

assert_layout!(FfiModelGeneralConfig: size 160, align 8 {
    config_type: 0, available_from: 24, max_file_size_mb: 40, api_params: 48, features: 104, input_type: 111,
    tool_support: 115, supported_endpoints: 121, token_policy: 136, performance: 152,
});

/// Sampling parameters sent to the provider.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelApiParams {
    /// Sampling temperature.
    pub temperature: f64,
    /// Nucleus sampling: share of the probability mass.
    pub top_p: f64,
    /// Penalty for tokens by how often they occurred.
    pub frequency_penalty: f64,
    /// Penalty for tokens that occurred at all.
    pub presence_penalty: f64,
    /// Texts that end the answer.
    pub stop: FfiVec<FfiString>,
}

assert_layout!(FfiModelApiParams: size 56, align 8 {
    temperature: 0, top_p: 8, frequency_penalty: 16, presence_penalty: 24, stop: 32,
});

/// What the model supports at its provider.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelFeatures {
    /// Streamed answers.
    pub streaming: bool,
    /// Function calling.
    pub function_calling: bool,
    /// Output that follows a schema.
    pub structured_output: bool,
    /// Fine tuning.
    pub fine_tuning: bool,
    /// Distillation.
    pub distillation: bool,
    /// Filling in the middle of a text.
    pub fim_completion: bool,
    /// Completing the beginning of an answer.
    pub chat_prefix_completion: bool,
}

assert_layout!(FfiModelFeatures: size 7, align 1 {
    streaming: 0, function_calling: 1, structured_output: 2, fine_tuning: 3, distillation: 4, fim_completion: 5,
    chat_prefix_completion: 6,
});

/// What the model reads.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelInputType {
    /// Text.
    pub text: bool,
    /// Images.
    pub image: bool,
    /// Audio.
    pub audio: bool,
    /// Video.
    pub video: bool,
}

assert_layout!(FfiModelInputType: size 4, align 1 { text: 0, image: 1, audio: 2, video: 3 });

/// Which tools the model can use.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelToolSupport {
    /// Web search.
    pub web_search: bool,
    /// File search.
    pub file_search: bool,
    /// Image generation.
    pub image_generation: bool,
    /// Code interpreter.
    pub code_interpreter: bool,
    /// Using a computer.
    pub computer_use: bool,
    /// Model Context Protocol servers.
    pub mcp: bool,
}

assert_layout!(FfiModelToolSupport: size 6, align 1 {
    web_search: 0, file_search: 1, image_generation: 2, code_interpreter: 3, computer_use: 4, mcp: 5,
});

/// Which end points of the provider serve the model.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelSupportedEndpoints {
    /// Chat completions.
    pub chat_completions: bool,
    /// Responses.
    pub responses: bool,
    /// Real time.
    pub realtime: bool,
    /// Assistants.
    pub assistants: bool,
    /// Batches.
    pub batch_api: bool,
    /// Fine tuning.
    pub fine_tuning: bool,
    /// Embeddings.
    pub embeddings: bool,
    /// Videos.
    pub videos: bool,
    /// Image generation.
    pub image_generation: bool,
    /// Image editing.
    pub image_edit: bool,
    /// Speech generation.
    pub audio_speech_generation: bool,
    /// Transcription.
    pub audio_transcription: bool,
    /// Translation of audio.
    pub audio_translation: bool,
    /// Moderations.
    pub moderations: bool,
    /// Completions without chat.
    pub completions: bool,
}

assert_layout!(FfiModelSupportedEndpoints: size 15, align 1 {
    chat_completions: 0, responses: 1, realtime: 2, assistants: 3, batch_api: 4, fine_tuning: 5, embeddings: 6,
    videos: 7, image_generation: 8, image_edit: 9, audio_speech_generation: 10, audio_transcription: 11,
    audio_translation: 12, moderations: 13, completions: 14,
});

/// What tokens cost, as fractions, for display; settlement uses the catalogue's integer multipliers.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelTokenPolicy {
    /// Credits per input token.
    pub input_tokens_credit_multiplier: f64,
    /// Credits per output token.
    pub output_tokens_credit_multiplier: f64,
}

assert_layout!(FfiModelTokenPolicy: size 16, align 8 {
    input_tokens_credit_multiplier: 0, output_tokens_credit_multiplier: 8,
});

/// How fast the model is, roughly.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiModelPerformance {
    /// Milliseconds to the first token.
    pub response_latency_ms: u32,
    /// Tokens per second after that.
    pub speed_tokens_per_second: u32,
}

assert_layout!(FfiModelPerformance: size 8, align 4 { response_latency_ms: 0, speed_tokens_per_second: 4 });
