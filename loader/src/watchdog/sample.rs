//! What a sample says of a poll in progress, and when that is enough.
//!
//! Only what is sure is held against a plugin: time that its thread spent on a processor inside the poll, and time that the
//! thread slept there. Never what the thread, or the watchdog, waited for a processor; so every reading is ordered such that
//! a pause of the watchdog in between makes a poll look shorter. And polls that
//! are not stuck are not judged by what passed before a late sample: the machine may have been stopped as a whole.
//! While threads have to wait for a processor, polls of up to 10 ms are not held against anybody: they may have waited for
//! a lock whose holder did not get one, or paid for the kernel's work.
//!
//! What the host of a virtual machine keeps from a processor counts, to the kernel, as time in which a thread ran. It says how
//! much that was, not from whom it was taken, and says it a tick later. So polls are judged together, a little later: as many
//! of the long ones as what was stolen can explain are not held against the plugin.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::machine::Machine;
use super::seat::{self, Account, Seat};
use super::{Rule, Trip, Watched};

/// A sample later than this after the one before says more of the machine than of a plugin.
const LATE: Duration = Duration::from_millis(10);

/// A poll is a long one above this only, while threads have to wait for a processor.
const LONG_IN_A_CROWD: Duration = Duration::from_millis(10);

/// Longest isolation, however often it tripped.
const LONGEST_CLEAN: Duration = Duration::from_secs(3600);

/// What is known of one poll from the samples so far.
struct Seen {
    word: u64,
    /// A moment after it began.
    since: Instant,
    account: Option<Account>,
    last: Instant,
    /// Time in which it was not looked at.
    unseen: Duration,
    /// Sleep that is sure.
    slept: Duration,
    /// The ticks that were stolen before.
    stolen_before: u64,
}

/// What a poll has done to its thread so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// All that is sure, but for what was stolen.
    total: Duration,
    /// The part of it that was not before a late sample.
    in_time: Duration,
    /// The part of `total` in which the thread seemed to run: it may have been stolen.
    ran: Duration,
}

impl Seen {
    fn first(word: u64, account: Option<Account>, stolen_before: u64) -> Self {
        let now = Instant::now();
        let (unseen, slept) = (Duration::ZERO, Duration::ZERO);
        Self { word, since: now, account, last: now, unseen, slept, stolen_before }
    }

    /// Seen again: `before` the account was read.
    fn again(&mut self, before: Instant, account: Option<Account>) -> Held {
        let passed = before.saturating_duration_since(self.since);
        let gap = before.saturating_duration_since(self.last);
        self.last = before;
        if gap > LATE {
            self.unseen += gap;
        }
        let (Some(first), Some(now)) = (self.account, account) else {
            // The kernel does not tell: the clock is all there is.
            return Held { total: passed, in_time: passed.saturating_sub(self.unseen), ran: passed };
        };
        let ran = now.ran.saturating_sub(first.ran);
        let waited = now.waited.saturating_sub(first.waited);
        if !now.runnable {
            self.slept = self.slept.max(passed.saturating_sub(ran + waited));
        }
        let total = ran + self.slept;
        Held { total, in_time: total.saturating_sub(self.unseen), ran }
    }
}

/// A long poll, in progress or ended.
struct Long {
    /// The thread and its word.
    poll: (usize, u64),
    /// As of the last sample that saw it.
    held: Held,
    last: Instant,
    stolen_before: u64,
}

impl Long {
    /// What must have been stolen from it if it was a short one; nothing if that is more than it ran.
    fn loss(&self, rule: &Rule) -> Option<Duration> {
        let loss = self.held.in_time.saturating_sub(rule.long);
        (loss <= self.held.ran).then_some(loss)
    }
}

/// What is known of one instance.
#[derive(Default)]
struct History {
    /// Those within the window, the oldest first.
    long: VecDeque<Long>,
    isolated_until: Option<Instant>,
    trips: u32,
}

impl History {
    /// A poll was seen again: is it stuck? If it is a long one, that is remembered.
    fn add(&mut self, poll: (usize, u64), seen: &Seen, held: Held, rule: &Rule, machine: &Machine) -> Option<Trip> {
        let sure = held.total - held.ran.min(machine.stolen_since(seen.stolen_before));
        if sure > rule.stuck {
            return Some(Trip::Stuck { held: sure });
        }
        if held.in_time > rule.long {
            if let Some(long) = self.long.iter_mut().rev().find(|long| long.poll == poll) {
                (long.held, long.last) = (held, seen.last);
            } else if held.in_time > LONG_IN_A_CROWD || machine.is_at_ease() {
                self.long.push_back(Long { poll, held, last: seen.last, stolen_before: seen.stolen_before });
            }
        }
        None
    }

