//! A call's life as its caller and the plugin see it: the same for a plugin that is linked, or loaded in any mode.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_loader::CallOptions;
use mini_chat_plugin_sdk::error::MiniChatModelPolicyPluginError;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::probing::{Probing, key, order, poll_once, turn};
use mini_chat_plugin_tests::serving::{Way, patient};
use probe::Action;

/// Long: nothing here is to end by it.
const GRACE: Duration = Duration::from_secs(60);

/// Runs a test body once per way.
fn in_each_way(body: impl AsyncFn(&Probing)) {
    for way in Way::ALL {
        println!("{}", way.name());
        block_on(async {
            let probing = Probing::serve(way, patient(GRACE)).await;
            body(&probing).await;
            let report = probing.host.shutdown().await;
            assert!(report.is_clean(), "{report:?}");
        });
    }
}

/// Its answer, not the next timer, wakes the caller.
#[test]
fn a_call_ends_when_the_plugin_has_answered() {
    // Building the plugin is not what is limited here.
    let _ = plugins::built("probe-plugin");
    let start = Instant::now();
    in_each_way(async |probing| probing.still_serves().await);
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
}

#[test]
fn dropped_before_its_first_poll_the_plugin_has_seen_nothing() {
    in_each_way(async |probing| {
        let (key, token) = (key(), CancellationToken::new());
        let before = probing.status().calls;
        drop(probing.policy.get_user_limits(order(Action::Never, key), 1, token.clone()));
        drop(probing.audit.emit_turn_audit(turn(order(Action::Never, key))));
        assert_eq!(probing.status().calls, before);
        assert_eq!(probing.status().linked_tokens, 0);
        assert_eq!(probing.journal(key).await, "");
    });
}

#[test]
fn dropped_while_pending_the_plugins_future_is_dropped() {
    in_each_way(async |probing| {
        let (key, token) = (key(), CancellationToken::new());
        let mut call = probing.policy.get_user_limits(order(Action::Never, key), 1, token.clone());
        assert!(poll_once(call.as_mut()).await.is_pending());
        assert_eq!(probing.status().in_flight, 1);
        probing.noted(key, "begun").await;
        drop(call);
        assert_eq!(probing.status().in_flight, 0);
        if probing.status().isolated {
            probing.noted(key, "begun dropped").await;
        } else {
            assert_eq!(probing.journal(key).await, "begun dropped", "inline it is gone when the call is");
        }
        assert!(!token.is_cancelled(), "others share the token");
    });
}

#[test]
fn cancelled_before_the_call_the_first_line_sees_it() {
    in_each_way(async |probing| {
        let token = CancellationToken::new();
        assert_eq!(probing.tell(Action::IsCancelled, 0, &token).await.as_deref(), Some("false"));
        token.cancel();
        assert_eq!(probing.tell(Action::IsCancelled, 0, &token).await.as_deref(), Some("true"));
        let cancelled_when_new = CancellationToken::new();
        cancelled_when_new.cancel();
        assert_eq!(probing.tell(Action::IsCancelled, 0, &cancelled_when_new).await.as_deref(), Some("true"));
        let child = token.child_token();
        assert_eq!(probing.tell(Action::IsCancelled, 0, &child).await.as_deref(), Some("true"));
    });
}

#[test]
fn cancelled_while_pending_the_plugin_sees_it_at_once() {
    in_each_way(async |probing| {
        let (key, parent) = (key(), CancellationToken::new());
        let token = parent.child_token();
        let mut call = probing.policy.get_user_limits(order(Action::UntilCancelled, key), 1, token.clone());
        assert!(poll_once(call.as_mut()).await.is_pending());
        assert_eq!(probing.tell(Action::Keep, key, &token).await, None);
        let other = CancellationToken::new();
        assert_eq!(probing.tell(Action::IsKeptCancelled, key, &other).await.as_deref(), Some("false"));
        parent.cancel();
        // Nobody has polled the pending call since.
        assert_eq!(probing.tell(Action::IsKeptCancelled, key, &other).await.as_deref(), Some("true"));
        match call.await {
            Err(MiniChatModelPolicyPluginError::Internal(text)) => assert_eq!(text, "cancelled"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_task_that_the_plugin_left_behind_hears_a_later_cancellation() {
    in_each_way(async |probing| {
        let (key, token) = (key(), CancellationToken::new());
        assert_eq!(probing.tell(Action::Detach, key, &token).await, None);
        assert_eq!(probing.journal(key).await, "");
        token.cancel();
        probing.noted(key, "heard").await;
    });
}

#[test]
fn the_plugin_knows_what_the_caller_said_of_the_call() {
    in_each_way(async |probing| {
        let options = CallOptions::new().attempt(3).idempotency_key("key-é").traceparent("00-aa-bb-01");
        let told = options.scope(probing.tell(Action::CallInfo, 0, &CancellationToken::new())).await.unwrap();
        let [first, later] = lines(&told);
        assert_eq!(first[0], "deadline=true");
        assert_eq!(first[3..], ["attempt=3", "key=key-é", "traceparent=00-aa-bb-01"]);
        let remaining: u64 = first[1].strip_prefix("remaining_s=").unwrap().parse().unwrap();
        assert!((1..=60).contains(&remaining), "{remaining} s of a minute");
        assert_eq!((&first[2..], first[0]), (&later[2..], later[0]), "after a pause it is told the same");

        let told = probing.tell(Action::CallInfo, 0, &CancellationToken::new()).await.unwrap();
        let [unsaid, _] = lines(&told);
        assert_eq!(unsaid[3..], ["attempt=none", "key=none", "traceparent=none"]);
        assert_ne!(unsaid[2], first[2], "each call has a number of its own");
    });
}

fn lines(told: &str) -> [Vec<&str>; 2] {
    let (first, later) = told.split_once('\n').expect("two lines");
    [first.split(' ').collect(), later.split(' ').collect()]
}

/// Timers, tasks, blocking tasks and sockets, whatever the host's executor.
async fn uses_tokio(way: Way) {
    let probing = Probing::serve(way, patient(GRACE)).await;
    let told = probing.tell(Action::UseTokio, 0, &CancellationToken::new()).await;
    assert_eq!(told, None, "{}", way.name());
    assert!(probing.publish(Action::UseTokio, 0).await.is_ok());
    assert!(probing.audit_errors(Action::UseTokio, 0).await.is_empty());
    probing.host.shutdown().await;
}

#[test]
fn plugins_use_tokio_under_another_executor() {
    Way::ALL.into_iter().for_each(|way| block_on(uses_tokio(way)));
}

#[tokio::test]
async fn plugins_use_tokio_under_a_current_thread_runtime() {
    for way in Way::ALL {
        uses_tokio(way).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_use_tokio_under_a_multi_thread_runtime() {
    let hosts = Way::ALL.map(|way| tokio::spawn(uses_tokio(way)));
    for host in hosts {
        host.await.unwrap();
    }
}
