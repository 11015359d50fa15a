//! Panics of the caller's code in places where nobody could receive them: on the loader's threads, under a plugin's frames.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `f`; a panic ends here, without a word. Never unwinds, also if dropping the payload panics.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(said)
}

/// Runs `f`; a panic ends in the log, as one of `what`.
pub(crate) fn contained<R>(what: &str, f: impl FnOnce() -> R) -> Option<R> {
    match quietly(f) {
        Ok(value) => Some(value),
        Err(message) => {
            // The subscriber is the host's code as well.
            let _ = quietly(|| tracing::error!("{what} panicked: {message}"));
            None
        }
    }
}

/// What a payload says; the payload is gone afterwards.
fn said(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a value that is not text".to_owned(),
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Its drop panicked, and what that panic carries may do the same: leak it.
        std::mem::forget(second);
    }
    text
}
