//! What a user may spend, and whether the user is licensed.

use abi_stable::StableAbi;

use crate::records::layout::assert_layout;
use crate::scalar::FfiUuid;

/// What a user may spend under one policy version.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiUserLimits {
    /// Whose limits they are.
    pub user_id: FfiUuid,
    /// Number of the version.
    pub policy_version: u64,
    /// Limits of the standard tier.
    pub standard: FfiTierLimits,
    /// Limits of the premium tier.
    pub premium: FfiTierLimits,
}

assert_layout!(FfiUserLimits: size 56, align 8 { user_id: 0, policy_version: 16, standard: 24, premium: 40 });

/// What may be spent on one tier.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiTierLimits {
    /// Credits per day, in millionths.
    pub limit_daily_credits_micro: i64,
    /// Credits per month, in millionths.
    pub limit_monthly_credits_micro: i64,
}

assert_layout!(FfiTierLimits: size 16, align 8 {
    limit_daily_credits_micro: 0, limit_monthly_credits_micro: 8,
});

/// Whether a user is licensed.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiUserLicenseStatus {
    /// The user holds an active licence.
    pub active: bool,
}

assert_layout!(FfiUserLicenseStatus: size 1, align 1 { active: 0 });
