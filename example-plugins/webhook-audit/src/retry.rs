//! How long to wait: between tries, for what the endpoint asks for, and until a call's time is over.

use std::time::Duration;

use mini_chat_plugin_sdk::call;
use mini_chat_plugin_sdk::time::OffsetDateTime;
use mini_chat_plugin_sdk::time::format_description::well_known::Rfc2822;
use tokio::time::Instant;

/// Kept of the host's deadline, at most; of a short one, a tenth. So that the plugin's own answer, which says more than
/// "deadline", comes first.
const MARGIN: Duration = Duration::from_millis(50);

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// When the call that is being served on this thread has to be over: the host's deadline less a margin, else `default`
/// from now.
pub(crate) fn end_of_call(default: Duration) -> Instant {
    end(call::remaining(), default)
}

fn end(remaining: Option<Duration>, default: Duration) -> Instant {
    let left = remaining.map_or(default, |left| left - MARGIN.min(left / 10));
    let now = Instant::now();
    // A host may set a deadline of centuries.
    now.checked_add(left).unwrap_or_else(|| now + Duration::from_secs(24 * 60 * 60))
}

/// How long to wait after `tries` failed: anything up to a bound that doubles each time ("full jitter"), so that senders
/// that failed together do not come back together.
pub(crate) fn back_off(tries: u64) -> Duration {
    bound(tries).mul_f64(fastrand::f64())
}

fn bound(tries: u64) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT)
}

/// How long a `Retry-After` asks to wait: seconds, or the time until a date.
pub(crate) fn wait_of(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are still a long time.
        return Some(text.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(Duration::try_from(date - now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests;
