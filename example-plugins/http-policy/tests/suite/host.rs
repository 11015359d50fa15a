//! Through the loader: what only a host tells a plugin, and the real library.

use http_policy::HttpPolicyPlugin;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_loader::{CallOptions, PluginHost, PluginHostBuilder};
use mini_chat_plugin_tests::plugins;
use policy_server::{Behaviour, Endpoint};

use super::*;

const ID: &str = "acme.policy._.http.v1";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn linked() -> PluginHostBuilder {
    PluginHost::builder().identity("tests", "1").in_process(ID, InProcessPlugin::of::<HttpPolicyPlugin>())
}

fn entry(value: Value) -> PluginEntry {
    PluginEntry::new(ID).with_config(value).unwrap()
}

#[tokio::test]
async fn the_traceparent_and_the_idempotency_key_are_passed_on() {
    let server = PolicyServer::start(Script::default());
    let host = linked().plugin(entry(patient(&server))).build().await.unwrap();
    let policy = host.model_policy(ID);
    let options = CallOptions::new().traceparent(TRACE).idempotency_key("tenant:usage:1");
    options.clone().scope(policy.get_policy_snapshot(USER, 7, token())).await.unwrap();
    // Read before the first wait, and so the same for each try.
    server.set(Endpoint::Usage, Behaviour::fail(1, 503));
    options.scope(policy.publish_usage(event(), token())).await.unwrap();
    policy.publish_usage(event(), token()).await.unwrap();
    // What no header can carry is not sent.
    let hostile = CallOptions::new().traceparent("a\r\nb: c").idempotency_key("a\r\nb: c");
    hostile.scope(policy.publish_usage(event(), token())).await.unwrap();

    let seen = server.requests().into_iter().filter(|seen| seen.endpoint != Some(Endpoint::Health));
    let request = event().request_id.to_string();
    let headers = seen.map(|seen| ["traceparent", "idempotency-key"].map(|name| seen.header(name).map(str::to_owned)));
    let expected = [
        [Some(TRACE), None],
        [Some(TRACE), Some("tenant:usage:1")],
        [Some(TRACE), Some("tenant:usage:1")],
        [None, Some(&*request)],
        [None, Some(&*request)],
    ];
    assert_eq!(headers.collect::<Vec<_>>(), expected.map(|pair| pair.map(|text| text.map(str::to_owned))));
    assert!(host.shutdown().await.is_clean());
}

#[tokio::test]
async fn retries_keep_to_the_hosts_deadline() {
    let server = PolicyServer::start(Script::default());
    let mut entry = entry(with(patient(&server), json!({"tries": 20})));
    entry.limits.policy = Duration::from_millis(1_000);
    let host = linked().plugin(entry).build().await.unwrap();
    server.set(Endpoint::Version, Behaviour::fail(99, 503));
    // The plugin's own error, which says why, and not the host's, which would say only that the deadline passed.
    gives_up_in_time(&server, Duration::from_secs(1), &*host.model_policy(ID)).await;
    assert!(host.shutdown().await.is_clean());
}

/// The library itself passes the loader's checks (what it needs, above all) and works under an executor that knows
/// nothing of timers and sockets.
#[test]
fn the_loaded_library_serves() {
    let library = plugins::built("http-policy-plugin");
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), &library, "libhttp_policy_plugin.so");
    let server = PolicyServer::start_tls(Script { token: Some("t".to_owned()), ..Script::default() });
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, server.ca_pem().unwrap()).unwrap();
    futures::executor::block_on(async {
        let value = with(patient(&server), json!({"ca_file": ca_file, "token": "t"}));
        let builder = PluginHost::builder().identity("tests", "1").plugin(entry(value));
        let host = builder.plugins(directory.path()).build().await.unwrap();
        let status = host.status();
        assert!(status.refused_files.is_empty() && status.plugins[0].serving, "{status:?}");
        assert_eq!(server.requests_to(Endpoint::Health).len(), 1);

        let policy = host.model_policy(ID);
        assert_eq!(policy.get_current_policy_version(USER, token()).await.unwrap().policy_version, 7);
        assert_eq!(policy.get_policy_snapshot(USER, 7, token()).await.unwrap().model_catalog.len(), 2);
        assert_eq!(policy.get_user_limits(USER, 7, token()).await.unwrap().user_id, USER);
        assert!(policy.check_user_license(USER, token()).await.unwrap().active);
        CallOptions::new().traceparent(TRACE).scope(policy.publish_usage(event(), token())).await.unwrap();
        assert_eq!(server.usage().len(), 1);
        assert_eq!(server.requests_to(Endpoint::Usage)[0].header("traceparent"), Some(TRACE));

        // Cancelling closes the connection of the loaded plugin's request, too.
        server.set(Endpoint::Version, Behaviour::Hang);
        let cancel = token();
        let before = server.requests().len();
        let cancelling = async {
            assert!(server.until(LONG, move |seen| seen.len() > before).await);
            cancel.cancel();
            Instant::now()
        };
        let call = policy.get_current_policy_version(USER, cancel.clone());
        let (result, cancelled) = futures::join!(call, cancelling);
        assert!(internal(result).ends_with("the caller cancelled"));
        assert!(server.until(LONG, move |seen| seen[before].outcome.aborted().is_some()).await);
        let took = server.requests()[before].outcome.aborted().unwrap().saturating_duration_since(cancelled);
        println!("the server noticed {took:?} after the host's token was cancelled");
        assert!(host.shutdown().await.is_clean());
    });
}
