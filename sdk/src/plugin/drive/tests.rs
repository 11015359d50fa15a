//! A plugin driven through its vtable, as a host does it.

use std::future::poll_fn;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use async_ffi::{ContextExt, FfiContext, FfiFuture};
use mini_chat_plugin_abi::buffer::{FfiBytes, FfiStr, FfiString};
use mini_chat_plugin_abi::call::{FfiCall, FfiCallContext, FfiCallExtension, FfiExecutionMode, FfiReply, FfiToken};
use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServices, HostServicesRef};
use mini_chat_plugin_abi::instance::{FfiCloseReport, FfiInstance, FfiOpenArgs, FfiPurpose};
use mini_chat_plugin_abi::module::PluginModuleRef;
use mini_chat_plugin_abi::records::FfiUserLimits;
use mini_chat_plugin_abi::scalar::FfiUuid;
use mini_chat_plugin_abi::state::FfiStateKind;

use crate::InProcessPlugin;
use crate::plugin::trace::nowhere;
use crate::prelude::*;

mod hooks;
mod spans;

/// What `get_user_limits` does is chosen by the version that it is asked for.
const READY: u64 = 0;
const SLEEP: u64 = 1;
const PANIC: u64 = 2;
const SLEEP_THEN_PANIC: u64 = 3;
const FOREVER: u64 = 4;
const SPAWN_IN_DROP: u64 = 5;

/// Runs of the task that is spawned by a drop.
static SPAWNED_IN_DROP: AtomicU64 = AtomicU64::new(0);
static DROPPED_OUTSIDE: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
struct Tester;

struct SpawnsInDrop;

impl Drop for SpawnsInDrop {
    fn drop(&mut self) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async { SPAWNED_IN_DROP.fetch_add(1, Ordering::SeqCst) })),
            Err(_) => DROPPED_OUTSIDE.store(true, Ordering::SeqCst),
        }
    }
}

#[async_trait]
impl MiniChatModelPolicyPluginClientV1 for Tester {
    async fn get_current_policy_version(
        &self,
        _: Uuid,
        _: CancellationToken,
    ) -> Result<PolicyVersionInfo, MiniChatModelPolicyPluginError> {
        Err(MiniChatModelPolicyPluginError::NotFound)
    }

    async fn get_policy_snapshot(
        &self,
        _: Uuid,
        _: u64,
        _: CancellationToken,
    ) -> Result<PolicySnapshot, MiniChatModelPolicyPluginError> {
        Err(MiniChatModelPolicyPluginError::NotFound)
    }

    async fn get_user_limits(
        &self,
        user_id: Uuid,
        policy_version: u64,
        _: CancellationToken,
    ) -> Result<UserLimits, MiniChatModelPolicyPluginError> {
        let _dropped = (policy_version == SPAWN_IN_DROP).then_some(SpawnsInDrop);
        match policy_version {
            READY => {}
            SLEEP => tokio::time::sleep(Duration::from_millis(5)).await,
            PANIC => panic!("at once"),
            SLEEP_THEN_PANIC => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                panic!("later");
            }
            _ => std::future::pending().await,
        }
        // The thread on which it ran to its end, and the span that this was in, for the test to see.
        let here = i64::from(thread::current().name() == Some("tester"));
        let limits = TierLimits { limit_daily_credits_micro: here, limit_monthly_credits_micro: spans::here() };
        Ok(UserLimits { user_id, policy_version, standard: limits.clone(), premium: limits })
    }

    async fn publish_usage(&self, _: UsageEvent, _: CancellationToken) -> Result<(), PublishError> {
        Ok(())
    }
}

define_plugin! {
    TesterPlugin {
        id: "acme.test._.drive.v1", vendor: "acme", priority: 0, serves: [model_policy], plugin: Tester,
        config: NoConfig, create: |_, _| async { Ok(Tester) },
    }
}

struct NoHost;

impl NoHost {
    staticref! {const TABLE: WithMetadata<HostServices> = WithMetadata::new(HostServices {
        log: Self::log,
        metric: Self::metric,
        fact: Self::fact,
        tracing: nowhere::functions(),
    });}

    extern "C" fn log(_: u64, _: FfiLogLevel, _: FfiStr<'_>, _: FfiStr<'_>) -> FfiServiceStatus {
        FfiServiceStatus::OK
    }

    extern "C" fn metric(_: u64, _: FfiStr<'_>, _: f64, _: FfiStr<'_>) -> FfiServiceStatus {
        FfiServiceStatus::UNSUPPORTED
    }

    extern "C" fn fact(_: u64, _: FfiStr<'_>, _: &mut FfiString) -> FfiServiceStatus {
        FfiServiceStatus::NOT_FOUND
    }
}

type Limits = FfiReply<FfiUserLimits>;

/// A created instance whose workers are threads called `tester`.
struct Driven {
    module: PluginModuleRef,
    handle: FfiInstance,
}

impl Driven {
    fn new() -> Self {
        Self::with(HostServicesRef(NoHost::TABLE.as_prefix()))
    }

