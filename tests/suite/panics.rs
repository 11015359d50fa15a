//! The table of docs/panics.md, row by row: whatever panics, the caller gets its answer, the host's log the message and the
//! place, and the next call succeeds. What a panic in a poll is in the terms of each method: `faults`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::ExecutionMode;
use mini_chat_plugin_sdk::error::MiniChatModelPolicyPluginError;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::probing::{NAME, Probing, fixture, key, order, poll_once};
use mini_chat_plugin_tests::serving::{Way, eventually, patient};
use probe::Action;

const MODES: [ExecutionMode; 3] = [ExecutionMode::Inline, ExecutionMode::Isolated, ExecutionMode::Adaptive];

/// Where the plugin's panics are.
const SOURCE: &str = "tests/fixtures/plugins/probe/src/";

/// The log of the process.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.subscriber()).expect("the only one");
        log
    })
}

/// How often this message stands in the log, with its place in the plugin's source.
fn logged(message: &str) -> usize {
    let place = format!("panicked at {SOURCE}");
    let is_its_own = |text: &str| text.starts_with("plugin code (image ") && text.contains(&place);
    log().with(message).iter().filter(|record| is_its_own(&record.text)).count()
}

/// Runs a test body once per mode with a loaded plugin, which serves on afterwards, and ends well.
fn in_each_mode(body: impl AsyncFn(&Probing)) {
    log();
    for mode in MODES {
        println!("{}", mode.name());
        block_on(async {
            let way = Way { loaded: true, mode };
            let probing = Probing::serve(way, patient(Duration::from_secs(60))).await;
            body(&probing).await;
            probing.still_serves().await;
            let report = probing.host.shutdown().await;
            assert!(report.is_clean(), "{report:?}");
        });
    }
}

