//! Strategies for what the methods fail with.

use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use proptest::prelude::*;

use super::scalars::text;

/// A function per error type; the closed `match` makes a variant that is not listed an error.
macro_rules! errors {
    ($($name:ident: $ty:ident { $($unit:ident),* ; $($with_text:ident),+ })+) => {
        $(
            #[doc = concat!("Any [`", stringify!($ty), "`].")]
            pub fn $name() -> BoxedStrategy<$ty> {
                let _closed = |value: $ty| match value {
                    $($ty::$unit => (),)*
                    $($ty::$with_text(_) => (),)+
                };
                // The error types are not `Clone`, so `Just` cannot be used.
                let units: Vec<BoxedStrategy<$ty>> = vec![$(Just(()).prop_map(|()| $ty::$unit).boxed()),*];
                let with_texts = vec![$(text().prop_map($ty::$with_text).boxed()),+];
                proptest::strategy::Union::new(units.into_iter().chain(with_texts)).boxed()
            }
        )+
    };
}

errors! {
    policy_error: MiniChatModelPolicyPluginError { NotFound; Internal }
    publish_error: PublishError { ; Transient, Permanent }
    audit_error: MiniChatAuditPluginError { PluginTimeout; Transient, Permanent }
}

/// What a method answers: a value of `ok` three times out of four, else an error.
pub fn answer<T, E>(ok: BoxedStrategy<T>, error: BoxedStrategy<E>) -> BoxedStrategy<Result<T, E>>
where
    T: std::fmt::Debug + 'static,
    E: std::fmt::Debug + 'static,
{
    prop_oneof![3 => ok.prop_map(Ok), 1 => error.prop_map(Err)].boxed()
}
