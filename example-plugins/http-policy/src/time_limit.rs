//! [`TimeLimit`]: how long a call may go on, and how long it waits between tries.

use std::future::Future;
use std::time::Duration;

use mini_chat_plugin_sdk::call;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use tokio::time::Instant;

use crate::failure::Failure;

/// Kept of the host's deadline, at most; of a short one, a tenth.
const MARGIN: Duration = Duration::from_millis(50);

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// When a call has to be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLimit(Instant);

impl TimeLimit {
    /// Of the call that is being served on this thread: the host's deadline less a margin, else `default` from now.
    pub(crate) fn of_call(default: Duration) -> Self {
        Self::new(call::remaining(), default)
    }

    fn new(remaining: Option<Duration>, default: Duration) -> Self {
        let left = remaining.map_or(default, |left| left - MARGIN.min(left / 10));
        let now = Instant::now();
        // A host may set a deadline of centuries.
        Self(now.checked_add(left).unwrap_or_else(|| now + Duration::from_secs(24 * 60 * 60)))
    }

    /// The moment.
    pub(crate) fn at(self) -> Instant {
        self.0
    }

    /// Time left; zero if it is over.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// `work`, unless the token is cancelled or the time is over: then it is dropped.
    pub(crate) async fn run<T>(
        self,
        cancel: &CancellationToken,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::Cancelled),
            () = tokio::time::sleep_until(self.0) => Err(Failure::OutOfTime { last: None, not_before: None }),
            result = work => result,
        }
    }
}

/// How long to wait after `tries` failed: twice as long each time, of which up to half is left to chance, so that
/// callers that failed together do not come back together.
pub(crate) fn back_off(tries: u64) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let whole = (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    whole.mul_f64(0.5 + 0.5 * fastrand::f64())
}

#[cfg(test)]
mod tests;
