//! What `plugins.NAME.config` is read into; checked and resolved by [`Policy`](crate::policy::Policy).

use mini_chat_plugin_sdk::models::{KillSwitches, ModelCatalogEntry, TierLimits};
use mini_chat_plugin_sdk::uuid::Uuid;
use serde::Deserialize;

/// The configuration of the plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of the current version.
    pub policy_version: u64,
    /// When the current version was made, in RFC 3339. Default: when the plugin was created.
    pub generated_at: Option<String>,
    /// The catalogue, in the order in which it is shown.
    pub models: Vec<ModelCatalogEntry>,
    /// What is switched off. Default: nothing.
    #[serde(default)]
    pub kill_switches: Switches,
    /// What users may spend.
    pub limits: Limits,
    /// Earlier versions that are still answered. Default: none.
    #[serde(default)]
    pub earlier: Vec<EarlierVersion>,
    /// Who is licensed. Default: nobody.
    #[serde(default)]
    pub licences: Licences,
}

/// A version before the current one. What is left out is as in the current one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierVersion {
    /// Its number; lower than the current one.
    pub policy_version: u64,
    /// Its catalogue.
    pub models: Option<Vec<ModelCatalogEntry>>,
    /// Its switches.
    pub kill_switches: Option<Switches>,
    /// Its limits, with its own overrides.
    pub limits: Option<Limits>,
}

/// [`KillSwitches`], each off unless given.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "the switches of mini-chat")]
pub struct Switches {
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

impl From<Switches> for KillSwitches {
    fn from(switches: Switches) -> Self {
        // Taken apart without `..`: a switch that is added does not compile until it is passed on.
        let Switches {
            disable_premium_tier,
            force_standard_tier,
            disable_web_search,
            disable_file_search,
            disable_images,
            disable_code_interpreter,
        } = switches;
        Self {
            disable_premium_tier,
            force_standard_tier,
            disable_web_search,
            disable_file_search,
            disable_images,
            disable_code_interpreter,
        }
    }
}

/// What users may spend under one version.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// On the standard tier.
    pub standard: TierLimits,
    /// On the premium tier.
    pub premium: TierLimits,
    /// Users with limits of their own.
    #[serde(default)]
    pub users: Vec<UserOverride>,
}

/// One user's own limits; a tier that is left out is as for everybody.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserOverride {
    /// The user.
    pub user_id: Uuid,
    /// On the standard tier.
    pub standard: Option<TierLimits>,
    /// On the premium tier.
    pub premium: Option<TierLimits>,
}

/// Who is licensed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Licences {
    /// Everybody is.
    pub all_users: bool,
    /// These users are.
    pub users: Vec<Uuid>,
}
