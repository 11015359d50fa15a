//! The functions of a host that takes no spans and events: where there is no host.

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use abi_stable::std_types::RSlice;
use mini_chat_plugin_abi::host::FfiLogLevel;
use mini_chat_plugin_abi::tracing::{
    FfiTraceCallsite, FfiTraceCurrent, FfiTraceInterest, FfiTraceParent, FfiTraceSite, FfiTraceValue, HostTracing,
    HostTracingRef,
};

struct Nowhere;

impl Nowhere {
    staticref! {const TABLE: WithMetadata<HostTracing> = WithMetadata::new(HostTracing {
        register,
        interest,
        enabled,
        max_level,
        event,
        new_span,
        record,
        follows_from: on_two,
        enter: on_one,
        exit: on_one,
        clone_span: number,
        close_span,
        current_span,
    });}
}

/// The functions.
pub(crate) const fn functions() -> HostTracingRef {
    HostTracingRef(Nowhere::TABLE.as_prefix())
}

extern "C" fn register(_: u64, _: &FfiTraceCallsite<'_>) -> FfiTraceSite {
    FfiTraceSite::NONE
}

extern "C" fn interest(_: FfiTraceSite) -> FfiTraceInterest {
    FfiTraceInterest::NEVER
}

extern "C" fn enabled(_: u64, _: FfiTraceSite) -> u32 {
    0
}

extern "C" fn max_level() -> FfiLogLevel {
    FfiLogLevel { value: 0 }
}

extern "C" fn event(_: u64, _: FfiTraceSite, _: FfiTraceParent, _: RSlice<'_, FfiTraceValue<'_>>) {}

extern "C" fn new_span(_: u64, _: FfiTraceSite, _: FfiTraceParent, _: RSlice<'_, FfiTraceValue<'_>>) -> u64 {
    0
}

extern "C" fn record(_: u64, _: u64, _: FfiTraceSite, _: RSlice<'_, FfiTraceValue<'_>>) {}

extern "C" fn on_one(_: u64, _: u64) {}

extern "C" fn on_two(_: u64, _: u64, _: u64) {}

extern "C" fn number(_: u64, _: u64) -> u64 {
    0
}

extern "C" fn close_span(_: u64, _: u64) -> u32 {
    0
}

extern "C" fn current_span(_: u64) -> FfiTraceCurrent {
    FfiTraceCurrent { span: 0, site: FfiTraceSite::NONE }
}
