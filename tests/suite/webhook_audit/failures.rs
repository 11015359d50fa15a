//! An endpoint that refuses, fails, hangs, or is not there.

use futures::FutureExt;
use policy_server::Behaviour;

use super::*;

fn fails(status: u16, retry_after: &str) -> Behaviour {
    Behaviour::Fail { times: 1, status, retry_after: Some(retry_after.to_owned()) }
}

#[test]
fn what_passes_is_tried_again_with_the_same_key() {
    let site = Site::new(json!({"flush_after_ms": 1}));
    for (number, status) in (0..).zip([503, 408, 425, 429, 500, 502, 401, 404, 415]) {
        let before = site.requests().len();
        site.server.set(Endpoint::Audit, Behaviour::fail(2, status));
        block_on(site.emit(number)).expect("it is accepted in the end");
        let keys = site.keys().split_off(before);
        assert_eq!(keys.len(), 3, "{status}");
        assert!(keys.iter().all(|key| *key == keys[0]), "{status}: {keys:?}");
        assert_eq!(site.server.batches().last().expect("a batch").0, keys[0]);
    }
    assert_eq!(site.accepted(), [[0], [1], [2], [3], [4], [5], [6], [7], [8]]);
    assert_eq!(site.end(), None);
}

#[test]
fn a_refusal_is_permanent_for_each_call_of_the_batch() {
    let site = Site::new(json!({"batch_events": 3, "flush_after_ms": NEVER_MS}));
    for (number, status) in (0..).zip([400, 409, 410, 413, 422]) {
        site.server.set(Endpoint::Audit, Behaviour::fail(1, status));
        for answer in site.emit_all(0..3) {
            let text = permanent(answer);
            assert!(text.starts_with(&format!("the audit endpoint answered {status} ")), "{text}");
        }
        assert_eq!(site.requests().len(), number + 1, "{status} is not tried again");
    }
    assert!(site.emit_all(0..3).iter().all(Result::is_ok), "the next batch is another one");
    assert_eq!(site.accepted(), [[0, 1, 2]]);
    assert_eq!(site.end(), None);
}

#[test]
fn a_redirect_is_not_followed_and_not_tried_again() {
    let site = Site::new(json!({"flush_after_ms": 1, "token": "secret"}));
    let headers = vec![("location", "/v1/usage".to_owned())];
    site.server.set(Endpoint::Audit, Behaviour::Raw { status: 307, headers, body: Vec::new() });
    let text = transient(block_on(site.emit(0)));
    assert_eq!(text, "the audit endpoint answered 307 Temporary Redirect");
    assert_eq!(site.requests().len(), 1);
    assert_eq!(site.server.requests_to(Endpoint::Usage).len(), 0);
}

#[test]
fn tries_and_time_are_limited() {
    let site = Site::new(json!({"flush_after_ms": 1, "tries": 3}));
    site.server.set(Endpoint::Audit, Behaviour::fail(99, 503));
    let text = transient(block_on(site.emit(0)));
    assert_eq!(text, "the audit endpoint answered 503 Service Unavailable; it was tried 3 times");
    assert_eq!(site.requests().len(), 3);

    let site = Site::new(json!({"flush_after_ms": 1, "tries": 1_000, "retry_for_ms": 300}));
    site.server.set(Endpoint::Audit, Behaviour::fail(9_999, 503));
    let text = transient(block_on(site.emit(0)));
    assert!(text.ends_with("; there is no time left to try again") || text.contains("did not answer"), "{text}");
    // Nothing goes on behind the answer: the next batch is that of the next call.
    site.server.set(Endpoint::Audit, Behaviour::Answer);
    block_on(site.emit(1)).expect("it is accepted");
    assert_eq!(site.accepted().last(), Some(&vec![1]));
    assert_eq!(site.end(), None);
}

#[test]
fn a_retry_after_is_kept_to_up_to_a_limit() {
    let site = Site::new(json!({"flush_after_ms": 1}));
    site.server.set(Endpoint::Audit, fails(429, "1"));
    block_on(site.emit(0)).expect("it is accepted in the end");
    let seen = site.requests();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));

    // An hour, which is taken for a moment.
    let site = Site::new(json!({"flush_after_ms": 1, "max_retry_after_ms": 10}));
    site.server.set(Endpoint::Audit, fails(503, "3600"));
    block_on(site.emit(0)).expect("it is accepted in the end");

    // More than there is time: at once, and nothing is sent in vain.
    let site = Site::new(json!({"flush_after_ms": 1, "retry_for_ms": 50_000}));
    site.server.set(Endpoint::Audit, fails(503, "3600"));
    let text = transient(block_on(site.emit(0)));
    assert!(text.ends_with("to be asked again in 60 s; there is no time left to try again"), "{text}");
    assert_eq!(site.requests().len(), 1);
}

