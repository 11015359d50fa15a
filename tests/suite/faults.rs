//! What goes wrong at the boundary, in the terms of each trait: panics, deadlines, cancellation that is ignored, nothing
//! that serves. The plugin serves on.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, Limits};
use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::{Probing, key, order, poll_once, turn, usage};
use mini_chat_plugin_tests::serving::{Way, patient};
use probe::Action;

const SHORT: Duration = Duration::from_millis(100);

fn in_each_way(limits: &Limits, body: impl AsyncFn(&Probing)) {
    for way in Way::ALL {
        println!("{}", way.name());
        block_on(async {
            let probing = Probing::serve(way, limits.clone()).await;
            body(&probing).await;
            let report = probing.host.shutdown().await;
            assert!(report.is_clean(), "{report:?}");
        });
    }
}

/// Time enough for an isolated call to begin, also on a busy machine.
const TO_BEGIN: Duration = Duration::from_secs(2);

/// Patient, but for the methods that are to pass their deadline. `get_current_policy_version` gives the other orders.
fn hasty() -> Limits {
    let methods = Method::ALL.into_iter().filter(|method| *method != Method::GetCurrentPolicyVersion);
    let mut methods = BTreeMap::from_iter(methods.map(|method| (method, SHORT)));
    methods.insert(Method::GetUserLimits, TO_BEGIN);
    Limits { methods, ..patient(SHORT) }
}

