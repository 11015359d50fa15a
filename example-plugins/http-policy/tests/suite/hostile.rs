//! Answers that are wrong, by mistake or on purpose: always an error, never a panic, never without bound.

use policy_server::{Behaviour, Endpoint};

use super::*;

async fn refused(behaviour: Behaviour, endpoint: Endpoint) -> String {
    let server = PolicyServer::start(Script::default());
    let (plugin, _) = create(&with(patient(&server), json!({"tries": 1}))).await;
    server.set(endpoint, behaviour);
    let text = match endpoint {
        Endpoint::Version => internal(plugin.get_current_policy_version(USER, token()).await),
        Endpoint::Snapshot => internal(plugin.get_policy_snapshot(USER, 7, token()).await),
        Endpoint::Limits => internal(plugin.get_user_limits(USER, 7, token()).await),
        _ => internal(plugin.check_user_license(USER, token()).await),
    };
    assert!(text.len() < 400, "{} bytes: {text:.400}", text.len());
    assert_eq!(server.requests().len(), 1);
    // The plugin is as good as before.
    server.set(endpoint, Behaviour::Answer);
    plugin.get_policy_snapshot(USER, 7, token()).await.unwrap();
    text
}

#[tokio::test]
async fn bodies_that_are_not_what_was_asked_for() {
    let deep = "[".repeat(100_000);
    let long_key = format!("{{\"{}\": }}", "k".repeat(100_000));
    let long_text = format!("{{\"policy_version\": \"{}\"}}", "v".repeat(100_000));
    let anything: [&[u8]; 13] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\"policy_version\"",
        b"<html>hello</html>",
        b"\xff\xfe\x00",
        b"{\"policy_version\": 7, \"policy_version\": 7}",
        b"{} {}",
        deep.as_bytes(),
        long_key.as_bytes(),
        long_text.as_bytes(),
    ];
    for body in anything {
        for endpoint in [Endpoint::Version, Endpoint::Snapshot, Endpoint::Limits, Endpoint::License] {
            let text = refused(Behaviour::body(body), endpoint).await;
            assert!(text.contains("the policy service's answer is not understood: "), "{text}");
        }
    }
}

#[tokio::test]
async fn values_of_a_wrong_type_are_named_by_their_place() {
    let version = |version: &str, at: &str| format!("{{\"policy_version\": {version}, \"generated_at\": {at}}}");
    let date = "\"2026-03-01T12:00:00Z\"";
    for (body, place) in [
        (version("-1", date), "policy_version, line 1"),
        (version("1e400", date), "policy_version, line 1"),
        (version("18446744073709551616", date), "policy_version, line 1"),
        (version("7.5", date), "policy_version, line 1"),
        (version("7", "\"+99999-01-01T00:00:00Z\""), "generated_at, line 1"),
        (version("7", "\"yesterday\""), "generated_at, line 1"),
        (version("7", "1"), "generated_at, line 1"),
    ] {
        let text = refused(Behaviour::body(body.clone()), Endpoint::Version).await;
        assert!(text.contains(place), "{body}: {text}");
    }
    let mut policy = Script::default().policies[&7].model_catalog.clone();
    policy[1]["tier"] = json!("Gold");
    let switches = &Script::default().policies[&7].kill_switches;
    let body = json!({"policy_version": 7, "model_catalog": policy, "kill_switches": switches});
    let text = refused(Behaviour::body(body.to_string()), Endpoint::Snapshot).await;
    assert!(text.contains("model_catalog[1].tier, line 1"), "{text}");
    assert!(!text.contains("Gold"), "{text}");
}

#[tokio::test]
async fn an_answer_about_something_else() {
    let script = Script::default();
    let policy = &script.policies[&7];
    let snapshot = json!({"policy_version": 8, "model_catalog": [], "kill_switches": policy.kill_switches});
    let text = refused(Behaviour::body(snapshot.to_string()), Endpoint::Snapshot).await;
    assert!(text.ends_with("policy_version: expected 7, found 8"), "{text}");
    let limits = |user: Uuid, version: u64| {
        let limits =
            json!({"user_id": user, "policy_version": version, "standard": policy.standard, "premium": policy.premium});
        Behaviour::body(limits.to_string())
    };
    let text = refused(limits(STRANGER, 7), Endpoint::Limits).await;
    assert!(text.ends_with(&format!("user_id: expected {USER}, found {STRANGER}")), "{text}");
    let text = refused(limits(USER, 6), Endpoint::Limits).await;
    assert!(text.ends_with("policy_version: expected 7, found 6"), "{text}");
}

#[tokio::test]
async fn large_answers_are_cut_off() {
    const LARGE: usize = 10_000_000;
    for behaviour in [Behaviour::body(vec![b' '; LARGE]), Behaviour::Chunked(LARGE)] {
        let text = refused(behaviour, Endpoint::Snapshot).await;
        assert!(text.contains("expected an answer of at most 4194304 bytes, found a larger one"), "{text}");
    }
    // One byte decides.
    let server = PolicyServer::start(Script::default());
    let (plugin, _) = create(&with(patient(&server), json!({"max_response_bytes": 1_024, "tries": 1}))).await;
    let padded = |bytes: usize| Behaviour::body(format!("{:<bytes$}", "{\"active\": true}"));
    server.set(Endpoint::License, padded(1_024));
    assert!(plugin.check_user_license(USER, token()).await.unwrap().active);
    server.set(Endpoint::License, padded(1_025));
    assert!(internal(plugin.check_user_license(USER, token()).await).contains("at most 1024 bytes"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let headers = vec![("location", "/v1/users/x/policy-version".to_owned())];
        let text = refused(Behaviour::Raw { status, headers, body: Vec::new() }, Endpoint::Version).await;
        assert!(text.contains(&format!("answered {status}")), "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks() {
    let text = refused(Behaviour::Cut(1), Endpoint::Version).await;
    assert!(text.contains("the connection to the policy service broke: "), "{text}");
}
