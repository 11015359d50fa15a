//! What a fault of the boundary is in the terms of the trait that was called (ARCHITECTURE.md, D11).
//!
//! | what happened | policy methods | publish_usage | audit methods |
//! | --- | --- | --- | --- |
//! | the plugin panicked | Internal | Transient | Transient |
//! | the deadline passed | Internal | Transient | PluginTimeout |
//! | cancelled, past the grace period | Internal | Transient | Transient |
//! | no serving generation | Internal | Transient | Transient |
//!
//! On probation, a plugin's own Permanent is Transient as well: an unproven build dead-letters nothing.
//!
//! Transient because the outbox then keeps the event: a billing or audit event is never lost to a bad build.

use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_sdk::convert::ConvertError;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};

use super::Fault;
use crate::instance::Class;
use crate::method::Method;
use crate::metrics::Outcome;

/// What was called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) method: Method,
    /// What answered is on probation.
    pub(crate) on_trial: bool,
}

/// Every way in which a call may fail.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The call as such.
    Fault(Fault),
    /// The plugin's answer cannot be expressed here.
    Answer(ConvertError),
    /// No generation serves; why.
    NotServing(String),
}

/// The same in the terms of all three error types.
enum Meaning {
    NotFound,
    /// The plugin's own error.
    Own(FfiErrorKind, String),
    Timeout(String),
    /// A fault of the boundary.
    Boundary(String),
}

impl Failure {
    /// What it says of the plugin.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Answer(_) => Class::Error,
            Self::NotServing(_) | Self::Fault(Fault::Gone | Fault::Cancelled(_)) => Class::Other,
            Self::Fault(Fault::Deadline(_)) => Class::Deadline,
            Self::Fault(Fault::Ffi(error)) => match error.origin {
                FfiErrorOrigin::PANIC => Class::Panic,
                FfiErrorOrigin::DEADLINE => Class::Deadline,
                FfiErrorOrigin::PLUGIN if [FfiErrorKind::INTERNAL, FfiErrorKind::PERMANENT].contains(&error.kind) => {
                    Class::Error
                }
                _ => Class::Other,
            },
        }
    }

    /// As what it is counted.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Answer(_) => Outcome::Undecodable,
            Self::NotServing(_) => Outcome::NotServing,
            Self::Fault(Fault::Gone) => Outcome::Stopped,
            Self::Fault(Fault::Cancelled(_)) => Outcome::Cancelled,
            Self::Fault(Fault::Deadline(_)) => Outcome::Deadline,
            Self::Fault(Fault::Ffi(error)) => match (error.origin, error.kind) {
                (FfiErrorOrigin::PANIC, _) => Outcome::Panic,
                (FfiErrorOrigin::DEADLINE, _) => Outcome::Deadline,
                (FfiErrorOrigin::CANCELLED, _) => Outcome::Cancelled,
                (FfiErrorOrigin::RUNTIME_GONE, _) => Outcome::Stopped,
                (FfiErrorOrigin::PLUGIN, FfiErrorKind::NOT_FOUND) => Outcome::NotFound,
                (FfiErrorOrigin::PLUGIN, FfiErrorKind::INTERNAL) => Outcome::Internal,
                (FfiErrorOrigin::PLUGIN, FfiErrorKind::TRANSIENT | FfiErrorKind::PLUGIN_TIMEOUT) => Outcome::Transient,
                // What the plugin cannot express is permanent for it.
                (FfiErrorOrigin::PLUGIN | FfiErrorOrigin::CONVERSION, FfiErrorKind::PERMANENT) => Outcome::Permanent,
                _ => Outcome::Undecodable,
            },
        }
    }

    fn meaning(self, subject: Subject<'_>) -> Meaning {
        let Subject { plugin, method, .. } = subject;
        match self {
            Self::NotServing(why) => Meaning::Boundary(format!("plugin {plugin} is not serving: {why}")),
            Self::Answer(error) => Meaning::Boundary(format!(
                "plugin {plugin} answered {method} with what this host cannot express: {error}"
            )),
            Self::Fault(Fault::Gone) => {
                Meaning::Boundary(format!("plugin {plugin} was stopped while it was working on {method}"))
            }
            Self::Fault(Fault::Deadline(limit)) => {
                Meaning::Timeout(format!("plugin {plugin} passed the deadline of {limit:?} for {method}"))
            }
            Self::Fault(Fault::Cancelled(grace)) => Meaning::Boundary(format!(
                "plugin {plugin} did not end {method} within {grace:?} after it was cancelled"
            )),
            Self::Fault(Fault::Ffi(error)) => ffi_meaning(error, subject),
        }
    }
}

