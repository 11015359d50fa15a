//! What an instance is created with: [`FfiOpenArgs`], and what its end reports: [`FfiCloseReport`].

use core::ffi::c_void;

use abi_stable::StableAbi;

use crate::buffer::{FfiBytes, FfiStr};
use crate::host::HostServicesRef;
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;
use crate::state::FfiStateKind;

open_enum! {
    /// What an instance is created for.
    FfiPurpose {
        /// To serve calls.
        SERVE = 0,
        /// To find out whether it could serve; it will get no calls and may not disturb a serving instance.
        PREFLIGHT = 1,
    }
}

/// One instance of a plugin. Owned by the host from a successful `open` until `close`.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfiInstance {
    /// Meaningful to the plugin only; never null.
    pub ptr: *const c_void,
}

const _: () = assert!(size_of::<FfiInstance>() == size_of::<usize>());

// SAFETY: the pointer is only passed back to the plugin's functions, which may be called from any thread.
unsafe impl Send for FfiInstance {}
// SAFETY: as above.
unsafe impl Sync for FfiInstance {}

/// What `open` is given. Borrowed for that call; the plugin copies what it keeps.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiOpenArgs<'a> {
    /// Name of the instance, unique in its host.
    pub name: FfiStr<'a>,
    /// Number of the generation in its slot, from 1.
    pub generation: u64,
    /// What the instance is for. A plugin that does not know the value refuses with `UNSUPPORTED`.
    pub purpose: FfiPurpose,
    /// Worker threads of the instance's runtime, at least 1.
    pub workers: u32,
    /// The configuration: one JSON object, secrets filled in.
    pub config: FfiStr<'a>,
    /// Directory that the plugin may keep data in, created on demand by the plugin; empty if there is none.
    pub data_dir: FfiStr<'a>,
    /// First argument of every host service.
    pub host: u64,
    /// The host's services. Immortal.
    pub services: HostServicesRef,
    /// What the predecessor in the slot has exported, as `state_kind` says; empty if there is none.
    pub state: FfiBytes<'a>,
    /// What `state` is worth. A plugin that does not know the value refuses with `UNSUPPORTED`.
    pub state_kind: FfiStateKind,
    /// 0; reserved so that the struct has no padding.
    pub reserved: u32,
}

/// What `close` reports.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct FfiCloseReport {
    /// Calls that were still alive: the plugin's value lives until they are dropped.
    pub live_calls: u64,
    /// 1: the runtime's threads ended within the limit; 0: some were left behind.
    pub runtime_stopped: u32,
    /// 0; reserved so that the record has no padding.
    pub reserved: u32,
}

assert_layout!(FfiCloseReport: size 16, align 8 { live_calls: 0, runtime_stopped: 8, reserved: 12 });
assert_layout!(FfiOpenArgs: size 104, align 8 {
    name: 0, generation: 16, purpose: 24, workers: 28, config: 32, data_dir: 48, host: 64,
    services: 72, state: 80, state_kind: 96, reserved: 100,
});
