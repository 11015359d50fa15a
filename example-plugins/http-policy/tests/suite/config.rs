//! What the configuration may say.

use super::*;

/// The configuration of the documentation's example, with the secret that a host would have put in.
fn example() -> Value {
    let file: Value = toml::from_str(include_str!("../../plugins.toml")).unwrap();
    let value = file["plugins"]["acme.policy._.http.v1"]["config"].clone();
    assert_eq!(value["token"], json!({"env": "POLICY_TOKEN"}));
    with(value, json!({"token": "t"}))
}

#[tokio::test]
async fn the_example_of_the_documentation_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let server = PolicyServer::start_tls(Script::default());
    std::fs::write(&path, server.ca_pem().unwrap()).unwrap();
    // Every key that there is stands in the example.
    let unknown = config(&json!({"base_url": "http://x", "?": 1})).unwrap_err();
    for key in example().as_object().unwrap().keys() {
        assert!(unknown.message().contains(&format!("`{key}`")), "{unknown}");
    }
    assert_eq!(unknown.message().matches('`').count(), 2 * example().as_object().unwrap().len(), "{unknown}");
    create(&with(example(), json!({"ca_file": path}))).await;
}

#[test]
fn it_says_what_it_is() {
    let descriptor = InProcessPlugin::of::<http_policy::HttpPolicyPlugin>().descriptor();
    let descriptor: Value = serde_json::from_str(descriptor).unwrap();
    assert_eq!(descriptor["id"], "acme.policy._.http.v1");
}

#[tokio::test]
async fn the_base_url_may_have_a_path() {
    let server = PolicyServer::start(Script::default());
    for (suffix, path) in [("", "/"), ("/", "/"), ("/mini-chat", "/mini-chat/"), ("/a/b/", "/a/b/")] {
        let value = with(patient(&server), json!({"base_url": format!("{}{suffix}", server.base_url())}));
        let _ = create(&value).await.0.get_current_policy_version(USER, token()).await;
        let requests = server.requests();
        assert_eq!(requests.last().unwrap().path, format!("{path}v1/users/{USER}/policy-version"));
    }
}

#[tokio::test]
async fn mistakes_are_refused_with_their_key() {
    let cases = [
        (json!({"base_url": "policy.example.com"}), "base_url: expected a URL such as https://"),
        (json!({"base_url": "ftp://policy.example.com"}), "base_url: expected an http or https URL"),
        (json!({"base_url": "unix:/run/policy"}), "base_url: expected an http or https URL"),
        (json!({"base_url": "https://user:hunter2@x"}), "base_url: expected no user name or password"),
        (json!({"base_url": "https://x/?token=hunter2"}), "base_url: expected a URL without query"),
        (json!({"base_url": "https://x/#hunter2"}), "base_url: expected a URL without query"),
        (json!({"base_url": "hunter2"}), "base_url: expected a URL such as"),
        (json!({"base_url": 1}), "base_url: expected "),
        (json!({"token": ""}), "token: expected visible ASCII characters only, found an empty text"),
        (json!({"token": "hunter2\n"}), "token: expected visible ASCII characters only, found other characters"),
        (json!({"token": "hünter2"}), "token: expected visible ASCII"),
        (json!({"token": ["hunter2"]}), "token: expected "),
        (json!({"ca_file": "ca.pem"}), "ca_file: expected an absolute path"),
        (json!({"ca_file": "/x", "base_url": "http://x"}), "ca_file: expected it only with an https `base_url`"),
        (json!({"connect_timeout_ms": 0}), "connect_timeout_ms: expected 1 to 600000, found 0"),
        (json!({"try_timeout_ms": 600_001}), "try_timeout_ms: expected 1 to 600000, found 600001"),
        (json!({"call_timeout_ms": -1}), "call_timeout_ms: expected "),
        (json!({"tries": 21}), "tries: expected 1 to 20, found 21"),
        (json!({"cached_snapshots": 0}), "cached_snapshots: expected 1 to 100000, found 0"),
        (json!({"max_response_bytes": 1}), "max_response_bytes: expected 1024 to 268435456, found 1"),
        (json!({"timeout": 1}), "timeout: expected one of "),
    ];
    for (change, expected) in cases {
        let value = with(json!({"base_url": "https://x"}), change);
        let context = TestContext::new("policy");
        let error = match config(&value) {
            Ok(config) => HttpPolicy::create(context.context(), config).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.message().starts_with(expected), "{error}\n{expected}");
        assert!(!error.is_retryable() && !error.message().contains("nter2"), "{error}");
    }
    assert!(config(&json!({})).unwrap_err().message().starts_with("base_url: expected a value"));
}

#[tokio::test]
async fn a_wrong_ca_file() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = async |path: &std::path::Path| {
        let value = json!({"base_url": "https://x", "ca_file": path});
        let context = TestContext::new("policy");
        HttpPolicy::create(context.context(), config(&value).unwrap()).await.unwrap_err()
    };
    let missing = refusal(&directory.path().join("no.pem")).await;
    assert!(missing.is_retryable() && missing.message().starts_with("ca_file: read "), "{missing}");
    let path = directory.path().join("ca.pem");
    for (content, expected) in [
        ("", "ca_file: expected certificates in PEM, found none in "),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "ca_file: read a certificate of "),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ca_file: read a certificate of "),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = refusal(&path).await;
        assert!(!error.is_retryable() && error.message().starts_with(expected), "{error}");
    }
}
