//! What a user may spend, and whether the user is licensed.

use mini_chat_plugin_abi::records::{FfiTierLimits, FfiUserLicenseStatus, FfiUserLimits};

use crate::convert::macros::record;
use crate::models::{TierLimits, UserLicenseStatus, UserLimits};

record!(UserLimits as FfiUserLimits { user_id, policy_version, standard, premium });

record!(TierLimits as FfiTierLimits { limit_daily_credits_micro, limit_monthly_credits_micro });

record!(UserLicenseStatus as FfiUserLicenseStatus { active });
