//! The plugin against a policy server: linked statically, and (in `host`) through the loader.

mod answers;
mod cancel;
mod config;
mod host;
mod hostile;
mod retries;
mod sharing;

use std::time::{Duration, Instant};

use http_policy::{Config, HttpPolicy};
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{TestContext, read_config};
use policy_server::{Endpoint, PolicyServer, Script};
use serde_json::{Value, json};

/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

/// Licensed, by the default script.
const USER: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002);
const STRANGER: Uuid = Uuid::from_u128(9);

/// A configuration that waits long, so that a busy machine changes nothing.
fn patient(server: &PolicyServer) -> Value {
    json!({
        "base_url": server.base_url(),
        "connect_timeout_ms": 20_000, "try_timeout_ms": 20_000, "call_timeout_ms": 20_000,
    })
}

/// `base` with the keys of `more`.
fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    base.as_object_mut().unwrap().extend(more);
    base
}

fn config(value: &Value) -> Result<Config, PluginError> {
    read_config(&value.to_string())
}

/// A plugin, and the host that it logs to.
async fn create(value: &Value) -> (HttpPolicy, TestContext) {
    let test = TestContext::new("policy");
    let plugin = HttpPolicy::create(test.context(), config(value).unwrap()).await.unwrap();
    (plugin, test)
}

/// A server of the default script, and a patient plugin.
async fn started() -> (PolicyServer, HttpPolicy) {
    let server = PolicyServer::start(Script::default());
    let (plugin, _) = create(&patient(&server)).await;
    (server, plugin)
}

fn token() -> CancellationToken {
    CancellationToken::new()
}

fn event() -> UsageEvent {
    let text = include_str!("../../../../tests/fixtures/mini-chat/full/UsageEvent.json");
    serde_json::from_str(text).unwrap()
}

/// The text of an internal error.
fn internal<T: std::fmt::Debug>(result: Result<T, MiniChatModelPolicyPluginError>) -> String {
    match result {
        Err(MiniChatModelPolicyPluginError::Internal(text)) => text,
        other => panic!("expected an internal error, found {other:?}"),
    }
}

/// Asks for a version, of a server that always answers 503, until a call gives up before its time is over, having tried again:
/// a try may take so long on a busy machine that there is no time for another, or for its answer. How often that call has tried.
async fn gives_up_in_time(
    server: &PolicyServer,
    limit: Duration,
    policy: &dyn MiniChatModelPolicyPluginClientV1,
) -> usize {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (before, began) = (server.requests_to(Endpoint::Version).len(), Instant::now());
        let text = internal(policy.get_current_policy_version(USER, token()).await);
        let (took, tries) = (began.elapsed(), server.requests_to(Endpoint::Version).len() - before);
        let gave_up = text.ends_with("503 Service Unavailable; there is no time left to try again");
        if took < limit && gave_up && tries >= 2 {
            return tries;
        }
        seen.push((text, took, tries));
    }
    panic!("{seen:?}");
}
