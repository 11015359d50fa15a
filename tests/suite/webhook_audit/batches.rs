//! What is sent, when, and when calls are answered.

use std::collections::HashSet;

use futures::FutureExt;
use futures::future::{Either, join5, select};
use mini_chat_plugin_loader::CallOptions;
use mini_chat_plugin_loader::audit::FanOutConfig;
use mini_chat_plugin_sdk::audit_models::{TurnDeleteAuditEvent, TurnMutationAuditEvent};
use mini_chat_plugin_sdk::serde::de::DeserializeOwned;
use mini_chat_plugin_tests::read_fixture;
use policy_server::Behaviour;

use super::*;

#[test]
fn a_batch_is_sent_when_it_has_enough_events() {
    let site = Site::new(json!({"batch_events": 3, "flush_after_ms": NEVER_MS}));
    assert!(site.emit_all(0..6).iter().all(Result::is_ok));
    assert_eq!(site.accepted(), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(site.end(), None);
}

#[test]
fn a_batch_is_sent_when_it_has_enough_bytes() {
    let size = serde_json::to_vec(&event(0)).expect("JSON").len();
    // Each line is a little longer than its event: two fit, three do not.
    let config = json!({"ack": "queued", "batch_bytes": size * 5 / 2 + 300, "flush_after_ms": NEVER_MS});
    let site = Site::new(config);
    assert!(site.emit_all(0..5).iter().all(Result::is_ok));
    eventually("two batches", || site.accepted().len() == 2);
    assert_eq!(site.accepted(), [[0, 1], [2, 3]]);
    // The fifth waits for company, or for the end.
    assert_eq!(site.end(), None);
    assert_eq!(site.accepted().concat(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_batch_is_sent_when_it_has_waited_enough() {
    // With the defaults: 500 events, 1 MiB, 50 ms.
    let site = Site::new(json!({}));
    for number in 0..3 {
        block_on(site.emit(number)).expect("it is accepted");
    }
    assert_eq!(site.accepted(), [[0], [1], [2]]);
    assert_eq!(site.keys().into_iter().collect::<HashSet<_>>().len(), 3, "a key each");
    assert_eq!(site.end(), None);
}

#[test]
fn events_are_written_as_documented() {
    let server = PolicyServer::start(Script { token: Some("t".to_owned()), ..Script::default() });
    let url = format!("{}/v1/audit?key=value", server.base_url());
    let site = Site::posting_to(server, &url, json!({"token": "t", "batch_events": 5, "flush_after_ms": NEVER_MS}));
    fn read<T: DeserializeOwned>(name: &str) -> T {
        serde_json::from_str(&read_fixture(&format!("mini-chat/full/{name}.json"))).expect("a fixture")
    }
    let retry: TurnMutationAuditEvent = read("TurnRetryAuditEvent");
    let edit: TurnMutationAuditEvent = read("TurnEditAuditEvent");
    let delete: TurnDeleteAuditEvent = read("TurnDeleteAuditEvent");
    let keyed = CallOptions::new().idempotency_key("the \"host's\" key");
    let answers = block_on(join5(
        site.emit(7),
        site.audit.emit_turn_retry_audit(retry.clone()),
        site.audit.emit_turn_edit_audit(edit.clone()),
        site.audit.emit_turn_delete_audit(delete.clone()),
        keyed.scope(site.emit(8)),
    ));
    assert!(matches!(answers, (Ok(()), Ok(()), Ok(()), Ok(()), Ok(()))), "{answers:?}");
    let of = |tenant: Uuid, kind: &str, request: Uuid| format!("{tenant}:{kind}:{request}");
    let expected = [
        json!({"kind": "turn", "idempotency_key": id(7), "event": event(7)}),
        json!({
            "kind": "retry", "event": retry,
            "idempotency_key": of(retry.tenant_id, "turn_retry", retry.new_request_id),
        }),
        json!({
            "kind": "edit", "event": edit,
            "idempotency_key": of(edit.tenant_id, "turn_edit", edit.new_request_id),
        }),
        json!({
            "kind": "delete", "event": delete,
            "idempotency_key": of(delete.tenant_id, "turn_delete", delete.request_id),
        }),
        json!({"kind": "turn", "idempotency_key": "the \"host's\" key", "event": event(8)}),
    ];
    let batches = site.server.batches();
    assert_eq!(batches.len(), 1);
    assert_eq!(lines(&batches[0].1), expected);
    let plain: usize = expected.iter().map(|line| line.to_string().len() + 1).sum();
    assert!(batches[0].1.len() < plain / 2, "{} of {plain} bytes", batches[0].1.len());

    let request = site.requests().remove(0);
    assert_eq!((&*request.method, &*request.path), ("POST", "/v1/audit?key=value"));
    for (name, value) in [
        ("content-type", "application/x-ndjson"),
        ("content-encoding", "gzip"),
        ("authorization", "Bearer t"),
        ("user-agent", "webhook-audit/0.1.0"),
    ] {
        assert_eq!(request.header(name), Some(value));
    }
    assert_eq!(site.end(), None);
}

#[test]
fn over_tls_whom_it_trusts_is_configured() {
    let server = PolicyServer::start_tls(Script::default());
    let url = format!("{}/v1/audit", server.base_url());
    let directory = tempfile::tempdir().expect("a directory");
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, server.ca_pem().expect("it speaks TLS")).expect("a file");
    let site = Site::posting_to(server, &url, json!({"flush_after_ms": 1, "ca_file": ca_file}));
    block_on(site.emit(0)).expect("it is accepted");
    assert_eq!(site.accepted(), [[0]]);
    assert_eq!(site.end(), None);

    let other = PolicyServer::start_tls(Script::default());
    let url = format!("{}/v1/audit", other.base_url());
    let site = Site::posting_to(other, &url, json!({"flush_after_ms": 1, "ca_file": ca_file, "tries": 1}));
    let text = transient(block_on(site.emit(0)));
    assert!(text.contains("cannot be reached: ") && text.contains("certificate"), "{text}");
    assert_eq!(site.requests().len(), 0);
}

#[test]
fn the_key_is_that_of_the_fan_out_with_or_without_it() {
    let site = Site::new(json!({"flush_after_ms": 1}));
    let fan_out = site.host.audit_fan_out(FanOutConfig::default());
    block_on(fan_out.deliver_turn(event(0))).result().expect("it is accepted");
    block_on(site.emit(0)).expect("it is accepted");
    let batches = site.server.batches();
    let keys: Vec<_> = batches.iter().map(|(_, body)| lines(body)[0]["idempotency_key"].clone()).collect();
    assert_eq!(keys, [json!(id(0)), json!(id(0))], "an endpoint keeps it once");
    assert_eq!(site.end(), None);
}

#[test]
fn one_batch_in_flight_keeps_the_order_and_one_connection() {
    let site = Site::new(json!({"ack": "queued", "batch_events": 7, "flush_after_ms": 1}));
    for number in 0..300 {
        block_on(site.emit(number)).expect("it is taken");
    }
    assert_eq!(site.end(), None);
    assert_eq!(site.accepted().concat(), (0..300).collect::<Vec<_>>());
    assert!(site.accepted().iter().all(|batch| batch.len() <= 7));
    assert_eq!(site.server.accepted_connections(), 1);
}

/// Waits until so many requests have arrived, none of which is answered.
fn until_hanging<F: Future + Unpin>(site: &Site, calls: F, requests: usize) -> F
where
    F::Output: std::fmt::Debug,
{
    let arrived = site.server.until(LONG, move |seen| seen.len() >= requests);
    match block_on(select(calls, arrived.boxed())) {
        Either::Left((answers, _)) => panic!("answered though the endpoint has not: {answers:?}"),
        Either::Right((arrived, calls)) => {
            assert!(arrived, "{:?}", site.requests());
            calls
        }
    }
}

#[test]
fn several_batches_in_flight() {
    let site = Site::new(json!({"batches_in_flight": 2, "batch_events": 1, "shutdown_ms": 1}));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    // Both are under way though neither is answered; a third is not.
    let calls = futures::future::join_all((0..3).map(|number| site.emit(number)));
    drop(until_hanging(&site, calls, 2));
    assert!(site.end().is_some_and(|error| error.contains("audit events were not accepted")));
}

#[test]
fn delivered_waits_for_the_endpoint() {
    let site = Site::new(json!({"flush_after_ms": 1, "try_timeout_ms": 3_000}));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    let call = until_hanging(&site, site.emit(0).boxed(), 1);
    site.server.set(Endpoint::Audit, Behaviour::Answer);
    block_on(call).expect("it is accepted");
    assert_eq!(site.accepted(), [[0]]);
    assert_eq!(site.end(), None);
}

#[test]
fn queued_does_not_wait_for_the_endpoint() {
    let site = Site::new(json!({"ack": "queued", "flush_after_ms": 1, "shutdown_ms": 1}));
    site.server.set(Endpoint::Audit, Behaviour::Hang);
    assert!(site.emit_all(0..3).iter().all(Result::is_ok));
    assert!(site.end().is_some_and(|error| error.contains("3 audit events were not accepted")));
}
