//! The model catalogue of a policy snapshot.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Price tier of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelTier {
    /// The standard tier. Also read as `standard`.
    #[serde(alias = "standard")]
    Standard,
    /// The premium tier. Also read as `premium`.
    #[serde(alias = "premium")]
    Premium,
}

/// One model of the catalogue: who offers it, what it can do, what it costs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelCatalogEntry {
    /// Name of the model in this product.
    pub model_id: String,
    /// Name of the model at its provider.
    pub provider_model_id: String,
    /// Name shown to people.
    pub display_name: String,
    /// Description shown to people.
    #[serde(default)]
    pub description: String,
    /// Version shown to people.
    #[serde(default)]
    pub version: String,
    /// Identifier of the provider.
    pub provider_id: String,
    /// Name of the provider shown to people.
    pub provider_display_name: String,
    /// URL of an icon; empty if there is none.
    #[serde(default)]
    pub icon: String,
    /// The price tier that the model belongs to.
    pub tier: ModelTier,
    /// Whether the model may be chosen.
    #[serde(default)]
    pub enabled: bool,
    /// What it can do besides text, such as `VISION_INPUT`.
    #[serde(default)]
    pub multimodal_capabilities: Vec<String>,
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
    #[serde(default)]
    pub multiplier_display: String,
    /// How the tokens of a turn are estimated before it runs.
    #[serde(default)]
    pub estimation_budgets: EstimationBudgets,
    /// Chunks that file search may add to one turn.
    pub max_retrieved_chunks_per_turn: u32,
    /// Tool calls that one turn may make; 2 if the JSON does not say.
    #[serde(default = "default_max_tool_calls")]
    pub max_tool_calls: u32,
    /// Settings and abilities of the model at its provider.
    pub general_config: ModelGeneralConfig,
    /// How the user has ranked the model, if at all.
    pub preference: Option<ModelPreference>,
    /// System prompt of every chat with the model; empty if there is none.
    #[serde(default)]
    pub system_prompt: String,
    /// Prompt for summarising a thread; empty if there is none.
    #[serde(default)]
    pub thread_summary_prompt: String,
}

fn default_max_tool_calls() -> u32 {
    2
}

/// Numbers from which the tokens of a turn are estimated before it runs.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct EstimationBudgets {
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

impl Default for EstimationBudgets {
    fn default() -> Self {
        Self {
            bytes_per_token_conservative: 4,
            fixed_overhead_tokens: 100,
            safety_margin_pct: 10,
            image_token_budget: 1_000,
            tool_surcharge_tokens: 500,
            web_search_surcharge_tokens: 500,
            code_interpreter_surcharge_tokens: 1_000,
            minimal_generation_floor: 50,
        }
    }
}

/// How a user has ranked a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelPreference {
    /// It is the user's default.
    pub is_default: bool,
    /// Place in the list; lower comes first.
    pub sort_order: i32,
}

/// Settings and abilities of a model at its provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelGeneralConfig {
    /// GTS type of this configuration; in JSON `type`.
    #[serde(rename = "type")]
    pub config_type: String,
    /// Since when the model may be used.
    #[serde(with = "time::serde::rfc3339")]
    pub available_from: OffsetDateTime,
    /// Largest file that may be attached, in megabytes.
    pub max_file_size_mb: u32,
    /// Sampling parameters.
    pub api_params: ModelApiParams,
    /// Features.
    pub features: ModelFeatures,
    /// Kinds of input.
    pub input_type: ModelInputType,
    /// Tools.
    pub tool_support: ModelToolSupport,
    /// End points.
    pub supported_endpoints: ModelSupportedEndpoints,
    /// Prices for display.
    pub token_policy: ModelTokenPolicy,
    /// Speed.
    pub performance: ModelPerformance,
}

/// Sampling parameters sent to the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelApiParams {
    /// Sampling temperature.
    pub temperature: f64,
    /// Nucleus sampling: share of the probability mass.
    pub top_p: f64,
    /// Penalty for tokens by how often they occurred.
    pub frequency_penalty: f64,
    /// Penalty for tokens that occurred at all.
    pub presence_penalty: f64,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// What the model supports at its provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelFeatures {
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

/// What the model reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelInputType {
    /// Text.
    pub text: bool,
    /// Images.
    pub image: bool,
    /// Audio.
    pub audio: bool,
    /// Video.
    pub video: bool,
}

/// Which tools the model can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelToolSupport {
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

/// Which end points of the provider serve the model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelSupportedEndpoints {
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

/// What tokens cost, as fractions, for display; settlement uses the catalogue's integer multipliers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelTokenPolicy {
    /// Credits per input token.
    pub input_tokens_credit_multiplier: f64,
    /// Credits per output token.
    pub output_tokens_credit_multiplier: f64,
}

/// How fast the model is, roughly.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelPerformance {
    /// Milliseconds to the first token.
    pub response_latency_ms: u32,
    /// Tokens per second after that.
    pub speed_tokens_per_second: u32,
}
