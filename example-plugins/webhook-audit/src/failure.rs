//! [`Failure`]: why a batch was not accepted, and what that is to each of its calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;
use reqwest::StatusCode;

/// Why a batch was not accepted.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The endpoint answered something else than success.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// There was no connection.
    Unreachable(String),
    /// The connection did not last until there was an answer.
    Broken(String),
    /// A try took this long.
    TooSlow(Duration),
    /// The request cannot be made.
    NotWritable(String),
    /// It was tried this often.
    TooOften { tries: u64, last: Arc<Failure> },
    /// There is no time left for another try.
    OutOfTime { last: Option<Arc<Failure>> },
    /// Nobody waits for any of its events any more.
    NotWanted { last: Option<Arc<Failure>> },
    /// The plugin is being shut down, and the time for that is over.
    ShutDown { last: Option<Arc<Failure>> },
    /// What sends batches has ended: it panicked, or the plugin was dropped without being shut down.
    Ended,
}

/// The answers that are about the events.
const OF_EVENTS: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::CONFLICT,
    StatusCode::GONE,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNPROCESSABLE_ENTITY,
];

/// What becomes of a batch, shared by its events.
pub(crate) type Outcome = Result<(), Arc<Failure>>;

impl Failure {
    /// Whether another try may succeed. So it may if it is the token, the address or the endpoint's set-up that is wrong: the
    /// events are as good as any, and must neither end among the dead letters nor be lost because a token has expired.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                (status.is_client_error() && !OF_EVENTS.contains(status)) || status.is_server_error()
            }
            Self::Unreachable(_) | Self::Broken(_) | Self::TooSlow(_) => true,
            _ => false,
        }
    }

    /// Whether the endpoint refuses these events, and always will.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::Status { status, .. } if OF_EVENTS.contains(status))
    }

    /// How long the endpoint wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// As each call of the batch is answered.
    pub(crate) fn of_call(&self) -> MiniChatAuditPluginError {
        let text = self.to_string();
        if self.is_permanent() {
            MiniChatAuditPluginError::Permanent(text)
        } else {
            MiniChatAuditPluginError::Transient(text)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, retry_after } => {
                write!(f, "the audit endpoint answered {status}")?;
                retry_after.map_or(Ok(()), |wait| write!(f, ", to be asked again in {} s", wait.as_secs()))
            }
            Self::Unreachable(why) => write!(f, "the audit endpoint cannot be reached: {why}"),
            Self::Broken(why) => write!(f, "the connection to the audit endpoint broke: {why}"),
            Self::TooSlow(limit) => write!(f, "the audit endpoint did not answer within {} ms", limit.as_millis()),
            Self::NotWritable(why) => write!(f, "the request cannot be made: {why}"),
            Self::TooOften { tries, last } => write!(f, "{last}; it was tried {tries} times"),
            Self::OutOfTime { last: None } => f.write_str("there was no time left to send it"),
            Self::OutOfTime { last: Some(last) } => write!(f, "{last}; there is no time left to try again"),
            Self::NotWanted { last: None } => f.write_str("nobody waits for it any more"),
            Self::NotWanted { last: Some(last) } => write!(f, "{last}; nobody waits for it any more"),
            Self::ShutDown { last: None } => f.write_str("the plugin was shut down before it was sent"),
            Self::ShutDown { last: Some(last) } => write!(f, "{last}; the plugin was shut down meanwhile"),
            Self::Ended => f.write_str("what sends the events has ended (it panicked, or there was no shutdown)"),
        }
    }
}
