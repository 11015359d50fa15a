//! `mini-chat-plugins call`: every method of real plugins, JSON in and out.

use std::fs;
use std::path::Path;

use mini_chat_plugin_tests::program::{self, Ran, run};
use mini_chat_plugin_tests::{fixtures, plugins, read_fixture};
use serde_json::{Value, json};
use tempfile::TempDir;

const USER: &str = "018f0000-0000-7000-8000-000000000002";

/// The example's own configuration.
fn policy_config() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap().join("example-plugins/static-policy/plugins.toml").to_str().unwrap().to_owned()
}

fn directory(plugins_in_it: &[&str]) -> TempDir {
    let directory = plugins::directory();
    for package in plugins_in_it {
        plugins::drop_in(directory.path(), &plugins::built(package), &format!("{package}.so"));
    }
    directory
}

fn call(plugin: &Path, method: &str, arguments: &str, more: &[&str]) -> Ran {
    run(["call", plugin.to_str().unwrap(), method, "--json", arguments].iter().chain(more))
}

#[test]
fn every_policy_method_answers() {
    let directory = directory(&["static-policy-plugin"]);
    let config = policy_config();
    let answer = |method: &str, arguments: Value| {
        let ran = call(directory.path(), method, &arguments.to_string(), &["--config", &config]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        ran.json()["ok"].clone()
    };
    let version = answer("get_current_policy_version", json!({ "user_id": USER }));
    assert_eq!(version, json!({ "user_id": USER, "policy_version": 8, "generated_at": "2026-03-01T12:00:00Z" }));
    let snapshot = answer("get_policy_snapshot", json!({ "user_id": USER, "policy_version": 8 }));
    assert_eq!((&snapshot["user_id"], &snapshot["policy_version"]), (&json!(USER), &json!(8)));
    assert_eq!(snapshot["kill_switches"]["disable_images"], true);
    assert_eq!(snapshot["kill_switches"].as_object().unwrap().len(), 6);
    let models = snapshot["model_catalog"].as_array().unwrap();
    assert_eq!(models.iter().map(|model| &model["model_id"]).collect::<Vec<_>>(), ["large-1", "small-1"]);
    assert_eq!(models[0]["general_config"]["available_from"], "2026-01-15T00:00:00Z");
    let limits = answer("get_user_limits", json!({ "user_id": USER, "policy_version": 8 }));
    assert_eq!(limits["premium"]["limit_daily_credits_micro"], 20_000_000);
    assert_eq!(answer("check_user_license", json!({ "user_id": USER })), json!({ "active": true }));
    let event: Value = serde_json::from_str(&read_fixture("mini-chat/full/UsageEvent.json")).unwrap();
    assert_eq!(answer("publish_usage", json!({ "payload": event })), Value::Null);
    assert_eq!(answer("publish_usage", event), Value::Null);
}

#[test]
fn every_audit_method_takes_its_event() {
    let directory = directory(&["jsonl-audit-plugin"]);
    let journal = directory.path().join("audit.jsonl");
    let config = json!({ "path": journal }).to_string();
    let events = ["TurnAuditEvent", "TurnRetryAuditEvent", "TurnEditAuditEvent", "TurnDeleteAuditEvent"];
    let methods = ["emit_turn_audit", "emit_turn_retry_audit", "emit_turn_edit_audit", "emit_turn_delete_audit"];
    let name = |event: &str| format!("mini-chat/full/{event}.json");
    for (place, (method, event)) in methods.into_iter().zip(events).enumerate() {
        let bare: Value = serde_json::from_str(&read_fixture(&name(event))).unwrap();
        // Each way in: bare and wrapped, as an argument, from stdin, from a file.
        let (arguments, stdin) = match place {
            0 => (format!("@{}", fixtures(&name(event)).display()), String::new()),
            1 => ("-".to_owned(), bare.to_string()),
            _ => (json!({ "event": bare }).to_string(), String::new()),
        };
        let file = directory.path().join("jsonl-audit-plugin.so");
        let options = ["call", file.to_str().unwrap(), method, "--json", &arguments, "--plugin-config", &config];
        let ran = program::end(program::command(options), &stdin);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"ok\":null}\n"), "{ran:?}");
    }
    let lines: Vec<Value> =
        fs::read_to_string(&journal).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let written: Vec<&Value> = lines.iter().map(|line| &line["event"]).collect();
    let sent: Vec<Value> = events.map(|event| serde_json::from_str(&read_fixture(&name(event))).unwrap()).into();
    assert_eq!(written, sent.iter().collect::<Vec<_>>());
}

