//! Calls against the end.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::check;
use crate::gate::Gate;
use crate::per_thread::use_second_shard;

/// An instance as loom sees it: calls read it, the end destroys it. Loom fails if one of them is not ordered with the
/// other.
#[derive(Debug, Default)]
struct Guarded {
    gate: Gate,
    instance: UnsafeCell<Ended>,
}

#[derive(Debug, Default)]
struct Ended(bool);

impl Guarded {
    fn use_instance(&self) {
        // SAFETY: a model: loom stops where this is not so.
        self.instance.with(|ended| assert!(!unsafe { &*ended }.0, "a call runs in an instance that has ended"));
    }

    fn call(&self) {
        if self.gate.enter() {
            self.use_instance();
            self.gate.leave();
        }
    }

    /// Nobody is inside meanwhile; afterwards, whoever enters finds it as it was left.
    fn while_empty(&self) {
        self.gate.close();
        block_on(self.gate.wait_idle());
        // SAFETY: as above.
        self.instance.with_mut(|ended| unsafe { (*ended).0 = true });
        // SAFETY: as above.
        self.instance.with_mut(|ended| unsafe { (*ended).0 = false });
        self.gate.reopen();
    }

    /// Loom fails if this waits for ever.
    fn end(&self) {
        self.gate.close();
        block_on(self.gate.wait_idle());
        // SAFETY: as above.
        self.instance.with_mut(|ended| unsafe { (*ended).0 = true });
    }
}

#[test]
fn one_call_and_the_end() {
    check(3, || {
        let guarded = Arc::new(Guarded::default());
        let caller = Arc::clone(&guarded);
        let call = thread::spawn(move || {
            use_second_shard();
            caller.call();
        });
        guarded.end();
        call.join().unwrap();
        assert_eq!(guarded.gate.in_flight(), 0);
        assert!(!guarded.gate.enter(), "it stays closed");
    });
}

#[test]
fn two_calls_and_the_end() {
    check(3, || {
        let guarded = Arc::new(Guarded::default());
        let calls: [_; 2] = std::array::from_fn(|number| {
            let caller = Arc::clone(&guarded);
            thread::spawn(move || {
                if number == 1 {
                    use_second_shard();
                }
                caller.call();
            })
        });
        guarded.end();
        calls.into_iter().for_each(|call| call.join().unwrap());
        assert_eq!(guarded.gate.in_flight(), 0);
    });
}

/// A call that began on one thread and ends on another leaves one shard at 1 and another at -1; meanwhile another call may
/// come too late.
#[test]
fn a_call_that_moves_between_threads() {
    check(2, || {
        let guarded = Arc::new(Guarded::default());
        assert!(guarded.gate.enter());
        let moved = Arc::clone(&guarded);
        let ends_there = thread::spawn(move || {
            use_second_shard();
            moved.use_instance();
            moved.gate.leave();
        });
        let caller = Arc::clone(&guarded);
        let call = thread::spawn(move || caller.call());
        guarded.end();
        ends_there.join().unwrap();
        call.join().unwrap();
    });
}

/// A hand-over that fails: the gate is closed for a while. Calls come before, meanwhile and after.
#[test]
fn a_gate_that_opens_again() {
    check(3, || {
        let guarded = Arc::new(Guarded::default());
        let caller = Arc::clone(&guarded);
        let calls = thread::spawn(move || {
            use_second_shard();
            caller.call();
            caller.call();
        });
        guarded.while_empty();
        guarded.call();
        calls.join().unwrap();
        assert!(guarded.gate.enter(), "it is open");
        guarded.gate.leave();
        guarded.end();
    });
}
