//! The example plugin that posts audit events in batches: the library, loaded by a host, and a server that keeps what it
//! accepts.
//!
//! What is asserted is what the server has and what calls are answered, never how long something took, except that a wait
//! was not cut short.

mod batches;
mod end;
mod failures;

use std::collections::BTreeSet;
use std::future::Future;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use flate2::read::GzDecoder;
use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::{PluginHost, PluginHostBuilder};
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::probing::turn;
use mini_chat_plugin_tests::serving::{eventually, patient};
use policy_server::{Endpoint, PolicyServer, Request, Script};
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

const ID: &str = "acme.audit._.webhook.v1";

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// A time that no test waits for.
const NEVER_MS: u64 = 60_000;

/// A host that serves the plugin, and the server that it posts to.
struct Site {
    server: PolicyServer,
    host: PluginHost,
    audit: Arc<dyn MiniChatAuditPluginClientV1>,
    /// Where the library lies.
    directory: TempDir,
}

impl Site {
    /// With waits that a busy machine does not reach, and these keys of the plugin's configuration.
    fn new(config: Value) -> Self {
        let server = PolicyServer::start(Script::default());
        let url = format!("{}/v1/audit", server.base_url());
        Self::posting_to(server, &url, config)
    }

    fn posting_to(server: PolicyServer, url: &str, config: Value) -> Self {
        Self::with(server, url, config, |_| ())
    }

    fn with(server: PolicyServer, url: &str, config: Value, change: impl FnOnce(&mut PluginEntry)) -> Self {
        let mut all = json!({
            "url": url, "connect_timeout_ms": 120_000, "try_timeout_ms": 120_000, "retry_for_ms": 120_000,
        });
        let Value::Object(config) = config else { panic!("an object") };
        all.as_object_mut().expect("an object").extend(config);
        let mut entry = PluginEntry::new(ID).with_config(all).expect("a configuration");
        // A call's first poll queues its event: what is polled in order is queued in order.
        entry.mode = ExecutionMode::Inline;
        entry.workers = Some(2);
        entry.limits = patient(LONG);
        change(&mut entry);
        let directory = plugins::directory();
        plugins::drop_in(directory.path(), &plugins::built("webhook-audit-plugin"), "libwebhook_audit_plugin.so");
        let host = block_on(builder(&directory).plugin(entry).build()).expect("the host starts");
        let status = host.status();
        assert!(status.refused_files.is_empty() && status.plugins[0].serving, "{status:#?}");
        let audit = host.audit(ID);
        Self { server, host, audit, directory }
    }

    /// A call. Nothing happens before it is polled.
    fn emit(&self, number: u128) -> impl Future<Output = Result<(), MiniChatAuditPluginError>> + '_ {
        self.audit.emit_turn_audit(event(number))
    }

    /// The answers to so many calls at once.
    fn emit_all(&self, numbers: std::ops::Range<u128>) -> Vec<Result<(), MiniChatAuditPluginError>> {
        block_on(futures::future::join_all(numbers.map(|number| self.emit(number))))
    }

    /// The numbers of the events that the server has accepted, batch by batch. A batch of which it had accepted a try that was
    /// given up comes again, with the same key, and counts once.
    fn accepted(&self) -> Vec<Vec<u128>> {
        let number = |line: &Value| {
            let request: Uuid = line["event"]["request_id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            request.as_u128()
        };
        let mut keys = BTreeSet::new();
        let batches = self.server.batches().into_iter().filter(|(key, _)| keys.insert(key.clone()));
        batches.map(|(_, body)| lines(&body).iter().map(number).collect()).collect()
    }

    /// The requests so far, also those that were refused.
    fn requests(&self) -> Vec<Request> {
        self.server.requests_to(Endpoint::Audit)
    }

    /// Their idempotency keys.
    fn keys(&self) -> Vec<String> {
        let key = |request: &Request| request.header("idempotency-key").expect("a key").to_owned();
        self.requests().iter().map(key).collect()
    }

    /// Ends the host; what the plugin's shutdown hook failed with.
    fn end(&self) -> Option<String> {
        let report = block_on(self.host.shutdown());
        assert!(report.plugins.iter().all(|plugin| plugin.abandoned_calls == 0), "{report:?}");
        report.plugins.into_iter().find_map(|plugin| plugin.shutdown_error)
    }
}

fn builder(directory: &TempDir) -> PluginHostBuilder {
    PluginHost::builder().identity("tests", "1").plugins(directory.path()).watch(false)
}

fn event(number: u128) -> TurnAuditEvent {
    TurnAuditEvent { request_id: Uuid::from_u128(number), ..turn(Uuid::from_u128(1)) }
}

/// What the log calls an event.
fn id(number: u128) -> String {
    let TurnAuditEvent { tenant_id, event_type, request_id, .. } = event(number);
    format!("{tenant_id}:{event_type}:{request_id}")
}

/// The lines of a body, as it was sent.
fn lines(body: &[u8]) -> Vec<Value> {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
    assert!(text.ends_with('\n'), "half a line: {text}");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What the plugins of this process log, on whatever thread.
fn log() -> &'static Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.subscriber()).expect("the only one");
        log
    });
    &LOG
}

fn transient(answer: Result<(), MiniChatAuditPluginError>) -> String {
    match answer {
        Err(MiniChatAuditPluginError::Transient(text)) => text,
        other => panic!("expected Transient, found {other:?}"),
    }
}

fn permanent(answer: Result<(), MiniChatAuditPluginError>) -> String {
    match answer {
        Err(MiniChatAuditPluginError::Permanent(text)) => text,
        other => panic!("expected Permanent, found {other:?}"),
    }
}
