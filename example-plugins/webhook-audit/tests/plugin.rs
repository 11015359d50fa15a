//! The plugin linked statically: its configuration, and its end. What it sends is tested through a host, by
//! `tests/suite/webhook_audit`.

use std::net::TcpListener;
use std::task::{Context, Waker};

use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{TestContext, read_config};
use serde_json::{Value, json};
use webhook_audit::{Ack, Config, WebhookAudit, WebhookAuditPlugin};

const REQUEST: &str = "018f0000-0000-7000-8000-000000000005";
const ID: &str = "018f0000-0000-7000-8000-000000000001:turn_completed:018f0000-0000-7000-8000-000000000005";

fn turn() -> TurnAuditEvent {
    let text = include_str!("../../../tests/fixtures/mini-chat/full/TurnAuditEvent.json");
    serde_json::from_str(text).unwrap()
}

fn config(value: &Value) -> Result<Config, PluginError> {
    read_config(&value.to_string())
}

/// `base` with the keys of `more`.
fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    base.as_object_mut().unwrap().extend(more);
    base
}

async fn create(test: &TestContext, value: &Value) -> Result<WebhookAudit, PluginError> {
    WebhookAudit::create(test.context(), config(value)?).await
}

/// An endpoint that never answers: connections wait to be accepted.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn it_says_what_it_is() {
    let descriptor: Value = serde_json::from_str(InProcessPlugin::of::<WebhookAuditPlugin>().descriptor()).unwrap();
    assert_eq!(descriptor["id"], "acme.audit._.webhook.v1");
}

