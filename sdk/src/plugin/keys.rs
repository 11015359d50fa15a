//! How the macros of `export` read an author's keys, and what they say of mistakes.

/// Takes the keys one by one, in any order: `{ how it ends } [keys seen] { associated items } rest`. Nothing is emitted
/// before all are understood, so that a mistake gives one message and not what follows from it as well.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    ($end:tt [$($seen:ident)*] $items:tt) => {
        $crate::__complete! {
            [id vendor priority serves plugin config create] [$($seen)*] [$($seen)*] { $crate::__emit! { $end $items } }
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } id: $value:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! { $end [$($seen)* id] { $($items)* const ID: &'static str = $value; } $($($rest)*)? }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } vendor: $value:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! { $end [$($seen)* vendor] { $($items)* const VENDOR: &'static str = $value; } $($($rest)*)? }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } priority: $value:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! { $end [$($seen)* priority] { $($items)* const PRIORITY: i16 = $value; } $($($rest)*)? }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } serves: [$($kind:ident),* $(,)?] $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* serves]
            {
                $($items)*
                const MODEL_POLICY: ::core::option::Option<$crate::__private::PluginModelPolicyRef> =
                    $crate::__serves!(model_policy [$($kind)*]);
                const AUDIT: ::core::option::Option<$crate::__private::PluginAuditRef> =
                    $crate::__serves!(audit [$($kind)*]);
            }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } plugin: $type:ty $(, $($rest:tt)*)?) => {
        $crate::__plugin! { $end [$($seen)* plugin] { $($items)* type Plugin = $type; } $($($rest)*)? }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } config: $type:ty $(, $($rest:tt)*)?) => {
        $crate::__plugin! { $end [$($seen)* config] { $($items)* type Config = $type; } $($($rest)*)? }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } create: $function:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* create]
            {
                $($items)*
                fn create(
                    context: $crate::PluginContext,
                    config: Self::Config,
                ) -> impl ::core::future::Future<
                    Output = ::core::result::Result<Self::Plugin, $crate::PluginError>,
                > + ::core::marker::Send {
                    ($function)(context, config)
                }
            }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } health: $function:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* health]
            { $($items)* const HAS_HEALTH: bool = true; $crate::__hook! { health $function } }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } shutdown: $function:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* shutdown]
            { $($items)* const HAS_SHUTDOWN: bool = true; $crate::__hook! { shutdown $function } }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } quiesce: $function:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* quiesce]
            { $($items)* const HAS_QUIESCE: bool = true; $crate::__hook! { quiesce $function } }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } resume: $function:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* resume]
            { $($items)* const HAS_RESUME: bool = true; $crate::__hook! { resume $function } }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } export_state: $function:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* export_state]
            {
                $($items)*
                const HAS_EXPORT_STATE: bool = true;
                $crate::__hook! { export_state $function, ::std::vec::Vec<::core::primitive::u8> }
            }
            $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } preflight: create $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* preflight] { $($items)* const PREFLIGHT_CREATE: bool = true; } $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } preflight: open $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            $end [$($seen)* preflight] { $($items)* const PREFLIGHT_CREATE: bool = false; } $($($rest)*)?
        }
    };
    ($end:tt [$($seen:ident)*] { $($items:tt)* } reentrant: $value:literal $(, $($rest:tt)*)?) => {
        $crate::__plugin! { $end [$($seen)* reentrant] { $($items)* const REENTRANT: bool = $value; } $($($rest)*)? }
    };
    // What is left are mistakes.
    ($end:tt $seen:tt $items:tt serves $($rest:tt)*) => {
        ::core::compile_error!(
            "`serves` must be a list in brackets, with a comma behind: `serves: [audit],`, `serves: [model_policy],` or \
             `serves: [model_policy, audit],`"
        );
    };
    ($end:tt $seen:tt $items:tt preflight $($rest:tt)*) => {
        ::core::compile_error!("`preflight` must be `preflight: create,` or `preflight: open,`");
    };
    ($end:tt $seen:tt $items:tt reentrant $($rest:tt)*) => {
        ::core::compile_error!("`reentrant` must be `reentrant: true,` or `reentrant: false,`");
    };
    ($end:tt $seen:tt $items:tt $key:ident : $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($key), "` is not a key of a plugin, or there is no comma behind its value; the keys \
             are id, vendor, priority, serves, plugin, config, create, and optionally health, shutdown, quiesce, \
             resume, export_state, preflight, reentrant"
        ));
    };
    ($end:tt $seen:tt $items:tt $what:tt $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "expected `key: value,`, found `", ::core::stringify!($what), "` and what follows it"
        ));
    };
}

