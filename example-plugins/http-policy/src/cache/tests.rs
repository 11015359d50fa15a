use std::cell::Cell;
use std::time::Duration;

use mini_chat_plugin_sdk::models::KillSwitches;

use super::*;

fn snapshots(most: usize) -> Snapshots {
    Snapshots::new(NonZeroUsize::new(most).unwrap())
}

fn key(version: u64) -> Key {
    (Uuid::nil(), version)
}

fn limit(seconds: u64) -> TimeLimit {
    TimeLimit::of_call(Duration::from_secs(seconds))
}

fn snapshot(policy_version: u64) -> Outcome {
    Ok(Arc::new(Snapshot { policy_version, model_catalog: Vec::new(), kill_switches: KillSwitches::default() }))
}

/// Fetches `version` and counts it.
async fn get(snapshots: &Snapshots, version: u64, count: &Cell<u64>) -> u64 {
    let fetch = async |_| {
        count.set(count.get() + 1);
        snapshot(version)
    };
    snapshots.get(key(version), limit(1), fetch).await.unwrap().policy_version
}

#[tokio::test]
async fn the_least_recently_used_goes() {
    let (snapshots, count) = (snapshots(2), Cell::new(0));
    for (version, fetches) in [(1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)] {
        assert_eq!(get(&snapshots, version, &count).await, version);
        assert_eq!(count.get(), fetches, "after {version}");
    }
    assert_eq!(snapshots.state().kept.len(), 2);
    assert!(snapshots.state().under_way.is_empty());
}

#[tokio::test]
async fn a_failure_is_everybodys_and_is_not_kept() {
    let (snapshots, count) = (snapshots(2), Cell::new(0));
    let fail = async |_| {
        count.set(count.get() + 1);
        tokio::task::yield_now().await;
        Err(Failure::Broken("so".to_owned()))
    };
    let (first, second) = tokio::join!(snapshots.get(key(1), limit(1), fail), snapshots.get(key(1), limit(1), fail));
    assert!(first.is_err() && second.is_err());
    assert_eq!(count.get(), 1);
    assert!(snapshots.state().under_way.is_empty());
    assert_eq!(get(&snapshots, 1, &count).await, 1);
    assert_eq!(count.get(), 2);
}

#[tokio::test]
async fn nothing_is_left_of_a_flight_that_everybody_left() {
    let snapshots = snapshots(2);
    let hang = async |_| std::future::pending::<Outcome>().await;
    let mut first = Box::pin(snapshots.get(key(1), limit(1), hang));
    let mut second = Box::pin(snapshots.get(key(1), limit(1), hang));
    assert!(futures_poll(&mut first).await.is_none() && futures_poll(&mut second).await.is_none());
    assert_eq!(snapshots.state().under_way[&key(1)].seats, 2);
    drop(first);
    assert_eq!(snapshots.state().under_way[&key(1)].seats, 1);
    drop(second);
    assert!(snapshots.state().under_way.is_empty());
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn who_has_more_time_goes_on_when_the_first_has_none_left() {
    let (snapshots, count) = (snapshots(2), Cell::new(0));
    let short = async |_| {
        tokio::task::yield_now().await;
        let not_before = Some(Instant::now() + Duration::from_secs(2));
        Err(Failure::OutOfTime { last: None, not_before })
    };
    let told = Cell::new(None);
    let long = async |not_before| {
        count.set(count.get() + 1);
        told.set(not_before);
        snapshot(1)
    };
    let began = Instant::now();
    let (first, second) = tokio::join!(snapshots.get(key(1), limit(1), short), snapshots.get(key(1), limit(5), long));
    assert!(matches!(first, Err(Failure::OutOfTime { .. })));
    assert_eq!(second.unwrap().policy_version, 1);
    assert_eq!((count.get(), told.get()), (1, Some(began + Duration::from_secs(2))));
}
