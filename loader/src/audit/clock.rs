//! [`Clock`]: tells the time; tests have their own.

use std::time::Instant;

/// Tells the time.
#[derive(Clone)]
pub(super) enum Clock {
    /// As the system has it.
    System,
    /// As a test has it.
    #[cfg(test)]
    Told(std::sync::Arc<dyn Fn() -> Instant + Send + Sync>),
}

impl Clock {
    pub(super) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            #[cfg(test)]
            Self::Told(clock) => clock(),
        }
    }
}
