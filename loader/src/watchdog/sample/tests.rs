use std::time::{Duration, Instant};

use super::super::seat::Account;
use super::{Held, History, Machine, Rule, Seen, Trip};

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
        let seen = Seen::first(1, Some(account), 0);
        Self { begun: seen.since, seen }
    }

    /// So long after its begin, with so much running and waiting since.
    fn at(&mut self, passed: u64, ran: u64, waited: u64, runnable: bool) -> Held {
        let account = Account { ran: ms(1000 + ran), waited: ms(1000 + waited), runnable };
        self.seen.again(self.begun + ms(passed), Some(account))
    }
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

const RULE: Rule =
    Rule { long: ms(1), count: 3, window: Duration::from_secs(10), stuck: ms(100), clean: Duration::from_secs(60) };

/// Polls of one thread, each of which ran so long.
fn polls(machine: &Machine, ran: &[u64], stolen_before: u64) -> (History, Option<Trip>) {
    let (mut history, mut trip) = (History::default(), None);
    for (word, ran) in (1..).zip(ran) {
        let held = Held { total: ms(*ran), in_time: ms(*ran), ran: ms(*ran) };
        let seen = Seen::first(word, None, stolen_before);
        // Seen once more while it went on: it is one poll.
        history.add((1, word), &seen, Held { in_time: ms(2).min(held.in_time), ..held }, &RULE, machine);
        trip = trip.or(history.add((1, word), &seen, held, &RULE, machine));
    }
    (history, trip)
}

/// What is said of them when what was stolen meanwhile is known.
fn judged(mut machine: Machine, ran: &[u64], stolen: std::ops::Range<u64>) -> Option<Trip> {
    machine.reads(Instant::now(), stolen.start);
    let (mut history, stuck) = polls(&machine, ran, stolen.start);
    assert_eq!(history.often(&RULE, &machine), None, "it may not be entered yet");
    machine.reads(Instant::now() + ms(20), stolen.end);
    stuck.or_else(|| history.often(&RULE, &machine))
}

const fn often(count: usize) -> Option<Trip> {
    Some(Trip::Often { count })
}

#[test]
fn several_long_polls_trip() {
    assert_eq!(judged(Machine::at_ease(), &[2, 2], 0..0), None);
    assert_eq!(judged(Machine::at_ease(), &[2, 1, 2, 2], 0..0), often(3), "one of them is not a long one");
}

#[test]
fn a_crowd_makes_long_longer() {
    assert_eq!(judged(Machine::crowded(), &[10, 10, 10], 0..0), None);
    assert_eq!(judged(Machine::crowded(), &[11, 11, 11], 0..0), often(3));
    assert_eq!(judged(Machine::crowded(), &[101], 0..0), Some(Trip::Stuck { held: ms(101) }));
}

#[test]
fn what_was_stolen_is_not_held_against_it() {
    // Three ticks, and a part of one: 40 ms are enough for 19 and 20, but not for the third.
    assert_eq!(judged(Machine::at_ease(), &[20, 21, 21], 5..8), None);
    assert_eq!(judged(Machine::at_ease(), &[20, 21, 21, 21, 21], 5..8), often(3));
    // Where nothing is taken just now, but was before: a part of a tick.
    assert_eq!(judged(Machine::at_ease(), &[5, 5, 5], 5..5), None);
    assert_eq!(judged(Machine::at_ease(), &[5, 5, 5, 5, 5], 5..5), often(3));
    // A thief explains only as much as was taken.
    assert_eq!(judged(Machine::at_ease(), &[5; 100], 5..8), often(90));
    // A poll that is stuck.
    let mut machine = Machine::at_ease();
    machine.reads(Instant::now(), 15);
    assert_eq!(polls(&machine, &[200], 5).1, None);
    assert_eq!(polls(&machine, &[220], 5).1, Some(Trip::Stuck { held: ms(110) }));
}

#[test]
fn nobody_steals_sleep() {
    let (mut machine, mut history) = (Machine::at_ease(), History::default());
    for word in 1..=3 {
        let held = Held { total: ms(50), in_time: ms(50), ran: ms(1) };
        assert_eq!(history.add((1, word), &Seen::first(word, None, 5), held, &RULE, &machine), None);
    }
    machine.reads(Instant::now() + ms(20), 5_000);
    assert_eq!(history.often(&RULE, &machine), often(3));
    let held = Held { total: ms(150), in_time: ms(150), ran: ms(1) };
    let trip = history.add((1, 4), &Seen::first(4, None, 5), held, &RULE, &machine);
    assert_eq!(trip, Some(Trip::Stuck { held: ms(149) }));
}

#[test]
fn where_the_kernel_does_not_tell_the_clock_counts() {
    let mut seen = Seen::first(1, None, 0);
    let since = seen.since;
    assert_eq!(held(&seen.again(since + ms(8), None)), (ms(8), ms(8)));
    assert_eq!(held(&seen.again(since + ms(108), None)), (ms(108), ms(8)), "a late sample");
}
