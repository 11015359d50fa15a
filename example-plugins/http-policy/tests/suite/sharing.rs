//! Snapshots are fetched once.

use std::sync::Arc;

use futures_util::future::join_all;
use policy_server::{Behaviour, Endpoint, Outcome};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_make_one_request() {
    let (server, plugin) = started().await;
    let plugin = Arc::new(plugin);
    server.set(Endpoint::Snapshot, Behaviour::Delay(Duration::from_millis(300)));
    let calls = (0..100).map(|_| {
        let plugin = Arc::clone(&plugin);
        tokio::spawn(async move { plugin.get_policy_snapshot(USER, 7, token()).await.unwrap().model_catalog.len() })
    });
    for models in join_all(calls).await {
        assert_eq!(models.unwrap(), 2);
    }
    assert_eq!(server.requests().len(), 1);
    plugin.get_policy_snapshot(USER, 7, token()).await.unwrap();
    assert_eq!(server.requests().len(), 1, "it is kept");
    plugin.get_policy_snapshot(STRANGER, 7, token()).await.unwrap();
    plugin.get_policy_snapshot(USER, 6, token()).await.unwrap();
    assert_eq!(server.requests().len(), 3, "for this user and version only");
}

#[tokio::test]
async fn a_failure_is_shared_but_not_kept() {
    let (server, plugin) = started().await;
    server.set(Endpoint::Snapshot, Behaviour::fail(1, 500));
    let calls = join_all((0..100).map(|_| plugin.get_policy_snapshot(USER, 7, token()))).await;
    assert!(calls.into_iter().all(|result| internal(result).contains("500")));
    assert_eq!(server.requests().len(), 1);
    plugin.get_policy_snapshot(USER, 7, token()).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

/// The first caller makes the request, then goes away; the second makes its own.
async fn hand_over(leave: impl AsyncFnOnce(tokio::task::JoinHandle<String>, CancellationToken)) {
    let (server, plugin) = started().await;
    let plugin = Arc::new(plugin);
    server.set(Endpoint::Snapshot, Behaviour::Hang);
    let cancel = token();
    let first = tokio::spawn({
        let (plugin, cancel) = (Arc::clone(&plugin), cancel.clone());
        async move { format!("{:?}", plugin.get_policy_snapshot(USER, 7, cancel).await) }
    });
    assert!(server.until(LONG, |seen| seen.len() == 1).await);
    let mut second = Box::pin(plugin.get_policy_snapshot(USER, 7, token()));
    // It takes its seat.
    assert!(futures_util::poll!(&mut second).is_pending());
    server.set(Endpoint::Snapshot, Behaviour::Answer);
    leave(first, cancel).await;
    assert_eq!(second.await.unwrap().policy_version, 7);
    assert!(server.until(LONG, |seen| seen[0].outcome.aborted().is_some()).await);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.requests()[1].outcome, Outcome::Answered(200));
}

#[tokio::test]
async fn when_the_one_who_fetches_is_dropped_another_goes_on() {
    hand_over(async |first, _| {
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
    })
    .await;
}

#[tokio::test]
async fn when_the_one_who_fetches_is_cancelled_another_goes_on() {
    hand_over(async |first, cancel| {
        cancel.cancel();
        assert!(first.await.unwrap().contains("the caller cancelled"));
    })
    .await;
}

#[tokio::test]
async fn the_number_kept_is_bounded() {
    let server = PolicyServer::start(Script::default());
    let (plugin, _) = create(&with(patient(&server), json!({"cached_snapshots": 3}))).await;
    let ask = async |user: u128, requests: usize| {
        plugin.get_policy_snapshot(Uuid::from_u128(user), 6, token()).await.unwrap();
        assert_eq!(server.requests().len(), requests, "user {user}");
    };
    for (user, requests) in [(1, 1), (2, 2), (3, 3), (1, 3), (4, 4), (1, 4), (3, 4), (2, 5)] {
        ask(user, requests).await;
    }
}
