//! Who sees that a thread is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::world::eventually;
use crate::audit::lookout::{CALM, Lookout, Rescue, Spawn};

/// Counts how often it was told.
#[derive(Default)]
struct Told(AtomicU32);

impl Told {
    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Rescue for Told {
    fn rescue(self: Arc<Self>, spawn: &Spawn) -> std::io::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        spawn(Box::new(|| ()))
    }
}

fn wait_for_looks(lookout: &Lookout, more: u64) {
    let before = lookout.looks().0;
    eventually("it looks", || lookout.looks().0 >= before + more);
}

#[test]
fn a_poll_that_lasts_is_told_once() {
    let lookout = Lookout::new();
    let (held, other) = (Arc::new(Told::default()), Arc::new(Told::default()));
    let seat = lookout.watch(held.clone());
    let other_seat = lookout.watch(other.clone());
    eventually("both are told", || (held.count(), other.count()) == (1, 1));
    wait_for_looks(&lookout, 20);
    drop(seat);
    // The next poll of it is another one.
    let seat = lookout.watch(held.clone());
    eventually("it is told again", || held.count() == 2);
    wait_for_looks(&lookout, 20);
    assert_eq!((held.count(), other.count()), (2, 1));
    drop((seat, other_seat));
    assert_eq!((Arc::strong_count(&held), Arc::strong_count(&other)), (1, 1));
}

#[test]
fn one_for_which_there_was_no_thread_is_told_again() {
    let lookout = Lookout::with_spawn(Box::new(|_| Err(std::io::Error::other("too many"))));
    let held = Arc::new(Told::default());
    let _seat = lookout.watch(held.clone());
    eventually("it is told again and again", || held.count() >= 3);
}

#[test]
fn the_thread_sleeps_while_there_is_nothing_to_see() {
    let lookout = Lookout::new();
    assert_eq!(lookout.looks(), (0, true), "there is none before there is anything to see");
    for _ in 0..2 {
        let round = Arc::new(Told::default());
        drop(lookout.watch(round.clone()));
        wait_for_looks(&lookout, 1);
        eventually("it sleeps", || lookout.looks().1);
        let before = lookout.looks();
        (0..10_000).for_each(|_| std::thread::yield_now());
        assert_eq!(lookout.looks(), before, "it looks in its sleep");
        // What wakes it is seen.
        let _seat = lookout.watch(round.clone());
        eventually("it is told", || round.count() > 0);
    }
}

#[test]
fn it_does_not_sleep_while_a_round_is_polled() {
    let lookout = Lookout::new();
    let round = Arc::new(Told::default());
    let _seat = lookout.watch(round.clone());
    let begun = Instant::now();
    eventually("it would sleep by now", || begun.elapsed() > 2 * CALM);
    eventually("it is told", || round.count() == 1);
    wait_for_looks(&lookout, 3);
    assert!(!lookout.looks().1);
    assert_eq!(round.count(), 1);
}