    /// Whether there were too many long polls within the window, beside those that may have lost so much to a thief.
    fn often(&mut self, rule: &Rule, machine: &Machine) -> Option<Trip> {
        while self.long.front().is_some_and(|long| long.last.elapsed() > rule.window) {
            self.long.pop_front();
        }
        let settled: Vec<_> = self.long.iter().filter(|long| machine.has_settled(long.last)).collect();
        if settled.len() < rule.count {
            return None;
        }
        let before = settled.iter().map(|long| long.stolen_before).min()?;
        let stolen = machine.stolen_since(before);
        let mut losses: Vec<_> = settled.iter().filter_map(|long| long.loss(rule)).collect();
        losses.sort_unstable();
        let sums = losses.iter().scan(Duration::ZERO, |sum, loss| {
            *sum += *loss;
            Some(*sum)
        });
        let count = settled.len() - sums.take_while(|sum| *sum <= stolen).count();
        (count >= rule.count).then_some(Trip::Often { count })
    }

    /// Isolates the instance.
    fn trip(&mut self, instance: &Weak<dyn Watched>, rule: &Rule, trip: Trip) {
        let Some(instance) = instance.upgrade() else { return };
        let clean = rule.clean.saturating_mul(1 << self.trips.min(16)).min(LONGEST_CLEAN);
        self.isolated_until = Some(Instant::now() + clean);
        self.trips += 1;
        self.long.clear();
        instance.isolate(&trip);
    }
}

type AllWatched = HashMap<u32, (Weak<dyn Watched>, Rule)>;

/// What the samples have shown so far.
pub(super) struct Samples {
    seen: HashMap<usize, Seen>,
    histories: HashMap<u32, History>,
    machine: Machine,
}

impl Samples {
    pub(super) fn new() -> Self {
        Self { seen: HashMap::new(), histories: HashMap::new(), machine: Machine::new() }
    }

    /// Releases whose clean period is over. Forgets what is not watched any more.
    pub(super) fn release(&mut self, watched: &AllWatched) {
        self.histories.retain(|number, _| watched.contains_key(number));
        let now = Instant::now();
        for (number, (instance, _)) in watched {
            let Some(history) = self.histories.get_mut(number) else { continue };
            if history.isolated_until.is_some_and(|until| until <= now) {
                history.isolated_until = None;
                if let Some(instance) = instance.upgrade() {
                    instance.release();
                }
            }
        }
    }

    /// Looks at every seat once. Whether any poll of a watched instance was seen.
    pub(super) fn take(&mut self, watched: &AllWatched) -> bool {
        let mut present = Vec::new();
        for seat in seat::all() {
            // Before the word is read, lest a pause between the two counts.
            let before = Instant::now();
            let word = seat.word();
            let number = u32::try_from(word >> 32).unwrap_or(0);
            let Some((instance, rule)) = watched.get(&number) else { continue };
            let key = Arc::as_ptr(&seat) as usize;
            present.push(key);
            let Some(account) = account_of(&seat, word) else { continue };
            let seen = match self.seen.get_mut(&key) {
                Some(seen) if seen.word == word => seen,
                _ => {
                    self.seen.insert(key, Seen::first(word, account, self.machine.stolen()));
                    continue;
                }
            };
            let held = seen.again(before, account);
            let history = self.histories.entry(number).or_default();
            if history.isolated_until.is_none()
                && let Some(trip) = history.add((key, word), seen, held, rule, &self.machine)
            {
                history.trip(instance, rule, trip);
            }
        }
        self.seen.retain(|key, _| present.contains(key));
        self.judge_all(watched, !present.is_empty());
        !present.is_empty()
    }

    /// Judges the long polls whose loss to a thief is known by now.
    fn judge_all(&mut self, watched: &AllWatched, polls: bool) {
        let waiting = self.histories.values().any(|history| !history.long.is_empty());
        // After the seats: what is stolen from a poll that begins now counts as stolen after this reading.
        if !self.machine.look(polls || waiting) {
            return;
        }
        for (number, history) in &mut self.histories {
            let Some((instance, rule)) = watched.get(number) else { continue };
            if let Some(trip) = history.often(rule, &self.machine) {
                history.trip(instance, rule, trip);
            }
        }
    }
}

/// What the kernel says of a thread in that poll; nothing if the poll has ended meanwhile: the account may be of another.
#[expect(clippy::option_option, reason = "that the poll has ended and that the kernel does not tell are two things")]
fn account_of(seat: &Seat, word: u64) -> Option<Option<Account>> {
    let account = seat.account();
    (seat.word() == word).then_some(account)
}

#[cfg(test)]
mod tests;