fn ffi_meaning(error: FfiError, Subject { plugin, method, .. }: Subject<'_>) -> Meaning {
    let detail = String::from(error.detail);
    let message = String::from(error.message);
    if error.flags & !FfiError::KNOWN_FLAGS != 0 {
        return Meaning::Boundary(format!(
            "plugin {plugin} answered {method} with error flags that this host does not know ({:#x}): {message}",
            error.flags
        ));
    }
    let number = if error.code == 0 { String::new() } else { format!(" (code {})", error.code) };
    match error.origin {
        FfiErrorOrigin::PLUGIN if error.kind == FfiErrorKind::NOT_FOUND => Meaning::NotFound,
        FfiErrorOrigin::PLUGIN => Meaning::Own(error.kind, format!("{message}{number}")),
        FfiErrorOrigin::PANIC if detail.is_empty() => {
            Meaning::Boundary(format!("plugin {plugin} panicked in {method}: {message}"))
        }
        FfiErrorOrigin::PANIC => {
            Meaning::Boundary(format!("plugin {plugin} panicked in {method} at {detail}: {message}"))
        }
        FfiErrorOrigin::DEADLINE => Meaning::Timeout(format!("plugin {plugin}, {method}: {message}")),
        // An event that the plugin cannot express is permanent for that plugin only.
        FfiErrorOrigin::CONVERSION => Meaning::Own(error.kind, format!("plugin {plugin}, {method}: {message}")),
        _ => Meaning::Boundary(format!("plugin {plugin}, {method}: {message}")),
    }
}

fn unknown_kind(kind: FfiErrorKind, message: &str) -> String {
    format!("an error of a kind that this host does not expect here ({kind:?}): {message}")
}

/// An error type of the traits, made from any failure.
pub(crate) trait FromFailure {
    fn from_failure(failure: Failure, subject: Subject<'_>) -> Self;
}

impl FromFailure for MiniChatModelPolicyPluginError {
    fn from_failure(failure: Failure, subject: Subject<'_>) -> Self {
        match failure.meaning(subject) {
            Meaning::NotFound => Self::NotFound,
            Meaning::Own(FfiErrorKind::INTERNAL, message) | Meaning::Timeout(message) | Meaning::Boundary(message) => {
                Self::Internal(message)
            }
            Meaning::Own(kind, message) => Self::Internal(unknown_kind(kind, &message)),
        }
    }
}

/// A Permanent of a build that is not proven yet.
fn held_back(subject: Subject<'_>, message: &str) -> String {
    format!("plugin {} is on probation, so that its permanent error is to be tried again: {message}", subject.plugin)
}

impl FromFailure for PublishError {
    fn from_failure(failure: Failure, subject: Subject<'_>) -> Self {
        match failure.meaning(subject) {
            Meaning::Own(FfiErrorKind::PERMANENT, message) if subject.on_trial => {
                Self::Transient(held_back(subject, &message))
            }
            Meaning::Own(FfiErrorKind::PERMANENT, message) => Self::Permanent(message),
            Meaning::Own(FfiErrorKind::TRANSIENT, message) | Meaning::Timeout(message) | Meaning::Boundary(message) => {
                Self::Transient(message)
            }
            Meaning::Own(kind, message) => Self::Transient(unknown_kind(kind, &message)),
            Meaning::NotFound => Self::Transient(unknown_kind(FfiErrorKind::NOT_FOUND, "")),
        }
    }
}

impl FromFailure for MiniChatAuditPluginError {
    fn from_failure(failure: Failure, subject: Subject<'_>) -> Self {
        match failure.meaning(subject) {
            Meaning::Own(FfiErrorKind::PERMANENT, message) if subject.on_trial => {
                Self::Transient(held_back(subject, &message))
            }
            Meaning::Own(FfiErrorKind::PERMANENT, message) => Self::Permanent(message),
            Meaning::Own(FfiErrorKind::PLUGIN_TIMEOUT, _) | Meaning::Timeout(_) => Self::PluginTimeout,
            Meaning::Own(FfiErrorKind::TRANSIENT, message) | Meaning::Boundary(message) => Self::Transient(message),
            Meaning::Own(kind, message) => Self::Transient(unknown_kind(kind, &message)),
            Meaning::NotFound => Self::Transient(unknown_kind(FfiErrorKind::NOT_FOUND, "")),
        }
    }
}
