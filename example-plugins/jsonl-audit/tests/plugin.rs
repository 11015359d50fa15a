//! The plugin linked statically: what it writes, refuses and promises.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Waker};

use common::{create, lines, turn};
use jsonl_audit::{Config, Fsync, JsonlAuditPlugin};
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{TestContext, read_config};
use serde_json::{Value, json};
use tempfile::TempDir;

fn bench() -> (TempDir, TestContext) {
    let dir = tempfile::tempdir().unwrap();
    let test = TestContext::new("audit").with_data_dir(dir.path().join("data"));
    (dir, test)
}

#[tokio::test]
async fn one_line_per_event() {
    let (dir, test) = bench();
    let plugin = create(&test, &json!({})).await.unwrap();
    plugin.health().await.unwrap();
    let id = Uuid::from_u128;
    let retry = TurnMutationAuditEvent::new_retry(
        OffsetDateTime::UNIX_EPOCH,
        id(1),
        RequesterType::User,
        None,
        id(2),
        id(3),
        id(4),
        id(5),
        id(6),
    );
    let edit = TurnMutationAuditEvent { event_type: TurnMutationAuditEventType::TurnEdit, ..retry.clone() };
    let delete: TurnDeleteAuditEvent = serde_json::from_value(json!({
        "event_type": "turn_delete", "timestamp": "2026-03-01T12:00:00Z", "requester_type": "system", "tenant_id": id(1),
        "trace_id": "t", "actor_user_id": id(2), "chat_id": id(3), "turn_id": id(4), "request_id": id(5),
    }))
    .unwrap();
    let expected = [
        json!({ "kind": "turn", "event": turn(4) }),
        json!({ "kind": "retry", "event": retry }),
        json!({ "kind": "edit", "event": edit }),
        json!({ "kind": "delete", "event": delete }),
    ];
    plugin.emit_turn_audit(turn(4)).await.unwrap();
    plugin.emit_turn_retry_audit(retry).await.unwrap();
    plugin.emit_turn_edit_audit(edit).await.unwrap();
    plugin.emit_turn_delete_audit(delete).await.unwrap();
    assert_eq!(lines(&dir.path().join("data/audit.jsonl")), expected);
    plugin.shutdown().await.unwrap();
    assert_eq!(test.records(), []);
}

