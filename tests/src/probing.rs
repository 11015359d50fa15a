//! A host with the fixture `probe` in one way, to be given orders.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::config::Limits;
use mini_chat_plugin_loader::{InstanceStatus, PluginHost};
use mini_chat_plugin_sdk::InProcessPlugin;
use mini_chat_plugin_sdk::audit_models::{TurnAuditEvent, TurnDeleteAuditEvent, TurnMutationAuditEvent};
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use probe::{Action, Order};
use uuid::Uuid;

use crate::read_fixture;
use crate::serving::{self, Fixture, Way};

/// The name that it serves under.
pub const NAME: &str = "probe";

/// A host that serves one probe.
pub struct Probing {
    /// How it serves.
    pub way: Way,
    /// The host.
    pub host: PluginHost,
    /// The policy handle.
    pub policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    /// The audit handle.
    pub audit: Arc<dyn MiniChatAuditPluginClientV1>,
}

/// The fixture.
#[must_use]
pub fn fixture() -> Fixture {
    let linked = InProcessPlugin::of::<probe::ProbePlugin>();
    Fixture { package: "probe-plugin", id: "tests.probe._.both.v1", linked }
}

/// A key that no other order of this process has.
#[must_use]
pub fn key() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The argument of an order.
#[must_use]
pub fn order(action: Action, key: u64) -> Uuid {
    Order { action, key }.to_uuid()
}

impl Probing {
    /// A host with a probe that has these limits, and two workers.
    pub async fn serve(way: Way, limits: Limits) -> Self {
        let fixture = fixture();
        let mut entry = fixture.entry(NAME, way);
        entry.limits = limits;
        entry.workers = Some(2);
        let host = fixture.host(vec![(way, entry)]).await;
        let (policy, audit) = (host.model_policy(NAME), host.audit(NAME));
        Self { way, host, policy, audit }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> InstanceStatus {
        serving::status(&self.host, NAME)
    }

    /// What the plugin tells when it is ordered this; nothing if it only answers.
    ///
    /// # Panics
    ///
    /// If the call fails otherwise than by the plugin's own error.
    pub async fn tell(&self, action: Action, key: u64, token: &CancellationToken) -> Option<String> {
        match self.policy.get_current_policy_version(order(action, key), token.clone()).await {
            Ok(_) => None,
            Err(MiniChatModelPolicyPluginError::Internal(text)) => Some(text),
            Err(other) => panic!("{}: {other:?}", self.way.name()),
        }
    }

    /// What the plugin has noted under `key`.
    ///
    /// # Panics
    ///
    /// If it does not tell.
    pub async fn journal(&self, key: u64) -> String {
        self.tell(Action::Journal, key, &CancellationToken::new()).await.expect("it tells its journal")
    }

    /// Waits until the plugin has noted this under `key`.
    ///
    /// # Panics
    ///
    /// If it does not within half a minute.
    pub async fn noted(&self, key: u64, what: &str) {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let journal = self.journal(key).await;
            if journal == what {
                return;
            }
            assert!(Instant::now() < limit, "{}: `{journal}` was noted, not `{what}`", self.way.name());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// An answer to `Answer` for each trait.
    ///
    /// # Panics
    ///
    /// If one is missing.
    pub async fn still_serves(&self) {
        let (uuid, token) = (order(Action::Answer, 0), CancellationToken::new());
        self.policy.get_user_limits(uuid, 1, token.clone()).await.expect("limits");
        self.policy.publish_usage(usage(uuid), token).await.expect("published");
        self.audit.emit_turn_audit(turn(uuid)).await.expect("emitted");
    }

    /// What the policy methods but `publish_usage` answer to an order, where they fail.
    pub async fn policy_errors(&self, action: Action, key: u64) -> Vec<(&'static str, MiniChatModelPolicyPluginError)> {
        let (uuid, token) = (order(action, key), CancellationToken::new());
        let mut errors = Vec::new();
        let mut add = |method, error: Option<_>| errors.extend(error.map(|error| (method, error)));
        let policy = &self.policy;
        add("get_current_policy_version", policy.get_current_policy_version(uuid, token.clone()).await.err());
        add("get_policy_snapshot", policy.get_policy_snapshot(uuid, 1, token.clone()).await.err());
        add("get_user_limits", policy.get_user_limits(uuid, 1, token.clone()).await.err());
        add("check_user_license", policy.check_user_license(uuid, token).await.err());
        errors
    }

    /// What `publish_usage` answers to an order.
    ///
    /// # Errors
    ///
    /// What it fails with.
    pub async fn publish(&self, action: Action, key: u64) -> Result<(), PublishError> {
        self.policy.publish_usage(usage(order(action, key)), CancellationToken::new()).await
    }

    /// What the audit methods answer to an order, where they fail.
    pub async fn audit_errors(&self, action: Action, key: u64) -> Vec<(&'static str, MiniChatAuditPluginError)> {
        let uuid = order(action, key);
        let mut errors = Vec::new();
        let mut add = |method, error: Option<_>| errors.extend(error.map(|error| (method, error)));
        add("emit_turn_audit", self.audit.emit_turn_audit(turn(uuid)).await.err());
        add("emit_turn_retry_audit", self.audit.emit_turn_retry_audit(mutation(uuid)).await.err());
        add("emit_turn_edit_audit", self.audit.emit_turn_edit_audit(mutation(uuid)).await.err());
        add("emit_turn_delete_audit", self.audit.emit_turn_delete_audit(delete(uuid)).await.err());
        errors
    }
}

macro_rules! events {
    ($($name:ident: $ty:ident = $fixture:literal;)+) => {
        $(
            #[doc = concat!("The fixture `", $fixture, "` with an order in it.")]
            ///
            /// # Panics
            ///
            /// If the fixture cannot be read.
            #[must_use]
            pub fn $name(order: Uuid) -> $ty {
                let json = read_fixture(concat!("mini-chat/full/", $fixture, ".json"));
                let event: $ty = serde_json::from_str(&json).expect("a fixture can be read");
                $ty { tenant_id: order, ..event }
            }
        )+
    };
}

events! {
    usage: UsageEvent = "UsageEvent";
    turn: TurnAuditEvent = "TurnAuditEvent";
    mutation: TurnMutationAuditEvent = "TurnRetryAuditEvent";
    delete: TurnDeleteAuditEvent = "TurnDeleteAuditEvent";
}

/// Polls once, with the waker of the task that awaits this.
pub async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
