use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::guarded;

/// Counts; panics when it is woken, and when the last of it is dropped.
struct Panicking(Arc<AtomicUsize>);

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a waker that panics");
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        self.0.fetch_add(100, Ordering::SeqCst);
        panic!("a waker that panics when it is dropped");
    }
}

#[test]
fn panics_of_a_waker_end_there() {
    let count = Arc::new(AtomicUsize::new(0));
    let last = Arc::new(Panicking(Arc::clone(&count)));
    let waker = Waker::from(Arc::clone(&last));
    let (kept, woken) = guarded(&mut Context::from_waker(&waker), |cx| {
        cx.waker().wake_by_ref();
        let kept = cx.waker().clone();
        assert!(kept.will_wake(&kept.clone()), "a clone of a clone is the same");
        kept
    });
    assert!(!woken, "that wake-up was lost");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    kept.wake_by_ref();
    let another = kept.clone();
    another.wake();
    assert_eq!(count.load(Ordering::SeqCst), 3);
    drop(waker);
    drop(kept);
    assert_eq!(count.load(Ordering::SeqCst), 3, "the last is here");
    let _ = catch_unwind(AssertUnwindSafe(|| drop(last))).unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 103);
}

#[test]
fn the_last_clone_drops_the_callers_waker() {
    let count = Arc::new(AtomicUsize::new(0));
    let kept = {
        let waker = Waker::from(Arc::new(Panicking(Arc::clone(&count))));
        let (kept, woken) = guarded(&mut Context::from_waker(&waker), |cx| cx.waker().clone());
        assert!(!woken);
        drop(waker);
        kept
    };
    assert_eq!(count.load(Ordering::SeqCst), 0);
    drop(kept);
    assert_eq!(count.load(Ordering::SeqCst), 100);
}

#[test]
fn nothing_is_cloned_for_who_does_not_clone() {
    let waker = Arc::new(Counting);
    let ((), woken) = guarded(&mut Context::from_waker(&Waker::from(Arc::clone(&waker))), |cx| {
        assert_eq!(Arc::strong_count(&waker), 2);
        cx.waker().wake_by_ref();
    });
    assert!(woken);
    assert_eq!(Arc::strong_count(&waker), 1);
}

struct Counting;

impl Wake for Counting {
    fn wake(self: Arc<Self>) {}
}
