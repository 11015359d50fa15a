//! What the policy of a user is: version, snapshot, kill switches.

use mini_chat_plugin_abi::records::{FfiKillSwitches, FfiPolicySnapshot, FfiPolicyVersionInfo};

use crate::convert::macros::record;
use crate::models::{KillSwitches, PolicySnapshot, PolicyVersionInfo};

record!(PolicyVersionInfo as FfiPolicyVersionInfo { user_id, policy_version, generated_at });

record!(PolicySnapshot as FfiPolicySnapshot { user_id, policy_version, model_catalog, kill_switches });

record!(KillSwitches as FfiKillSwitches {
    disable_premium_tier, force_standard_tier, disable_web_search, disable_file_search, disable_images,
    disable_code_interpreter,
});
