//! Strategies for every domain type: any value that its fields can have, with the edges of each drawn often.
//!
//! Equality is judged by `Debug` text ([`text_of`]): most domain types have no `PartialEq`, and JSON cannot show all that
//! crosses (an offset with seconds, an infinite number, a year before 0).
//!
//! A crate of its own, so that a plugin under test can make the very value that the test expects of it: [`from_seed`].

use std::fmt::Debug;

use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The text by which two values are compared.
pub fn text_of(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// A value of `strategy`: the same for the same seed, in whatever program and by whatever compiler.
///
/// # Panics
///
/// If the strategy refuses to make one.
pub fn from_seed<S: Strategy>(strategy: &S, seed: [u8; 32]) -> S::Value {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let tree = strategy.new_tree(&mut TestRunner::new_with_rng(Config::default(), rng));
    tree.expect("the strategies here filter nothing").current()
}

/// Calls a macro with `strategy: Type` for every domain type, for tests that are to cover all of them.
#[macro_export]
macro_rules! for_each_domain_type {
    ($callback:ident) => {
        $callback! {
            policy_version_info: models::PolicyVersionInfo,
            policy_snapshot: models::PolicySnapshot,
            kill_switches: models::KillSwitches,
            model_tier: models::ModelTier,
            model_catalog_entry: models::ModelCatalogEntry,
            estimation_budgets: models::EstimationBudgets,
            model_preference: models::ModelPreference,
            model_general_config: models::ModelGeneralConfig,
            model_api_params: models::ModelApiParams,
            model_features: models::ModelFeatures,
            model_input_type: models::ModelInputType,
            model_tool_support: models::ModelToolSupport,
            model_supported_endpoints: models::ModelSupportedEndpoints,
            model_token_policy: models::ModelTokenPolicy,
            model_performance: models::ModelPerformance,
            user_limits: models::UserLimits,
            tier_limits: models::TierLimits,
            user_license_status: models::UserLicenseStatus,
            usage_event: models::UsageEvent,
            usage_tokens: models::UsageTokens,
            turn_audit_event_type: audit_models::TurnAuditEventType,
            turn_mutation_audit_event_type: audit_models::TurnMutationAuditEventType,
            turn_delete_audit_event_type: audit_models::TurnDeleteAuditEventType,
            requester_type: audit_models::RequesterType,
            turn_audit_event: audit_models::TurnAuditEvent,
            turn_mutation_audit_event: audit_models::TurnMutationAuditEvent,
            turn_delete_audit_event: audit_models::TurnDeleteAuditEvent,
            attachment_kind: audit_models::AttachmentKind,
            quota_scope: audit_models::QuotaScope,
            attachment_metadata: audit_models::AttachmentMetadata,
            audit_usage_tokens: audit_models::AuditUsageTokens,
            latency_ms: audit_models::LatencyMs,
            license_decision: audit_models::LicenseDecision,
            quota_decision: audit_models::QuotaDecision,
            policy_decisions: audit_models::PolicyDecisions,
            tool_calls: audit_models::ToolCalls,
        }
    };
}

/// A function per type; the struct literal makes a field without a strategy an error.
macro_rules! structs {
    ($($name:ident: $ty:ident { $($field:ident: $strategy:expr),+ $(,)? })+) => {
        $(
            #[doc = concat!("Any [`", stringify!($ty), "`].")]
            pub fn $name() -> BoxedStrategy<$ty> {
                prop_compose! {
                    fn all()($($field in $strategy),+) -> $ty {
                        $ty { $($field),+ }
                    }
                }
                all().boxed()
            }
        )+
    };
}

/// A function per enumeration; the closed `match` makes a value that is not listed an error.
macro_rules! enums {
    ($($name:ident: $ty:ident { $($value:ident),+ $(,)? })+) => {
        $(
            #[doc = concat!("Any [`", stringify!($ty), "`].")]
            pub fn $name() -> BoxedStrategy<$ty> {
                let _closed = |value: $ty| match value {
                    $($ty::$value => (),)+
                };
                proptest::sample::select(vec![$($ty::$value),+]).boxed()
            }
        )+
    };
}

mod audit;
mod errors;
mod models;
mod scalars;

pub use audit::*;
pub use errors::*;
pub use models::*;
pub use proptest::strategy::{BoxedStrategy, Just, Strategy};
pub use scalars::*;