/// What a call that panics answers.
async fn fails(probing: &Probing, action: Action) -> String {
    match probing.policy.get_user_limits(order(action, 0), 1, CancellationToken::new()).await {
        Err(MiniChatModelPolicyPluginError::Internal(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// A host whose plugin panics in that step.
async fn panics_in(step: &str) -> PluginHost {
    log();
    let (fixture, directory) = (fixture(), plugins::directory());
    plugins::drop_in(directory.path(), &plugins::built(fixture.package), "libfixture.so");
    let entry = fixture.entry(NAME, Way { loaded: true, mode: ExecutionMode::Adaptive });
    let entry = entry.with_config(serde_json::json!({ "panic_in": step })).expect("a configuration");
    PluginHost::builder()
        .identity("tests", "1")
        .plugins(directory.path())
        .plugin(entry)
        .build()
        .await
        .expect("it starts")
}

/// It does not serve, for this reason.
async fn refused(step: &str, message: &str) {
    let before = logged(message);
    let host = panics_in(step).await;
    let status = host.status().plugins.remove(0);
    let (_, why) = status.reason.expect("nothing serves");
    assert!(why.contains(message) && why.contains(SOURCE), "{why}");
    // Other tests of this process provoke the same.
    assert!(logged(message) > before);
    // The host is well: a plugin without that configuration serves.
    assert!(host.shutdown().await.is_clean());
}

#[test]
fn in_the_constructor() {
    block_on(refused("create", "a panic in Create"));
}

#[test]
fn in_the_health_check() {
    block_on(refused("health", "a panic in Health"));
}

#[test]
fn in_the_shutdown_hook() {
    block_on(async {
        let host = panics_in("shutdown").await;
        let policy = host.model_policy(NAME);
        assert!(policy.get_user_limits(order(Action::Answer, 0), 1, CancellationToken::new()).await.is_ok());
        let ended = host.shutdown().await.plugins.remove(0);
        let error = ended.shutdown_error.expect("the hook panicked");
        assert!(error.contains("a panic in Shutdown") && error.contains(SOURCE), "{error}");
        assert_eq!(logged("a panic in Shutdown"), 1);
        assert_eq!(ended.runtime_stopped, Some(true));
    });
}

#[test]
fn at_the_first_poll() {
    in_each_mode(async |probing| {
        let (message, before) = ("a panic at the first poll", logged("a panic at the first poll"));
        let text = fails(probing, Action::PanicFirst).await;
        assert!(text.starts_with("plugin probe panicked in get_user_limits at ") && text.ends_with(message), "{text}");
        assert!(text.contains(SOURCE), "{text}");
        assert_eq!(logged(message), before + 1);
    });
}

#[test]
fn at_a_later_poll() {
    in_each_mode(async |probing| {
        let (message, before) = ("a panic at the second poll", logged("a panic at the second poll"));
        let text = fails(probing, Action::PanicLater).await;
        assert!(text.starts_with("plugin probe panicked in get_user_limits at ") && text.ends_with(message), "{text}");
        assert!(text.contains(SOURCE), "{text}");
        assert_eq!(logged(message), before + 1);
    });
}

#[test]
fn with_a_value_whose_drop_panics() {
    in_each_mode(async |probing| {
        let before = logged("a panic in the drop of a payload");
        let text = fails(probing, Action::PanicWithBomb).await;
        assert!(text.contains(SOURCE) && text.ends_with("a value that is not text"), "{text}");
        assert_eq!(logged("a panic in the drop of a payload"), before + 1);
    });
}

#[test]
fn in_the_drop_of_a_future() {
    in_each_mode(async |probing| {
        let (key, before) = (key(), logged("a panic in drop"));
        let mut call = probing.policy.get_user_limits(order(Action::PanicInDrop, key), 1, CancellationToken::new());
        assert!(poll_once(call.as_mut()).await.is_pending());
        probing.noted(key, "begun").await;
        drop(call);
        eventually("it is logged", || logged("a panic in drop") == before + 1);
    });
}

#[test]
fn in_a_task() {
    in_each_mode(async |probing| {
        let before = logged("a panic in a task");
        assert_eq!(probing.tell(Action::PanicInTask, 0, &CancellationToken::new()).await, None);
        eventually("it is logged", || logged("a panic in a task") == before + 1);
    });
}

/// The plugin's waker is run by the host's `cancel()`.
#[test]
fn in_a_waker_of_the_plugin() {
    in_each_mode(async |probing| {
        let (key, token, before) = (key(), CancellationToken::new(), logged("a panic in a waker"));
        assert_eq!(probing.tell(Action::PanicInWaker, key, &token).await, None);
        token.cancel();
        assert_eq!(probing.journal(key).await, "woken");
        assert_eq!(logged("a panic in a waker"), before + 1);
        assert_eq!(probing.tell(Action::IsCancelled, key, &token).await.as_deref(), Some("true"));
    });
}

/// Panics whenever it is woken.
#[derive(Default)]
struct PanicsWhenWoken(AtomicUsize);

impl Wake for PanicsWhenWoken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a panic in a waker of the host");
    }
}

/// The host's waker is run by the plugin's timer, and by the loader's at the deadline.
#[test]
fn in_a_waker_of_the_host() {
    in_each_mode(async |probing| {
        let before = log().with("the waker of a call panicked: a panic in a waker of the host").len();
        let panics = Arc::new(PanicsWhenWoken::default());
        let waker = Waker::from(Arc::clone(&panics));
        let mut cx = Context::from_waker(&waker);
        let mut call = probing.policy.get_current_policy_version(order(Action::CallInfo, 0), CancellationToken::new());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        eventually("the plugin wakes the caller", || panics.0.load(Ordering::SeqCst) > 0);
        // The answer is there, for a caller that comes back all the same.
        eventually("it has answered", || matches!(call.as_mut().poll(&mut cx), Poll::Ready(Err(_))));
        let logged = || log().with("the waker of a call panicked: a panic in a waker of the host").len();
        eventually("it is logged", || logged() > before);
    });
}

/// Each row of the table names its test, and each test of this file stands in the table.
#[test]
fn every_row_of_the_table_is_a_test() {
    let page = include_str!("../../docs/panics.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains("::"));
    let mut named: Vec<&str> = rows
        .map(|row| row.rsplit('`').nth(1).and_then(|name| name.strip_prefix("panics::")).expect("a row names its test"))
        .collect();
    let source = include_str!("panics.rs");
    let mut tests: Vec<&str> = source
        .split("#[test]\nfn ")
        .skip(1)
        .filter_map(|rest| rest.split_once('(').map(|(name, _)| name))
        .filter(|name| *name != "every_row_of_the_table_is_a_test")
        .collect();
    named.sort_unstable();
    tests.sort_unstable();
    assert_eq!(named, tests);
    assert!(tests.len() > 9, "{tests:?}");
}
