//! A real `.so` whose code panics, blocks or never ends while it serves: the host goes on, can be ended, and its process
//! can end.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry, PluginsConfig};
use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_loader::{PluginHost, ShutdownReport};
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError};
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::site::{
    GOOD, MISBEHAVING, Site, assert_good_serves, failure, turn_audit_event, with_a_short_limit,
};
use mini_chat_plugin_tests::{child, read_fixture};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MODES: [ExecutionMode; 3] = [ExecutionMode::Inline, ExecutionMode::Isolated, ExecutionMode::Adaptive];

fn entry(config: serde_json::Value, mode: ExecutionMode) -> PluginEntry {
    let mut entry = PluginEntry::new(MISBEHAVING).with_config(config).unwrap();
    entry.mode = mode;
    entry
}

/// Limits so short that what never ends is given up soon; for the methods that may never end only.
fn short(mut entry: PluginEntry) -> PluginEntry {
    for method in [Method::EmitTurnAudit, Method::EmitTurnRetryAudit] {
        entry.limits.methods.insert(method, Duration::from_millis(300));
    }
    entry
}

/// A host whose whole shutdown takes at most `shutdown`.
fn host(site: &Site, entry: PluginEntry, shutdown: &str) -> PluginHost {
    let text = format!("[host]\nshutdown = \"{shutdown}\"\n");
    let config = PluginsConfig::parse("plugins.toml".as_ref(), &text).unwrap();
    site.serve(site.builder().config(config).plugin(entry))
}

fn emit(host: &PluginHost) -> Result<(), MiniChatAuditPluginError> {
    block_on(host.audit(MISBEHAVING).emit_turn_audit(turn_audit_event()))
}

fn version(host: &PluginHost) -> Result<u64, MiniChatModelPolicyPluginError> {
    let answer = host.model_policy(MISBEHAVING);
    let answer = answer.get_current_policy_version(Uuid::nil(), CancellationToken::new());
    block_on(answer).map(|info| info.policy_version)
}

/// The one method that is always well.
fn assert_answers(host: &PluginHost) {
    let event = serde_json::from_str(&read_fixture("mini-chat/full/TurnDeleteAuditEvent.json")).unwrap();
    block_on(host.audit(MISBEHAVING).emit_turn_delete_audit(event)).unwrap();
}

fn ended(report: &ShutdownReport) -> &mini_chat_plugin_loader::EndedPlugin {
    report.plugins.iter().find(|plugin| plugin.name == MISBEHAVING).expect("it served")
}

/// Waits for what will come; a failure is called one after a minute.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_method_that_panics() {
    let site = Site::with_misbehaving();
    for mode in MODES {
        let host = host(&site, entry(json!({ "call": "panic" }), mode), "25s");
        let Err(MiniChatAuditPluginError::Transient(text)) = emit(&host) else { panic!("{mode:?}") };
        let start = format!(
            "plugin {MISBEHAVING} panicked in emit_turn_audit at tests/fixtures/bad-plugins/misbehaving/src/act.rs:"
        );
        assert!(text.starts_with(&start) && text.ends_with(": the call panics on purpose"), "{text}");
        let Err(MiniChatModelPolicyPluginError::Internal(text)) = version(&host) else { panic!("{mode:?}") };
        assert!(text.ends_with(": the call panics on purpose"), "{text}");
        assert_answers(&host);
        assert!(block_on(host.shutdown()).is_clean());
    }
}

/// The payload of the panic panics again when it is dropped.
#[test]
fn a_panic_whose_payload_panics() {
    let site = Site::with_misbehaving();
    for mode in MODES {
        let host = host(&site, entry(json!({ "call": "panic-with-bomb" }), mode), "25s");
        let Err(MiniChatAuditPluginError::Transient(text)) = emit(&host) else { panic!("{mode:?}") };
        assert!(text.ends_with(": a value that is not text"), "{text}");
        assert_answers(&host);
        assert!(block_on(host.shutdown()).is_clean());
    }
}

/// The future panics when it is dropped: by its caller, by its deadline, by the end of its host.
#[test]
fn a_future_whose_drop_panics() {
    let site = Site::with_misbehaving();
    let event = || serde_json::from_str(&read_fixture("mini-chat/full/TurnRetryAuditEvent.json")).unwrap();
    for mode in MODES {
        let host = host(&site, short(entry(json!({}), mode)), "25s");
        let audit = host.audit(MISBEHAVING);
        let mut call = audit.emit_turn_retry_audit(event());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(call);
        assert_answers(&host);

        let answer = block_on(audit.emit_turn_retry_audit(event()));
        assert!(matches!(answer, Err(MiniChatAuditPluginError::PluginTimeout)), "{answer:?}");
        assert_answers(&host);

        let mut call = audit.emit_turn_retry_audit(event());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(host);
        drop(call);
    }
}

