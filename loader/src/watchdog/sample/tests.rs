use std::fs::File;
use std::time::{Duration, Instant};

use super::super::seat::Account;
use super::{Held, History, Machine, Rule, Seen, Trip, judge};

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A thread that began a poll and is looked at again and again.
struct Thread {
    seen: Seen,
    begun: Instant,
}

impl Thread {
    fn new() -> Self {
        let account = Account { ran: ms(1000), waited: ms(1000), runnable: true };
        let seen = Seen::first(1, Some(account));
        Self { begun: seen.since, seen }
    }

    /// So long after its begin, with so much running and waiting since.
    fn at(&mut self, passed: u64, ran: u64, waited: u64, runnable: bool) -> Held {
        let account = Account { ran: ms(1000 + ran), waited: ms(1000 + waited), runnable };
        self.seen.again(self.begun + ms(passed), Some(account))
    }
}

fn at_ease() -> Machine {
    Machine { processors: usize::MAX, load: None }
}

/// The thread that reads it is runnable, so somebody has to wait.
fn crowded() -> Machine {
    Machine { processors: 0, load: Some(File::open("/proc/loadavg").unwrap()) }
}

fn held(held: &Held) -> (Duration, Duration) {
    (held.total, held.in_time)
}

#[test]
fn waiting_for_a_processor_is_not_held_against_it() {
    let mut thread = Thread::new();
    // The kernel enters a wait when it ends.
    assert_eq!(held(&thread.at(8, 0, 0, true)), (ms(0), ms(0)));
    assert_eq!(held(&thread.at(500, 2, 0, true)), (ms(2), Duration::ZERO), "a late sample");
    let mut thread = Thread::new();
    assert_eq!(held(&thread.at(9, 2, 7, true)), (ms(2), ms(2)));
    assert_eq!(held(&thread.at(18, 2, 15, false)), (ms(3), ms(3)));
}

#[test]
fn running_and_sleeping_are() {
    let mut thread = Thread::new();
    assert_eq!(held(&thread.at(5, 5, 0, true)), (ms(5), ms(5)));
    assert_eq!(held(&thread.at(14, 5, 0, true)), (ms(5), ms(5)));
    assert_eq!(held(&thread.at(20, 5, 0, false)), (ms(20), ms(20)), "a sleep is seen as a whole");
    assert_eq!(held(&thread.at(25, 6, 0, true)), (ms(21), ms(21)));
}

#[test]
fn a_crowd_makes_long_longer() {
    let judged = |held: u64, machine: &Machine| {
        let rule = Rule { count: 1, ..Rule::default() };
        let held = Held { total: ms(held), in_time: ms(held) };
        judge(&held, &mut false, &mut History::default(), &rule, machine)
    };
    let often = Some(Trip::Often { count: 1 });
    assert_eq!((judged(2, &at_ease()), judged(2, &crowded())), (often, None));
    assert_eq!((judged(11, &at_ease()), judged(11, &crowded())), (often, often));
    assert_eq!(judged(101, &crowded()), Some(Trip::Stuck { held: ms(101) }));
}

#[test]
fn where_the_kernel_does_not_tell_the_clock_counts() {
    let mut seen = Seen::first(1, None);
    let since = seen.since;
    assert_eq!(held(&seen.again(since + ms(8), None)), (ms(8), ms(8)));
    assert_eq!(held(&seen.again(since + ms(108), None)), (ms(108), ms(8)), "a late sample");
}