/// One of the hooks on a created plugin, with what it gives.
#[doc(hidden)]
#[macro_export]
macro_rules! __hook {
    ($name:ident $function:expr) => { $crate::__hook! { $name $function, () } };
    ($name:ident $function:expr, $gives:ty) => {
        fn $name(
            plugin: &Self::Plugin,
        ) -> impl ::core::future::Future<
            Output = ::core::result::Result<$gives, $crate::PluginError>,
        > + ::core::marker::Send {
            ($function)(plugin)
        }
    };
}

/// Goes on if every required key was seen: `[required] [seen] [seen, not looked at yet] { how to go on }`.
#[doc(hidden)]
#[macro_export]
macro_rules! __complete {
    ([] $seen:tt $rest:tt { $($then:tt)* }) => { $($then)* };
    ([id $($more:ident)*] $seen:tt [id $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ([vendor $($more:ident)*] $seen:tt [vendor $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ([priority $($more:ident)*] $seen:tt [priority $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ([serves $($more:ident)*] $seen:tt [serves $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ([plugin $($more:ident)*] $seen:tt [plugin $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ([config $($more:ident)*] $seen:tt [config $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ([create $($more:ident)*] $seen:tt [create $($rest:ident)*] $then:tt) => {
        $crate::__complete! { [$($more)*] $seen $seen $then }
    };
    ($needed:tt $seen:tt [$other:ident $($rest:ident)*] $then:tt) => {
        $crate::__complete! { $needed $seen [$($rest)*] $then }
    };
    ([$key:ident $($more:ident)*] $seen:tt [] $then:tt) => {
        ::core::compile_error!(::core::concat!(
            "the key `", ::core::stringify!($key), "` of the plugin is missing; required are id: \
             \"vendor.package.namespace.type.v1\", vendor: \"…\", priority: 100, serves: [audit], plugin: YourType, \
             config: YourConfig (without one: NoConfig), create: your_async_constructor"
        ));
    };
}

/// The definition, once all keys are understood.
#[doc(hidden)]
#[macro_export]
macro_rules! __emit {
    ({ $(#[$meta:meta])* $visibility:vis $name:ident $($after:tt)* } { $($items:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name;

        impl $crate::__private::PluginDefinition for $name {
            const PACKAGE: &'static str = ::core::env!("CARGO_PKG_NAME");
            const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
            $($items)*
        }

        // While compiling, also where the plugin is only linked.
        const _: () = if let ::core::option::Option::Some(mistake) = $crate::__private::mistake::<$name>() {
            ::core::panic!("{}", mistake)
        };

        $($after)*
    };
}

/// The vtable of a kind, if it stands in the list.
#[doc(hidden)]
#[macro_export]
macro_rules! __serves {
    ($kind:ident []) => { ::core::option::Option::None };
    (model_policy [model_policy $($rest:ident)*]) => {
        ::core::option::Option::Some($crate::__private::model_policy::<Self>())
    };
    (audit [audit $($rest:ident)*]) => { ::core::option::Option::Some($crate::__private::audit::<Self>()) };
    ($kind:ident [model_policy $($rest:ident)*]) => { $crate::__serves!($kind [$($rest)*]) };
    ($kind:ident [audit $($rest:ident)*]) => { $crate::__serves!($kind [$($rest)*]) };
    ($kind:ident [$other:ident $($rest:ident)*]) => {
        ::core::compile_error!(::core::concat!(
            "`", ::core::stringify!($other), "` is not a trait that a plugin can serve: `model_policy` or `audit`"
        ))
    };
}
