//! Events and files for the tests.

use std::path::Path;

use jsonl_audit::JsonlAudit;
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{TestContext, read_config};
use serde_json::{Value, json};

/// A turn event whose turn is `number`.
pub(crate) fn turn(number: u128) -> TurnAuditEvent {
    let id = Uuid::from_u128;
    serde_json::from_value(json!({
        "event_type": "turn_completed", "timestamp": "2026-03-01T12:34:56.789012345+05:30", "requester_type": "user",
        "tenant_id": id(1), "user_id": id(2), "chat_id": id(3), "turn_id": id(number), "request_id": id(5),
        "selected_model": "large-1", "effective_model": "small-1", "usage": { "input_tokens": 1, "output_tokens": 2 },
        "latency_ms": {}, "policy_decisions": { "quota": { "decision": "allow" } },
        "prompt": "zwei\nZeilen \u{2028} und \"mehr\"",
    }))
    .unwrap()
}

/// Creates the plugin from JSON.
pub(crate) async fn create(test: &TestContext, config: &Value) -> Result<JsonlAudit, PluginError> {
    JsonlAudit::create(test.context(), read_config(&config.to_string())?).await
}

/// The lines of a file, each of which must be JSON and end in a line break.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