#[tokio::test]
async fn the_example_of_the_documentation_is_read() {
    let file: Value = toml::from_str(include_str!("../plugins.toml")).unwrap();
    let value = file["plugins"]["acme.audit._.webhook.v1"]["config"].clone();
    assert_eq!(value["token"], json!({"env": "AUDIT_TOKEN"}));
    // Every key that there is stands in the example, and in the documentation's table.
    let unknown = config(&json!({"url": "http://x", "?": 1})).unwrap_err();
    let keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
    for key in &keys {
        assert!(unknown.message().contains(&format!("`{key}`")), "{unknown}");
        assert!(include_str!("../src/lib.rs").contains(&format!("//! | `{key}` | ")), "{key}");
    }
    assert_eq!(unknown.message().matches('`').count(), 2 * keys.len(), "{unknown}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let value = with(value, json!({"token": "t", "ca_file": path}));
    let missing = create(&TestContext::new("audit"), &value).await.unwrap_err();
    assert!(missing.is_retryable() && missing.message().starts_with("ca_file: read "), "{missing}");
    std::fs::write(&path, "no certificate").unwrap();
    let empty = create(&TestContext::new("audit"), &value).await.unwrap_err();
    assert!(empty.message().starts_with("ca_file: expected certificates in PEM, found none in "), "{empty}");
}

#[tokio::test]
async fn mistakes_are_refused_with_their_key() {
    let cases = [
        (json!({"url": "audit.example.com"}), "url: expected a URL such as https://"),
        (json!({"url": "ftp://audit.example.com"}), "url: expected an http or https URL"),
        (json!({"url": "https://user:hunter2@x"}), "url: expected no user name or password"),
        (json!({"url": "https://x/#hunter2"}), "url: expected a URL without fragment"),
        (json!({"url": "hunter2"}), "url: expected a URL such as"),
        (json!({"url": ["hunter2"]}), "url: expected "),
        (json!({"token": ""}), "token: expected visible ASCII characters only, found an empty text"),
        (json!({"token": "hunter2\n"}), "token: expected visible ASCII characters only, found other characters"),
        (json!({"ca_file": "ca.pem"}), "ca_file: expected an absolute path"),
        (json!({"ca_file": "/x", "url": "http://x"}), "ca_file: expected it only with an https `url`"),
        (json!({"ack": "sometimes"}), "ack: expected one of `delivered`, `queued`, found another name"),
        (
            json!({"ack": "queued", "call_timeout_ms": 1}),
            "call_timeout_ms: expected it only with `ack = \"delivered\"`",
        ),
        (json!({"batch_events": 0}), "batch_events: expected 1 to 10000, found 0"),
        (json!({"batch_bytes": 1_023}), "batch_bytes: expected 1024 to 16777216, found 1023"),
        (json!({"flush_after_ms": 0}), "flush_after_ms: expected 1 to 60000, found 0"),
        (json!({"queue_events": 499}), "queue_events: expected 500 (as `batch_events`) to 1000000, found 499"),
        (json!({"batch_bytes": 2_000, "queue_bytes": 1_999}), "queue_bytes: expected 2000 (as `batch_bytes`) to 10737"),
        (json!({"batches_in_flight": 17}), "batches_in_flight: expected 1 to 16, found 17"),
        (json!({"connect_timeout_ms": 0}), "connect_timeout_ms: expected 1 to 600000, found 0"),
        (json!({"try_timeout_ms": -1}), "try_timeout_ms: expected "),
        (json!({"tries": 0}), "tries: expected 1 to 100000, found 0"),
        (json!({"retry_for_ms": 86_400_001}), "retry_for_ms: expected 1 to 86400000, found 86400001"),
        (json!({"max_retry_after_ms": "1s"}), "max_retry_after_ms: expected u64, found string"),
        (json!({"shutdown_ms": 0}), "shutdown_ms: expected 1 to 600000, found 0"),
        (json!({"timeout": 1}), "timeout: expected one of `url`, `token`, "),
    ];
    for (change, expected) in cases {
        let value = with(json!({"url": "https://x"}), change);
        let error = create(&TestContext::new("audit"), &value).await.unwrap_err();
        assert!(error.message().starts_with(expected), "{error}\n{expected}");
        assert!(!error.is_retryable() && !error.message().contains("nter2"), "{error}");
    }
    assert!(config(&json!({})).unwrap_err().message().starts_with("url: expected a value"));
}

#[tokio::test]
async fn nothing_shows_address_or_token() {
    let test = TestContext::new("audit");
    let (_listener, url) = silent();
    let value = json!({
        "url": format!("{url}hunter2?key=hunter3"), "token": "hunter4",
        "try_timeout_ms": 20, "tries": 2, "retry_for_ms": 60_000,
    });
    let shown = format!("{:?}", config(&value).unwrap());
    assert!(!shown.contains("hunter"), "{shown}");
    assert_eq!(config(&value).unwrap().ack, Ack::Delivered);
    let plugin = create(&test, &value).await.unwrap();
    let error = plugin.emit_turn_audit(turn()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("it was tried 2 times"), "{error}");
    // One that is held, whose text is an array of numbers in a derived `Debug`.
    let mut held = plugin.emit_turn_audit(TurnAuditEvent { prompt: Some("hunter5".to_owned()), ..turn() });
    assert!(held.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let shown = format!("{plugin:?} {error} {:?}", test.records());
    assert!(shown.contains(REQUEST) && !shown.contains("104, 117, 110, 116, 101, 114"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert_eq!(test.records()[0].message, "the token is sent without encryption: `url` is http, not https");
    assert!(test.records()[1].message.starts_with("a batch of 1 audit events was not accepted: "), "{shown}");
}

#[tokio::test]
async fn at_the_end_calls_that_wait_are_told_and_named() {
    let test = TestContext::new("audit");
    let (_listener, url) = silent();
    let value =
        json!({"url": url, "try_timeout_ms": 600_000, "shutdown_ms": 50, "flush_after_ms": 1, "batch_events": 2});
    let plugin = create(&test, &value).await.unwrap();
    plugin.health().await.unwrap();
    // Of five, two are in a batch under way.
    let mut calls: Vec<_> = (0..5).map(|_| plugin.emit_turn_audit(turn())).collect();
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let given_up = calls.pop();
    drop(given_up);
    let error = plugin.shutdown().await.unwrap_err();
    assert_eq!(error.message(), "5 audit events were not accepted by the endpoint; the log has their ids");
    for call in calls {
        let error = call.await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("shut down"), "{error}");
    }
    let records = test.records();
    assert!(records.iter().all(|record| record.level == LogLevel::Warn), "{records:?}");
    assert_eq!(records.iter().map(|record| record.message.matches(ID).count()).sum::<usize>(), 5, "{records:?}");
    assert!(records.last().unwrap().message.starts_with("1 audit events (5 so far) were not accepted"), "{records:?}");

    let late = plugin.emit_turn_audit(turn()).await.unwrap_err();
    assert!(late.is_transient() && late.to_string().contains("not taken"), "{late}");
    assert!(plugin.health().await.unwrap_err().is_retryable());
    plugin.shutdown().await.unwrap();
    drop(plugin);
    assert_eq!(test.records(), records, "nothing is said twice");
}

#[tokio::test]
async fn a_plugin_that_is_dropped_without_shutdown_names_what_it_held() {
    let test = TestContext::new("audit");
    let (_listener, url) = silent();
    let value = json!({"url": url, "ack": "queued", "try_timeout_ms": 600_000, "flush_after_ms": 1, "batch_events": 2});
    let plugin = create(&test, &value).await.unwrap();
    for _ in 0..5 {
        plugin.emit_turn_audit(turn()).await.unwrap();
    }
    drop(plugin);
    let named = || test.records().iter().map(|record| record.message.matches(REQUEST).count()).sum::<usize>();
    // The batch under way ends with its task, which the runtime drops at its next turn.
    while named() < 5 {
        tokio::task::yield_now().await;
    }
    assert!(test.records().iter().all(|record| record.level == LogLevel::Error), "{:?}", test.records());
}

#[tokio::test]
async fn what_is_no_json_is_permanent() {
    let test = TestContext::new("audit");
    let plugin = create(&test, &json!({"url": "http://127.0.0.1:9"})).await.unwrap();
    let mut event = turn();
    event.timestamp = event.timestamp.replace_year(-1).unwrap();
    let error = plugin.emit_turn_audit(event).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    let plugin = create(&test, &json!({"url": "http://x", "batch_bytes": 1_024, "queue_bytes": 1_024})).await.unwrap();
    let event = TurnAuditEvent { prompt: Some("x".repeat(2_000)), ..turn() };
    let error = plugin.emit_turn_audit(event).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("`queue_bytes`"), "{error}");
}
