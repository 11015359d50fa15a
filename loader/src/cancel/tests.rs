use std::future::{Future, pending};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use abi_stable::std_types::RResult;
use mini_chat_plugin_abi::buffer::{FfiBytes, FfiStr};
use mini_chat_plugin_abi::instance::{FfiOpenArgs, FfiPurpose};
use mini_chat_plugin_abi::state::FfiStateKind;
use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::{InProcessPlugin, define_plugin};
use tokio_util::sync::CancellationToken;

use super::*;

struct Nothing;

#[async_trait]
impl MiniChatAuditPluginClientV1 for Nothing {
    async fn emit_turn_audit(&self, _: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        pending().await
    }
    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        pending().await
    }
    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        pending().await
    }
    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        pending().await
    }
}

define_plugin! {
    Fixture {
        id: "tests.cancel._.nothing.v1", vendor: "tests", priority: 0,
        serves: [audit], plugin: Nothing, config: NoConfig, create: |_context, _config| async { Ok(Nothing) },
    }
}

/// A bridge to an instance that is open, closed with it.
struct Bridged(Bridge);

impl Bridged {
    fn new(limit: usize) -> Self {
        let module = InProcessPlugin::of::<Fixture>().module();
        let args = FfiOpenArgs {
            name: FfiStr::new("tests"),
            generation: 1,
            purpose: FfiPurpose::SERVE,
            workers: 1,
            config: FfiStr::new("{}"),
            data_dir: FfiStr::new(""),
            host: 0,
            services: crate::services::services(),
            state: FfiBytes::new(&[]),
            state_kind: FfiStateKind::NONE,
            reserved: 0,
        };
        match module.open()(&args) {
            RResult::ROk(instance) => Self(Bridge::new(Source { module, instance }, limit)),
            RResult::RErr(error) => panic!("{}", error.message.as_str()),
        }
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        // Mirrors may be freed after it.
        self.0.source.module.close()(self.0.source.instance, 1_000);
    }
}

/// The plugin's token behind a link, as a call in the plugin would hold it.
fn seen(link: &Link) -> CancellationToken {
    // SAFETY: the plugin is linked into this program, so its handle is a `Box<CancellationToken>` of this tokio-util; the
    // link keeps it alive.
    unsafe { &*link.mirror().token().ptr.cast::<CancellationToken>() }.clone()
}

#[test]
fn one_link_per_token() {
    let bridged = Bridged::new(10);
    let (one, two) = (CancellationToken::new(), CancellationToken::new());
    let link = bridged.0.link(&one);
    assert!(Arc::ptr_eq(&link, &bridged.0.link(&one.clone())), "clones are the same token");
    assert!(!Arc::ptr_eq(&link, &bridged.0.link(&two)));
    assert!(Arc::ptr_eq(&link, &bridged.0.link(&one)), "found again after another was used");
    assert!(!Arc::ptr_eq(&link, &bridged.0.link(&one.child_token())), "a child is a token of its own");
    assert_eq!((bridged.0.kept(), bridged.0.evicted()), (3, 0));
}

#[test]
fn cancelled_from_the_thread_that_cancels() {
    let bridged = Bridged::new(10);
    let (parent, other) = (CancellationToken::new(), CancellationToken::new());
    let (child, unrelated) = (bridged.0.link(&parent.child_token()), bridged.0.link(&other));
    assert!(!seen(&child).is_cancelled());
    parent.cancel();
    assert!(seen(&child).is_cancelled());
    assert!(!seen(&unrelated).is_cancelled());
    assert!(seen(&bridged.0.link(&parent)).is_cancelled(), "a token cancelled before it is linked");
}

#[test]
fn the_least_recently_used_is_dropped() {
    let bridged = Bridged::new(3);
    let tokens: Vec<_> = (0..4).map(|_| CancellationToken::new()).collect();
    let mirrors: Vec<_> = tokens[..3].iter().map(|token| seen(&bridged.0.link(token))).collect();
    // Used again, so the second is the oldest.
    bridged.0.link(&tokens[0]);
    bridged.0.link(&tokens[3]);
    assert_eq!((bridged.0.kept(), bridged.0.evicted()), (3, 1));
    tokens.iter().for_each(CancellationToken::cancel);
    assert_eq!(mirrors.iter().map(CancellationToken::is_cancelled).collect::<Vec<_>>(), [true, false, true]);
    // What lost its link still hears the end of the instance.
    bridged.0.source.module.retire()(bridged.0.source.instance);
    assert!(mirrors[1].is_cancelled());
}

#[test]
fn a_link_in_use_is_not_dropped() {
    let bridged = Bridged::new(2);
    let token = CancellationToken::new();
    let in_use = bridged.0.link(&token);
    for _ in 0..100 {
        bridged.0.link(&CancellationToken::new());
    }
    assert!(Arc::ptr_eq(&in_use, &bridged.0.link(&token)));
    token.cancel();
    assert!(seen(&in_use).is_cancelled());
    // More in use than may be kept: all of them stay.
    let held: Vec<_> = (0..50).map(|_| bridged.0.link(&CancellationToken::new())).collect();
    assert!(bridged.0.kept() >= held.len());
    drop(held);
    for _ in 0..50 {
        bridged.0.link(&CancellationToken::new());
    }
    assert!(bridged.0.kept() <= 2 + 1, "{} are kept after they were let go", bridged.0.kept());
}