/// The policy methods' errors are `Internal`, with this text for each method.
fn internal(errors: Vec<(&'static str, MiniChatModelPolicyPluginError)>, count: usize, text: impl Fn(&str) -> String) {
    assert_eq!(errors.len(), count);
    for (method, error) in errors {
        match error {
            MiniChatModelPolicyPluginError::Internal(found) => starts(&found, &text(method)),
            other => panic!("{method}: {other:?}"),
        }
    }
}

fn transient(error: Result<(), PublishError>, text: &str) {
    match error {
        Err(PublishError::Transient(found)) => starts(&found, text),
        other => panic!("{other:?}"),
    }
}

fn transient_audits(errors: Vec<(&'static str, MiniChatAuditPluginError)>, text: impl Fn(&str) -> String) {
    assert_eq!(errors.len(), 4);
    for (method, error) in errors {
        match error {
            MiniChatAuditPluginError::Transient(found) => starts(&found, &text(method)),
            other => panic!("{method}: {other:?}"),
        }
    }
}

fn starts(found: &str, expected: &str) {
    assert!(found.starts_with(expected), "expected `{expected}`…, found `{found}`");
}

#[test]
fn a_panic_in_a_poll() {
    in_each_way(&patient(SHORT), async |probing| {
        for (action, message) in
            [(Action::PanicFirst, "a panic at the first poll"), (Action::PanicLater, "a panic at the second poll")]
        {
            // A loaded plugin has a panic hook of its own, which knows the place.
            let place = if probing.way.loaded { " at tests/fixtures/plugins/probe/src/actions.rs:" } else { ": " };
            let text = |method: &str| format!("plugin probe panicked in {method}{place}");
            let errors = probing.policy_errors(action, 0).await;
            assert!(errors.iter().all(|(_, error)| error.to_string().ends_with(message)), "{errors:?}");
            internal(errors, 4, text);
            transient(probing.publish(action, 0).await, &text("publish_usage"));
            transient_audits(probing.audit_errors(action, 0).await, text);
            probing.still_serves().await;
        }
        assert_eq!(probing.status().failures, 18);
    });
}

#[test]
fn a_panic_in_a_drop() {
    in_each_way(&patient(SHORT), async |probing| {
        let (first, second) = (key(), key());
        let token = CancellationToken::new();
        let mut policy = probing.policy.check_user_license(order(Action::PanicInDrop, first), token);
        let mut audit = probing.audit.emit_turn_audit(turn(order(Action::PanicInDrop, second)));
        assert!(poll_once(policy.as_mut()).await.is_pending());
        assert!(poll_once(audit.as_mut()).await.is_pending());
        probing.noted(first, "begun").await;
        probing.noted(second, "begun").await;
        drop((policy, audit));
        probing.noted(first, "begun dropped").await;
        probing.noted(second, "begun dropped").await;
        probing.still_serves().await;
    });
}

#[test]
fn a_deadline_that_passes() {
    in_each_way(&hasty(), async |probing| {
        let (key, token) = (key(), CancellationToken::new());
        assert_eq!(probing.tell(Action::Keep, key, &token).await, None);
        let text = |method: &str| format!("plugin probe passed the deadline of 100ms for {method}");
        let call = probing.policy.get_user_limits(order(Action::Never, key), 1, token.clone());
        let text_of_limits = |method: &str| format!("plugin probe passed the deadline of {TO_BEGIN:?} for {method}");
        internal(vec![("get_user_limits", call.await.unwrap_err())], 1, text_of_limits);
        probing.noted(key, "begun dropped").await;
        let call = probing.policy.get_policy_snapshot(order(Action::Never, key), 1, token.clone());
        internal(vec![("get_policy_snapshot", call.await.unwrap_err())], 1, text);
        let call = probing.policy.check_user_license(order(Action::Never, key), token.clone());
        internal(vec![("check_user_license", call.await.unwrap_err())], 1, text);
        transient(probing.publish(Action::Never, key).await, &text("publish_usage"));
        let audits = probing.audit_errors(Action::Never, key).await;
        assert_eq!(audits.len(), 4);
        assert!(audits.iter().all(|(_, error)| matches!(error, MiniChatAuditPluginError::PluginTimeout)), "{audits:?}");
        // Others share the token.
        assert!(!token.is_cancelled());
        assert_eq!(probing.tell(Action::IsKeptCancelled, key, &token).await.as_deref(), Some("false"));
        assert_eq!(probing.tell(Action::Answer, key, &token).await, None);
    });
}

#[test]
fn cancellation_that_is_ignored() {
    in_each_way(&patient(SHORT), async |probing| {
        let key = key();
        let text = |method: &str| format!("plugin probe did not end {method} within 100ms after it was cancelled");
        let token = CancellationToken::new();
        let mut query = probing.policy.get_user_limits(order(Action::Never, key), 1, token.clone());
        let mut publish = probing.policy.publish_usage(usage(order(Action::Never, key)), token.clone());
        assert!(poll_once(query.as_mut()).await.is_pending());
        assert!(poll_once(publish.as_mut()).await.is_pending());
        token.cancel();
        internal(vec![("get_user_limits", query.await.unwrap_err())], 1, text);
        transient(publish.await, &text("publish_usage"));
        // Cancelled before: the grace period begins with the call.
        let call = probing.policy.get_user_limits(order(Action::Never, key), 1, token.clone());
        internal(vec![("get_user_limits", call.await.unwrap_err())], 1, text);
        probing.still_serves().await;
    });
}

/// On its own runtime a plugin may hold a thread: the caller gets its answer all the same.
#[test]
fn a_deadline_passes_while_the_plugin_holds_its_thread() {
    for loaded in [false, true] {
        block_on(async {
            let way = Way { loaded, mode: ExecutionMode::Isolated };
            let (probing, key, token) = (Probing::serve(way, hasty()).await, key(), CancellationToken::new());
            let call = probing.policy.get_user_limits(order(Action::Block, key), 1, token.clone()).await;
            let text = |method: &str| format!("plugin probe passed the deadline of {TO_BEGIN:?} for {method}");
            internal(vec![("get_user_limits", call.unwrap_err())], 1, text);
            assert_eq!(probing.journal(key).await, "", "it still holds its thread");
            assert_eq!(probing.tell(Action::Release, key, &token).await, None);
            probing.noted(key, "released").await;
            assert!(probing.host.shutdown().await.is_clean());
        });
    }
}

#[test]
fn nothing_serves() {
    in_each_way(&patient(SHORT), async |probing| {
        let mut pending = probing.policy.get_user_limits(order(Action::UntilCancelled, 0), 1, CancellationToken::new());
        probing.host.shutdown().await;
        let text = |_: &str| "plugin probe is not serving: the host has been shut down".to_owned();
        internal(probing.policy_errors(Action::Answer, 0).await, 4, text);
        transient(probing.publish(Action::Answer, 0).await, &text(""));
        transient_audits(probing.audit_errors(Action::Answer, 0).await, text);
        match poll_once(pending.as_mut()).await {
            std::task::Poll::Ready(Err(error)) => internal(vec![("", error)], 1, text),
            other => panic!("a call that began after the end: {other:?}"),
        }
        let unknown = probing.host.audit("no.such").emit_turn_audit(turn(order(Action::Answer, 0))).await;
        match unknown {
            Err(MiniChatAuditPluginError::Transient(text)) => starts(&text, "plugin no.such is not serving: "),
            other => panic!("{other:?}"),
        }
    });
}