/// A task that belongs to no call panics: the host's log says what and where, and the plugin serves on. In a process of
/// its own, because the log is that of the whole process.
#[test]
fn a_background_task_that_panics() {
    if !child::alone("a_background_task_that_panics") {
        return;
    }
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber()).unwrap();
    let site = Site::with_misbehaving();
    for background in ["panic", "panic-with-bomb"] {
        let host = host(&site, entry(json!({ "background": background }), ExecutionMode::Adaptive), "25s");
        let part = if background == "panic" { "the background task panics on purpose" } else { "a drop panics" };
        eventually("the panic is logged", || !log.with(part).is_empty());
        let record = log.with(part).remove(0);
        assert_eq!(record.level, tracing::Level::ERROR);
        assert!(record.text.contains("tests/fixtures/bad-plugins/misbehaving/src/act.rs:"), "{}", record.text);
        assert!(record.text.contains(&format!("plugin=\"{MISBEHAVING}\"")), "{}", record.text);
        assert_answers(&host);
        assert!(block_on(host.shutdown()).is_clean());
    }
}

/// The whole of it in a process of its own, which ends although threads of the plugin never do.
#[test]
fn a_constructor_that_blocks() {
    if !child::alone("a_constructor_that_blocks") {
        return;
    }
    let site = Site::with_misbehaving();
    for place in ["create", "health", "parse"] {
        with_a_short_limit(|limit| {
            let mut entry = entry(json!({ place: "block" }), ExecutionMode::Adaptive);
            entry.workers = Some(1);
            let limits = &mut entry.limits;
            *(if place == "health" { &mut limits.health } else { &mut limits.create }) = limit;
            let host = host(&site, entry, "25s");
            let (kind, text) = failure(&host, MISBEHAVING);
            assert!(block_on(host.shutdown()).is_clean());
            assert!(emit(&host).is_err());
            if kind == "create-deadline" { Ok(()) } else { Err(text) }
        });
    }
}

/// Isolated, a call that blocks costs its caller the deadline. The shutdown hook still runs, on the other worker.
#[test]
fn an_isolated_call_that_blocks() {
    if !child::alone("an_isolated_call_that_blocks") {
        return;
    }
    let site = Site::with_misbehaving();
    let flushed = site.path("flushed");
    with_a_short_limit(|limit| {
        let _ = std::fs::remove_file(&flushed);
        let mut entry = short(entry(json!({ "call": "block", "flushed": flushed }), ExecutionMode::Isolated));
        entry.limits.methods.insert(Method::EmitTurnAudit, limit);
        entry.workers = Some(2);
        let host = host(&site, entry, "25s");
        assert!(matches!(emit(&host), Err(MiniChatAuditPluginError::PluginTimeout)));
        assert_answers(&host);
        assert_good_serves(&host);
        let report = block_on(host.shutdown());
        assert_eq!(std::fs::read_to_string(&flushed).unwrap(), "flushed");
        assert!(report.is_clean(), "{report:?}");
        // If the call had not even begun within the limit, no worker is held.
        if ended(&report).runtime_stopped == Some(false) { Ok(()) } else { Err("no worker is held".to_owned()) }
    });
}

/// What a plugin has to flush is flushed, also when calls had to be given up before.
#[test]
fn calls_that_never_end_do_not_keep_the_hook_from_running() {
    let site = Site::with_misbehaving();
    for mode in MODES {
        let flushed = site.path("flushed");
        let entry = entry(json!({ "call": "never", "flushed": flushed }), mode);
        // Half of it is for the calls.
        let host = host(&site, entry, "4s");
        let audit = host.audit(MISBEHAVING);
        let call = std::thread::spawn(move || block_on(audit.emit_turn_audit(turn_audit_event())));
        let in_flight =
            || host.status().plugins.iter().filter_map(|p| Some(p.instance.as_ref()?.in_flight)).sum::<i64>();
        eventually("the call is under way", || in_flight() == 1);
        let report = block_on(host.shutdown());
        assert_eq!(ended(&report).abandoned_calls, 1);
        assert_eq!(ended(&report).shutdown_error, None);
        assert_eq!(std::fs::read_to_string(&flushed).unwrap(), "flushed");
        std::fs::remove_file(&flushed).unwrap();
        let Err(MiniChatAuditPluginError::Transient(text)) = call.join().unwrap() else { panic!("{mode:?}") };
        assert_eq!(text, format!("plugin {MISBEHAVING} was stopped while it was working on emit_turn_audit"));
    }
}

