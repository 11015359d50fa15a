//! Every text of every event.

use mini_chat_plugin_sdk::audit_models::{TurnAuditEvent, TurnDeleteAuditEvent, TurnMutationAuditEvent};
use serde_json::Value;

use crate::sanitize::{Class, Sanitizer};

const SECRET: &str = "password=hunter2";

fn turn() -> Value {
    serde_json::json!({
        "event_type": "turn_completed", "timestamp": "2026-01-02T03:04:05.006Z", "requester_type": "user",
        "tenant_id": "00000000-0000-0000-0000-000000000001", "user_id": "00000000-0000-0000-0000-000000000002",
        "chat_id": "00000000-0000-0000-0000-000000000003", "turn_id": "00000000-0000-0000-0000-000000000004",
        "request_id": "00000000-0000-0000-0000-000000000005", "trace_id": "t",
        "selected_model": "m", "effective_model": "m", "policy_version_applied": 7,
        "usage": { "input_tokens": 1, "output_tokens": 2, "model": "m" },
        "latency_ms": { "ttft_ms": 1, "total_ms": 2 },
        "policy_decisions": {
            "license": { "feature": "f", "decision": "d" },
            "quota": { "decision": "d", "quota_scope": "tokens", "downgrade_from": "p", "downgrade_reason": "r" }
        },
        "error_code": "e", "prompt": "p", "response": "r", "tool_calls": { "file_search_calls": 1 },
        "attachments": [
            { "attachment_id": "00000000-0000-0000-0000-000000000006", "attachment_kind": "document", "filename": "f",
              "content_type": "c", "size_bytes": 1, "image_used_in_turn": false, "doc_summary": "s" },
            { "attachment_id": "00000000-0000-0000-0000-000000000007", "attachment_kind": "image", "filename": "f" }
        ]
    })
}

fn mutation(kind: &str) -> Value {
    serde_json::json!({
        "event_type": kind, "timestamp": "2026-01-02T03:04:05.006Z", "requester_type": "user",
        "tenant_id": "00000000-0000-0000-0000-000000000001", "actor_user_id": "00000000-0000-0000-0000-000000000002",
        "chat_id": "00000000-0000-0000-0000-000000000003", "turn_id": "00000000-0000-0000-0000-000000000004",
        "original_request_id": "00000000-0000-0000-0000-000000000005", "trace_id": "t",
        "new_request_id": "00000000-0000-0000-0000-000000000006"
    })
}

fn delete() -> Value {
    serde_json::json!({
        "event_type": "turn_delete", "timestamp": "2026-01-02T03:04:05.006Z", "requester_type": "user",
        "tenant_id": "00000000-0000-0000-0000-000000000001", "actor_user_id": "00000000-0000-0000-0000-000000000002",
        "chat_id": "00000000-0000-0000-0000-000000000003", "turn_id": "00000000-0000-0000-0000-000000000004",
        "request_id": "00000000-0000-0000-0000-000000000005", "trace_id": "t"
    })
}

/// Puts a secret into every text and sanitises: every one must be redacted, and the rest as it was.
fn checked(mut event: Value, expected: usize, sanitize: impl Fn(&Sanitizer, Value) -> Value) {
    let sanitizer = Sanitizer::new();
    assert_eq!(sanitize(&sanitizer, event.clone()), event, "without a secret it stays as it is");
    assert_eq!(sanitizer.hits().total(), 0);

    assert_eq!(fill(&mut event), expected, "{event}");
    let out = sanitize(&sanitizer, event.clone());
    let hits = sanitizer.hits().of(Class::PasswordFields);
    assert_eq!(hits, expected as u64);
    assert_eq!(out.to_string(), event.to_string().replace("hunter2", "[REDACTED]"));
}

/// Puts a secret into every string that is neither an identifier nor a time nor an enumeration; how many there are.
fn fill(value: &mut Value) -> usize {
    match value {
        Value::Object(object) => {
            let fixed = ["event_type", "requester_type", "timestamp", "attachment_kind", "quota_scope"];
            let is_text = |key: &str| key == "trace_id" || !key.ends_with("_id") && !fixed.contains(&key);
            object.iter_mut().filter(|(key, _)| is_text(key)).map(|(_, value)| fill(value)).sum()
        }
        Value::Array(array) => array.iter_mut().map(fill).sum(),
        Value::String(text) => {
            *text = SECRET.to_owned();
            1
        }
        _ => 0,
    }
}

#[test]
fn every_text_of_a_turn() {
    checked(turn(), 16, |sanitizer, event| {
        let event: TurnAuditEvent = serde_json::from_value(event).expect("an event");
        serde_json::to_value(sanitizer.turn(event)).expect("JSON")
    });
}

#[test]
fn every_text_of_the_others() {
    checked(mutation("turn_retry"), 1, |sanitizer, event| {
        let event: TurnMutationAuditEvent = serde_json::from_value(event).expect("an event");
        serde_json::to_value(sanitizer.turn_retry(event)).expect("JSON")
    });
    checked(mutation("turn_edit"), 1, |sanitizer, event| {
        let event: TurnMutationAuditEvent = serde_json::from_value(event).expect("an event");
        serde_json::to_value(sanitizer.turn_edit(event)).expect("JSON")
    });
    checked(delete(), 1, |sanitizer, event| {
        let event: TurnDeleteAuditEvent = serde_json::from_value(event).expect("an event");
        serde_json::to_value(sanitizer.turn_delete(event)).expect("JSON")
    });
}

/// An event that needs no change keeps its very buffers.
#[test]
fn nothing_is_copied_that_stays() {
    let event: TurnAuditEvent = serde_json::from_value(turn()).expect("an event");
    let place = event.prompt.as_ref().map(|prompt| prompt.as_ptr());
    let event = Sanitizer::new().turn(event);
    assert_eq!(event.prompt.as_ref().map(|prompt| prompt.as_ptr()), place);
}
