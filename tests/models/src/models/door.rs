//! Calls against the change of what serves.

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::Arc;
use loom::thread;

use super::check;
use crate::door::{Door, Serves, Shut};
use crate::gate::Gate;
use crate::per_thread::use_second_shard;
use crate::sync::Lent;

/// An instance as loom sees it: calls read it, the end writes it.
struct Generation {
    number: u32,
    gate: Gate,
    ended: UnsafeCell<bool>,
}

/// A call under way.
struct Call(Arc<Generation>);

impl Serves for Generation {
    type Entered = Call;

    fn enter(lent: Lent<Self>) -> Option<Call> {
        let generation = lent.as_ref()?;
        generation.gate.enter().then(|| Call(Arc::clone(generation)))
    }
}

impl Call {
    /// Does what it came for, leaves, and says where it was.
    fn finish(self) -> u32 {
        // SAFETY: a model: loom stops where this is not so.
        self.0.ended.with(|ended| assert!(!unsafe { *ended }, "a call runs in a generation that has ended"));
        self.0.gate.leave();
        self.0.number
    }
}

impl Generation {
    fn new(number: u32) -> Arc<Self> {
        Arc::new(Self { number, gate: Gate::default(), ended: UnsafeCell::new(false) })
    }

    fn empty(&self) {
        self.gate.close();
        block_on(self.gate.wait_idle());
    }

    fn end(&self) {
        self.empty();
        // SAFETY: as above.
        self.ended.with_mut(|ended| unsafe { *ended = true });
    }
}

type Slot = Arc<Door<Generation, ()>>;

fn slot(generation: &Arc<Generation>) -> Slot {
    let slot = Door::new();
    slot.flip(Some(Arc::clone(generation)));
    Arc::new(slot)
}

/// A call that waits while the door is held, as handles do; nothing if nothing serves.
fn call(slot: &Slot) -> Option<u32> {
    loop {
        match slot.enter() {
            Ok(call) => return Some(call.finish()),
            Err(Shut::Held(hold)) => block_on(hold.over()),
            Err(Shut::Empty) => return None,
        }
    }
}

/// So many calls, one after another, in a thread of their own.
fn calls(slot: &Slot, count: usize) -> thread::JoinHandle<Vec<Option<u32>>> {
    let slot = Arc::clone(slot);
    thread::spawn(move || {
        use_second_shard();
        (0..count).map(|_| call(&slot)).collect()
    })
}

/// Each call is served, by a generation that lives; none goes back to the old one, and none that begins after the flip.
#[test]
fn calls_and_a_flip() {
    check(3, || {
        let (old, new) = (Generation::new(1), Generation::new(2));
        let slot = slot(&old);
        let calls = calls(&slot, 2);
        slot.flip(Some(Arc::clone(&new)));
        assert_eq!(call(&slot), Some(2), "the flip has returned");
        old.end();
        let served = calls.join().unwrap();
        assert!([[1, 1], [1, 2], [2, 2]].iter().any(|way| served == way.map(Some)), "{served:?}");
        assert_eq!((old.gate.in_flight(), new.gate.in_flight()), (0, 0));
    });
}

/// A call that is slow to enter meets two generations that end.
#[test]
fn a_call_and_two_flips() {
    check(3, || {
        let generations = [1, 2, 3].map(Generation::new);
        let slot = slot(&generations[0]);
        let calls = calls(&slot, 1);
        for (before, after) in generations.iter().zip(&generations[1..]) {
            slot.flip(Some(Arc::clone(after)));
            before.end();
        }
        assert!(calls.join().unwrap()[0].is_some());
    });
}

/// A call finds what serves, or that nothing does; once the slot has been emptied, nothing.
#[test]
fn a_call_and_the_end_of_all() {
    check(3, || {
        let only = Generation::new(1);
        let slot = slot(&only);
        let calls = calls(&slot, 2);
        slot.flip(None);
        assert_eq!(call(&slot), None);
        only.end();
        let served = calls.join().unwrap();
        assert!([[Some(1), Some(1)], [Some(1), None], [None, None]].iter().any(|way| served == way), "{served:?}");
    });
}

/// An exclusive plugin is replaced: the old one ends before the new one is there. Loom fails if a call waits for ever.
#[test]
fn calls_wait_while_the_door_is_held() {
    check(3, || {
        let (old, new) = (Generation::new(1), Generation::new(2));
        let slot = slot(&old);
        let calls = calls(&slot, 1);
        slot.hold(());
        old.end();
        slot.flip(Some(new));
        slot.release();
        let served = calls.join().unwrap();
        assert!(matches!(served[..], [Some(1 | 2)]), "{served:?}");
        assert_eq!(call(&slot), Some(2));
    });
}

/// The successor fails, and the old one goes on.
#[test]
fn calls_wait_for_a_successor_that_fails() {
    check(3, || {
        let old = Generation::new(1);
        let slot = slot(&old);
        let calls = calls(&slot, 2);
        slot.hold(());
        old.empty();
        old.gate.reopen();
        slot.release();
        assert_eq!(calls.join().unwrap(), [Some(1); 2]);
    });
}
