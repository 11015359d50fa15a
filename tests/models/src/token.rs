//! A fake of tokio-util's `CancellationToken`: waiters are told by the thread that cancels, outside the token's lock.

use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;

use crate::sync::called_out;

#[derive(Debug, Default)]
struct State {
    cancelled: bool,
    next: usize,
    wakers: Vec<(usize, Waker)>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct CancellationToken(Arc<Mutex<State>>);

impl CancellationToken {
    /// Once it has returned, all waiters have been told.
    pub(crate) fn cancel(&self) {
        called_out();
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.cancelled = true;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        called_out();
        self.0.lock().unwrap().cancelled
    }

    pub(crate) fn cancelled_owned(self) -> WaitForCancellationFutureOwned {
        WaitForCancellationFutureOwned { token: self, number: None }
    }
}

impl PartialEq for CancellationToken {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CancellationToken {}

impl Hash for CancellationToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

#[derive(Debug)]
pub(crate) struct WaitForCancellationFutureOwned {
    token: CancellationToken,
    number: Option<usize>,
}

impl Future for WaitForCancellationFutureOwned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        called_out();
        let mut state = self.token.0.lock().unwrap();
        if state.cancelled {
            return Poll::Ready(());
        }
        let number = state.next;
        state.next += 1;
        state.wakers.push((number, cx.waker().clone()));
        drop(state);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for WaitForCancellationFutureOwned {
    fn drop(&mut self) {
        called_out();
        let taken_out: Vec<_> = {
            let mut state = self.token.0.lock().unwrap();
            let number = self.number;
            let (mine, others) = std::mem::take(&mut state.wakers).into_iter().partition(|(n, _)| Some(*n) == number);
            state.wakers = others;
            mine
        };
        // Its waker may be the last that holds a mirror: outside the lock.
        drop(taken_out);
    }
}
