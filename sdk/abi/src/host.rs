//! [`HostServices`]: what a plugin may ask of its host.
//!
//! Implemented by: host. Called by: plugin, from any thread, at any time until the process ends.
//!
//! An instance names its host by an integer handle of its own, not a pointer: once the instance has been closed (what is left
//! of the plugin may live on) every call answers [`FfiServiceStatus::GONE`] and touches nothing.

use abi_stable::StableAbi;

use crate::buffer::{FfiStr, FfiString};
use crate::open_enum::open_enum;
#[cfg(not(mini_chat_abi = "1.0"))]
use crate::tracing::HostTracingRef;

open_enum! {
    /// What a host service answers.
    FfiServiceStatus {
        /// Done.
        OK = 0,
        /// The instance that the handle stood for has been closed, or its host is gone.
        GONE = 1,
        /// This host does not offer the service.
        UNSUPPORTED = 2,
        /// There is no such fact.
        NOT_FOUND = 3,
    }
}

open_enum! {
    /// Severity of a log record.
    FfiLogLevel {
        /// An error.
        ERROR = 1,
        /// A warning.
        WARN = 2,
        /// Information.
        INFO = 3,
        /// For debugging.
        DEBUG = 4,
        /// Very fine-grained.
        TRACE = 5,
    }
}

/// The services. A prefix type: new slots are appended.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostServicesRef)))]
#[sabi(missing_field(option))]
pub struct HostServices {
    /// `log(handle, level, target, message)`: writes one record to the host's log. The texts are borrowed for the call.
    pub log: extern "C" fn(u64, FfiLogLevel, FfiStr<'_>, FfiStr<'_>) -> FfiServiceStatus,
    /// `metric(handle, name, value, labels)`: reserved for metrics of plugins; this release answers `UNSUPPORTED`.
    pub metric: extern "C" fn(u64, FfiStr<'_>, f64, FfiStr<'_>) -> FfiServiceStatus,
    /// `fact(handle, name, out)`: a fact of the host. With `OK`, `out` has been replaced by the text, which the plugin
    /// then owns; otherwise `out` is as it was. Facts of this release: `host.name`, `host.version`, `host.pid`,
    /// `loader.version`.
    #[sabi(last_prefix_field)]
    pub fact: extern "C" fn(u64, FfiStr<'_>, &mut FfiString) -> FfiServiceStatus,
    /// Spans and events. Immortal. Since ABI 1.1; without it they go nowhere.
    #[cfg(not(mini_chat_abi = "1.0"))]
    pub tracing: HostTracingRef,
}
