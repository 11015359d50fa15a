//! [`Failure`]: why a request of the service failed, and what that is called by the trait.

use std::fmt;
use std::time::Duration;

use mini_chat_plugin_sdk::PluginError;
use mini_chat_plugin_sdk::error::{MiniChatModelPolicyPluginError, PublishError};
use reqwest::StatusCode;
use tokio::time::Instant;

/// Why a request failed. Cloned to everyone who shares it.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The service answered something else than success.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// There was no connection.
    Unreachable(String),
    /// The connection did not last until the answer was complete.
    Broken(String),
    /// A try took this long.
    TooSlow(Duration),
    /// The answer is larger than this many bytes.
    TooLarge(usize),
    /// The answer is not what was asked for.
    NotUnderstood(String),
    /// The request cannot be written.
    NotWritable(String),
    /// The caller's token was cancelled.
    Cancelled,
    /// The caller's time is over, or too short for another try, which would begin `not_before`.
    OutOfTime { last: Option<Box<Failure>>, not_before: Option<Instant> },
}

impl Failure {
    /// Whether another try may succeed.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Unreachable(_) | Self::Broken(_) | Self::TooSlow(_) => true,
            _ => false,
        }
    }

    /// How long the service wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::NOT_FOUND, .. })
    }

    /// As a policy method answers it.
    pub(crate) fn of_policy(&self, doing: &str) -> MiniChatModelPolicyPluginError {
        if self.is_not_found() {
            return MiniChatModelPolicyPluginError::NotFound;
        }
        MiniChatModelPolicyPluginError::Internal(format!("{doing}: {self}"))
    }

    /// As `publish_usage` answers it: permanent only if the service has refused the event, or it cannot be written. A wrong
    /// token or address is the operator's to mend, and must not cost a billing event: 401, 403 and 404 are transient.
    pub(crate) fn of_publish(&self) -> PublishError {
        let message = format!("publish usage: {self}");
        let is_permanent = match self {
            Self::Status { status, .. } => {
                status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 404 | 408 | 429)
            }
            Self::NotWritable(_) => true,
            _ => false,
        };
        if is_permanent { PublishError::Permanent(message) } else { PublishError::Transient(message) }
    }

    /// As the health check answers it: a refusal will not pass by itself, everything else may.
    pub(crate) fn of_health(&self) -> PluginError {
        let message = format!("health of the policy service: {self}");
        match self {
            Self::Status { status, .. } => {
                let refused = status.is_client_error() && !matches!(status.as_u16(), 408 | 429);
                let error = if refused { PluginError::permanent(message) } else { PluginError::retryable(message) };
                let error = error.with_code(status.as_u16().into());
                self.retry_after().into_iter().fold(error, PluginError::with_retry_after)
            }
            _ => PluginError::retryable(message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, retry_after } => {
                write!(f, "the policy service answered {status}")?;
                retry_after.map_or(Ok(()), |wait| write!(f, ", to be asked again in {} s", wait.as_secs()))
            }
            Self::Unreachable(why) => write!(f, "the policy service cannot be reached: {why}"),
            Self::Broken(why) => write!(f, "the connection to the policy service broke: {why}"),
            Self::TooSlow(limit) => write!(f, "the policy service did not answer within {} ms", limit.as_millis()),
            Self::TooLarge(limit) => write!(
                f,
                "expected an answer of at most {limit} bytes, found a larger one; raise `max_response_bytes` if it is right"
            ),
            Self::NotUnderstood(why) => write!(f, "the policy service's answer is not understood: {why}"),
            Self::NotWritable(why) => write!(f, "the request cannot be written: {why}"),
            Self::Cancelled => f.write_str("the caller cancelled"),
            Self::OutOfTime { last: None, .. } => f.write_str("the call's time is over"),
            Self::OutOfTime { last: Some(last), .. } => write!(f, "{last}; there is no time left to try again"),
        }
    }
}