#[tokio::test]
async fn what_is_no_json_is_permanent() {
    let (dir, test) = bench();
    let plugin = create(&test, &json!({})).await.unwrap();
    let mut event = turn(1);
    event.timestamp = event.timestamp.replace_year(-1).unwrap();
    let error = plugin.emit_turn_audit(event).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    assert_eq!(lines(&dir.path().join("data/audit.jsonl")).len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_at_once() {
    for config in [json!({}), json!({ "fsync": "never", "max_bytes": 20_000, "keep": 1_000 })] {
        let (dir, test) = bench();
        let plugin = Arc::new(create(&test, &config).await.unwrap());
        let tasks: Vec<_> = (0..1_000)
            .map(|number| {
                let plugin = Arc::clone(&plugin);
                tokio::spawn(async move { plugin.emit_turn_audit(turn(number)).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let mut turns = HashSet::new();
        let mut written = 0;
        for entry in std::fs::read_dir(dir.path().join("data")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "lock") {
                continue;
            }
            assert!(config["max_bytes"].as_u64().is_none_or(|most| path.metadata().unwrap().len() <= most));
            for line in lines(&path) {
                written += 1;
                turns.insert(line["event"]["turn_id"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!((written, turns.len()), (1_000, 1_000));
    }
}

#[tokio::test]
async fn a_dropped_emit_leaves_a_whole_line_or_none() {
    let (dir, test) = bench();
    let plugin = create(&test, &json!({})).await.unwrap();
    let mut started = 0;
    for number in 0..200 {
        let mut emit = plugin.emit_turn_audit(turn(number));
        if number % 3 != 0 {
            // Queued, or done already.
            let _ = emit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            started += 1;
        }
        drop(emit);
        // A tokio task may do 128 things per turn; then the queue would not even be tried.
        tokio::task::yield_now().await;
    }
    plugin.shutdown().await.unwrap();
    assert_eq!(lines(&dir.path().join("data/audit.jsonl")).len(), started);
}

#[tokio::test]
async fn shutdown_writes_what_is_queued_and_gives_the_file_back() {
    let (dir, test) = bench();
    let plugin = create(&test, &json!({ "fsync": "interval", "fsync_interval_ms": 3_600_000 })).await.unwrap();
    let mut emits: Vec<_> = (0..50).map(|number| plugin.emit_turn_audit(turn(number))).collect();
    for emit in &mut emits {
        let _ = emit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    plugin.shutdown().await.unwrap();
    assert_eq!(lines(&dir.path().join("data/audit.jsonl")).len(), 50);
    let late = plugin.emit_turn_audit(turn(99)).await.unwrap_err();
    assert!(late.is_transient(), "{late}");
    assert!(plugin.health().await.is_err());
    // The next generation.
    create(&test, &json!({})).await.unwrap().emit_turn_audit(turn(100)).await.unwrap();
    assert_eq!(lines(&dir.path().join("data/audit.jsonl")).len(), 51);
}

#[tokio::test]
async fn two_instances_do_not_share_a_file() {
    let (dir, test) = bench();
    let path = dir.path().join("shared.jsonl");
    let one = create(&test, &json!({ "path": path })).await.unwrap();
    let error = create(&TestContext::new("two"), &json!({ "path": path })).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.message().contains("shared.jsonl is being written by another instance"), "{error}");
    one.emit_turn_audit(turn(1)).await.unwrap();
    one.shutdown().await.unwrap();
    create(&TestContext::new("two"), &json!({ "path": path })).await.unwrap();
}

#[tokio::test]
async fn after_a_crash() {
    let (dir, test) = bench();
    let path = dir.path().join("audit.jsonl");
    std::fs::write(&path, "{\"kind\":\"turn\"}\n{\"kind\":\"tu").unwrap();
    let plugin = create(&test, &json!({ "path": path })).await.unwrap();
    plugin.emit_turn_audit(turn(1)).await.unwrap();
    assert_eq!(lines(&path).len(), 2);
    assert_eq!(std::fs::read_to_string(dir.path().join("audit.jsonl.torn")).unwrap(), "{\"kind\":\"tu\n");
    let [record] = &test.records()[..] else { panic!("{:?}", test.records()) };
    assert_eq!(record.level, LogLevel::Warn);
    assert!(record.message.contains("audit.jsonl ended in 11 bytes of a line"), "{}", record.message);
}

#[tokio::test]
async fn a_preflight_changes_nothing() {
    let (dir, test) = bench();
    let path = dir.path().join("audit.jsonl");
    let serving = create(&test, &json!({ "path": path })).await.unwrap();
    serving.emit_turn_audit(turn(1)).await.unwrap();
    let half = b"{\"half";
    std::fs::write(dir.path().join("other.jsonl"), half).unwrap();
    let names =
        || std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<HashSet<_>>();
    let (before, modified) = (names(), path.metadata().unwrap().modified().unwrap());

    let check = TestContext::new("audit").with_purpose(Purpose::Preflight);
    for name in ["audit.jsonl", "other.jsonl", "new.jsonl"] {
        let plugin = create(&check, &json!({ "path": dir.path().join(name) })).await.unwrap();
        plugin.health().await.unwrap();
        assert!(plugin.emit_turn_audit(turn(2)).await.unwrap_err().is_transient());
        plugin.shutdown().await.unwrap();
    }
    assert_eq!((names(), path.metadata().unwrap().modified().unwrap()), (before, modified));
    assert_eq!(std::fs::read(dir.path().join("other.jsonl")).unwrap(), half);
    // It does find out what would not work.
    assert!(create(&check, &json!({ "path": dir.path() })).await.is_err());
    assert!(create(&check, &json!({ "path": "/no/such/directory/audit.jsonl" })).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn paths() {
    let (dir, test) = bench();
    let plugin = create(&test, &json!({ "path": "logs/today.jsonl" })).await.unwrap();
    plugin.emit_turn_audit(turn(1)).await.unwrap();
    assert_eq!(lines(&dir.path().join("data/logs/today.jsonl")).len(), 1);

    let error = create(&TestContext::new("bare"), &json!({})).await.unwrap_err();
    assert!(error.message().contains("data_dir"), "{error}");
    let error = create(&test, &json!({ "path": dir.path() })).await.unwrap_err();
    assert!(!error.is_retryable() && error.message().contains("expected a file"), "{error}");
    let error = create(&test, &json!({ "path": "/no/such/directory/audit.jsonl" })).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.message(), "open /no/such/directory/audit.jsonl: No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_its_key() {
    for (config, expected) in [
        (json!({ "fsync": "sometimes" }), "fsync: expected one of `always`, `interval`, `never`, found another name"),
        (json!({ "fsync_interval_ms": 5 }), "fsync_interval_ms: expected it only with `fsync = \"interval\"`"),
        (json!({ "fsync": "interval", "fsync_interval_ms": 0 }), "fsync_interval_ms: expected 1 to 3600000, found 0"),
        (json!({ "keep": 5 }), "keep: expected it only with `max_bytes`, found it without"),
        (json!({ "max_bytes": 0 }), "max_bytes: expected 1 to 18446744073709551615, found 0"),
        (json!({ "max_bytes": 1, "keep": 0 }), "keep: expected 1 to 1000, found 0"),
        (json!({ "max_bytes": 1, "keep": 1_001 }), "keep: expected 1 to 1000, found 1001"),
        (json!({ "max_bytes": "1M" }), "max_bytes: expected u64, found string"),
        (json!({ "path": "" }), "path: expected the path of a file"),
        (json!({ "path": "/var/log/" }), "path: expected the path of a file"),
        (json!({ "path": ".." }), "path: expected the path of a file"),
        (json!({ "pth": "x" }), "pth: expected one of `path`, `fsync`, "),
    ] {
        let (_dir, test) = bench();
        let error = create(&test, &config).await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert!(error.message().starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn the_example_is_read() {
    let file: Value = toml::from_str(include_str!("../plugins.toml")).unwrap();
    let config = &file["plugins"]["acme.audit._.jsonl.v1"]["config"];
    let config: Config = read_config(&config.to_string()).unwrap();
    assert_eq!(config.path, Some("/var/log/mini-chat/audit.jsonl".into()));
    assert_eq!((config.fsync, config.fsync_interval_ms), (Fsync::Interval, Some(250)));
    assert_eq!((config.max_bytes, config.keep), (Some(100_000_000), Some(10)));
}

#[test]
fn it_says_what_it_is() {
    let descriptor: Value = serde_json::from_str(InProcessPlugin::of::<JsonlAuditPlugin>().descriptor()).unwrap();
    assert_eq!(descriptor["id"], "acme.audit._.jsonl.v1");
}
