//! `http-policy`: the plugin that asks a policy service. The service is that of the tests and runs in this program, on a
//! thread and a socket of its own, so that it can be asked afterwards what it saw.

use std::time::{Duration, Instant};

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{self, TestContext};
use policy_server::{Behaviour, Endpoint, PolicyServer, Request};

use crate::AnyError;
use crate::calls::{USER, policy_calls};
use crate::comparison::Comparison;

const ID: &str = "acme.policy._.http.v1";

/// More than anything here takes, also on a busy machine: a second try would be a second request.
const LIMIT: Duration = Duration::from_secs(20);

/// The configuration of the plugin. An operator writes it into `plugins.toml`; here the port is known only now.
fn config(service: &PolicyServer) -> serde_json::Value {
    let limit = LIMIT.as_secs() * 1_000;
    serde_json::json!({ "base_url": service.base_url(), "connect_timeout_ms": limit, "try_timeout_ms": limit })
}

/// The entry of the plugin.
pub(crate) fn entry(service: &PolicyServer) -> Result<PluginEntry, AnyError> {
    let mut entry = PluginEntry::new(ID).with_config(config(service))?;
    entry.limits.policy = LIMIT * 2;
    entry.limits.drain = LIMIT * 3;
    Ok(entry)
}

/// All that is shown of it.
pub(crate) async fn show(
    comparison: &mut Comparison,
    host: &PluginHost,
    service: &PolicyServer,
) -> Result<(), AnyError> {
    let loaded = host.model_policy(ID);
    let context = TestContext::new(ID);
    let config = testing::read_config(&config(service).to_string())?;
    let linked = http_policy::HttpPolicy::create(context.context(), config).await?;

    println!("\n== model policy over HTTP: five methods across the boundary, each a request to {}", service.base_url());
    policy_calls(comparison, &*loaded, &linked).await?;
    let asked: Vec<_> = service.requests().iter().filter_map(asked).collect();
    let alike = asked.chunks(2).all(|pair| pair[0] == *pair.last().expect("a chunk is not empty"));
    comparison.must(
        alike && asked.len() % 2 == 0 && service.usage().len() == 1,
        &format!(
            "the service saw {} requests of the loaded plugin and the same of the linked code; it kept one usage event of two \
             with one key",
            asked.len() / 2
        ),
    );

    println!("\n== a call is cancelled while the service has its request and does not answer");
    service.set(Endpoint::Version, Behaviour::Hang);
    let of_loaded = cancelled(comparison, &*loaded, service, "loaded").await?;
    let of_linked = cancelled(comparison, &linked, service, "linked").await?;
    comparison.show("get_current_policy_version", &of_loaded, &of_linked);
    Ok(())
}

/// A request of a call as text; none: a health check.
fn asked(request: &Request) -> Option<String> {
    (request.endpoint != Some(Endpoint::Health)).then(|| format!("{} {}", request.method, request.path))
}

/// Cancels a call in flight, and shows what the service saw of it. Gives the call's answer.
async fn cancelled(
    comparison: &mut Comparison,
    policy: &dyn MiniChatModelPolicyPluginClientV1,
    service: &PolicyServer,
    way: &str,
) -> Result<Result<PolicyVersionInfo, MiniChatModelPolicyPluginError>, AnyError> {
    let (token, place) = (CancellationToken::new(), service.requests().len());
    let cancelling = async {
        let arrived = service.until(LIMIT, move |requests| requests.len() > place).await;
        let now = Instant::now();
        token.cancel();
        (arrived, now)
    };
    let call = policy.get_current_policy_version(USER, token.clone());
    let (answer, (arrived, began)) = tokio::join!(call, cancelling);
    if !arrived {
        return Err(format!("the service has no request of the {way} plugin after {LIMIT:?}: {answer:?}").into());
    }
    service.until(LIMIT, move |requests| requests[place].outcome.aborted().is_some()).await;
    match service.requests()[place].outcome.aborted() {
        Some(at) => {
            let millis = (at - began).as_secs_f64() * 1e3;
            println!("  {way}: the service saw the connection closed {millis:.1} ms after the token was cancelled");
        }
        None => comparison.must(false, &format!("{way}: the service saw the connection closed")),
    }
    Ok(answer)
}
