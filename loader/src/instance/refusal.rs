//! What a step's error is in the words of [`CreateError`].

use std::time::Duration;

use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use serde::Deserialize;

use crate::config::ConfigTable;
use crate::error::{CreateError, Stage};
use crate::heap::Account;

/// What a plugin reports of a configuration that it refuses.
#[derive(Deserialize)]
struct Refusal {
    path: String,
    expected: String,
    found: String,
    #[serde(default)]
    known: Vec<String>,
}

/// An error of a step. `account`: whose the error's buffers are still to be taken from.
pub(super) fn create_error(
    error: FfiError,
    plugin: &str,
    stage: Stage,
    config: &ConfigTable,
    account: Option<&Account>,
) -> CreateError {
    if let Some(account) = account {
        account.moved_out(error.heap_bytes());
    }
    let plugin = plugin.to_owned();
    let message = String::from(error.message);
    let detail = String::from(error.detail);
    let unknown_flags = error.flags & !FfiError::KNOWN_FLAGS != 0;
    match error.origin {
        FfiErrorOrigin::PANIC => {
            CreateError::Panicked { plugin, stage, message, location: (!detail.is_empty()).then_some(detail) }
        }
        FfiErrorOrigin::CONFIG => match serde_json::from_str::<Refusal>(&detail) {
            Ok(refusal) => {
                let key = refusal.path.rsplit('.').next().unwrap_or_default();
                let known: Vec<&str> = refusal.known.iter().map(String::as_str).collect();
                let nearest = crate::config::nearest(key, &known);
                let problem = config.plugin_error(&refusal.path, &refusal.expected, &refusal.found, nearest);
                CreateError::ConfigRefused { plugin, problem }
            }
            Err(_) => CreateError::Failed { plugin, stage, retryable: false, code: 0, retry_after: None, message },
        },
        FfiErrorOrigin::UNSUPPORTED => CreateError::Unsupported { plugin, message },
        _ => CreateError::Failed {
            plugin,
            stage,
            // Kept, never misread: what has flags of a later release may be tried again.
            retryable: error.kind == FfiErrorKind::TRANSIENT || unknown_flags,
            code: error.code,
            retry_after: (error.flags & FfiError::FLAG_RETRY_AFTER != 0)
                .then(|| Duration::from_millis(error.retry_after_ms)),
            message,
        },
    }
}
