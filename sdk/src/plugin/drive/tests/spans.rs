//! The caller's span goes where the call goes.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

use mini_chat_plugin_abi::tracing::{FfiTraceCurrent, FfiTraceSite, HostTracing, HostTracingRef};

use super::*;

thread_local! {
    /// The span that this thread is in, as the host knows it; 0: none.
    static HERE: Cell<u64> = const { Cell::new(0) };
}

/// References to [`SPAN`] that were taken and not given back.
static REFERENCES: AtomicI64 = AtomicI64::new(0);

/// The span of the one test here.
const SPAN: u64 = 42;

/// The span that this thread is in.
pub(super) fn here() -> i64 {
    HERE.get().cast_signed()
}

extern "C" fn current_span(_: u64) -> FfiTraceCurrent {
    FfiTraceCurrent { span: HERE.get(), site: FfiTraceSite::NONE }
}

extern "C" fn clone_span(_: u64, span: u64) -> u64 {
    REFERENCES.fetch_add(1, Ordering::SeqCst);
    span
}

extern "C" fn close_span(_: u64, span: u64) -> u32 {
    assert_eq!(span, SPAN);
    REFERENCES.fetch_sub(1, Ordering::SeqCst);
    0
}

extern "C" fn enter(_: u64, span: u64) {
    assert_eq!(HERE.replace(span), 0, "a thread of the plugin is in no span before");
}

extern "C" fn exit(_: u64, span: u64) {
    assert_eq!(HERE.replace(0), span);
}

/// The services of a host whose threads are in the span that [`HERE`] says.
fn services() -> HostServicesRef {
    let nowhere = nowhere::functions();
    let tracing = HostTracing {
        register: nowhere.register(),
        interest: nowhere.interest(),
        enabled: nowhere.enabled(),
        max_level: nowhere.max_level(),
        event: nowhere.event(),
        new_span: nowhere.new_span(),
        record: nowhere.record(),
        follows_from: nowhere.follows_from(),
        enter,
        exit,
        clone_span,
        close_span,
        current_span,
    };
    let tracing = HostTracingRef(Box::leak(Box::new(WithMetadata::new(tracing))).static_as_prefix());
    let services = HostServices { log: NoHost::log, metric: NoHost::metric, fact: NoHost::fact, tracing };
    HostServicesRef(Box::leak(Box::new(WithMetadata::new(services))).static_as_prefix())
}

/// Whether it ran on the plugin's thread, and in which span.
fn place(reply: Limits) -> (bool, i64) {
    match reply {
        FfiReply::ROk(limits) => {
            let FfiUserLimits { standard, .. } = limits;
            (standard.limit_daily_credits_micro == 1, standard.limit_monthly_credits_micro)
        }
        FfiReply::RErr(error) => panic!("{error:?}"),
    }
}

#[test]
fn a_call_takes_the_callers_span_to_the_plugins_thread() {
    let driven = Driven::with(services());
    assert_eq!(place(driven.answer(FfiExecutionMode::ISOLATED, SLEEP)), (true, 0), "there is none");

    HERE.set(SPAN);
    let span = SPAN.cast_signed();
    assert_eq!(place(driven.answer(FfiExecutionMode::INLINE, SLEEP)), (false, span));
    assert_eq!(REFERENCES.load(Ordering::SeqCst), 0, "the thread is in it, there is nothing to do");
    assert_eq!(place(driven.answer(FfiExecutionMode::ISOLATED, READY)), (true, span));
    assert_eq!(place(driven.answer(FfiExecutionMode::ISOLATED, SLEEP)), (true, span));

    let moves = driven.pending(FfiExecutionMode::INLINE, SLEEP);
    driven.module.set_mode()(driven.handle, FfiExecutionMode::ISOLATED);
    assert_eq!(place(wait(moves)), (true, span));
    assert_eq!(HERE.get(), SPAN, "the caller is in it as before");

    drop(driven);
    assert_eq!(REFERENCES.load(Ordering::SeqCst), 0);
}
