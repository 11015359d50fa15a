//! What a method returns, as what crosses.

use mini_chat_plugin_abi::call::FfiReply;
use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::state::FfiState;

use crate::convert::Domain;
use crate::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use crate::plugin_error::PluginError;

/// A method's result on its way to the host.
pub(crate) trait IntoReply: Send + 'static {
    /// What crosses if the method succeeded.
    type Record: Send + 'static;
    /// What a fault of the boundary (a panic, an argument that cannot be expressed) is for this method.
    const FAULT: FfiErrorKind;

    fn into_reply(self) -> FfiReply<Self::Record>;
}

fn plugin_error(kind: FfiErrorKind, message: String) -> FfiError {
    FfiError::new(FfiErrorOrigin::PLUGIN, kind, message)
}

impl<D> IntoReply for Result<D, MiniChatModelPolicyPluginError>
where
    D: Domain + Send + 'static,
    D::Record: Send + 'static,
{
    type Record = D::Record;
    const FAULT: FfiErrorKind = FfiErrorKind::INTERNAL;

    fn into_reply(self) -> FfiReply<D::Record> {
        match self {
            Ok(value) => FfiReply::ROk(value.into_record()),
            Err(MiniChatModelPolicyPluginError::NotFound) => {
                FfiReply::RErr(plugin_error(FfiErrorKind::NOT_FOUND, String::new()))
            }
            Err(MiniChatModelPolicyPluginError::Internal(message)) => {
                FfiReply::RErr(plugin_error(FfiErrorKind::INTERNAL, message))
            }
        }
    }
}

impl IntoReply for Result<(), MiniChatAuditPluginError> {
    type Record = ();
    const FAULT: FfiErrorKind = FfiErrorKind::TRANSIENT;

    fn into_reply(self) -> FfiReply<()> {
        match self {
            Ok(()) => FfiReply::ROk(()),
            Err(MiniChatAuditPluginError::Transient(message)) => {
                FfiReply::RErr(plugin_error(FfiErrorKind::TRANSIENT, message))
            }
            Err(MiniChatAuditPluginError::Permanent(message)) => {
                FfiReply::RErr(plugin_error(FfiErrorKind::PERMANENT, message))
            }
            Err(MiniChatAuditPluginError::PluginTimeout) => {
                FfiReply::RErr(plugin_error(FfiErrorKind::PLUGIN_TIMEOUT, String::new()))
            }
        }
    }
}

impl IntoReply for Result<(), PublishError> {
    type Record = ();
    const FAULT: FfiErrorKind = FfiErrorKind::TRANSIENT;

    fn into_reply(self) -> FfiReply<()> {
        match self {
            Ok(()) => FfiReply::ROk(()),
            Err(PublishError::Transient(message)) => FfiReply::RErr(plugin_error(FfiErrorKind::TRANSIENT, message)),
            Err(PublishError::Permanent(message)) => FfiReply::RErr(plugin_error(FfiErrorKind::PERMANENT, message)),
        }
    }
}

impl IntoReply for Result<(), PluginError> {
    type Record = ();
    const FAULT: FfiErrorKind = FfiErrorKind::PERMANENT;

    fn into_reply(self) -> FfiReply<()> {
        self.map_err(PluginError::into_ffi).into()
    }
}

impl IntoReply for Result<Vec<u8>, PluginError> {
    type Record = FfiState;
    const FAULT: FfiErrorKind = FfiErrorKind::PERMANENT;

    fn into_reply(self) -> FfiReply<FfiState> {
        self.map(|bytes| FfiState { bytes: bytes.into() }).map_err(PluginError::into_ffi).into()
    }
}
