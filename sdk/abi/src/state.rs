//! What one instance hands to its successor: [`FfiState`] on its way out, [`FfiStateKind`] on its way in.
//!
//! The bytes mean nothing to the host: it keeps them in memory from `PluginModule::export_state` of one instance to `open`
//! of the next, and never writes them anywhere. Both ends are the plugin's, but not of one build: a plugin must be able to
//! tell bytes of an older or newer version of itself.

use abi_stable::StableAbi;

use crate::buffer::FfiVec;
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;

/// Most bytes that a host hands over: 16 MiB. It discards a state beyond that, with a warning.
pub const MAX_STATE_BYTES: usize = 16 * 1024 * 1024;

open_enum! {
    /// What the state that `open` is given is worth.
    FfiStateKind {
        /// There is none: the first instance of its slot, or the predecessor exports nothing.
        NONE = 0,
        /// Taken from a predecessor that still serves, and goes on changing: for warming up (caches), never for queues or
        /// counters, of which the successor would have a second, stale copy.
        HINT = 1,
        /// Taken after the predecessor was quiesced: it has not changed since, and nobody else has it.
        EXACT = 2,
    }
}

/// What an instance exports. Owned by the host once it has crossed.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiState {
    /// The bytes; empty if the plugin has no such hook.
    pub bytes: FfiVec<u8>,
}

assert_layout!(FfiState: size 24, align 8 { bytes: 0 });

/// Says how much there is, not what: it may be secret.
impl core::fmt::Debug for FfiState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FfiState({} bytes)", self.bytes.as_slice().len())
    }
}
