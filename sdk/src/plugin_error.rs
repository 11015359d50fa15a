//! [`PluginError`]: why a plugin could not be created, is not healthy, or did not shut down cleanly.

use std::fmt;
use std::time::Duration;

use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};

/// Why a constructor, health check or hook failed, and whether trying again makes sense.
///
/// *Retryable*: something outside is missing that may come (a service that is not up yet); the host tries again with
/// back-off. *Permanent*: it will fail again until somebody changes the build or its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginError {
    retryable: bool,
    message: String,
    code: u32,
    retry_after: Option<Duration>,
}

impl PluginError {
    /// Worth trying again. `message` in lower case, without a full stop, and without secrets: it is logged.
    #[must_use]
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { retryable: true, message: message.into(), code: 0, retry_after: None }
    }

    /// Not worth trying again. `message` in lower case, without a full stop, and without secrets: it is logged.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { retryable: false, message: message.into(), code: 0, retry_after: None }
    }

    /// Adds a number of the author's own, shown with the message; 0 is none.
    #[must_use]
    pub fn with_code(mut self, code: u32) -> Self {
        self.code = code;
        self
    }

    /// Asks the host to wait this long before it tries again (counted in whole milliseconds).
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whether trying again makes sense.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_ffi(self) -> FfiError {
        let kind = if self.retryable { FfiErrorKind::TRANSIENT } else { FfiErrorKind::PERMANENT };
        let mut error = FfiError::new(FfiErrorOrigin::PLUGIN, kind, self.message);
        error.code = self.code;
        if let Some(wait) = self.retry_after {
            error.flags |= FfiError::FLAG_RETRY_AFTER;
            error.retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        }
        error
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PluginError {}

/// Turns any error into a [`PluginError`], saying which kind it is.
///
/// ```
/// use mini_chat_plugin_sdk::{OrPluginError, PluginError};
/// fn open() -> Result<std::fs::File, PluginError> {
///     std::fs::File::open("/no/such/file").or_permanent("open the journal")
/// }
/// assert!(!open().unwrap_err().is_retryable());
/// ```
pub trait OrPluginError<T> {
    /// The error is worth trying again; `doing` says what was tried.
    ///
    /// # Errors
    ///
    /// A retryable [`PluginError`] if `self` is an error.
    fn or_retryable(self, doing: &str) -> Result<T, PluginError>;
    /// The error is not worth trying again; `doing` says what was tried.
    ///
    /// # Errors
    ///
    /// A permanent [`PluginError`] if `self` is an error.
    fn or_permanent(self, doing: &str) -> Result<T, PluginError>;
}

impl<T, E: fmt::Display> OrPluginError<T> for Result<T, E> {
    fn or_retryable(self, doing: &str) -> Result<T, PluginError> {
        self.map_err(|error| PluginError::retryable(format!("{doing}: {error}")))
    }

    fn or_permanent(self, doing: &str) -> Result<T, PluginError> {
        self.map_err(|error| PluginError::permanent(format!("{doing}: {error}")))
    }
}
