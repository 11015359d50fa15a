//! What the methods of the two traits answer when they fail.

use thiserror::Error;

/// Why a method of [`MiniChatModelPolicyPluginClientV1`](crate::plugin_api::MiniChatModelPolicyPluginClientV1) failed.
#[derive(Debug, Error)]
pub enum MiniChatModelPolicyPluginError {
    /// The plugin knows no policy for this user and version.
    #[error("policy not found for the given tenant/version")]
    NotFound,
    /// Anything else; the text is for people.
    #[error("internal policy plugin error: {0}")]
    Internal(String),
}

/// Why a method of [`MiniChatAuditPluginClientV1`](crate::plugin_api::MiniChatAuditPluginClientV1) failed.
#[derive(Debug, Error)]
pub enum MiniChatAuditPluginError {
    /// It may work later: the caller keeps the event and tries again.
    #[error("transient audit plugin error: {0}")]
    Transient(String),
    /// It will never work: the caller gives the event up.
    #[error("permanent audit plugin error: {0}")]
    Permanent(String),
    /// The plugin did not answer in time: the caller keeps the event and tries again.
    #[error("audit plugin timed out")]
    PluginTimeout,
}

impl MiniChatAuditPluginError {
    /// Whether trying again makes sense.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_) | Self::PluginTimeout)
    }

    /// Whether trying again is pointless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Permanent(_))
    }
}

/// Why a usage event could not be published.
#[derive(Debug, Error)]
pub enum PublishError {
    /// It may work later: the caller keeps the event and tries again.
    #[error("transient publish error: {0}")]
    Transient(String),
    /// It will never work: the caller gives the event up.
    #[error("permanent publish error: {0}")]
    Permanent(String),
}

impl PublishError {
    /// Whether trying again makes sense.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }

    /// Whether trying again is pointless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Permanent(_))
    }
}
