//! A fake of tokio's `Notify`, as far as `notify_waiters` goes: who asked before it, polled or not, is notified by it. Tokio
//! promises that; what it synchronizes is a counter, no more than here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Notify {
    calls: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
}

impl Notify {
    pub(crate) fn notified(&self) -> Notified<'_> {
        Notified { notify: self, calls: self.calls.load(Ordering::SeqCst) }
    }

    pub(crate) fn notify_waiters(&self) {
        let woken = {
            let mut wakers = self.wakers.lock().unwrap();
            self.calls.fetch_add(1, Ordering::SeqCst);
            std::mem::take(&mut *wakers)
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

pub(crate) struct Notified<'a> {
    notify: &'a Notify,
    calls: usize,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut wakers = self.notify.wakers.lock().unwrap();
        if self.notify.calls.load(Ordering::SeqCst) != self.calls {
            return Poll::Ready(());
        }
        wakers.push(cx.waker().clone());
        Poll::Pending
    }
}
