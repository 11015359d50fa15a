//! The heap that host and plugin share: what crosses changes accounts, nothing is lost, and what a plugin loses is seen.
//!
//! One test, in a program of its own: it reads the memory of the whole process.

use std::sync::Arc;

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use mini_chat_plugin_sdk::{InProcessPlugin, tokio_util::sync::CancellationToken};
use mini_chat_plugin_tests::read_fixture;
use mini_chat_plugin_tests::serving::{Fixture, Way, eventually, resident_bytes, status};
use probe::{Action, Order};

const NAME: &str = "probe";
const SNAPSHOTS: u32 = 1_000_000;
const ISOLATED: u32 = 20_000;
const LEAK: i64 = 1 << 20;

/// Bytes that the allocator may keep between calls that leave nothing behind.
const SLACK: usize = 2 << 20;

struct Watched {
    host: PluginHost,
    policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    audit: Arc<dyn MiniChatAuditPluginClientV1>,
    token: CancellationToken,
}

impl Watched {
    fn live(&self) -> i64 {
        status(&self.host, NAME).live_heap_bytes.expect("a loaded plugin has an account")
    }

    async fn snapshots(&self, count: u32) {
        let user = Order { action: Action::Answer, key: 0 }.to_uuid();
        for number in 0..u64::from(count) {
            let snapshot = self.policy.get_policy_snapshot(user, number, self.token.clone()).await.expect("a snapshot");
            assert_eq!((snapshot.policy_version, snapshot.model_catalog.len()), (number, 1));
        }
    }

    /// Events with texts that have more room than content: they are dropped in the plugin.
    async fn events(&self, count: u32) {
        let event: TurnAuditEvent = serde_json::from_str(&read_fixture("mini-chat/full/TurnAuditEvent.json")).unwrap();
        for number in 0..count as usize {
            let mut event = event.clone();
            let mut prompt = String::with_capacity(10_000 + number % 1_000);
            prompt.push_str("short");
            event.prompt = Some(prompt);
            event.attachments.reserve_exact(7);
            event.tenant_id = Order { action: Action::Answer, key: 0 }.to_uuid();
            self.audit.emit_turn_audit(event).await.expect("taken");
        }
    }

    /// Calls that fail with a text of the plugin.
    async fn errors(&self, count: u32) {
        let user = Order { action: Action::CallInfo, key: 0 }.to_uuid();
        for _ in 0..count {
            self.policy.get_user_limits(user, 1, self.token.clone()).await.expect_err("it tells");
        }
    }
}

async fn serve(way: Way) -> Watched {
    let probe = Fixture {
        package: "probe-plugin",
        id: "tests.probe._.both.v1",
        linked: InProcessPlugin::of::<probe::ProbePlugin>(),
    };
    let host = probe.host(vec![(way, probe.entry(NAME, way))]).await;
    let (policy, audit) = (host.model_policy(NAME), host.audit(NAME));
    Watched { host, policy, audit, token: CancellationToken::new() }
}

#[test]
fn a_million_snapshots_leave_nothing_and_a_leak_is_seen() {
    let [linked, inline, isolated, _] = Way::ALL;
    block_on(async {
        let linked = serve(linked).await;
        assert_eq!(status(&linked.host, NAME).live_heap_bytes, None, "what is linked has no account of its own");
        linked.host.shutdown().await;

        let watched = serve(inline).await;
        watched.snapshots(1_000).await;
        watched.events(100).await;
        watched.errors(3).await;
        let (live, resident) = (watched.live(), resident_bytes());
        let start = std::time::Instant::now();
        watched.snapshots(SNAPSHOTS).await;
        println!("{SNAPSHOTS} snapshots in {:?}", start.elapsed());
        assert_eq!(watched.live(), live, "a million snapshots have left something in the plugin's account");
        flat(resident);

        watched.events(10_000).await;
        assert_eq!(watched.live(), live, "events that were dropped in the plugin are still in its account");
        watched.errors(20).await;
        assert_eq!(watched.live(), live, "errors that the host has dropped are still in the plugin's account");
        flat(resident);

        let leak = Order { action: Action::Leak, key: u64::try_from(LEAK).unwrap() };
        watched.policy.check_user_license(leak.to_uuid(), watched.token.clone()).await.unwrap();
        near("the live heap", watched.live() - live, LEAK);
        let report = watched.host.shutdown().await;
        near("the report of its end", report.plugins[0].heap_growth_bytes.expect("known"), LEAK);

        // Pending calls have futures and a task, which the plugin takes from the heap and gives back. What its runtime
        // keeps for a worker that wakes up late is not theirs: the figure may move, but not by a byte for each call.
        let watched = serve(isolated).await;
        watched.snapshots(1_000).await;
        let live = watched.live();
        watched.snapshots(ISOLATED).await;
        eventually("tasks give back their memory", || watched.live() - live < i64::from(ISOLATED));
        let report = watched.host.shutdown().await;
        let growth = report.plugins[0].heap_growth_bytes.expect("known");
        assert!(growth.abs() < LEAK / 20, "an instance that leaked nothing holds {growth} bytes after its end");
    });
}

/// Within 5 %.
fn near(what: &str, found: i64, expected: i64) {
    println!("{what}: {found} of {expected}");
    assert!((found - expected).abs() * 20 <= expected, "{what} says {found} instead of {expected}");
}

fn flat(before: usize) {
    let now = resident_bytes();
    println!("resident: {before} before, {now} now");
    assert!(now < before + SLACK, "the process has grown from {before} to {now} bytes");
}
