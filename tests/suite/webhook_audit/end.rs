//! Shutdown, swaps, and calls that end early.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::{Either, select};
use policy_server::Behaviour;

use super::*;

/// How often the log's errors name this event.
fn named(number: u128) -> usize {
    log().with("audit events").iter().map(|record| record.text.matches(&id(number)).count()).sum()
}

#[test]
fn shutdown_sends_what_is_queued() {
    let site = Site::new(json!({"ack": "queued", "flush_after_ms": NEVER_MS, "batch_events": 4}));
    assert!(site.emit_all(0..10).iter().all(Result::is_ok));
    assert_eq!(site.end(), None);
    assert_eq!(site.accepted(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    let error = block_on(site.emit(10)).expect_err("there is no plugin");
    assert!(error.is_transient(), "{error}");
}

#[test]
fn what_shutdown_cannot_send_is_counted_and_named() {
    log();
    let site = Site::new(json!({
        "ack": "queued", "flush_after_ms": 1, "batch_events": 2, "shutdown_ms": 3_000, "connect_timeout_ms": 1_000,
    }));
    let Site { server, host, audit, directory: _directory } = site;
    drop(server);
    // They are taken although the endpoint is not there.
    for number in 7_000..7_005 {
        block_on(audit.emit_turn_audit(event(number))).expect("it is taken");
    }
    let report = block_on(host.shutdown());
    let error = report.plugins[0].shutdown_error.as_deref().expect("it fails");
    assert!(error.contains("5 audit events were not accepted by the endpoint; the log has their ids"), "{error}");
    for number in 7_000..7_005 {
        assert_eq!(named(number), 1, "{number}: {:?}", log().with("audit events"));
    }
    let records = log().with(&id(7_004));
    assert!(records[0].text.contains("(5 so far) are lost, as their calls had been answered with Ok: "), "{records:?}");
    assert!(records[0].text.contains("cannot be reached"), "{records:?}");
}

#[test]
fn a_queued_event_that_is_refused_or_given_up_is_named() {
    log();
    let site = Site::new(json!({"ack": "queued", "flush_after_ms": 1, "tries": 2}));
    site.server.set(Endpoint::Audit, Behaviour::fail(1, 400));
    block_on(site.emit(8_000)).expect("it is taken");
    eventually("it is named", || named(8_000) == 1);
    site.server.set(Endpoint::Audit, Behaviour::fail(2, 503));
    block_on(site.emit(8_001)).expect("it is taken");
    eventually("it is named", || named(8_001) == 1);
    let records = log().with(&id(8_001));
    assert!(records[0].text.starts_with("1 audit events (2 so far) are lost, "), "{records:?}");
    // That is over: the end itself loses nothing.
    block_on(site.emit(8_002)).expect("it is taken");
    assert_eq!(site.end(), None);
    assert_eq!((site.accepted(), named(8_002)), (vec![vec![8_002]], 0));
}

/// Ends a call whose batch is under way.
fn dropped_under_way(site: &Site, number: u128) {
    let before = site.requests().len();
    let arrived = site.server.until(LONG, move |requests| requests.len() > before);
    match block_on(select(site.emit(number).boxed(), arrived.boxed())) {
        Either::Left((answer, _)) => panic!("answered before the request was: {answer:?}"),
        Either::Right((arrived, call)) => {
            assert!(arrived);
            drop(call);
        }
    }
    let in_flight = || mini_chat_plugin_tests::serving::status(&site.host, ID).in_flight;
    eventually("the call is over", || in_flight() == 0);
}

#[test]
fn a_call_that_is_dropped_is_over_at_once() {
    log();
    let site = Site::new(json!({"flush_after_ms": 1, "shutdown_ms": 1}));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    dropped_under_way(&site, 9_000);
    // One whose batch is not under way is let go; at the end the other one is named.
    let mut call = site.emit(9_001).boxed();
    assert!(call.as_mut().now_or_never().is_none());
    drop(call);
    assert!(site.end().is_some());
    assert_eq!(named(9_000), 1);
    assert!(log().with(&id(9_000))[0].text.contains("and their calls are told so: "));
}

#[test]
fn a_call_that_is_dropped_may_be_delivered_nevertheless() {
    let site = Site::new(json!({"flush_after_ms": NEVER_MS, "batch_events": 2, "try_timeout_ms": 3_000}));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    let mut dropped = site.emit(0).boxed();
    assert!(dropped.as_mut().now_or_never().is_none());
    let mut other = site.emit(1).boxed();
    assert!(other.as_mut().now_or_never().is_none());
    assert!(block_on(site.server.until(LONG, |requests| !requests.is_empty())));
    drop(dropped);
    site.server.set(Endpoint::Audit, Behaviour::Answer);
    block_on(other).expect("it is accepted");
    assert_eq!(site.accepted(), [[0, 1]]);
    assert_eq!(site.end(), None);
}

#[test]
fn a_batch_is_not_tried_again_for_nobody() {
    let site = Site::new(json!({"flush_after_ms": 1, "max_retry_after_ms": 2_000}));
    let refusal = Behaviour::Fail { times: 1, status: 503, retry_after: Some("60".to_owned()) };
    site.server.set(Endpoint::Audit, refusal);
    dropped_under_way(&site, 0);
    block_on(site.emit(1)).expect("it is accepted");
    assert_eq!((site.accepted(), site.requests().len()), (vec![vec![1]], 2));
    assert_eq!(site.end(), None);
}

/// The same library as another file: with something behind its end that nobody looks at.
fn another_build(site: &Site, number: u64) -> PathBuf {
    let mut bytes = std::fs::read(plugins::built("webhook-audit-plugin")).expect("the library");
    bytes.extend(number.to_le_bytes());
    let path = site.directory.path().join(format!("build-{number}"));
    std::fs::write(&path, bytes).expect("a build");
    path
}

/// Ends the callers.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Generations come and go under calls; what was answered with Ok has arrived, at the latest when the host has ended.
fn swap_under_calls(ack: &str, mode: ExecutionMode) {
    const CALLERS: u64 = 4;
    let server = PolicyServer::start(Script::default());
    let url = format!("{}/v1/audit", server.base_url());
    let site = Site::with(server, &url, json!({"ack": ack, "flush_after_ms": 5}), |entry| entry.mode = mode);
    let (stop, next) = (AtomicBool::new(false), AtomicU64::new(0));
    let taken = std::thread::scope(|scope| {
        // Also when something fails here: the callers end, and the test does.
        let _stops = Stops(&stop);
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut taken = BTreeSet::new();
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed).into();
                        block_on(site.emit(number)).expect("a swap costs no call");
                        taken.insert(number);
                        // With `queued` nothing else holds it back.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    taken
                })
            })
            .collect();
        let go_on = |more: u64| {
            let before = next.load(Ordering::Relaxed);
            eventually("calls go on", || next.load(Ordering::Relaxed) > before + more);
        };
        go_on(20);
        let swapped = block_on(site.host.reload(ID)).expect("it is created anew");
        assert_eq!(swapped.generation, 2);
        go_on(20);
        for generation in 3..5 {
            let path = another_build(&site, generation);
            let swapped = block_on(site.host.swap(path)).expect("it serves");
            assert_eq!((swapped.len(), swapped[0].generation), (1, generation));
            go_on(20);
        }
        stop.store(true, Ordering::Relaxed);
        callers.into_iter().flat_map(|caller| caller.join().expect("no call fails")).collect::<BTreeSet<_>>()
    });
    assert_eq!(site.end(), None);
    let accepted: Vec<_> = site.accepted().concat();
    let arrived: BTreeSet<_> = accepted.iter().copied().collect();
    assert_eq!(arrived, taken, "{ack}: lost {:?}", taken.difference(&arrived));
    assert_eq!(accepted.len(), taken.len(), "{ack}: no try failed, so nothing came twice");
    let generations: BTreeSet<_> = site.keys().iter().map(|key| key[..36].to_owned()).collect();
    assert_eq!(generations.len(), 4, "{ack}: each had its share");
}

#[test]
fn swaps_lose_no_event_that_was_delivered() {
    swap_under_calls("delivered", ExecutionMode::Isolated);
}

#[test]
fn swaps_lose_no_event_that_was_queued() {
    swap_under_calls("queued", ExecutionMode::Adaptive);
}

#[test]
fn it_starts_and_is_healthy_without_its_endpoint() {
    let server = PolicyServer::start(Script::default());
    let url = format!("{}/v1/audit", server.base_url());
    drop(server);
    // Another one, which gets nothing.
    let site = Site::posting_to(PolicyServer::start(Script::default()), &url, json!({"flush_after_ms": 1, "tries": 1}));
    let text = transient(block_on(site.emit(0)));
    assert!(text.contains("cannot be reached"), "{text}");
    assert_eq!(site.end(), None);
}
