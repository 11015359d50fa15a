//! A plugin that holds the thread it runs on: who waits for it in which mode, and who does not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_loader::config::{ExecutionMode, Limits};
use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_sdk::error::MiniChatModelPolicyPluginError;
use mini_chat_plugin_sdk::plugin_api::MiniChatModelPolicyPluginClientV1;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::probing::{NAME, Probing, fixture, key, order, poll_once};
use mini_chat_plugin_tests::serving::{self, Way, eventually, patient};
use probe::Action;

/// Of `get_user_limits`; that of the other methods is a minute.
const DEADLINE: Duration = Duration::from_millis(300);

/// How late an answer may be on a busy machine. The plugin holds its thread for twice as long.
const LATE: Duration = Duration::from_secs(5);

/// The other plugin of the same host.
const OTHER: &str = "other";

async fn serve(mode: ExecutionMode) -> Probing {
    let way = Way { loaded: true, mode };
    let fixture = fixture();
    let entries = [NAME, OTHER].map(|name| {
        let mut entry = fixture.entry(name, way);
        // Isolated, the one that holds a thread holds the only one.
        entry.workers = Some(if mode == ExecutionMode::Isolated { 1 } else { 2 });
        entry.limits = Limits { methods: [(Method::GetUserLimits, DEADLINE)].into(), ..patient(DEADLINE) };
        (way, entry)
    });
    let host = fixture.host(entries.into()).await;
    let (policy, audit) = (host.model_policy(NAME), host.audit(NAME));
    Probing { way, host, policy, audit }
}

/// What goes on in the host meanwhile: a task of its own, and calls of the other plugin.
#[derive(Default)]
struct Meanwhile {
    ticks: AtomicU64,
    calls: AtomicU64,
    longest_us: AtomicU64,
    stop: AtomicBool,
}

impl Meanwhile {
    fn start(other: Arc<dyn MiniChatModelPolicyPluginClientV1>) -> Arc<Self> {
        let meanwhile = Arc::new(Self::default());
        let ticking = Arc::clone(&meanwhile);
        tokio::spawn(async move {
            while !ticking.stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                tokio::time::sleep(Duration::from_millis(1)).await;
                ticking.did(&ticking.ticks, start);
            }
        });
        let calling = Arc::clone(&meanwhile);
        tokio::spawn(async move {
            while !calling.stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                let call = other.get_current_policy_version(order(Action::Answer, 0), CancellationToken::new());
                call.await.expect("the other plugin answers");
                calling.did(&calling.calls, start);
                tokio::task::yield_now().await;
            }
        });
        meanwhile
    }

    fn did(&self, what: &AtomicU64, start: Instant) {
        what.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.longest_us.fetch_max(took, Ordering::Relaxed);
    }

    /// Waits until both have got on.
    async fn gets_on(&self) {
        let read = || [&self.ticks, &self.calls].map(|count| count.load(Ordering::Relaxed));
        let (start, before) = (Instant::now(), read());
        while std::iter::zip(read(), before).any(|(now, before)| now < before + 20) {
            assert!(start.elapsed() < LATE, "{before:?} before, {:?} now", read());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends it; the longest that a tick or a call took.
    fn end(&self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }
}

/// A call with a deadline, which it passes. How long it took.
async fn passes_its_deadline(probing: &Probing, action: Action, key: u64) -> Duration {
    let start = Instant::now();
    let call = probing.policy.get_user_limits(order(action, key), 1, CancellationToken::new());
    let error = call.await.expect_err("it passes its deadline");
    let took = start.elapsed();
    let expected = "plugin probe passed the deadline of 300ms for get_user_limits";
    assert!(matches!(&error, MiniChatModelPolicyPluginError::Internal(text) if text == expected), "{error:?}");
    assert!((DEADLINE..LATE).contains(&took), "{took:?}");
    took
}

/// Whether the one thread of the plugin is held now.
async fn is_held(probing: &Probing) -> bool {
    probing.policy.get_user_limits(order(Action::Answer, 0), 1, CancellationToken::new()).await.is_err()
}

/// The plugin's only thread is held for ten seconds.
async fn isolated(action: Action) {
    let probing = serve(ExecutionMode::Isolated).await;
    let meanwhile = Meanwhile::start(probing.host.model_policy(OTHER));
    meanwhile.gets_on().await;
    // A busy machine may not get as far as to begin it within the short deadline.
    let mut tries = 0;
    let (start, key, took) = loop {
        tries += 1;
        let (start, key) = (Instant::now(), key());
        let took = passes_its_deadline(&probing, action, key).await;
        // One call that is late could mean that the thread has no processor.
        let mut held = 0;
        while held < 5 && start.elapsed() < LATE {
            held = if is_held(&probing).await { held + 1 } else { 0 };
        }
        if held == 5 {
            break (start, key, took);
        }
        assert!(tries < 5, "it never held its thread");
    };
    // Who comes now is not even looked at by the plugin.
    let next = passes_its_deadline(&probing, Action::Answer, key).await;
    meanwhile.gets_on().await;
    assert!(is_held(&probing).await, "all this while it held its thread");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let longest = meanwhile.end();
    assert!(longest < LATE, "a task of the host or a call of the other plugin took {longest:?}");
    println!("{action:?}: deadline after {took:?}, the next one after {next:?}; others took {longest:?} at most");
    // It gets its thread back, and serves.
    let end = "begun ended".to_owned();
    let end = if action == Action::BlockInDrop { "begun dropping dropped".to_owned() } else { end };
    assert_eq!(probing.journal(key).await, end);
    assert!(start.elapsed() >= Duration::from_secs(10));
    // Not by the method with the short deadline.
    assert_eq!(probing.tell(Action::Answer, 0, &CancellationToken::new()).await, None);
    assert!(probing.host.shutdown().await.is_clean());
}

#[tokio::test]
async fn isolated_it_sleeps() {
    isolated(Action::Sleep).await;
}

#[tokio::test]
async fn isolated_it_spins() {
    isolated(Action::Spin).await;
}

#[tokio::test]
async fn isolated_it_blocks_in_a_drop() {
    isolated(Action::BlockInDrop).await;
}

/// The log of the process.
fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        tracing::subscriber::set_global_default(log.subscriber()).expect("the only one");
        log
    })
}

