//! [`ControlError`]: a control socket could not be made. [`ClientError`]: one could not be used.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a host could not be served by a control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The system has no room for so long a name.
    #[error(
        "control socket {path}: expected a path of at most {limit} bytes, found {found}; choose a shorter one",
        path = path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length, in bytes.
        found: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// Something else stands there.
    #[error(
        "control socket {path}: expected nothing, or the socket of a host that has ended, found a {found}; remove it or \
         choose another path",
        path = path.display()
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// What was found.
        found: &'static str,
    },
    /// Another process listens there.
    #[error(
        "control socket {path}: a running process listens there already; end that host, or choose another path",
        path = path.display()
    )]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("control socket {path}: cannot {what}: {error}", path = path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// Why a host was not asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no such file.
    #[error(
        "no host listens at {path}: there is no such socket; is the host running, and does it serve its control socket \
         there?",
        path = path.display()
    )]
    NoSocket {
        /// The socket.
        path: PathBuf,
    },
    /// There is a socket, and nobody listens.
    #[error(
        "no host listens at {path}: the one that made this socket has ended; start it again",
        path = path.display()
    )]
    NotListening {
        /// The socket.
        path: PathBuf,
    },
    /// Not for this user.
    #[error(
        "{path}: permission denied; a host answers root and the user that it runs as",
        path = path.display()
    )]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The host is there, and does not take connections.
    #[error(
        "{path}: the host takes no more connections now; others wait there already, or it hangs",
        path = path.display()
    )]
    Overrun {
        /// The socket.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("{path}: cannot {what}: {error}", path = path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The connection ended before the answer.
    #[error("{path}: the host closed the connection before it had answered; it may have ended", path = path.display())]
    Closed {
        /// The socket.
        path: PathBuf,
    },
    /// The host does not answer.
    #[error("{path}: no answer within {limit:?}; the host may be stopped, or hang", path = path.display())]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
    /// What answers is no host of this version.
    #[error(
        "{path}: expected an answer of the control protocol, version {expected}, found {found}",
        path = path.display(),
        expected = crate::control::PROTOCOL
    )]
    OtherProtocol {
        /// The socket.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// A path that JSON cannot express.
    #[error("{path}: expected a path in UTF-8, as it is sent in JSON", path = path.display())]
    NotExpressible {
        /// The path.
        path: PathBuf,
    },
    /// The host has answered with an error.
    #[error("{message}")]
    Host {
        /// A stable code: one of [`SwapError::kind`](super::SwapError::kind), or of [`control`](crate::control).
        kind: String,
        /// For people.
        message: String,
    },
}

impl ClientError {
    /// A stable code.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::NoSocket { .. } => "no-socket",
            Self::NotListening { .. } => "not-listening",
            Self::Denied { .. } => "denied",
            Self::Overrun { .. } => "overrun",
            Self::Io { .. } => "io",
            Self::Closed { .. } => "closed",
            Self::TimedOut { .. } => "timed-out",
            Self::OtherProtocol { .. } => "other-protocol",
            Self::NotExpressible { .. } => "not-expressible",
            Self::Host { kind, .. } => kind,
        }
    }

    /// Whether no host could be asked, rather than one that was asked and refused.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Host { kind, .. } => ["busy", "forbidden", "shutting-down", "timeout"].contains(&kind.as_str()),
            Self::NotExpressible { .. } => false,
            _ => true,
        }
    }
}
