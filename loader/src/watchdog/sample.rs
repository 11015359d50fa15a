//! What a sample says of a poll in progress, and when that is enough.
//!
//! Only what is sure is held against a plugin: time that its thread spent on a processor inside the poll, and time that the
//! thread slept there. Never what the thread, or the watchdog, waited for a processor; so every reading is ordered such that
//! a pause of the watchdog in between makes a poll look shorter. And polls that
//! are not stuck are not judged by what passed before a late sample: the machine may have been stopped as a whole.
//! While threads have to wait for a processor, polls of up to 10 ms are not held against anybody: they may have waited for
//! a lock whose holder did not get one, or paid for the kernel's work.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

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
    counted: bool,
}

/// What a poll has done to its thread so far.
struct Held {
    /// All that is sure.
    total: Duration,
    /// The part of it that was not before a late sample.
    in_time: Duration,
}

impl Seen {
    fn first(word: u64, account: Option<Account>) -> Self {
        let now = Instant::now();
        let (unseen, slept) = (Duration::ZERO, Duration::ZERO);
        Self { word, since: now, account, last: now, unseen, slept, counted: false }
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
            return Held { total: passed, in_time: passed.saturating_sub(self.unseen) };
        };
        let ran = now.ran.saturating_sub(first.ran);
        let waited = now.waited.saturating_sub(first.waited);
        if !now.runnable {
            self.slept = self.slept.max(passed.saturating_sub(ran + waited));
        }
        let total = ran + self.slept;
        Held { total, in_time: total.saturating_sub(self.unseen) }
    }
}

/// What is known of one instance.
#[derive(Default)]
struct History {
    long: VecDeque<Instant>,
    isolated_until: Option<Instant>,
    trips: u32,
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
            let entry = match self.seen.get_mut(&key) {
                Some(entry) if entry.word == word => entry,
                _ => {
                    self.seen.insert(key, Seen::first(word, account));
                    continue;
                }
            };
            let held = entry.again(before, account);
            let history = self.histories.entry(number).or_default();
            let trip = judge(&held, &mut entry.counted, history, rule, &self.machine);
            if let (Some(trip), Some(instance)) = (trip, instance.upgrade()) {
                let clean = rule.clean.saturating_mul(1 << history.trips.min(16)).min(LONGEST_CLEAN);
                history.isolated_until = Some(Instant::now() + clean);
                history.trips += 1;
                history.long.clear();
                instance.isolate(&trip);
            }
        }
        self.seen.retain(|key, _| present.contains(key));
        !present.is_empty()
    }
}

/// What the kernel says of a thread in that poll; nothing if the poll has ended meanwhile: the account may be of another.
#[expect(clippy::option_option, reason = "that the poll has ended and that the kernel does not tell are two things")]
fn account_of(seat: &Seat, word: u64) -> Option<Option<Account>> {
    let account = seat.account();
    (seat.word() == word).then_some(account)
}

fn judge(held: &Held, counted: &mut bool, history: &mut History, rule: &Rule, machine: &Machine) -> Option<Trip> {
    if history.isolated_until.is_some() {
        return None;
    }
    if held.total > rule.stuck {
        return Some(Trip::Stuck { held: held.total });
    }
    let is_long = held.in_time > rule.long && (held.in_time > LONG_IN_A_CROWD || machine.is_at_ease());
    if is_long && !*counted {
        *counted = true;
        let now = Instant::now();
        history.long.push_back(now);
        while history.long.front().is_some_and(|at| now - *at > rule.window) {
            history.long.pop_front();
        }
        if history.long.len() >= rule.count {
            return Some(Trip::Often { count: history.long.len() });
        }
    }
    None
}

/// The processors, and who wants them.
struct Machine {
    processors: usize,
    load: Option<File>,
}

impl Machine {
    fn new() -> Self {
        // All of them, as the load is that of all; not only those that this process may use.
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let is_one = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
        Self { processors: stat.lines().filter(is_one).count().max(1), load: File::open("/proc/loadavg").ok() }
    }

    /// Whether no thread has to wait for a processor; so it is taken to be where the kernel does not tell.
    fn is_at_ease(&self) -> bool {
        self.runnable().is_none_or(|runnable| runnable <= self.processors)
    }

    /// Threads that run or wait for a processor: `0.00 0.00 0.00 RUNNABLE/ALL LAST`.
    fn runnable(&self) -> Option<usize> {
        let mut text = [0_u8; 64];
        let length = self.load.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        text.split_ascii_whitespace().nth(3)?.split_once('/')?.0.parse().ok()
    }
}

#[cfg(test)]
mod tests;