/// Nothing keeps a token or its link alive once both sides have let go.
#[test]
fn links_and_tokens_form_no_cycle() {
    let bridged = Bridged::new(1);
    let token = CancellationToken::new();
    let link = bridged.0.link(&token);
    let mirror = Arc::downgrade(&link.mirror);
    bridged.0.link(&CancellationToken::new());
    drop((link, token));
    bridged.0.link(&CancellationToken::new());
    bridged.0.link(&CancellationToken::new());
    assert!(mirror.upgrade().is_none());
}

#[test]
fn threads_that_link_the_same_token_get_one_link() {
    let bridged = Bridged::new(10_000);
    let barrier = Barrier::new(4);
    let tokens: Vec<_> = (0..500).map(|_| CancellationToken::new()).collect();
    let links: Vec<Vec<_>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    tokens
                        .iter()
                        .map(|token| {
                            barrier.wait();
                            bridged.0.link(token)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (place, token) in tokens.iter().enumerate() {
        assert!(links.iter().all(|of_thread| Arc::ptr_eq(&of_thread[place], &links[0][place])));
        token.cancel();
        assert!(seen(&links[0][place]).is_cancelled());
    }
    assert_eq!(bridged.0.kept(), tokens.len());
}

/// Wakes into code that uses bridge and tokens, as code of a host that waits for the same token may.
struct Nosy {
    bridge: Arc<Bridged>,
    parent: CancellationToken,
    woken: AtomicU64,
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        assert!(self.parent.is_cancelled());
        self.parent.cancel();
        drop(self.parent.child_token());
        // Its mirror may be cancelled after this waker: `cancel()` has not returned yet.
        self.bridge.0.link(&self.parent);
        for _ in 0..4 {
            self.bridge.0.link(&CancellationToken::new());
        }
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs `work` on a thread of its own, so that a deadlock is a failure and not a test that hangs.
fn without_deadlock(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("a deadlock, or a panic");
}

#[test]
fn what_cancel_wakes_may_use_bridge_and_tokens() {
    without_deadlock(|| {
        let bridge = Arc::new(Bridged::new(2));
        let parent = CancellationToken::new();
        let child = parent.child_token();
        let links = [bridge.0.link(&parent), bridge.0.link(&child)];
        let nosy = Arc::new(Nosy { bridge: Arc::clone(&bridge), parent: parent.clone(), woken: AtomicU64::new(0) });
        let waker = Waker::from(Arc::clone(&nosy));
        // One waits at the host's token, one at the plugin's: woken from inside its cancellation.
        let mut waits = [
            Box::pin(child.clone().cancelled_owned()),
            Box::pin(seen(&links[0]).cancelled_owned()),
            Box::pin(seen(&links[1]).cancelled_owned()),
        ];
        for wait in &mut waits {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        parent.cancel();
        assert_eq!(nosy.woken.load(Ordering::SeqCst), 3);
        assert!(links.iter().all(|link| seen(link).is_cancelled()));
    });
}

#[test]
fn linking_cancelling_and_dropping_at_once_ends() {
    without_deadlock(|| {
        let bridged = Bridged::new(4);
        let until = Instant::now() + Duration::from_millis(300);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while Instant::now() < until {
                        let parent = CancellationToken::new();
                        let children: Vec<_> = (0..6).map(|_| parent.child_token()).collect();
                        thread::scope(|inner| {
                            inner.spawn(|| parent.cancel());
                            for child in &children {
                                let link = bridged.0.link(child);
                                let mirror = seen(&link);
                                drop(link);
                                // Evicted before it was cancelled, it is not told; that is what a link is kept for.
                                let _ = mirror.is_cancelled();
                            }
                        });
                        assert!(seen(&bridged.0.link(&children[0])).is_cancelled());
                    }
                });
            }
        });
    });
}

#[test]
fn calls_one_after_the_other_have_one_mirror_and_none_is_left_behind() {
    let bridged = Bridged::new(2);
    let (recent, host, other) = (Recent::default(), CancellationToken::new(), CancellationToken::new());
    let mirror_of = |token: &CancellationToken| Cancellation::new(&bridged.0, &recent, token).mirror();
    let first = mirror_of(&host);
    assert_eq!(mirror_of(&host), first);
    // Another token has another one, and the first is found in the table again.
    assert_ne!(mirror_of(&other), first);
    assert_eq!(mirror_of(&host), first);
    // A call inside of a call finds the place empty.
    let outer = Cancellation::new(&bridged.0, &recent, &host);
    assert_eq!(mirror_of(&host), first);
    assert_ne!(mirror_of(&other), first);
    assert_eq!(outer.mirror(), first);
    drop(outer);
    let link = bridged.0.link(&host);
    drop(recent);
    // The table and this test.
    assert_eq!(Arc::strong_count(&link), 2);
}

#[test]
fn a_call_that_ends_on_another_thread_leaves_its_link_there() {
    let bridged = Bridged::new(2);
    let (recent, host) = (Recent::default(), CancellationToken::new());
    let call = Cancellation::new(&bridged.0, &recent, &host);
    let mirror = call.mirror();
    thread::scope(|scope| {
        scope.spawn(|| drop(call)).join().unwrap();
    });
    assert_eq!(Cancellation::new(&bridged.0, &recent, &host).mirror(), mirror);
    host.cancel();
    assert!(seen(&bridged.0.link(&host)).is_cancelled());
}
