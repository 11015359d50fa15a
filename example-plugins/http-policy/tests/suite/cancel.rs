//! A call that ends early closes its connection, as the server sees it.

use std::sync::Arc;

use policy_server::{Behaviour, Endpoint};

use super::*;

const PROMISED: Duration = Duration::from_millis(100);

/// How long after `end` was called the server noticed, the best of ten: the machine may be busy with something else.
async fn noticed_after(end: impl Fn(CancellationToken, tokio::task::JoinHandle<String>) -> Instant) -> Duration {
    let mut best = LONG;
    for _ in 0..10 {
        let (server, plugin) = started().await;
        server.set(Endpoint::Version, Behaviour::Hang);
        let (plugin, cancel) = (Arc::new(plugin), token());
        let call = tokio::spawn({
            let cancel = cancel.clone();
            async move { format!("{:?}", plugin.get_current_policy_version(USER, cancel).await) }
        });
        assert!(server.until(LONG, |seen| seen.len() == 1).await);
        let ended = end(cancel, call);
        assert!(server.until(LONG, |seen| seen[0].outcome.aborted().is_some()).await, "{:?}", server.requests());
        best = best.min(server.requests()[0].outcome.aborted().unwrap() - ended);
        if best < PROMISED {
            break;
        }
    }
    best
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_the_token() {
    let took = noticed_after(|cancel, _| {
        let now = Instant::now();
        cancel.cancel();
        now
    })
    .await;
    println!("the server noticed {took:?} after the token was cancelled");
    assert!(took < PROMISED, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_dropping_the_future() {
    let took = noticed_after(|_, call| {
        let now = Instant::now();
        call.abort();
        now
    })
    .await;
    println!("the server noticed {took:?} after the future was dropped");
    assert!(took < PROMISED, "{took:?}");
}

#[tokio::test]
async fn every_method_ends_when_its_token_is_cancelled() {
    let (server, plugin) = started().await;
    for endpoint in [Endpoint::Version, Endpoint::Snapshot, Endpoint::Limits, Endpoint::License, Endpoint::Usage] {
        server.set(endpoint, Behaviour::Hang);
        let cancel = token();
        let before = server.requests().len();
        let call = async {
            match endpoint {
                Endpoint::Version => internal(plugin.get_current_policy_version(USER, cancel.clone()).await),
                Endpoint::Snapshot => internal(plugin.get_policy_snapshot(USER, 7, cancel.clone()).await),
                Endpoint::Limits => internal(plugin.get_user_limits(USER, 7, cancel.clone()).await),
                Endpoint::License => internal(plugin.check_user_license(USER, cancel.clone()).await),
                _ => {
                    let error = plugin.publish_usage(event(), cancel.clone()).await.unwrap_err();
                    assert!(error.is_transient());
                    error.to_string()
                }
            }
        };
        let cancelling = async {
            assert!(server.until(LONG, move |seen| seen.len() > before).await);
            cancel.cancel();
        };
        let (text, ()) = tokio::join!(call, cancelling);
        assert!(text.ends_with(": the caller cancelled"), "{text}");
    }
    assert!(server.until(LONG, |seen| seen.iter().all(|one| one.outcome.aborted().is_some())).await);
}

#[tokio::test]
async fn a_cancelled_token_sends_nothing_and_a_wait_between_tries_ends() {
    let (server, plugin) = started().await;
    let cancel = token();
    cancel.cancel();
    assert!(internal(plugin.get_policy_snapshot(USER, 7, cancel.clone()).await).ends_with("the caller cancelled"));
    assert!(plugin.publish_usage(event(), cancel).await.unwrap_err().is_transient());
    assert_eq!(server.requests().len(), 0);

    let wait = Some("10".to_owned());
    server.set(Endpoint::Version, Behaviour::Fail { times: 1, status: 503, retry_after: wait });
    let cancel = token();
    let cancelling = async {
        assert!(server.until(LONG, |seen| seen.len() == 1).await);
        cancel.cancel();
    };
    let began = Instant::now();
    let (result, ()) = tokio::join!(plugin.get_current_policy_version(USER, cancel.clone()), cancelling);
    assert!(internal(result).ends_with("the caller cancelled") && began.elapsed() < Duration::from_secs(9));
}

#[tokio::test]
async fn created_and_dropped_the_server_saw_nothing() {
    let (server, plugin) = started().await;
    drop(plugin.get_current_policy_version(USER, token()));
    drop(plugin.get_policy_snapshot(USER, 7, token()));
    drop(plugin.get_user_limits(USER, 7, token()));
    drop(plugin.check_user_license(USER, token()));
    drop(plugin.publish_usage(event(), token()));
    // What comes now is the first thing the server sees.
    plugin.get_current_policy_version(STRANGER, token()).await.unwrap();
    let requests = server.requests();
    assert_eq!((requests.len(), server.accepted_connections()), (1, 1));
    assert!(requests[0].path.contains(&STRANGER.to_string()));
}
