//! A full disk: Transient, no half line, and all is well once there is room again.
//!
//! The disk is a limit on the size of files, in a process of its own that does not die of it: the test starts itself
//! again below a shell that ignores SIGXFSZ. A write then stops short and the next one fails, as on a full disk.
#![cfg(unix)]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::{create, lines, turn};
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::TestContext;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

const CHILD: &str = "JSONL_AUDIT_TEST_CHILD";

#[test]
fn full_disk() {
    if std::env::var_os(CHILD).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(in_the_child());
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --exact full_disk --nocapture"])
        .arg(program)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("every cut was tried"), "{text}");
}

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

async fn in_the_child() {
    for config in [json!({}), json!({ "fsync": "never" }), json!({ "fsync": "interval", "max_bytes": 100_000 })] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        let test = TestContext::new("audit").with_data_dir(dir.path());
        let plugin = Arc::new(create(&test, &config).await.unwrap());
        plugin.emit_turn_audit(turn(1)).await.unwrap();
        let before = std::fs::read(&path).unwrap();
        let len = before.len() as u64;

        // Room for nothing, for one byte, …, for all but one byte.
        for room in [0, 1, 2, len / 2, len - 2, len - 1] {
            limit(Some(len + room));
            // Twice: what is left over by the first must not help the second.
            for _ in 0..2 {
                let error = plugin.emit_turn_audit(turn(2)).await.unwrap_err();
                assert!(matches!(error, MiniChatAuditPluginError::Transient(_)), "{error}");
                let text = error.to_string();
                assert!(text.contains("audit.jsonl: File too large"), "{text}");
                assert_eq!(std::fs::read(&path).unwrap(), before, "{room} bytes of room");
            }
            // Many at once, of which none fits.
            let emit = |number| {
                let plugin = Arc::clone(&plugin);
                tokio::spawn(async move { plugin.emit_turn_audit(turn(number)).await })
            };
            for task in (10..20).map(emit).collect::<Vec<_>>() {
                task.await.unwrap().unwrap_err();
            }
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }

        // Exactly enough room for one.
        limit(Some(2 * len));
        plugin.emit_turn_audit(turn(3)).await.unwrap();
        plugin.emit_turn_audit(turn(4)).await.unwrap_err();
        assert_eq!(lines(&path).len(), 2);
        limit(None);
        plugin.emit_turn_audit(turn(5)).await.unwrap();
        plugin.shutdown().await.unwrap();
        let turns: Vec<_> = lines(&path).iter().map(|line| line["event"]["turn_id"].clone()).collect();
        assert_eq!(turns, [1, 3, 5].map(|number| json!(Uuid::from_u128(number))));
        assert_eq!(test.records(), []);
    }
    println!("every cut was tried");
}