#[test]
fn an_error_answer_is_json_and_exit_1() {
    let directory = directory(&["static-policy-plugin"]);
    let arguments = json!({ "user_id": USER, "policy_version": 99 }).to_string();
    let ran = call(directory.path(), "get_policy_snapshot", &arguments, &["--config", &policy_config()]);
    assert_eq!((ran.code, &ran.json()["error"]["kind"]), (1, &json!("NotFound")));
    assert_eq!(ran.json()["error"]["message"], "policy not found for the given tenant/version");
}

#[test]
fn wrong_arguments_are_explained() {
    let directory = directory(&["static-policy-plugin"]);
    let arguments = json!({ "user_id": USER, "policy_version": "8" }).to_string();
    let ran = call(directory.path(), "get_user_limits", &arguments, &[]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "error: --json: arguments of get_user_limits: policy_version: expected u64, found string \"8\"\n"
    );
    let ran = call(directory.path(), "check_user_license", "@/no/such/file", &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.starts_with("error: --json: cannot read @/no/such/file: No such file"), "{}", ran.stderr);
}

#[test]
fn an_unknown_method_gets_the_nearest_and_the_list() {
    let ran = call(Path::new("."), "get_user_limit", "{}", &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("'get_user_limits'"), "{}", ran.stderr);
    assert!(ran.stderr.contains("publish_usage, emit_turn_audit"), "{}", ran.stderr);
}

#[test]
fn several_plugins_of_a_kind_need_a_name() {
    let directory = directory(&["hello", "jsonl-audit-plugin", "static-policy-plugin"]);
    let event = read_fixture("mini-chat/full/TurnAuditEvent.json");
    let ran = call(directory.path(), "emit_turn_audit", &event, &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("one of: acme.audit._.hello.v1, acme.audit._.jsonl.v1"), "{}", ran.stderr);
    // Of three plugins only the named one is started: jsonl-audit would fail without a data directory.
    let ran = call(directory.path(), "emit_turn_audit", &event, &["--name", "acme.audit._.hello.v1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"ok\":null}\n"), "{ran:?}");
    let ran = call(directory.path(), "emit_turn_audit", &event, &["--name", "nobody"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("there are: acme.audit._.hello.v1, acme.audit"), "{}", ran.stderr);
}

#[test]
fn what_cannot_serve_is_exit_69() {
    let directory = directory(&["hello"]);
    let user = json!({ "user_id": USER }).to_string();
    let ran = call(directory.path(), "check_user_license", &user, &[]);
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains("model_policy, which has check_user_license: acme.audit._.hello.v1"), "{}", ran.stderr);
    let ran = call(&directory.path().join("missing.so"), "check_user_license", &user, &[]);
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains("missing.so: no such file"), "{}", ran.stderr);
}

#[test]
fn a_wrong_configuration_is_exit_78() {
    let directory = directory(&["jsonl-audit-plugin"]);
    let event = read_fixture("mini-chat/full/TurnAuditEvent.json");
    let refused = json!({ "path": "x", "fsink": "always" }).to_string();
    let ran = call(directory.path(), "emit_turn_audit", &event, &["--plugin-config", &refused]);
    assert_eq!(ran.code, 78, "{ran:?}");
    assert!(ran.stderr.contains("fsink"), "{}", ran.stderr);
    let ran = call(directory.path(), "emit_turn_audit", &event, &["--plugin-config", "{"]);
    assert_eq!(ran.code, 78);
    let config = directory.path().join("plugins.toml");
    fs::write(&config, "[host]\nshutdown = 5\n").unwrap();
    let ran = call(directory.path(), "emit_turn_audit", &event, &["--config", config.to_str().unwrap()]);
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("plugins.toml:2:12: host.shutdown"), "{}", ran.stderr);
}

#[test]
fn a_timeout_holds_though_the_plugin_blocks() {
    let directory = directory(&["fixture-hanging"]);
    let config = directory.path().join("plugins.toml");
    fs::write(&config, "[host]\nshutdown = \"400ms\"\n").unwrap();
    let event = read_fixture("mini-chat/full/TurnDeleteAuditEvent.json");
    let more = ["--timeout", "100ms", "--config", config.to_str().unwrap()];
    let ran = call(directory.path(), "emit_turn_delete_audit", &event, &more);
    assert_eq!((ran.code, &ran.json()["error"]["kind"]), (1, &json!("PluginTimeout")), "{ran:?}");
    let ran = call(directory.path(), "emit_turn_delete_audit", &event, &["--timeout", "48h"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("of at most 24h"), "{}", ran.stderr);
}