/// A thread of the host is held; the watchdog does not wait for its end.
fn adaptive(action: Action) {
    let log = log();
    let probing = block_on(serve(ExecutionMode::Adaptive));
    let mut events = probing.host.events();
    let (token, held, other_held) = (CancellationToken::new(), key(), key());
    let tell = |action, key| block_on(probing.tell(action, key, &CancellationToken::new()));
    assert_eq!(tell(Action::Thread, 0).as_deref(), Some("a thread of the host"));
    let mut pending = probing.policy.get_current_policy_version(order(Action::ThreadLater, 0), token.clone());
    let dropped = order(Action::BlockInDrop, other_held);
    let mut dropped = probing.policy.get_current_policy_version(dropped, token.clone());
    assert!(block_on(poll_once(pending.as_mut())).is_pending());
    assert!(block_on(poll_once(dropped.as_mut())).is_pending());

    let policy = Arc::clone(&probing.policy);
    let start = Instant::now();
    let holding = thread::spawn(move || {
        let mut call = policy.get_current_policy_version(order(action, held), CancellationToken::new());
        // What blocks in its drop is dropped here.
        block_on(async { poll_once(call.as_mut()).await.is_ready() })
    });
    eventually("the watchdog isolates it", || probing.status().isolated);
    let after = start.elapsed();
    let held_still =
        || assert!(!holding.is_finished(), "the thread of the host is free again, after {:?}", start.elapsed());
    held_still();
    println!("{action:?}: isolated after {after:?}");
    eventually("the event is sent", || !events.is_empty());
    match events.try_recv() {
        Ok(HostEvent::ModeChanged { plugin, now: ExecutionMode::Isolated, why }) => {
            assert_eq!(plugin, NAME);
            assert!(why.starts_with("a poll has held a thread of the host for "), "{why}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((probing.status().isolations, probing.status().mode), (1, "adaptive"));
    assert_eq!(serving::status(&probing.host, OTHER).isolations, 0);
    let line = "calls run isolated from now on: a poll has held a thread of the host for ";
    assert!(!log.with(line).is_empty());

    // New calls, pending ones, and the drop of pending ones.
    assert_eq!(tell(Action::Thread, 0).as_deref(), Some(NAME));
    token.cancel();
    match block_on(pending) {
        Err(MiniChatModelPolicyPluginError::Internal(thread)) => assert_eq!(thread, NAME),
        other => panic!("{other:?}"),
    }
    drop(dropped);
    held_still();
    // Seen in the log, not asked by a call: a worker of tokio may take what is spawned at the same instant along with the
    // drop, and keep it until that ends, while the other one sleeps (tokio-rs/tokio#6847).
    let dropping = format!("dropping key={other_held}");
    eventually("the drop has begun", || log.with(&dropping).iter().any(|record| record.text == dropping));
    tell(Action::Release, other_held);
    block_on(probing.noted(other_held, "begun dropping dropped"));
    held_still();

    tell(Action::Release, held);
    let answered = holding.join().expect("nothing panics");
    assert_eq!(answered, action != Action::BlockInDrop);
    assert!(block_on(probing.host.shutdown()).is_clean());
}

#[test]
fn adaptive_it_sleeps() {
    adaptive(Action::Sleep);
}

#[test]
fn adaptive_it_spins() {
    adaptive(Action::Spin);
}

#[test]
fn adaptive_it_blocks_in_a_drop() {
    adaptive(Action::BlockInDrop);
}

/// What `inline` does not promise: the caller waits for the plugin, whatever the deadline.
#[test]
fn inline_it_holds_its_caller() {
    let (probing, key) = (block_on(serve(ExecutionMode::Inline)), key());
    let policy = Arc::clone(&probing.policy);
    let start = Instant::now();
    let holding = thread::spawn(move || {
        block_on(policy.get_user_limits(order(Action::Spin, key), 1, CancellationToken::new())).is_ok()
    });
    while start.elapsed() < DEADLINE * 2 {
        assert!(!holding.is_finished());
        thread::sleep(Duration::from_millis(1));
    }
    block_on(probing.tell(Action::Release, key, &CancellationToken::new()));
    assert!(holding.join().expect("nothing panics"), "it has its answer, late");
    assert_eq!((probing.status().isolated, probing.status().isolations), (false, 0));
    assert!(block_on(probing.host.shutdown()).is_clean());
}

/// Isolated, tokio makes a task yield that is always ready. Inline the plugin's copy of tokio knows of no task: all 10,000
/// messages are received in one poll of the caller's.
#[tokio::test]
async fn a_task_that_is_always_ready() {
    let polls = async |probing: &Probing| -> u64 {
        let told = probing.tell(Action::Receive, 10_000, &CancellationToken::new()).await;
        told.expect("a number").parse().expect("a number")
    };
    let inline = serve(ExecutionMode::Inline).await;
    assert_eq!(polls(&inline).await, 1);
    assert!(inline.host.shutdown().await.is_clean());

    let probing = serve(ExecutionMode::Isolated).await;
    let isolated = polls(&probing).await;
    assert!(isolated > 10, "{isolated} polls");
    let meanwhile = Meanwhile::start(probing.host.model_policy(OTHER));
    let policy = Arc::clone(&probing.policy);
    let order = order(Action::ReceiveForever, 0);
    let forever = tokio::spawn(async move { policy.get_current_policy_version(order, CancellationToken::new()).await });
    eventually_async(async || probing.status().in_flight > 0).await;
    meanwhile.gets_on().await;
    // On the one thread of the plugin, beside the task that is always ready.
    for _ in 0..100 {
        assert_eq!(probing.tell(Action::Answer, 0, &CancellationToken::new()).await, None);
    }
    passes_its_deadline(&probing, Action::ReceiveForever, 0).await;
    meanwhile.gets_on().await;
    let longest = meanwhile.end();
    println!("10,000 messages: {isolated} polls isolated, 1 inline; others took {longest:?} at most");
    assert!(!forever.is_finished());
    forever.abort();
    assert!(forever.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(probing.status().in_flight, 0);
    assert!(probing.host.shutdown().await.is_clean());
}

/// Waits until the condition holds, and lets others get on.
async fn eventually_async(mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