    fn with(services: HostServicesRef) -> Self {
        let module = InProcessPlugin::of::<TesterPlugin>().module();
        let handle = module.open()(&FfiOpenArgs {
            name: FfiStr::new("tester"),
            generation: 1,
            purpose: FfiPurpose::SERVE,
            workers: 1,
            config: FfiStr::new("{}"),
            data_dir: FfiStr::new(""),
            host: 1,
            services,
            state: FfiBytes::new(&[]),
            state_kind: FfiStateKind::NONE,
            reserved: 0,
        })
        .into_result()
        .expect("open");
        let this = Self { module, handle };
        let mut out = MaybeUninit::uninit();
        with_no_waker(|cx| {
            cx.with_ffi_context(|waker| {
                this.module.create()(this.handle, &context(FfiExecutionMode::INLINE), waker, &mut out);
            });
        });
        // SAFETY: the slot has written it (rule 5 of `mini_chat_plugin_abi::module`).
        assert!(matches!(unsafe { out.assume_init() }, FfiCall::Ready(FfiReply::ROk(()))), "create");
        this
    }

    fn call(&self, mode: FfiExecutionMode, version: u64) -> FfiCall<FfiUserLimits> {
        self.call_with(&context(mode), version)
    }

    fn call_with(&self, context: &FfiCallContext<'_>, version: u64) -> FfiCall<FfiUserLimits> {
        let table = self.module.model_policy().into_option().expect("the trait is served");
        let mut out = MaybeUninit::uninit();
        with_no_waker(|cx| {
            cx.with_ffi_context(|waker| {
                let user = FfiUuid { bytes: [7; 16] };
                table.get_user_limits()(self.handle, context, user, version, waker, &mut out);
            });
        });
        // SAFETY: the slot has written it (rule 5 of `mini_chat_plugin_abi::module`).
        unsafe { out.assume_init() }
    }

    fn pending(&self, mode: FfiExecutionMode, version: u64) -> FfiFuture<Limits> {
        match self.call(mode, version) {
            FfiCall::Pending(future) => future,
            FfiCall::Ready(reply) => panic!("ready at once: {}", describe(&reply)),
        }
    }

    /// The answer of a call, whether it was there at once or not.
    fn answer(&self, mode: FfiExecutionMode, version: u64) -> Limits {
        match self.call(mode, version) {
            FfiCall::Pending(future) => wait(future),
            FfiCall::Ready(reply) => reply,
        }
    }

    fn in_flight(&self) -> u64 {
        self.module.in_flight()(self.handle)
    }

    fn close(self) -> FfiCloseReport {
        let this = ManuallyDrop::new(self);
        this.module.close()(this.handle, 10_000)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.module.close()(self.handle, 10_000);
    }
}

fn context(mode: FfiExecutionMode) -> FfiCallContext<'static> {
    FfiCallContext {
        deadline_ns: 0,
        call_id: 1,
        attempt: 0,
        mode,
        idempotency_key: FfiStr::new(""),
        traceparent: FfiStr::new(""),
        token: FfiToken::NONE,
        extensions: std::ptr::null(),
    }
}

fn with_no_waker<R>(f: impl FnOnce(&mut Context<'_>) -> R) -> R {
    f(&mut Context::from_waker(Waker::noop()))
}

/// Waits on a runtime without timers: what sleeps must have those of the plugin.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn describe(reply: &Limits) -> String {
    match reply {
        FfiReply::ROk(limits) => format!("version {}", limits.policy_version),
        FfiReply::RErr(error) => format!("{error:?}"),
    }
}

fn error(reply: Limits) -> FfiError {
    match reply {
        FfiReply::RErr(error) => error,
        FfiReply::ROk(_) => panic!("an answer instead of an error"),
    }
}

/// Whether the answer was made on the plugin's own thread.
fn on_plugin_thread(reply: Limits) -> bool {
    match reply {
        FfiReply::ROk(limits) => limits.standard.limit_daily_credits_micro == 1,
        FfiReply::RErr(error) => panic!("{error:?}"),
    }
}

#[test]
fn ready_at_once() {
    let driven = Driven::new();
    match driven.call(FfiExecutionMode::INLINE, READY) {
        FfiCall::Ready(reply) => assert!(!on_plugin_thread(reply)),
        FfiCall::Pending(_) => panic!("a ready call is pending"),
    }
    assert_eq!(driven.in_flight(), 0);
}

#[test]
fn pending_inline_and_isolated() {
    let driven = Driven::new();
    let inline = driven.pending(FfiExecutionMode::INLINE, SLEEP);
    let isolated = driven.pending(FfiExecutionMode::ISOLATED, SLEEP);
    assert_eq!(driven.in_flight(), 2);
    assert!(!on_plugin_thread(wait(inline)));
    assert!(on_plugin_thread(wait(isolated)));
    assert_eq!(driven.in_flight(), 0);
}

