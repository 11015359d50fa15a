//! What the policy of a user is: version, snapshot, kill switches.

use abi_stable::StableAbi;

use crate::buffer::FfiVec;
use crate::records::catalog::FfiModelCatalogEntry;
use crate::records::layout::assert_layout;
use crate::scalar::{FfiTime, FfiUuid};

/// Which policy version is current for a user.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiPolicyVersionInfo {
    /// Whose policy it is.
    pub user_id: FfiUuid,
    /// Number of the version; grows with every change of the policy.
    pub policy_version: u64,
    /// When the version was made.
    pub generated_at: FfiTime,
}

assert_layout!(FfiPolicyVersionInfo: size 40, align 8 { user_id: 0, policy_version: 16, generated_at: 24 });

/// Everything one policy version says to one user.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiPolicySnapshot {
    /// Whose policy it is.
    pub user_id: FfiUuid,
    /// Number of the version.
    pub policy_version: u64,
    /// The models that the user may see, in the order they are shown in.
    pub model_catalog: FfiVec<FfiModelCatalogEntry>,
    /// What is switched off.
    pub kill_switches: FfiKillSwitches,
}

assert_layout!(FfiPolicySnapshot: size 56, align 8 {
    user_id: 0, policy_version: 16, model_catalog: 24, kill_switches: 48,
});

/// Switches by which an operator turns features off for everybody.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiKillSwitches {
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

assert_layout!(FfiKillSwitches: size 6, align 1 {
    disable_premium_tier: 0, force_standard_tier: 1, disable_web_search: 2, disable_file_search: 3,
    disable_images: 4, disable_code_interpreter: 5,
});
