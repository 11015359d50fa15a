//! [`FfiError`]: every error that crosses, in either direction.

use abi_stable::StableAbi;

use crate::buffer::FfiString;
use crate::open_enum::open_enum;
use crate::records::layout::assert_layout;

open_enum! {
    /// Where an error comes from: the plugin's own code, or the machinery around it.
    FfiErrorOrigin {
        /// The plugin's code returned this error.
        PLUGIN = 0,
        /// The plugin's code panicked; `message` is the panic message, `detail` its location if known.
        PANIC = 1,
        /// A deadline passed.
        DEADLINE = 2,
        /// The call was cancelled.
        CANCELLED = 3,
        /// The plugin's runtime is shutting down or gone.
        RUNTIME_GONE = 4,
        /// The plugin does not know something that it must understand to do this.
        UNSUPPORTED = 5,
        /// A value that crossed could not be expressed on the other side; `message` names the field.
        CONVERSION = 6,
        /// The plugin's configuration was refused; `detail` is a JSON object with `path`, `expected`, `found`.
        CONFIG = 7,
    }
}

open_enum! {
    /// What kind of error it is, in the terms of the trait whose method was called.
    FfiErrorKind {
        /// `MiniChatModelPolicyPluginError::NotFound`.
        NOT_FOUND = 1,
        /// `MiniChatModelPolicyPluginError::Internal`.
        INTERNAL = 2,
        /// `Transient` of an audit or publish error; for `create` and `health`: worth trying again.
        TRANSIENT = 3,
        /// `Permanent` of an audit or publish error; for `create` and `health`: not worth trying again.
        PERMANENT = 4,
        /// `MiniChatAuditPluginError::PluginTimeout`.
        PLUGIN_TIMEOUT = 5,
    }
}

/// An error on its way across the boundary.
#[repr(C)]
#[derive(StableAbi, Debug)]
pub struct FfiError {
    /// Where it comes from.
    pub origin: FfiErrorOrigin,
    /// What kind it is.
    pub kind: FfiErrorKind,
    /// The plugin's own error number, for its author; 0 is none.
    pub code: u32,
    /// Bits, see the constants of this type. A set bit that the receiver does not know makes the error `INTERNAL`
    /// (policy) or `TRANSIENT` (publish, audit, create): kept, never misread.
    pub flags: u32,
    /// Milliseconds after which trying again makes sense; read only with [`FfiError::FLAG_RETRY_AFTER`].
    pub retry_after_ms: u64,
    /// What happened, for people. Lower case, no full stop.
    pub message: FfiString,
    /// More, for people or as `origin` says; may be empty.
    pub detail: FfiString,
}

assert_layout!(FfiError: size 72, align 8 {
    origin: 0, kind: 4, code: 8, flags: 12, retry_after_ms: 16, message: 24, detail: 48,
});

impl FfiError {
    /// `retry_after_ms` carries a value.
    pub const FLAG_RETRY_AFTER: u32 = 1;
    /// Every flag of this release.
    pub const KNOWN_FLAGS: u32 = Self::FLAG_RETRY_AFTER;

    /// An error with a message and nothing else.
    #[must_use]
    pub fn new(origin: FfiErrorOrigin, kind: FfiErrorKind, message: String) -> Self {
        Self {
            origin,
            kind,
            code: 0,
            flags: 0,
            retry_after_ms: 0,
            message: message.into(),
            detail: FfiString::default(),
        }
    }

    /// Bytes of heap that this value owns.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.message.heap_bytes() + self.detail.heap_bytes()
    }
}
