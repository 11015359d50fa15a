//! Failures that pass are tried again, within the call's time.

use policy_server::{Behaviour, Endpoint, Outcome};

use super::*;

#[tokio::test]
async fn what_passes_is_tried_again() {
    for status in [429, 502, 503, 504] {
        let (server, plugin) = started().await;
        server.set(Endpoint::Version, Behaviour::fail(2, status));
        assert_eq!(plugin.get_current_policy_version(USER, token()).await.unwrap().policy_version, 7);
        server.set(Endpoint::Usage, Behaviour::fail(1, status));
        plugin.publish_usage(event(), token()).await.unwrap();
        assert_eq!(server.requests_to(Endpoint::Version).len(), 3);
        let keys: Vec<_> = server
            .requests_to(Endpoint::Usage)
            .iter()
            .map(|seen| seen.header("idempotency-key").map(str::to_owned))
            .collect();
        assert_eq!(keys, vec![Some(event().request_id.to_string()); 2], "the same key for each try");
        assert_eq!(server.usage().len(), 1);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not() {
    for status in [400, 404, 408, 500, 501] {
        let (server, plugin) = started().await;
        server.set(Endpoint::Version, Behaviour::fail(1, status));
        plugin.get_current_policy_version(USER, token()).await.unwrap_err();
        server.set(Endpoint::Usage, Behaviour::fail(1, status));
        plugin.publish_usage(event(), token()).await.unwrap_err();
        assert_eq!(server.requests().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn tries_are_counted_and_lie_apart() {
    let server = PolicyServer::start(Script::default());
    let (plugin, test) = create(&with(patient(&server), json!({"tries": 3}))).await;
    server.set(Endpoint::Limits, Behaviour::fail(99, 503));
    let text = internal(plugin.get_user_limits(USER, 7, token()).await);
    assert_eq!(text, "get the user's limits: the policy service answered 503 Service Unavailable");
    let seen = server.requests();
    assert_eq!(seen.len(), 3);
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(50));
    assert!(seen[2].at - seen[1].at >= Duration::from_millis(100));
    assert_eq!(test.records().len(), 2, "each further try is logged");
}

#[tokio::test]
async fn broken_and_refused_connections_and_slow_answers() {
    let server = PolicyServer::start(Script::default());
    let (plugin, _) = create(&patient(&server)).await;
    server.set(Endpoint::Version, Behaviour::Cut(2));
    assert_eq!(plugin.get_current_policy_version(USER, token()).await.unwrap().policy_version, 7);
    assert_eq!(server.requests().len(), 3);

    let (plugin, test) = create(&with(patient(&server), json!({"try_timeout_ms": 3_000, "tries": 2}))).await;
    server.set(Endpoint::License, Behaviour::Hang);
    let text = internal(plugin.check_user_license(USER, token()).await);
    assert!(text.ends_with("the policy service did not answer within 3000 ms"), "{text}");
    assert!(server.until(LONG, |seen| seen.iter().filter(|one| one.outcome.aborted().is_some()).count() == 2).await);

    drop(server);
    let before = test.records().len();
    let error = plugin.publish_usage(event(), token()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("cannot be reached"), "{error}");
    assert_eq!(test.records().len() - before, 1, "it was tried twice");
}

#[tokio::test]
async fn never_past_the_calls_time() {
    let server = PolicyServer::start(Script::default());
    let (plugin, _) = create(&with(patient(&server), json!({"call_timeout_ms": 700, "tries": 20}))).await;
    server.set(Endpoint::Version, Behaviour::fail(99, 503));
    let tries = gives_up_in_time(&server, Duration::from_millis(700), &plugin).await;
    assert!(tries <= 7, "{tries}");

    server.set(Endpoint::Version, Behaviour::Hang);
    let began = Instant::now();
    let text = internal(plugin.get_current_policy_version(USER, token()).await);
    assert!(began.elapsed() >= Duration::from_millis(650) && began.elapsed() < LONG, "{:?}", began.elapsed());
    assert!(text.ends_with("the call's time is over") || text.contains("did not answer within"), "{text}");
}

#[tokio::test]
async fn retry_after_is_kept_to() {
    let (server, plugin) = started().await;
    let fail = |wait: &str| Behaviour::Fail { times: 1, status: 429, retry_after: Some(wait.to_owned()) };
    server.set(Endpoint::Version, fail("1"));
    plugin.get_current_policy_version(USER, token()).await.unwrap();
    let seen = server.requests();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));

    // Longer than there is time: at once, and nothing is sent in vain.
    server.set(Endpoint::Usage, fail("60"));
    let began = Instant::now();
    let error = plugin.publish_usage(event(), token()).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(
        error.is_transient() && error.to_string().contains("to be asked again in 60 s; there is no time"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.requests()[2].outcome, Outcome::Answered(429));
}