#[test]
fn isolated_runs_on_the_plugins_threads_also_when_ready_at_once() {
    let driven = Driven::new();
    assert!(on_plugin_thread(driven.answer(FfiExecutionMode::ISOLATED, READY)));
}

#[test]
fn pending_moves_to_the_runtime_at_its_next_poll() {
    let driven = Driven::new();
    let call = driven.pending(FfiExecutionMode::INLINE, SLEEP);
    driven.module.set_mode()(driven.handle, FfiExecutionMode::ISOLATED);
    assert!(on_plugin_thread(wait(call)));
}

#[test]
fn panics_are_answers() {
    let driven = Driven::new();
    let FfiCall::Ready(at_once) = driven.call(FfiExecutionMode::INLINE, PANIC) else { panic!("pending") };
    for (reply, message) in [
        (at_once, "at once"),
        (driven.answer(FfiExecutionMode::ISOLATED, PANIC), "at once"),
        (wait(driven.pending(FfiExecutionMode::INLINE, SLEEP_THEN_PANIC)), "later"),
        (wait(driven.pending(FfiExecutionMode::ISOLATED, SLEEP_THEN_PANIC)), "later"),
    ] {
        let error = error(reply);
        assert_eq!((error.origin, error.kind), (FfiErrorOrigin::PANIC, FfiErrorKind::INTERNAL));
        assert_eq!(error.message.as_str(), message);
    }
    assert_eq!(driven.in_flight(), 0);
}

#[test]
fn an_unknown_mode_is_refused() {
    let driven = Driven::new();
    let FfiCall::Ready(reply) = driven.call(FfiExecutionMode { value: 77 }, READY) else { panic!("pending") };
    assert_eq!(error(reply).origin, FfiErrorOrigin::UNSUPPORTED);
}

#[test]
fn an_addition_that_must_be_understood_is_refused() {
    let driven = Driven::new();
    let call = |mode, must_understand, version| {
        let last = FfiCallExtension { kind: 78, must_understand, next: std::ptr::null() };
        let first = FfiCallExtension { kind: 77, must_understand: 0, next: &raw const last };
        driven.call_with(&FfiCallContext { extensions: &raw const first, ..context(mode) }, version)
    };
    let passed_over = call(FfiExecutionMode::INLINE, 0, READY);
    assert!(matches!(passed_over, FfiCall::Ready(FfiReply::ROk(_))), "what need not be understood is passed over");
    for mode in [FfiExecutionMode::INLINE, FfiExecutionMode::ISOLATED] {
        // The author's code would panic.
        let FfiCall::Ready(reply) = call(mode, 1, PANIC) else { panic!("it is refused at once") };
        let error = error(reply);
        assert_eq!(error.origin, FfiErrorOrigin::UNSUPPORTED);
        assert!(error.message.as_str().contains("has the addition 78"), "{}", error.message.as_str());
    }
}

#[test]
fn dropping_a_call_drops_the_plugins_future_inside_its_runtime() {
    let driven = Driven::new();
    drop(driven.pending(FfiExecutionMode::INLINE, SPAWN_IN_DROP));
    assert_eq!(driven.in_flight(), 0, "an inline call is gone when its future is");
    let mut isolated = driven.pending(FfiExecutionMode::ISOLATED, SPAWN_IN_DROP);
    with_no_waker(|cx| assert!(std::pin::Pin::new(&mut isolated).poll(cx).is_pending()));
    drop(isolated);
    // Both drops have spawned a task: wait for them, and for the end of the aborted call, on the plugin's runtime.
    let limit = Instant::now() + Duration::from_secs(30);
    while SPAWNED_IN_DROP.load(Ordering::SeqCst) < 2 || driven.in_flight() > 0 {
        assert!(!DROPPED_OUTSIDE.load(Ordering::SeqCst), "dropped outside the plugin's runtime");
        assert!(Instant::now() < limit, "the plugin's futures were not dropped");
        thread::yield_now();
    }
}

#[test]
fn a_call_that_outlives_its_instance_says_that_the_runtime_is_gone() {
    let driven = Driven::new();
    let isolated = driven.pending(FfiExecutionMode::ISOLATED, FOREVER);
    let inline = driven.pending(FfiExecutionMode::INLINE, FOREVER);
    let report = driven.close();
    assert_eq!((report.live_calls, report.runtime_stopped), (2, 1));
    assert_eq!(error(wait(isolated)).origin, FfiErrorOrigin::RUNTIME_GONE);
    drop(inline);
}

#[test]
fn polled_after_its_end_is_an_answer() {
    let driven = Driven::new();
    let mut call = driven.pending(FfiExecutionMode::INLINE, SLEEP);
    assert!(!on_plugin_thread(wait(poll_fn(|cx| std::pin::Pin::new(&mut call).poll(cx)))));
    with_no_waker(|cx| match std::pin::Pin::new(&mut call).poll(cx) {
        Poll::Ready(reply) => assert_eq!(error(reply).origin, FfiErrorOrigin::RUNTIME_GONE),
        Poll::Pending => panic!("pending for ever"),
    });
}
