//! A model-policy plugin that answers everything from its configuration: for installations whose policy is a file, and
//! for trying out a host.
//!
//! | asked for | answer |
//! | --- | --- |
//! | current version | `policy_version` and `generated_at` (without one: the time the plugin was created) |
//! | snapshot, limits | those of the current version or of one of `earlier`; `NotFound` for any other |
//! | licence | active if the user is listed in `licences.users`, or `licences.all_users = true` |
//! | publish usage | counted; the counts are logged when the plugin shuts down, see [`StaticPolicy::usage`] |
//!
//! An earlier version says what was different then: what it leaves out is as in the current version. Keep a version
//! there as long as turns that began under it may still be settled.
//!
//! A `[plugins.…]` section of `plugins.toml`:
#![doc = concat!("```toml\n", include_str!("../plugins.toml"), "```")]
//!
//! Models are read as mini-chat writes them in JSON: keys that this release does not know are passed over, `enabled` is
//! false unless given. Every other table refuses unknown keys.

mod config;
mod plugin;
mod policy;
mod usage;

use mini_chat_plugin_sdk::define_plugin;

pub use config::{Config, EarlierVersion, Licences, Limits, Switches, UserOverride};
pub use plugin::StaticPolicy;
pub use usage::{Usage, UsageTotals};

define_plugin! {
    /// The plugin `acme.policy._.static.v1`.
    pub StaticPolicyPlugin {
        id: "acme.policy._.static.v1", vendor: "acme", priority: 100,
        serves: [model_policy], plugin: StaticPolicy, config: Config,
        create: StaticPolicy::create, shutdown: StaticPolicy::shutdown,
        // There are no statics here that two instances could disturb each other by.
        reentrant: true,
    }
}
