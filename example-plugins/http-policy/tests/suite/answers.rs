//! What the service says is what the caller gets.

use policy_server::{Behaviour, Endpoint};

use super::*;

#[tokio::test]
async fn each_method_answers_what_the_service_says() {
    let (server, plugin) = started().await;
    let info = plugin.get_current_policy_version(USER, token()).await.unwrap();
    assert_eq!((info.user_id, info.policy_version), (USER, 7));
    assert_eq!(info.generated_at.offset().as_hms(), (5, 30, 0));
    assert_eq!(info.generated_at.millisecond(), 789);

    let snapshot = plugin.get_policy_snapshot(USER, 7, token()).await.unwrap();
    assert_eq!((snapshot.user_id, snapshot.policy_version), (USER, 7));
    let script = Script::default();
    // Both the full and the minimal model, key by key, as they are written again.
    let models = serde_json::to_value(&snapshot.model_catalog).unwrap();
    assert_eq!(models[0], script.policies[&7].model_catalog[0]);
    assert_eq!(models[1]["model_id"], script.policies[&7].model_catalog[1]["model_id"]);
    assert_eq!(serde_json::to_value(&snapshot.kill_switches).unwrap(), script.policies[&7].kill_switches);
    assert!(plugin.get_policy_snapshot(USER, 6, token()).await.unwrap().model_catalog.is_empty());

    let limits = plugin.get_user_limits(STRANGER, 7, token()).await.unwrap();
    assert_eq!((limits.user_id, limits.policy_version), (STRANGER, 7));
    assert_eq!(limits.premium.limit_monthly_credits_micro, 100_000_000);

    assert!(plugin.check_user_license(USER, token()).await.unwrap().active);
    plugin.publish_usage(event(), token()).await.unwrap();
    plugin.health().await.unwrap();

    let lines: Vec<_> = server.requests().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    let expected = [
        format!("GET /v1/users/{USER}/policy-version"),
        format!("GET /v1/users/{USER}/policies/7"),
        format!("GET /v1/users/{USER}/policies/6"),
        format!("GET /v1/users/{STRANGER}/policies/7/limits"),
        format!("GET /v1/users/{USER}/license"),
        "POST /v1/usage".to_owned(),
        "GET /healthz".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert_eq!(server.accepted_connections(), 1, "one connection serves them all");
}

#[tokio::test]
async fn usage_is_sent_whole_and_once_per_key() {
    let (server, plugin) = started().await;
    for _ in 0..2 {
        plugin.publish_usage(event(), token()).await.unwrap();
    }
    let usage = server.usage();
    assert_eq!(usage, [(event().request_id.to_string(), serde_json::to_value(event()).unwrap())]);
    assert_eq!(server.requests()[0].header("content-type"), Some("application/json"));
    // An answer that nobody needs cannot turn a success into a failure.
    for behaviour in [Behaviour::body("no JSON"), Behaviour::Cut(1), Behaviour::Chunked(10_000_000)] {
        server.set(Endpoint::Usage, behaviour);
        plugin.publish_usage(event(), token()).await.unwrap();
    }
    // A connection that was cut may be found to be so by the next request, which is then made again.
    assert!((5..=7).contains(&server.requests().len()), "{}", server.requests().len());
    assert_eq!(server.usage().len(), 1);
}

#[tokio::test]
async fn not_found() {
    let (server, plugin) = started().await;
    for version in [0, 8, u64::MAX] {
        let snapshot = plugin.get_policy_snapshot(USER, version, token()).await;
        assert!(matches!(snapshot, Err(MiniChatModelPolicyPluginError::NotFound)), "{snapshot:?}");
        let limits = plugin.get_user_limits(USER, version, token()).await;
        assert!(matches!(limits, Err(MiniChatModelPolicyPluginError::NotFound)), "{limits:?}");
    }
    server.set(Endpoint::Version, Behaviour::fail(1, 404));
    let version = plugin.get_current_policy_version(USER, token()).await;
    assert!(matches!(version, Err(MiniChatModelPolicyPluginError::NotFound)), "{version:?}");
    assert!(!plugin.check_user_license(STRANGER, token()).await.unwrap().active, "not found is not licensed");
    assert_eq!(server.requests().len(), 8, "none was tried again");
}

#[tokio::test]
async fn other_statuses() {
    let server = PolicyServer::start(Script::default());
    // What passes is tried again (see `retries`); here one try shows the mapping.
    let (plugin, _) = create(&with(patient(&server), json!({"tries": 1}))).await;
    for status in [301, 304, 400, 401, 403, 408, 409, 418, 422, 429, 500, 501, 502, 503, 504, 599] {
        for endpoint in [Endpoint::Version, Endpoint::Snapshot, Endpoint::Limits, Endpoint::License, Endpoint::Usage] {
            server.set(endpoint, Behaviour::fail(1, status));
        }
        let expected = format!("the policy service answered {status}");
        let texts = [
            internal(plugin.get_current_policy_version(USER, token()).await),
            internal(plugin.get_policy_snapshot(USER, 7, token()).await),
            internal(plugin.get_user_limits(USER, 7, token()).await),
            internal(plugin.check_user_license(USER, token()).await),
        ];
        for (text, doing) in texts.iter().zip(["get the current", "get the policy", "get the user's", "check the"]) {
            assert!(text.starts_with(doing) && text.contains(&expected), "{text}");
        }
        let published = plugin.publish_usage(event(), token()).await.unwrap_err();
        assert!(published.to_string().contains(&expected), "{published}");
        // A wrong token or address must not cost an event.
        let refused = (400..500).contains(&status) && ![401, 403, 404, 408, 429].contains(&status);
        assert_eq!(published.is_permanent(), refused, "{status}: {published}");
    }
    server.set(Endpoint::Usage, Behaviour::fail(1, 404));
    assert!(plugin.publish_usage(event(), token()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn health() {
    let (server, plugin) = started().await;
    server.set(Endpoint::Health, Behaviour::fail(1, 503));
    plugin.health().await.unwrap();
    assert_eq!(server.requests().len(), 2, "what passes is tried again");

    let (plugin, _) = create(&with(patient(&server), json!({"tries": 1}))).await;
    for (status, retryable) in
        [(500, true), (503, true), (429, true), (408, true), (302, true), (404, false), (401, false)]
    {
        server.set(Endpoint::Health, Behaviour::fail(1, status));
        let error = plugin.health().await.unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{error}");
        let expected = format!("health of the policy service: the policy service answered {status}");
        assert!(error.message().starts_with(&expected), "{error}");
    }
    let value = patient(&server);
    drop(server);
    let error = create(&with(value, json!({"tries": 1}))).await.0.health().await.unwrap_err();
    assert!(error.is_retryable() && error.message().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn tls_with_a_private_authority() {
    let server = PolicyServer::start_tls(Script::default());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, server.ca_pem().unwrap()).unwrap();
    let (plugin, test) = create(&with(patient(&server), json!({"ca_file": path, "token": "t"}))).await;
    assert_eq!(plugin.get_current_policy_version(USER, token()).await.unwrap().policy_version, 7);
    assert_eq!(test.records(), [], "a token over TLS is nothing to warn of");

    // Another authority's server is refused, and so is this one under another name.
    let other = PolicyServer::start_tls(Script::default());
    let values = [other.base_url(), format!("https://127.0.0.1:{}", server.addr.port())];
    for base_url in values {
        let value = with(patient(&server), json!({"ca_file": path, "base_url": base_url, "tries": 1}));
        let text = internal(create(&value).await.0.get_current_policy_version(USER, token()).await);
        assert!(text.contains("certificate"), "{text}");
    }
    assert_eq!((other.requests().len(), server.requests().len()), (0, 1));
}

#[tokio::test]
async fn the_token_is_sent_and_shown_nowhere() {
    const SECRET: &str = "hunter2-and-more";
    let server = PolicyServer::start(Script { token: Some(SECRET.to_owned()), ..Script::default() });
    let value = with(patient(&server), json!({"token": SECRET, "tries": 2}));
    let shown_config = format!("{:?}", config(&value).unwrap());
    let (plugin, test) = create(&value).await;
    let mut shown = vec![shown_config, format!("{plugin:?}")];
    plugin.get_current_policy_version(USER, token()).await.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), Some(&*format!("Bearer {SECRET}")));

    server.set(Endpoint::Version, Behaviour::fail(2, 503));
    shown.push(internal(plugin.get_current_policy_version(USER, token()).await));
    let location = vec![("location", format!("{}/elsewhere?{SECRET}", server.base_url()))];
    server.set(Endpoint::Version, Behaviour::Raw { status: 307, headers: location, body: SECRET.into() });
    shown.push(internal(plugin.get_current_policy_version(USER, token()).await));
    server.set(Endpoint::Version, Behaviour::body(format!("{{\"policy_version\": \"{SECRET}\"}}")));
    shown.push(internal(plugin.get_current_policy_version(USER, token()).await));
    drop(server);
    shown.push(internal(plugin.get_current_policy_version(USER, token()).await));
    shown.push(plugin.publish_usage(event(), token()).await.unwrap_err().to_string());
    shown.push(plugin.health().await.unwrap_err().to_string());
    let logged = test.records();
    assert!(logged[0].level == LogLevel::Warn && logged[0].message.contains("without encryption"), "{logged:?}");
    assert!(logged.iter().any(|record| record.message.contains("trying again")), "{logged:?}");
    shown.push(format!("{logged:?}"));
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