#[test]
fn an_endpoint_that_hangs_is_given_up_and_tried_again() {
    let site = Site::new(json!({"flush_after_ms": 1, "try_timeout_ms": 3_000, "tries": 2}));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    let text = transient(block_on(site.emit(0)));
    assert_eq!(text, "the audit endpoint did not answer within 3000 ms; it was tried 2 times");
    eventually("both tries have arrived", || site.keys().len() == 2);
    let keys = site.keys();
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn an_endpoint_that_hangs_until_the_hosts_deadline() {
    let server = PolicyServer::start(Script::default());
    let url = format!("{}/v1/audit", server.base_url());
    // The host's limit is what counts, if it has one.
    let config = json!({"flush_after_ms": 1, "call_timeout_ms": 1});
    let site = Site::with(server, &url, config, |entry| entry.limits.audit = Duration::from_millis(500));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    // The plugin's own answer, or, on a machine that is very busy, the host's.
    let error = block_on(site.emit(0)).expect_err("there is no answer");
    assert!(error.is_transient(), "{error}");
    // The try has ended with its call, though it may have taken two minutes: the next batch is sent.
    site.server.set(Endpoint::Audit, Behaviour::Answer);
    eventually("a later event is accepted", || block_on(site.emit(1)).is_ok());
    site.end();
}

#[test]
fn connections_that_break_or_are_refused() {
    let site = Site::new(json!({"flush_after_ms": 1, "tries": 2}));
    // A success is one though its body breaks off.
    site.server.set(Endpoint::Audit, Behaviour::Cut(1));
    block_on(site.emit(0)).expect("it is accepted");
    let Site { server, host, audit, .. } = site;
    drop(server);
    let text = transient(block_on(audit.emit_turn_audit(event(1))));
    assert!(text.contains("cannot be reached: ") && text.ends_with("; it was tried 2 times"), "{text}");
    assert!(block_on(host.shutdown()).is_clean());
}

#[test]
fn a_full_queue_is_transient_until_there_is_room() {
    for ack in ["queued", "delivered"] {
        let site = Site::new(json!({
            "ack": ack, "batch_events": 2, "queue_events": 4, "flush_after_ms": NEVER_MS, "try_timeout_ms": 3_000,
        }));
        site.server.set(Endpoint::Audit, Behaviour::Hang);
        let mut calls = futures::future::join_all((0..4).map(|number| site.emit(number)));
        let answered = (&mut calls).now_or_never();
        assert_eq!(answered.is_some(), ack == "queued");
        let text = transient(block_on(site.emit(4)));
        assert!(text.starts_with("the queue is full with 4 events of "), "{text}");
        site.server.set(Endpoint::Audit, Behaviour::Answer);
        let answers = answered.unwrap_or_else(|| block_on(calls));
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        eventually("both batches are accepted", || site.accepted().len() == 2);
        assert_eq!(site.accepted(), [[0, 1], [2, 3]], "{ack}");
        // The first batch was over before the second began, so there is room.
        let answers = site.emit_all(4..6);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(site.end(), None);
        assert_eq!(site.accepted().concat(), [0, 1, 2, 3, 4, 5]);
    }
}

#[test]
fn a_queue_is_full_by_bytes_as_well() {
    let event = TurnAuditEvent { prompt: Some("x".repeat(3_000)), ..event(0) };
    let site = Site::new(json!({
        "ack": "queued", "batch_bytes": 1_024, "queue_bytes": 10_000, "flush_after_ms": 1, "shutdown_ms": 1,
    }));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    block_on(site.audit.emit_turn_audit(event.clone())).expect("the first is taken");
    block_on(site.audit.emit_turn_audit(event.clone())).expect("the second is taken");
    let text = transient(block_on(site.audit.emit_turn_audit(event.clone())));
    assert!(text.starts_with("the queue is full with 2 events of "), "{text}");
    let larger = TurnAuditEvent { prompt: Some("x".repeat(10_000)), ..event };
    let text = permanent(block_on(site.audit.emit_turn_audit(larger)));
    assert!(text.starts_with("expected an event of at most 10000 bytes (`queue_bytes`), found "), "{text}");
}