#[test]
fn a_shutdown_hook_that_goes_wrong() {
    let site = Site::with_misbehaving();
    let error = |how: &str, limit: &str| {
        let host = host(&site, entry(json!({ "shutdown": how }), ExecutionMode::Adaptive), limit);
        let report = block_on(host.shutdown());
        assert!(!report.is_clean());
        let error = ended(&report).shutdown_error.clone().expect(how);
        error.strip_prefix(&format!("plugin {MISBEHAVING}: its shutdown hook ")).expect(&error).to_owned()
    };
    assert_eq!(error("fail-permanent", "25s"), "failed (code 8): the shutdown hook cannot do that");
    assert!(error("panic", "25s").starts_with("panicked at tests/fixtures/bad-plugins/misbehaving/src/act.rs:"));
    for how in ["never", "block"] {
        let text = error(how, "600ms");
        assert!(text.starts_with("did not end within "), "{text}");
        assert!(text.ends_with("; raise shutdown of [host] or mend the plugin"), "{text}");
    }
}

#[test]
fn a_plugin_whose_drop_panics() {
    let site = Site::with_misbehaving();
    for how in ["panic", "panic-with-bomb"] {
        let host = host(&site, entry(json!({ "drop": how }), ExecutionMode::Adaptive), "25s");
        assert_answers(&host);
        let report = block_on(host.shutdown());
        assert!(report.is_clean(), "{report:?}");
    }
}

/// Its drop never returns: the end of the host does, and so does its process.
#[test]
fn a_plugin_whose_drop_blocks() {
    if !child::alone("a_plugin_whose_drop_blocks") {
        return;
    }
    let site = Site::with_misbehaving();
    let config = json!({ "drop": "block" });
    let served = host(&site, entry(config.clone(), ExecutionMode::Adaptive), "25s");
    let report = block_on(served.shutdown());
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(ended(&report).runtime_stopped, Some(false));
    drop(host(&site, entry(config, ExecutionMode::Adaptive), "25s"));
}

/// An instance whose configuration was read only after the host had stopped waiting is closed then.
#[test]
fn an_instance_that_comes_too_late() {
    let site = Site::with_misbehaving();
    let (go, dropped) = (site.path("go"), site.path("dropped"));
    let _host = with_a_short_limit(|limit| {
        let mut late = entry(json!({ "dropped": dropped, "wait_for": go }), ExecutionMode::Adaptive);
        late.limits.create = limit;
        let host = host(&site, late, "25s");
        let (kind, text) = failure(&host, MISBEHAVING);
        if kind == "create-deadline" { Ok(host) } else { Err(text) }
    });
    assert!(!dropped.exists());
    std::fs::write(go, "go").unwrap();
    eventually("the instance is closed, and its configuration dropped", || dropped.exists());
}

/// A call under way holds its instance open, whoever else has let go of it.
#[test]
fn a_host_that_is_dropped_while_calls_are_under_way() {
    let site = Site::with_misbehaving();
    for mode in MODES {
        let host = host(&site, entry(json!({ "call": "never" }), mode), "25s");
        let audit = host.audit(MISBEHAVING);
        let mut call = audit.emit_turn_audit(turn_audit_event());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(host);
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let Err(MiniChatAuditPluginError::Transient(text)) = block_on(audit.emit_turn_audit(turn_audit_event())) else {
            panic!("{mode:?}")
        };
        assert_eq!(text, format!("plugin {MISBEHAVING} is not serving: the host is gone"));
        drop(call);
    }
}

#[test]
fn a_call_after_the_shutdown() {
    let site = Site::with_misbehaving();
    let host = host(&site, entry(json!({}), ExecutionMode::Adaptive), "25s");
    assert!(emit(&host).is_ok());
    let report = block_on(host.shutdown());
    assert!(report.is_clean());
    let why = format!("plugin {MISBEHAVING} is not serving: the host has been shut down");
    let Err(MiniChatAuditPluginError::Transient(text)) = emit(&host) else { panic!() };
    assert_eq!(text, why);
    let Err(MiniChatModelPolicyPluginError::Internal(text)) = version(&host) else { panic!() };
    assert_eq!(text, why);
    assert_eq!(block_on(host.shutdown()).plugins.len(), report.plugins.len(), "a second time, the report is the same");
}

/// Two hosts serve the same file, each with a mapping of its own: what one's plugin does is nothing to the other's.
#[test]
fn two_hosts_of_one_file() {
    let site = Site::with_misbehaving();
    let bad = host(&site, entry(json!({ "call": "panic" }), ExecutionMode::Adaptive), "25s");
    let good = host(&site, entry(json!({}), ExecutionMode::Adaptive), "25s");
    assert!(emit(&bad).is_err() && emit(&good).is_ok());
    assert!(block_on(bad.shutdown()).is_clean());
    drop(bad);
    assert!(emit(&good).is_ok());
    assert_eq!(version(&good).unwrap(), 1);
    assert_good_serves(&good);
    let served = |host: &PluginHost| host.status().plugins.iter().filter(|plugin| plugin.serving).count();
    assert_eq!(served(&good), 2, "{GOOD} and {MISBEHAVING}");
    assert!(block_on(good.shutdown()).is_clean());
}
