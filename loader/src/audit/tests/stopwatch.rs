//! Whose time it is.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::world::Time;
use crate::audit::stopwatch::Stopwatch;

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn a_caller_that_does_not_come_is_not_the_plugins_time() {
    let time = Time::default();
    let mut stopwatch = Stopwatch::new(time.clock());
    let mut waker: Option<Waker> = None;
    let mut done = false;
    let plugin_time = time.clone();
    let mut plugin = poll_fn(|cx| {
        plugin_time.pass(S(1));
        waker = Some(cx.waker().clone());
        if std::mem::replace(&mut done, true) { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut cx = Context::from_waker(Waker::noop());
    // In its poll: its own.
    assert!(stopwatch.poll(Pin::new(&mut plugin), &mut cx).is_pending());
    assert_eq!(stopwatch.spent(), S(1));
    // Waited for: its own.
    time.pass(S(2));
    assert_eq!(stopwatch.spent(), S(3));
    let mut plugin = poll_fn(|cx| {
        waker = Some(cx.waker().clone());
        Poll::<()>::Pending
    });
    assert!(stopwatch.poll(Pin::new(&mut plugin), &mut cx).is_pending());
    time.pass(S(4));
    waker.take().expect("it was polled").wake();
    // Woken: the caller's.
    time.pass(S(100));
    assert_eq!(stopwatch.spent(), S(7));
    let mut ready = poll_fn(|_| {
        time.pass(S(8));
        Poll::Ready(())
    });
    assert!(stopwatch.poll(Pin::new(&mut ready), &mut cx).is_ready());
    time.pass(S(100));
    assert_eq!(stopwatch.spent(), S(15));
}
