//! Who may use an instance that is about to end: calls enter and leave, the end closes the gate and waits.
//!
//! # Invariants
//!
//! 1. A call counts itself in `in_flight` and then looks at `closed`; the end sets `closed` and then looks at `in_flight`;
//!    all four sequentially consistent. So either the call sees that it is too late, or the end sees the call.
//! 2. A call that leaves looks at `closed` the same way, and the end asks to be notified before it looks at `in_flight`. So
//!    either the end sees that the call has left, or the call notifies it.
//! 3. `in_flight` never reads less than the calls inside: each that entered is seen by invariant 1, and one that came too
//!    late counts itself in and out on one thread, hence in one shard.
//! 4. A call that enters after [`reopen`](Gate::reopen) has heard of what was done before that: `closed` is released and acquired.
//! 5. What a call did before it left happens before what the end does once it has found nobody inside: the counter releases
//!    and acquires.

use crate::counter::Sharded;
use crate::sync::{AtomicBool, Notify, Ordering};

/// The gate of one instance.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    in_flight: Sharded,
    closed: AtomicBool,
    idle: Notify,
}

impl Gate {
    /// Whether the call may begin; if so, it owes a [`leave`](Self::leave), from any thread.
    pub(crate) fn enter(&self) -> bool {
        // Invariants 1 and 4.
        self.in_flight.add_in_order(1);
        let open = !self.closed.load(Ordering::SeqCst);
        if !open {
            self.leave();
        }
        open
    }

    pub(crate) fn leave(&self) {
        // Invariant 2.
        self.in_flight.add_in_order(-1);
        if self.closed.load(Ordering::SeqCst) {
            self.idle.notify_waiters();
        }
    }

    /// From now on no call enters.
    pub(crate) fn close(&self) {
        // Invariant 1.
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Calls may enter again.
    pub(crate) fn reopen(&self) {
        // Invariant 4.
        self.closed.store(false, Ordering::Release);
    }

    /// Calls inside.
    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.sum()
    }

    /// Waits until no call is inside. The gate must be closed, by this thread or one that it has heard from since.
    pub(crate) async fn wait_idle(&self) {
        loop {
            // Invariant 2.
            let notified = self.idle.notified();
            if self.in_flight.sum() <= 0 {
                return;
            }
            notified.await;
        }
    }
}
